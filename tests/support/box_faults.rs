//! A box without name resolution, or with a wrong clock: `box_faults.c`, preloaded into the agent.

use std::fs;
use std::path::{Path, PathBuf};

use tokio::process::Command;

use super::agent::Place;

#[derive(Debug)]
pub struct BoxFaults {
    no_dns: PathBuf,
    clock: PathBuf,
    attempts: PathBuf,
}

impl BoxFaults {
    /// For all agents that are started in `place` from now on; their store is at `port`.
    pub async fn preload(place: &mut Place, port: u16) -> Self {
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/support/box_faults.c");
        let library = place.path().join("box_faults.so");
        let mut compile = Command::new("cc");
        compile.args(["-shared", "-fPIC", "-O1", "-o"]).arg(&library).arg(source).arg("-ldl");
        let output = compile.output().await.unwrap_or_else(|error| {
            panic!("can't run cc ({error}): install a C compiler, which Rust's linker needs too")
        });
        assert!(output.status.success(), "cc: {}", String::from_utf8_lossy(&output.stderr));
        let (no_dns, clock) = (place.path().join("no-dns"), place.path().join("clock"));
        place.env("LD_PRELOAD", &library.display().to_string());
        place.env("EDGE_TEST_NO_DNS", &no_dns.display().to_string());
        place.env("EDGE_TEST_CLOCK", &clock.display().to_string());
        let attempts = place.path().join("attempts");
        place.env("EDGE_TEST_ATTEMPTS", &attempts.display().to_string());
        place.env("EDGE_TEST_PORT", &port.to_string());
        Self { no_dns, clock, attempts }
    }

    pub fn resolve(&self, works: bool) {
        if works {
            fs::remove_file(&self.no_dns).ok();
        } else {
            fs::write(&self.no_dns, "").expect("a file in the test's folder");
        }
    }

    /// How often the store was looked up in vain or connected to.
    pub fn attempts(&self) -> u64 {
        fs::metadata(&self.attempts).map_or(0, |file| file.len())
    }

    /// Seconds that the wall clock is wrong by.
    pub fn clock(&self, wrong_by_s: i64) {
        let new = self.clock.with_extension("new");
        fs::write(&new, wrong_by_s.to_string()).expect("a file in the test's folder");
        fs::rename(new, &self.clock).expect("a file in the test's folder");
    }
}
