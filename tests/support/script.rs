//! Programs that tests write and run.

use std::path::Path;
use std::process::Command;

/// By a child: if this process had the file open for writing, a fork of another test would keep it open, too, and who runs
/// it meanwhile fails (ETXTBSY).
pub fn write(path: &Path, body: &str) {
    let mut shell = Command::new("sh");
    shell.args(["-c", "printf '#!/bin/sh\\n%s\\n' \"$2\" > \"$1\" && chmod 755 \"$1\"", "sh"]);
    let status = shell.arg(path).arg(body).status().expect("a shell");
    assert!(status.success(), "{status}");
}
