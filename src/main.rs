//! The `edge-agent` command.

use std::process::ExitCode;

fn main() -> ExitCode {
    edge_agent::cli::main()
}
