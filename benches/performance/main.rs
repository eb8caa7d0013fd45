//! What the agent costs: `make bench`, or `cargo bench -- publishing` for one part. docs/performance.md tells
//! the method and past numbers.
//!
//! This one binary plays three parts: the benchmark, ffmpeg's stand-in (when called by the name `ffmpeg`), and
//! the S3 server (`serve-s3`). The latter two are processes of their own, so their costs are not the agent's.
#![expect(clippy::disallowed_methods, reason = "a benchmark reads the clock")]
#![expect(clippy::print_stdout, reason = "its report")]

mod agent_process;
#[path = "../../tests/support/camera.rs"]
#[allow(dead_code, reason = "tests use the rest")]
mod camera;
mod footprint;
mod link;
mod numbers;
mod office;
mod pipeline;
mod process;
mod publishing;
mod s3_process;
mod s3_server;
mod stage;
mod stand_in;

use std::path::Path;
use std::process::ExitCode;

fn main() -> anyhow::Result<ExitCode> {
    let args: Vec<String> = std::env::args().collect();
    if args.first().is_some_and(|program| Path::new(program).ends_with(stand_in::NAME)) {
        return stand_in::main(&args);
    }
    if args.iter().any(|arg| arg == s3_process::ROLE) {
        s3_server::serve()?;
        return Ok(ExitCode::SUCCESS);
    }
    // `cargo bench` adds `--bench`.
    let wanted: Vec<_> = args.iter().skip(1).filter(|arg| !arg.starts_with('-')).collect();
    let is_wanted = |part: &str| wanted.is_empty() || wanted.iter().any(|name| part.contains(*name));
    if is_wanted("publishing") {
        publishing::report()?;
    }
    if is_wanted("footprint") {
        footprint::report()?;
    }
    if is_wanted("pipeline") {
        pipeline::report()?;
    }
    if is_wanted("starts") {
        office::starts()?;
    }
    if is_wanted("load") {
        office::load()?;
    }
    if is_wanted("fleet") {
        office::fleet()?;
    }
    Ok(ExitCode::SUCCESS)
}
