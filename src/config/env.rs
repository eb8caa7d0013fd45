//! The process as the configuration sees it: variables and files.

use std::env::VarError;
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

/// Environment variables and file reading, so that tests need neither.
pub trait Env {
    fn var(&self, name: &str) -> Result<String, VarError>;

    /// The first `limit` bytes of a file.
    fn read(&self, path: &Path, limit: u64) -> io::Result<Vec<u8>>;

    fn exists(&self, path: &Path) -> bool;
}

/// The real one.
#[derive(Debug, Clone, Copy, Default)]
pub struct ProcessEnv;

impl Env for ProcessEnv {
    fn var(&self, name: &str) -> Result<String, VarError> {
        std::env::var(name)
    }

    fn read(&self, path: &Path, limit: u64) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        File::open(path)?.take(limit).read_to_end(&mut bytes)?;
        Ok(bytes)
    }

    fn exists(&self, path: &Path) -> bool {
        // A file that is there but must not be seen gets its own error when it is read.
        path.try_exists().unwrap_or(true)
    }
}
