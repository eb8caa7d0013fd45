//! Secrets: from `${NAME}` or a file (systemd's `LoadCredential=`, Docker's and Kubernetes' secrets).

use std::path::Path;

use secrecy::{ExposeSecret, SecretString};

use super::node::Kind;
use super::read::{Field, Given, Reader, Section, Spot};

const SECRET_MAX: u64 = 64 * 1024;

impl Reader<'_> {
    /// The secret under `key` or in the file under `{key}_file`; at most one of them may be given.
    pub fn secret(&mut self, section: &Section<'_>, key: &str) -> Option<Given<SecretString>> {
        let (field, is_file) = self.secret_field(section, key)?;
        self.secret_of(field, is_file, key)
    }

    /// The same where several may be given, as a list: the newest first, and those that it replaces.
    pub fn secrets(&mut self, section: &Section<'_>, key: &str, most: usize) -> Vec<Given<SecretString>> {
        let Some((field, is_file)) = self.secret_field(section, key) else { return Vec::new() };
        let Kind::List(items) = &field.node.kind else {
            return self.secret_of(field, is_file, key).into_iter().collect();
        };
        if items.is_empty() || items.len() > most {
            let problem =
                format!("has {}; give 1 to {most}: the new one, and the one that it replaces", items.len());
            self.fault(&field.spot, problem);
            return Vec::new();
        }
        let fields = self.list(&field).unwrap_or_default();
        fields.into_iter().filter_map(|field| self.secret_of(field, is_file, key)).collect()
    }

    /// `true`: it names a file.
    fn secret_field<'n>(&mut self, section: &Section<'n>, key: &str) -> Option<(Field<'n>, bool)> {
        let file_key = format!("{key}_file");
        match (section.get(key), section.get(&file_key)) {
            (Some(_), Some(file)) => {
                self.fault(&file.spot, format!("is given beside `{key}`; keep one of them"));
                None
            }
            (Some(field), None) => Some((field, false)),
            (None, Some(file)) => Some((file, true)),
            (None, None) => None,
        }
    }

    fn secret_of(&mut self, field: Field<'_>, is_file: bool, key: &str) -> Option<Given<SecretString>> {
        let text = self.text_of(field)?;
        let secret = if is_file {
            self.secret_of_file(text.spot, &text.value.value)?
        } else {
            if text.value.literal {
                let mend = format!("use ${{NAME}} or `{key}_file`");
                self.warn(
                    &text.spot,
                    format!("holds the secret itself, for all who can read this file; {mend}"),
                );
            }
            Given { value: text.value.value.into(), spot: text.spot }
        };
        self.refuse_blanks(&secret.spot, secret.value.expose_secret())?;
        Some(secret)
    }

    fn secret_of_file(&mut self, spot: Spot, path: &str) -> Option<Given<SecretString>> {
        let path = self.folder().join(path);
        match self.read_secret(&path) {
            Ok(value) => Some(Given { value, spot }),
            Err(problem) => {
                self.fault(&spot, format!("{}: {problem}", path.display()));
                None
            }
        }
    }

    fn read_secret(&self, path: &Path) -> Result<SecretString, String> {
        let bytes = self.env.read(path, SECRET_MAX + 1).map_err(|e| format!("cannot be read: {e}"))?;
        if bytes.len() as u64 > SECRET_MAX {
            return Err("is too large for a secret".into());
        }
        let text = String::from_utf8(bytes).map_err(|_| "is not UTF-8 text")?;
        let text = text.trim_end_matches(['\n', '\r']);
        if text.is_empty() { Err("is empty".into()) } else { Ok(text.into()) }
    }

    /// A line break that was copied along would end up in an HTTP header.
    fn refuse_blanks(&mut self, spot: &Spot, secret: &str) -> Option<()> {
        if secret.contains(|c: char| c.is_whitespace() || c.is_control()) {
            self.fault(spot, "the secret has a space or a line break in it; copy it anew");
            return None;
        }
        Some(())
    }
}
