//! What is shipped beside the binary: systemd units, the compose file, the scripts.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use tempfile::TempDir;

const INSTALLED: &str = "/usr/local/bin/edge-agent";
const BINARY: &str = env!("CARGO_BIN_EXE_edge-agent");

fn shipped(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

fn read(path: &str) -> String {
    fs::read_to_string(shipped(path)).unwrap()
}

/// Runs a tool; panics with the mend if it is not there.
fn run(program: &str, args: &[&str]) -> Output {
    let output = Command::new(program).args(args).output();
    output.unwrap_or_else(|error| panic!("can't run {program} ({error}): run packaging/setup.sh test"))
}

fn said(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

/// A copy of the unit whose binary exists on this machine.
fn unit(folder: &TempDir, name: &str) -> String {
    let text = read(&format!("systemd/{name}"));
    assert!(text.contains(&format!("ExecStart={INSTALLED} run")), "{name} runs something else");
    let path = folder.path().join(name);
    fs::write(&path, text.replace(INSTALLED, BINARY)).unwrap();
    path.display().to_string()
}

#[test]
fn systemd_has_nothing_to_say_against_the_units() {
    let folder = TempDir::new().unwrap();
    for name in ["edge-agent.service", "edge-agent@.service"] {
        let output = run("systemd-analyze", &["verify", "--man=no", &unit(&folder, name)]);
        assert!(output.status.success(), "{name}: {}", said(&output));
        // It warns of unknown settings and exits with 0; of the system's own units it may say what it likes.
        let about_ours: Vec<_> =
            said(&output).lines().filter(|l| l.contains("edge-agent")).map(str::to_owned).collect();
        assert_eq!(about_ours, Vec::<String>::new(), "{name}");
    }
}

#[test]
fn systemd_sees_a_sandbox() {
    // 0 is a fortress, 10 an open house; most services of a distribution are above 9.
    const MOST_EXPOSED_TENTHS: &str = "20";
    let folder = TempDir::new().unwrap();
    for name in ["edge-agent.service", "edge-agent@.service"] {
        let threshold = format!("--threshold={MOST_EXPOSED_TENTHS}");
        let output =
            run("systemd-analyze", &["security", "--offline=true", &threshold, &unit(&folder, name)]);
        assert!(output.status.success(), "{name}: {}", said(&output));
    }
}

#[test]
fn the_units_keep_what_the_agent_counts_on() {
    let one = read("systemd/edge-agent.service");
    for wanted in [
        "Type=notify",
        "WatchdogSec=",
        "KillMode=mixed",
        "Restart=always",
        "StartLimitIntervalSec=0",
        "RuntimeDirectory=edge-agent",
        "RuntimeDirectoryPreserve=restart",
        "ExecStartPre=/usr/local/bin/edge-agent check --offline",
        "OOMPolicy=continue",
        // Read by the agent when it is told to reload; copied by root, where only the agent looks.
        "EDGE_AGENT_RELOAD_FROM=%t/edge-agent/cameras.yaml",
        "EDGE_AGENT_ENV_FILE=-%t/edge-agent/env",
        "ExecReload=/bin/kill -HUP $MAINPID",
    ] {
        assert!(one.contains(wanted), "{wanted}");
    }
    let settings = |text: &str| -> Vec<String> {
        let line = |l: &&str| !l.starts_with('#') && l.contains('=');
        text.lines().filter(line).map(|l| l.replace("-%i", "").replace(" --camera %i", "")).collect()
    };
    let differ = |line: &String| !["Description=", "Conflicts="].iter().any(|name| line.starts_with(name));
    let of = |text: &str| settings(text).into_iter().filter(differ).collect::<Vec<_>>();
    assert_eq!(of(&one), of(&read("systemd/edge-agent@.service")), "the two units drifted apart");
}

/// The commands of a unit's `Exec...=`, as systemd runs them, with the machine's folders in `folder`.
fn commands(unit: &str, setting: &str, folder: &Path) -> Vec<String> {
    let there = |path: &str| folder.join(path).display().to_string();
    let text = read(&format!("systemd/{unit}")).replace("%t", &there("run")).replace("%i", "cam_floor");
    let text = text.replace("/etc/edge-agent", &there("etc"));
    let commands = text.lines().filter_map(|line| line.strip_prefix(setting)?.strip_prefix('='));
    let commands = commands.filter(|command| !command.contains("$MAINPID") && !command.contains(INSTALLED));
    commands.map(|command| command.trim_start_matches(['+', '-']).to_owned()).collect()
}

fn carry_out(commands: &[String]) -> bool {
    assert!(!commands.is_empty());
    commands.iter().all(|command| run("sh", &["-c", command]).status.success())
}

#[test]
fn a_reload_copies_what_there_is_and_a_start_forgets_it() {
    for (unit, own) in [("edge-agent.service", "edge-agent"), ("edge-agent@.service", "edge-agent-cam_floor")]
    {
        let folder = TempDir::new().unwrap();
        let (etc, own) = (folder.path().join("etc"), folder.path().join("run").join(own));
        fs::create_dir(&etc).unwrap();
        fs::create_dir_all(&own).unwrap();
        let reload = commands(unit, "ExecReload", folder.path());
        assert!(!carry_out(&reload), "{unit}: there is no configuration");
        fs::write(etc.join("cameras.yaml"), "new").unwrap();
        fs::write(etc.join("env"), "KEY=new").unwrap();
        // What root writes is where the agent's user may put links.
        let other = folder.path().join("other");
        fs::write(&other, "untouched").unwrap();
        for name in ["cameras.yaml", "cameras.yaml.new", "env", "env.new"] {
            std::os::unix::fs::symlink(&other, own.join(name)).unwrap();
        }
        assert!(carry_out(&reload), "{unit}");
        assert_eq!(fs::read_to_string(&other).unwrap(), "untouched");
        for (name, text) in [("cameras.yaml", "new"), ("env", "KEY=new")] {
            let copy = own.join(name);
            assert!(!copy.is_symlink() && fs::read_to_string(&copy).unwrap() == text, "{unit}: {name}");
            assert_eq!(fs::metadata(&copy).unwrap().permissions().mode() & 0o777, 0o444, "{unit}: {name}");
        }
        fs::remove_file(etc.join("env")).unwrap();
        assert!(carry_out(&reload), "{unit}: variables are no must");
        assert!(!own.join("env").exists(), "{unit}: what is gone there is gone here");

        // The runtime folder is kept over a restart; LoadCredential and EnvironmentFile are newer then.
        fs::write(own.join("env"), "KEY=old").unwrap();
        assert!(carry_out(&commands(unit, "ExecStartPre", folder.path())), "{unit}");
        assert_eq!(fs::read_dir(&own).unwrap().count(), 0, "{unit}");
    }
}

#[test]
fn the_compose_file_is_whole() {
    use saphyr_parser::{Event, Parser};

    let text = read("packaging/compose.yaml");
    let events = Parser::new_from_str(&text).map(|event| event.map(|(event, _)| event));
    let events: Vec<_> = events.collect::<Result<_, _>>().expect("compose.yaml is YAML");
    assert!(matches!(events.last(), Some(Event::StreamEnd)));
    for service in ["mediamtx", "camera", "minio", "bucket", "agent"] {
        assert!(text.contains(&format!("\n  {service}:\n")), "no service {service}");
    }
    for file in ["packaging/Dockerfile", "packaging/compose-cameras.yaml"] {
        let name = Path::new(file).file_name().unwrap().to_str().unwrap();
        assert!(text.contains(name) && shipped(file).is_file(), "{file}");
    }
    assert!(!text.contains(":latest"), "an image without a version");
}

#[test]
fn the_compose_files_configuration_loads() {
    let folder = TempDir::new().unwrap();
    let config = shipped("packaging/compose-cameras.yaml").display().to_string();
    let output = Command::new(BINARY)
        .args(["url", "cam_floor", "--config", &config])
        .current_dir(folder.path())
        .env("AWS_ACCESS_KEY_ID", "key")
        .env("AWS_SECRET_ACCESS_KEY", "secret")
        .env("EDGE_AGENT_TOKEN", "a-token-of-some-length")
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", said(&output));
    assert_eq!(said(&output).trim(), "http://localhost:9000/streams/location_1/cam_floor/stream.m3u8");
}

#[test]
fn the_scripts_can_be_run() {
    for script in ["packaging/setup.sh", ".ci/run"] {
        let path = shipped(script);
        assert!(fs::metadata(&path).unwrap().permissions().mode() & 0o111 != 0, "{script} is not executable");
        let output = run("bash", &["-n", &path.display().to_string()]);
        assert!(output.status.success(), "{}", said(&output));
    }
    let output = run("bash", &[&shipped("packaging/setup.sh").display().to_string(), "nonsense"]);
    assert!(!output.status.success() && said(&output).contains("usage"), "{}", said(&output));
    assert!(read(".ci/run").contains("make test"), "CI runs what people run");
}
