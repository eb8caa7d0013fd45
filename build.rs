//! The player page is part of the binary (`src/http/page.rs`), so it has to be built first.

use std::path::Path;

fn main() {
    println!("cargo::rerun-if-changed=player/dist");
    if !Path::new("player/dist/index.html").is_file() {
        println!("cargo::error=player/dist is missing: run `make player` (needs Node.js and npm)");
    }
}
