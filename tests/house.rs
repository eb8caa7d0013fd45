//! The rules of the house (ARCHITECTURE.md), held against the sources. A broken rule prints file, line and the rule.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::fs;
use std::path::{Path, PathBuf};

#[path = "house/documents.rs"]
mod documents;

/// What each room may import of the agent besides itself. `agent.rs`, `agent/`, `cli/` and `main.rs` may import everything.
const ROOMS: &[(&str, &[&str])] = &[
    ("domain", &[]),
    ("config", &["domain"]),
    ("engine", &["domain", "config::model", "clock", "sys"]),
    ("store", &["domain::class", "domain::key", "config::model"]),
    ("camera", &["domain", "engine", "store", "clock", "config::model"]),
    (
        "http",
        &[
            "clock",
            "domain::access",
            "domain::class",
            "domain::edge",
            "domain::key",
            "domain::playlist",
            "domain::rate",
            "domain::signature",
            "domain::viewers",
        ],
    ),
    ("sys", &[]),
    ("telemetry", &[]),
    ("clock", &[]),
];
/// What appears nowhere but there.
const ONLY_IN: &[(&str, &[&str])] = &[
    ("anyhow", &["agent.rs", "agent/", "cli/", "main.rs"]),
    ("aws_config", &["store/s3/"]),
    ("aws_credential_types", &["store/s3/"]),
    ("aws_sdk_s3", &["store/s3/"]),
    ("axum", &["http/"]),
    ("clap", &["cli/", "telemetry/"]),
    ("crate::engine::ffmpeg", &["engine/", "agent.rs", "agent/", "cli/"]),
    ("crate::store::fs", &["store/"]),
    ("crate::store::s3", &["store/"]),
    ("crate::store::supabase", &["store/"]),
    ("hyper", &["http/"]),
    ("notify", &["engine/spool/"]),
    ("saphyr_parser", &["config/yaml.rs"]),
    ("sd_notify", &["sys/"]),
    ("utoipa", &["http/"]),
    ("utoipa_axum", &["http/"]),
];
const DOMAIN_CRATES: &[&str] = &["bytes", "hmac", "humantime", "sha2", "subtle", "thiserror", "url"];
const IMPURE: &[&str] = &["std::env", "std::fs", "std::net", "std::process", "std::thread"];
const MOST_LINES: usize = 400;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(path: impl AsRef<Path>) -> String {
    let path = root().join(path);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Every source file, by its name below `src/`.
fn sources() -> Vec<(String, String)> {
    fn walk(folder: &Path, found: &mut Vec<PathBuf>) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() { walk(&path, found) } else { found.push(path) }
        }
    }
    let (src, mut found) = (root().join("src"), Vec::new());
    walk(&src, &mut found);
    found.retain(|path| path.extension().is_some_and(|extension| extension == "rs"));
    found.sort();
    let name = |path: &PathBuf| path.strip_prefix(&src).unwrap().display().to_string();
    found.iter().map(|path| (name(path), read(path))).collect()
}

/// Where `path` stands as a path of its own in a line of code: what follows it.
fn uses<'a>(line: &'a str, path: &str) -> Option<&'a str> {
    let inside = |c: char| c.is_alphanumeric() || c == '_';
    line.match_indices(path).find_map(|(at, _)| {
        let (before, after) = (&line[..at], &line[at + path.len()..]);
        let whole = !before.ends_with(|c| inside(c) || c == ':' || c == '.') && !after.starts_with(inside);
        whole.then_some(after)
    })
}

fn begins(path: &str, prefix: &str) -> bool {
    path.strip_prefix(prefix).is_some_and(|rest| !rest.starts_with(|c: char| c.is_alphanumeric() || c == '_'))
}

/// Names of a line's `crate::…` paths, without `crate::`.
fn imports(line: &str) -> impl Iterator<Item = &str> {
    line.match_indices("crate::").map(|(at, name)| &line[at + name.len()..])
}

