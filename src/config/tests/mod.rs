//! Whole files in, configurations or exact messages out.

mod golden;
mod pick;
mod prices;
mod profiles;
mod property;
mod shapes;
mod shipped;

use std::collections::HashMap;
use std::env::VarError;
use std::io;
use std::path::{Path, PathBuf};

use super::{Env, Loaded, load, parse};

/// A process made of constants.
#[derive(Default, Clone)]
pub(super) struct Stub {
    vars: HashMap<String, String>,
    files: HashMap<PathBuf, Vec<u8>>,
}

impl Stub {
    /// One with Supabase's variables, so that a plain list has its storage.
    fn supabase() -> Self {
        Self::default().var("SUPABASE_URL", "https://abc.supabase.co").var("SUPABASE_KEY", "eyJkey")
    }

    pub(super) fn var(mut self, name: &str, value: &str) -> Self {
        self.vars.insert(name.into(), value.into());
        self
    }

    pub(super) fn file(mut self, path: &str, bytes: impl AsRef<[u8]>) -> Self {
        self.files.insert(path.into(), bytes.as_ref().into());
        self
    }
}

impl Env for Stub {
    fn var(&self, name: &str) -> Result<String, VarError> {
        self.vars.get(name).cloned().ok_or(VarError::NotPresent)
    }

    fn read(&self, path: &Path, limit: u64) -> io::Result<Vec<u8>> {
        let bytes = self.files.get(path).ok_or(io::ErrorKind::NotFound)?;
        Ok(bytes.iter().copied().take(limit as usize).collect())
    }

    fn exists(&self, path: &Path) -> bool {
        self.files.contains_key(path)
    }
}

/// The messages of a bad file, one per line.
fn faults_in(text: &str, env: &Stub) -> String {
    match parse("cameras.yaml", text, env) {
        Ok(_) => panic!("this should not load:\n{text}"),
        Err(faults) => faults.to_string(),
    }
}

fn good(text: &str, env: &Stub) -> Loaded {
    parse("cameras.yaml", text, env).unwrap_or_else(|faults| panic!("{faults}\nin\n{text}"))
}

fn warnings_in(text: &str, env: &Stub) -> Vec<String> {
    good(text, env).warnings.iter().map(ToString::to_string).collect()
}
