//! Secrets: from `${NAME}` or a file (systemd's `LoadCredential=`, Docker's and Kubernetes' secrets).

use std::path::Path;

use secrecy::{ExposeSecret, SecretString};

use super::read::{Given, Reader, Section, Spot};

const SECRET_MAX: u64 = 64 * 1024;

impl Reader<'_> {
    /// The secret under `key` or in the file under `{key}_file`; at most one of them may be given.
    pub fn secret(&mut self, section: &Section<'_>, key: &str) -> Option<Given<SecretString>> {
        let file_key = format!("{key}_file");
        if section.has(key) && section.has(&file_key) {
            let spot = section.get(&file_key)?.spot;
            self.fault(&spot, format!("is given beside `{key}`; keep one of them"));
            return None;
        }
        let secret = if section.has(&file_key) {
            self.secret_of_file(section, &file_key)?
        } else {
            let text = self.text(section, key)?;
            if text.value.literal {
                let mend = format!("use ${{NAME}} or `{file_key}`");
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

    fn secret_of_file(&mut self, section: &Section<'_>, key: &str) -> Option<Given<SecretString>> {
        let path = self.text(section, key)?;
        let (spot, path) = (path.spot, self.folder().join(path.value.value));
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
