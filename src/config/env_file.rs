//! A file of variables (`--env-file`), as systemd's `EnvironmentFile=` and Docker's `--env-file` take them.
//!
//! ```text
//! # a comment
//! NAME=value with $signs and #numbers, up to the end of the line
//! NAME="quoted, with \" \\ \$ and \` escaped"
//! NAME='quoted as it is'
//! ```
//!
//! Nothing in a value is expanded: it may be a password. The process's own environment is left as it is.

use std::collections::HashMap;
use std::env::VarError;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use super::env::Env;
use super::fault::{Fault, Faults, Place};

const FILE_MAX: u64 = 1024 * 1024;

/// Where the variables are; with a `-` in front the file may be absent, as in systemd's units.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EnvFile {
    path: PathBuf,
    optional: bool,
}

impl EnvFile {
    pub fn new(written: &Path) -> Self {
        match written.to_str().and_then(|text| text.strip_prefix('-')) {
            Some(path) => Self { path: path.into(), optional: true },
            None => Self { path: written.into(), optional: false },
        }
    }

    pub fn path(&self) -> &Path {
        &self.path
    }
}

/// An environment with a file's variables before its own.
pub struct FileEnv<'a> {
    base: &'a dyn Env,
    vars: HashMap<String, String>,
}

impl<'a> FileEnv<'a> {
    /// # Errors
    /// The file can't be read or has faults: all of them, by line.
    pub fn load(file: Option<&EnvFile>, base: &'a dyn Env) -> Result<Self, Faults> {
        let vars = match file {
            Some(file) => read(file, base)?,
            None => HashMap::new(),
        };
        Ok(Self { base, vars })
    }
}

impl Env for FileEnv<'_> {
    fn var(&self, name: &str) -> Result<String, VarError> {
        self.vars.get(name).cloned().map_or_else(|| self.base.var(name), Ok)
    }

    fn file_var(&self, name: &str) -> Option<String> {
        self.vars.get(name).filter(|value| !value.is_empty()).cloned()
    }

    fn process_var(&self, name: &str) -> Option<String> {
        self.base.process_var(name)
    }

    fn read(&self, path: &Path, limit: u64) -> io::Result<Vec<u8>> {
        self.base.read(path, limit)
    }

    fn exists(&self, path: &Path) -> bool {
        self.base.exists(path)
    }
}

impl fmt::Debug for FileEnv<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FileEnv").field("names", &self.vars.keys()).finish_non_exhaustive()
    }
}

fn read(file: &EnvFile, env: &dyn Env) -> Result<HashMap<String, String>, Faults> {
    let name = file.path.display().to_string();
    let whole = |problem: String| {
        Faults::from(Fault { place: Place::File(name.clone()), field: String::new(), problem })
    };
    let bytes = match env.read(&file.path, FILE_MAX + 1) {
        Ok(bytes) => bytes,
        Err(error) if file.optional && error.kind() == io::ErrorKind::NotFound => return Ok(HashMap::new()),
        Err(error) => return Err(whole(format!("cannot be read: {error}"))),
    };
    if bytes.len() as u64 > FILE_MAX {
        return Err(whole("is larger than 1 MiB; is it a file of variables?".into()));
    }
    let text = String::from_utf8(bytes).map_err(|_| whole("is not UTF-8 text; save it as UTF-8".into()))?;
    parse(&name, &text)
}

/// The last of two lines for one name wins, as in a shell.
fn parse(name: &str, text: &str) -> Result<HashMap<String, String>, Faults> {
    let (mut vars, mut faults) = (HashMap::new(), Vec::new());
    for (number, line) in text.trim_start_matches('\u{feff}').lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with(['#', ';']) {
            continue;
        }
        match assignment(line) {
            Ok((key, value)) => drop(vars.insert(key, value)),
            Err((field, problem)) => {
                let place = Place::Line { file: name.into(), line: number + 1, column: None };
                faults.push(Fault { place, field, problem: problem.into() });
            }
        }
    }
    Faults::of(faults).map_or(Ok(vars), Err)
}

