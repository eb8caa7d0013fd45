//! Starting ffmpeg, and what it writes as bounded lines.

use std::io::{self, Write};
use std::os::fd::{AsRawFd, OwnedFd};
use std::process::Stdio;

use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::process::{Child, Command};

use super::Workshop;
use super::argv::{FfmpegCommand, SCRIPT_INPUT, SOUND_OUTPUT, Script};
use super::stderr::MOST_LINE;
use crate::domain::quota;
use crate::engine::EngineError;
use crate::engine::spool::shares::Share;
use crate::sys::child::{be_nice, limit_files};

/// Starts ffmpeg with its script, if it has one, on a pipe; its files fit into `share`; `sound`: where it writes that, if
/// it does by itself.
pub(super) async fn start(
    workshop: &Workshop,
    share: &Share,
    command: &FfmpegCommand,
    stdout: Stdio,
    sound: Option<OwnedFd>,
) -> Result<Child, EngineError> {
    let failed = |error| EngineError::Spawn { path: command.program.display().to_string(), error };
    let pipe = command.script.as_ref().map(script_pipe).transpose().map_err(failed)?;
    let mut process = Command::new(&command.program);
    process.args(command.args.iter().map(|arg| match (&pipe, arg.as_str()) {
        (Some(pipe), SCRIPT_INPUT) => format!("/dev/fd/{}", pipe.as_raw_fd()),
        (_, SOUND_OUTPUT) => format!("pipe:{}", sound.as_ref().map_or(1, AsRawFd::as_raw_fd)),
        (_, arg) => arg.to_owned(),
    }));
    // Standard input is how ffmpeg is asked to finish (`q`).
    process.stdin(Stdio::piped()).stdout(stdout).stderr(Stdio::piped());
    // ffmpeg keeps a segment in memory and writes it at its end, all at once: a look at the spool would be too late.
    limit_files(&mut process, quota::largest_file(share.bytes(), command.outputs));
    be_nice(&mut process, command.nice);
    workshop.spawner.spawn(process, pipe.into_iter().chain(sound).collect()).await.map_err(failed)
}

/// The reading end of a pipe that holds the script and then ends.
fn script_pipe(script: &Script) -> io::Result<OwnedFd> {
    let (reader, mut writer) = io::pipe()?;
    // Far below a pipe's capacity, so this does not block.
    writer.write_all(script.reveal().as_bytes())?;
    Ok(reader.into())
}

/// Lines of what a child writes, none longer than [`MOST_LINE`].
#[derive(Debug)]
pub(super) struct Lines<R> {
    source: Option<R>,
    line: Vec<u8>,
    chunk: Vec<u8>,
    at: usize,
}

const CHUNK: usize = 2048;

impl<R: AsyncRead + Unpin> Lines<R> {
    pub(super) fn new(source: Option<R>) -> Self {
        Self { source, line: Vec::new(), chunk: Vec::new(), at: 0 }
    }

    /// The next line; never again after the end. Cancel-safe: what was read stays here.
    pub(super) async fn next(&mut self) -> Option<String> {
        loop {
            while let Some(&byte) = self.chunk.get(self.at) {
                self.at += 1;
                if byte != b'\n' && byte != b'\r' {
                    if self.line.len() < MOST_LINE {
                        self.line.push(byte);
                    }
                } else if !self.line.is_empty() {
                    return Some(self.take_line());
                }
            }
            let source = self.source.as_mut()?;
            let mut chunk = [0; CHUNK];
            match source.read(&mut chunk).await {
                Ok(read) if read > 0 => {
                    self.chunk.clear();
                    self.chunk.extend_from_slice(&chunk[..read]);
                    self.at = 0;
                }
                _ => {
                    self.source = None;
                    return (!self.line.is_empty()).then(|| self.take_line());
                }
            }
        }
    }

    pub(super) fn is_over(&self) -> bool {
        self.source.is_none() && self.at >= self.chunk.len()
    }

    fn take_line(&mut self) -> String {
        let line = String::from_utf8_lossy(&self.line).into_owned();
        self.line.clear();
        line
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn lines_are_split_and_bounded() {
        let long = "y".repeat(2 * MOST_LINE);
        let text = format!("one\r\n\ntwo\n{long}\n\u{fffd}end");
        let mut lines = Lines::new(Some(text.as_bytes()));
        assert_eq!(lines.next().await.as_deref(), Some("one"));
        assert_eq!(lines.next().await.as_deref(), Some("two"));
        assert_eq!(lines.next().await.map(|l| l.len()), Some(MOST_LINE));
        assert_eq!(lines.next().await.as_deref(), Some("\u{fffd}end"));
        assert!(lines.next().await.is_none() && lines.is_over());
    }
}
