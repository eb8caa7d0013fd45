//! The process as the configuration sees it: variables and files.

use std::env::VarError;
use std::fs::{File, OpenOptions};
use std::io::{self, Read};
use std::os::fd::AsFd as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::time::Duration;

use nix::fcntl::OFlag;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

/// For the next bytes of a pipe: a tool may decrypt the configuration into it.
const PIPE_PATIENCE: Duration = Duration::from_secs(30);

/// Environment variables and file reading, so that tests need neither.
pub trait Env {
    fn var(&self, name: &str) -> Result<String, VarError>;

    /// A variable that a file of variables has ([`super::EnvFile`]): one that the AWS SDK does not see by itself.
    fn file_var(&self, _name: &str) -> Option<String> {
        None
    }

    /// The variable as the process itself has it.
    fn process_var(&self, name: &str) -> Option<String> {
        self.var(name).ok()
    }

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
        read_within(path, limit, PIPE_PATIENCE)
    }

    fn exists(&self, path: &Path) -> bool {
        // A file that is there but must not be seen gets its own error when it is read.
        path.try_exists().unwrap_or(true)
    }
}

/// A pipe that nobody writes to would hold a reload, and all later ones, for ever.
fn read_within(path: &Path, limit: u64, patience: Duration) -> io::Result<Vec<u8>> {
    // Of no effect on regular files.
    let file = OpenOptions::new().read(true).custom_flags(OFlag::O_NONBLOCK.bits()).open(path)?;
    let mut bytes = Vec::new();
    let kind = file.metadata()?.file_type();
    if kind.is_file() || kind.is_dir() {
        file.take(limit).read_to_end(&mut bytes)?;
        return Ok(bytes);
    }
    let mut rest = (&file).take(limit);
    loop {
        wait_for_bytes(&file, patience)?;
        let mut some = [0; 4096];
        match rest.read(&mut some) {
            Ok(0) => return Ok(bytes),
            Ok(length) => bytes.extend_from_slice(&some[..length]),
            Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) => {}
            Err(error) => return Err(error),
        }
    }
}

fn wait_for_bytes(file: &File, patience: Duration) -> io::Result<()> {
    let timeout = PollTimeout::try_from(patience).unwrap_or(PollTimeout::MAX);
    match poll(&mut [PollFd::new(file.as_fd(), PollFlags::POLLIN)], timeout) {
        Ok(0) => {
            let problem = format!("it is no regular file, and gave nothing for {} s", patience.as_secs());
            Err(io::Error::new(io::ErrorKind::TimedOut, problem))
        }
        Ok(_) | Err(nix::Error::EINTR) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    #[test]
    fn a_pipe_that_nobody_writes_to_is_not_waited_for_forever() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("pipe");
        nix::unistd::mkfifo(&path, nix::sys::stat::Mode::S_IRWXU).unwrap();
        let error = read_within(&path, 10, Duration::from_millis(20)).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);

        let writer = std::thread::spawn({
            let path = path.clone();
            move || OpenOptions::new().write(true).open(path)?.write_all(b"- id: cam_1\n")
        });
        let bytes = read_within(&path, 7, Duration::from_secs(60)).unwrap();
        assert_eq!(bytes, b"- id: c", "as much as was asked for, from a pipe that has it a moment later");
        // It may have written all before this reader was gone, or not.
        let _ = writer.join().unwrap();
        assert_eq!(read_within(Path::new("/dev/null"), 7, Duration::from_secs(60)).unwrap(), b"");
        assert_eq!(read_within(Path::new("/dev/zero"), 7, Duration::from_secs(60)).unwrap(), [0; 7]);
    }
}