fn broken_rules(file: &str, line: &str) -> Vec<String> {
    let mut broken = Vec::new();
    let room = file.split(['/', '.']).next().unwrap_or_default();
    if let Some((_, allowed)) = ROOMS.iter().find(|(name, _)| *name == room) {
        let may = |path: &str| begins(path, room) || allowed.iter().any(|prefix| begins(path, prefix));
        broken.extend(
            imports(line).filter(|path| !may(path)).map(|_| format!("{room} may import {allowed:?} only")),
        );
        // `super` that climbs out of the room: the same import in disguise.
        let depth = file.trim_end_matches("/mod.rs").trim_end_matches(".rs").split('/').count();
        if line.contains(&"super::".repeat(depth)) {
            broken.push("other rooms are imported by crate::".to_owned());
        }
    }
    if room == "domain" {
        let manifest = read("Cargo.toml");
        let section =
            manifest.split("[dependencies]").nth(1).and_then(|rest| rest.split("\n[").next()).unwrap();
        let crates =
            section.lines().filter_map(|line| line.split_once(" = ")).map(|(name, _)| name.replace('-', "_"));
        let barred = crates.filter(|name| !DOMAIN_CRATES.contains(&name.as_str()));
        let barred = barred.chain(IMPURE.iter().map(|path| (*path).to_owned()));
        let seen =
            barred.filter(|path| uses(line, path).is_some_and(|after| after.starts_with([':', ';', ','])));
        broken.extend(seen.map(|path| format!("domain is pure: no {path}")));
    }
    for (path, places) in ONLY_IN {
        let named = uses(line, path).is_some_and(|after| after.starts_with([':', ';']));
        if named && !places.iter().any(|place| file.starts_with(place)) {
            broken.push(format!("{path} is for {places:?} only"));
        }
    }
    broken
}

#[test]
fn rooms_import_what_they_may() {
    let mut broken = Vec::new();
    for (file, text) in sources() {
        let own = text.find("\n#[cfg(test)]\nmod tests {").unwrap_or(text.len());
        if text[..own].lines().count() > MOST_LINES {
            broken.push(format!(
                "src/{file}:{MOST_LINES}: a file has at most {MOST_LINES} lines without its tests"
            ));
        }
        for (number, line) in
            text.lines().enumerate().filter(|(_, line)| !line.trim_start().starts_with("//"))
        {
            let rules = broken_rules(&file, line);
            broken.extend(
                rules.into_iter().map(|rule| format!("src/{file}:{}: {rule}: {}", number + 1, line.trim())),
            );
        }
    }
    assert!(broken.is_empty(), "\n{}", broken.join("\n"));
}

#[test]
fn the_rules_can_be_broken() {
    for (file, line) in [
        ("domain/key.rs", "use crate::store::ObjectStore;"),
        ("domain/key.rs", "use super::super::store::ObjectStore;"),
        ("domain/gate.rs", "    let x = std::fs::read(path);"),
        ("domain/gate.rs", "use tokio::time;"),
        ("domain/gate.rs", "tracing::warn!(\"x\");"),
        ("store/fs.rs", "use crate::domain::playlist::render;"),
        ("store/fs.rs", "use crate::config::load;"),
        ("engine/mod.rs", "use crate::store::ObjectStore;"),
        ("http/page.rs", "use crate::camera::status::CameraStatus;"),
        ("camera/publisher.rs", "use crate::engine::ffmpeg::FfmpegEngine;"),
        ("sys/child.rs", "fn f() -> anyhow::Result<()> {"),
    ] {
        assert!(!broken_rules(file, line).is_empty(), "{file}: {line}");
    }
    for (file, line) in [
        ("domain/key.rs", "use super::ids::{CameraId, Location};"),
        ("store/fs.rs", "use crate::domain::class::ObjectClass;"),
        ("agent.rs", "use anyhow::Context as _;"),
        ("domain/uploads.rs", "bytes: u64,"),
    ] {
        assert_eq!(broken_rules(file, line), Vec::<String>::new(), "{file}: {line}");
    }
}
