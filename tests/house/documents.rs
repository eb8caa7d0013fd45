//! What the documents say has to be so.

use std::env::VarError;
use std::path::Path;
use std::process::Command;

use edge_agent::config::{self, Env};

use super::{read, root};

/// Fenced blocks of a language, with the line they begin at.
fn blocks(text: &str, language: &str) -> Vec<(usize, String)> {
    let (mut found, mut open): (Vec<(usize, String)>, Option<bool>) = (Vec::new(), None);
    for (number, line) in text.lines().enumerate() {
        match (open, line.strip_prefix("```")) {
            (None, Some(tag)) => {
                open = Some(tag == language);
                if tag == language {
                    found.push((number + 2, String::new()));
                }
            }
            (Some(_), Some(_)) => open = None,
            (Some(true), None) => found.last_mut().unwrap().1.extend([line, "\n"]),
            _ => {}
        }
    }
    found
}

/// A process whose variables all have a value.
struct Anything;

impl Env for Anything {
    fn var(&self, name: &str) -> Result<String, VarError> {
        match name {
            "SUPABASE_URL" => Ok("https://abc.supabase.co".into()),
            // Numbers and paths, and no block has them.
            "PORT" | "STREAM_DIR" | "CLEANUP_DELAY_SECONDS" | "HLS_SEGMENT_TIME" | "HLS_LIST_SIZE" => {
                Err(VarError::NotPresent)
            }
            "EDGE_AGENT_STORAGE" => Err(VarError::NotPresent),
            _ => Ok("a-value-that-is-long-enough-for-a-key".into()),
        }
    }

    fn read(&self, path: &Path, _limit: u64) -> std::io::Result<Vec<u8>> {
        panic!("README reads {}", path.display())
    }

    fn exists(&self, _path: &Path) -> bool {
        false
    }
}

#[test]
fn every_configuration_in_the_readme_loads() {
    let configurations = blocks(&read("README.md"), "yaml");
    assert!(configurations.len() >= 8, "an example and a recipe for each storage");
    for (line, yaml) in configurations {
        let loaded = config::parse("README.md", &yaml, &Anything);
        let warnings =
            loaded.unwrap_or_else(|faults| panic!("README.md, block at line {line}:\n{faults}")).warnings;
        assert!(warnings.is_empty(), "README.md, block at line {line}: {warnings:?}");
    }
}

/// What the document has in `backticks` or as a line of a shell block.
fn commands(document: &str) -> Vec<String> {
    let text = read(document);
    let spans = text.lines().flat_map(|line| line.split('`').skip(1).step_by(2).map(str::to_owned));
    let shell = blocks(&text, "sh")
        .into_iter()
        .flat_map(|(_, text)| text.lines().map(str::to_owned).collect::<Vec<_>>());
    let inner =
        |line: String| [line.clone(), line.split_once("$(").map(|(_, rest)| rest.to_owned()).unwrap_or(line)];
    spans.chain(shell).flat_map(inner).collect()
}

fn help_of(command: &str) -> String {
    let mut agent = Command::new(env!("CARGO_BIN_EXE_edge-agent"));
    let output = agent.args([command, "--help"].iter().filter(|arg| !arg.is_empty())).output().unwrap();
    assert!(
        output.status.success(),
        "edge-agent {command} --help: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn every_command_in_the_documents_exists() {
    let makefile = read("Makefile");
    let mut seen = 0;
    for document in ["README.md", "ARCHITECTURE.md", "CHANGELOG.md"] {
        for command in commands(document) {
            let words: Vec<&str> =
                command.split_whitespace().take_while(|word| !word.starts_with('#')).collect();
            match words.as_slice() {
                ["make", targets @ ..] => {
                    for target in targets {
                        let there = match target.split_once('=') {
                            Some((variable, _)) => format!("$({variable})"),
                            None => format!("\n{target}:"),
                        };
                        assert!(makefile.contains(&there), "{document}: `{command}`: no such target");
                        seen += 1;
                    }
                }
                ["edge-agent", args @ ..] => {
                    let name = args.first().filter(|arg| !arg.starts_with('-')).copied().unwrap_or_default();
                    let help = help_of(name);
                    for flag in args.iter().filter(|arg| arg.starts_with('-')) {
                        assert!(help.contains(*flag), "{document}: `{command}`: no such option");
                    }
                    seen += 1;
                }
                _ => {}
            }
        }
    }
    assert!(seen > 15, "the documents name commands; {seen} were found");
}

#[test]
fn every_file_that_the_documents_name_exists() {
    for document in [
        "README.md",
        "ARCHITECTURE.md",
        "docs/configuration.md",
        "docs/http.md",
        "docs/player.md",
        "docs/security.md",
    ] {
        let text = read(document);
        let folder = Path::new(document).parent().unwrap();
        for target in text.split("](").skip(1).filter_map(|rest| rest.split([')', '#']).next()) {
            let is_file = !target.is_empty() && !target.contains("://");
            assert!(!is_file || root().join(folder).join(target).exists(), "{document}: no {target}");
        }
        let words = text.split(|c: char| c.is_whitespace() || "`(),:;|".contains(c));
        let names = words.filter(|word| word.ends_with(".rs") && !word.starts_with("//"));
        for name in names.filter(|name| name.contains('/') || *name == "agent.rs" || *name == "clock.rs") {
            assert!(
                root().join(name).exists() || root().join("src").join(name).exists(),
                "{document}: no {name}"
            );
        }
    }
}

#[test]
fn every_attack_that_is_named_is_a_test() {
    let mut seen = 0;
    for line in read("docs/security.md").lines().filter(|line| line.starts_with("| `")) {
        let cells: Vec<&str> = line.split('|').map(str::trim).collect();
        let text = read(cells[2]);
        for name in cells[1].split('`').skip(1).step_by(2) {
            let is_test = text.contains(&format!("fn {name}("));
            assert!(is_test, "docs/security.md: {} has no {name}", cells[2]);
            seen += 1;
        }
    }
    assert!(seen > 20, "{seen}");
}