/// What is wrong never shows the line: it may hold a secret.
fn assignment(line: &str) -> Result<(String, String), (String, &'static str)> {
    let line = line.strip_prefix("export ").unwrap_or(line);
    let (name, value) = line.split_once('=').ok_or((String::new(), "has no `=`; write NAME=value"))?;
    let name = name.trim_end();
    let word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    if name.is_empty() || !name.chars().all(word) || name.starts_with(|c: char| c.is_ascii_digit()) {
        return Err((String::new(), "has no variable's name before its `=`; write NAME=value"));
    }
    let value = unquoted(value.trim()).map_err(|problem| (name.to_owned(), problem))?;
    if value.contains('\0') {
        return Err((name.into(), "has a NUL in it; remove it"));
    }
    Ok((name.into(), value))
}

const UNCLOSED: &str = "has a quote that does not close at the end of its line; close it there";

fn unquoted(value: &str) -> Result<String, &'static str> {
    if let Some(rest) = value.strip_prefix('\'') {
        let inner = rest.strip_suffix('\'').ok_or(UNCLOSED)?;
        return if inner.contains('\'') { Err(UNCLOSED) } else { Ok(inner.into()) };
    }
    let Some(rest) = value.strip_prefix('"') else {
        // systemd takes it for an escape, Docker for itself.
        let mixed = value.contains('\\');
        return if mixed {
            Err("has a backslash outside quotes; put the value into single quotes")
        } else {
            Ok(value.into())
        };
    };
    let (mut out, mut chars) = (String::new(), rest.chars());
    loop {
        match chars.next() {
            None => return Err(UNCLOSED),
            Some('"') if chars.as_str().is_empty() => return Ok(out),
            Some('"') => return Err(UNCLOSED),
            Some('\\') => match chars.next() {
                Some(escaped @ ('"' | '\\' | '$' | '`')) => out.push(escaped),
                Some(other) => out.extend(['\\', other]),
                None => return Err(UNCLOSED),
            },
            Some(other) => out.push(other),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn of(text: &str) -> Result<HashMap<String, String>, String> {
        parse("env", text).map_err(|faults| faults.to_string())
    }

    #[test]
    fn values_are_taken_as_systemd_and_docker_take_them() {
        let text =
            "# c\n; c\n\nA=1\r\nexport B = two words # 2 \nC=\"a \\\"b\\\" \\$x\\n\"\nD='a\\b$c'\nE=\nA=2\n";
        let vars = of(text).unwrap();
        let value = |name: &str| vars.get(name).map(String::as_str);
        assert_eq!(value("A"), Some("2"));
        assert_eq!(value("B"), Some("two words # 2"));
        assert_eq!(value("C"), Some("a \"b\" $x\\n"));
        assert_eq!(value("D"), Some("a\\b$c"));
        assert_eq!(value("E"), Some(""));
        assert_eq!(vars.len(), 5);
    }

    #[test]
    fn what_is_wrong_is_told_by_line_without_its_value() {
        let text = "KEY\nA B=s3cret\nC='s3cret\nD=\"s3cret\" x\nE=s3\\cret\n";
        let faults = of(text).unwrap_err();
        assert!(!faults.contains("s3"), "{faults}");
        let lines: Vec<_> = faults.lines().collect();
        assert_eq!(lines[0], "env:1: has no `=`; write NAME=value");
        assert_eq!(
            lines[2],
            "env:3: C: has a quote that does not close at the end of its line; close it there"
        );
        assert_eq!(lines[4], "env:5: E: has a backslash outside quotes; put the value into single quotes");
        assert_eq!(lines.len(), 5);
    }

    proptest! {
        #[test]
        fn any_value_survives_quotes(value in "[^\u{0}\r\n']*") {
            let vars = of(&format!("A='{value}'")).unwrap();
            prop_assert_eq!(&vars["A"], &value);
        }

        #[test]
        fn nothing_panics(text in "[A-Z=\"'\\\\$# \n]*") {
            let _ = of(&text);
        }
    }
}
