//! Bad input and the exact messages it gets. `bad/*.txt`: a file, `>>>>`, its messages, `====`, the next.

use super::*;

fn golden(table: &str, env: &Stub) {
    for case in table.split("====\n") {
        let (text, expected) = case.split_once(">>>>\n").expect("a case has `>>>>`");
        assert_eq!(faults_in(text, env), expected.trim_end(), "for\n{text}");
    }
}

#[test]
fn documents() {
    golden(include_str!("bad/documents.txt"), &Stub::supabase());
}

#[test]
fn cameras() {
    golden(include_str!("bad/cameras.txt"), &Stub::supabase().var("EMPTY", ""));
}

#[test]
fn settings() {
    golden(include_str!("bad/settings.txt"), &Stub::supabase().var("FPS", "x"));
}

#[test]
fn the_full_form() {
    let env = Stub::default()
        .var("KEY", "k")
        .file("/run/empty", "\n")
        .file("/run/two-lines", "hunter2\nx\n")
        .file("/run/binary", [255])
        .file("/run/huge", vec![b'x'; 65 * 1024]);
    golden(include_str!("bad/full.txt"), &env);
}

#[test]
fn what_a_text_file_can_not_show() {
    let nothing = "cameras.yaml:1: cameras: is empty; add a camera: `- id: cam_1` with its `rtsp_url` below";
    for (text, expected) in [
        ("", nothing),
        ("\u{feff}", nothing),
        (
            "- id: cam\n\trtsp_url: x\n",
            "cameras.yaml:2:1: is not valid YAML: while scanning a plain scalar, found a tab; \
             indent with spaces, not tabs",
        ),
        ("- id: cam\0\n- id: cam2\n", "cameras.yaml:1:10: has the control character '\\0'; remove it"),
    ] {
        assert_eq!(faults_in(text, &Stub::supabase()), expected, "for {text:?}");
    }
}

#[test]
fn storage_in_the_environment() {
    let table: &[(&[(&str, &str)], &str)] = &[
        (
            &[("SUPABASE_URL", "https://a.co")],
            "environment: SUPABASE_KEY: is not set, but SUPABASE_URL is; set both",
        ),
        (
            &[("SUPABASE_KEY", "hunter2")],
            "environment: SUPABASE_URL: is not set, but SUPABASE_KEY is; set both",
        ),
        (
            &[
                ("EDGE_AGENT_BUCKET", "a/b"),
                ("EDGE_AGENT_LOCATION", "/x"),
                ("SUPABASE_KEY", "hunter 2"),
                ("SUPABASE_URL", "abc.supabase.co"),
            ],
            "environment: EDGE_AGENT_LOCATION: has a `/` at an end or two in a row; write folders as shops/berlin-3\nenvironment: SUPABASE_URL: must start with https:// or http://\nenvironment: EDGE_AGENT_BUCKET: has a `/`; give the bucket's name alone, folders belong in the location\nenvironment: SUPABASE_KEY: has a space or a line break in it; copy it anew",
        ),
        (
            &[("SUPABASE_KEY", "sb_publishable_x"), ("SUPABASE_URL", "https://a.co")],
            "environment: SUPABASE_KEY: is a publishable key, which may not write; use the service_role or an sb_secret_ key",
        ),
        (
            &[("EDGE_AGENT_STORAGE", "")],
            "cameras.yaml:1: storage: is not configured; set SUPABASE_URL and SUPABASE_KEY, or EDGE_AGENT_STORAGE=s3://bucket?endpoint=…&region=… or file:///path, or a `storage` section in the full form",
        ),
        (
            &[("EDGE_AGENT_STORAGE", "/srv")],
            "environment: EDGE_AGENT_STORAGE: must be s3://bucket?endpoint=…&region=… or file:///path",
        ),
        (
            &[("EDGE_AGENT_STORAGE", "http://h")],
            "environment: EDGE_AGENT_STORAGE: must be s3://bucket?endpoint=…&region=… or file:///path",
        ),
        (
            &[("EDGE_AGENT_STORAGE", "s3://")],
            "environment: EDGE_AGENT_STORAGE: its bucket is 0 characters long; bucket names have 3 to 63",
        ),
        (
            &[("EDGE_AGENT_STORAGE", "s3://streams/folder")],
            "environment: EDGE_AGENT_STORAGE: has a path behind the bucket; folders belong in EDGE_AGENT_LOCATION",
        ),
        (
            &[("EDGE_AGENT_STORAGE", "s3://key:hunter2@streams")],
            "environment: EDGE_AGENT_STORAGE: holds credentials; use AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY",
        ),
        (
            &[("EDGE_AGENT_STORAGE", "s3://streams:9000")],
            "environment: EDGE_AGENT_STORAGE: has a port or a `#`; a server goes into `?endpoint=`",
        ),
        (
            &[("EDGE_AGENT_STORAGE", "s3://streams?endpont=http://h&x=hunter2")],
            "environment: EDGE_AGENT_STORAGE: has an unknown parameter behind `?`; did you mean `endpoint`?\nenvironment: EDGE_AGENT_STORAGE: has an unknown parameter behind `?`; known are endpoint, region, public_base_url, min_playlist_interval",
        ),
        (
            &[("EDGE_AGENT_STORAGE", "s3://streams?region=a&region=b")],
            "environment: EDGE_AGENT_STORAGE: has `region` twice; keep one",
        ),
        (
            &[("EDGE_AGENT_STORAGE", "s3://streams?endpoint=h:9000")],
            "environment: EDGE_AGENT_STORAGE: its `endpoint` must start with https:// or http://",
        ),
        (
            &[("EDGE_AGENT_STORAGE", "s3://streams?min_playlist_interval=1m")],
            "environment: EDGE_AGENT_STORAGE: its `min_playlist_interval` must be 0 to 10 seconds, e.g. 1.1 or 500ms",
        ),
        (
            &[("EDGE_AGENT_STORAGE", "file://srv/x")],
            "environment: EDGE_AGENT_STORAGE: must be an absolute path, e.g. file:///srv/streams",
        ),
        (
            &[("EDGE_AGENT_STORAGE", "file:///srv?region=x")],
            "environment: EDGE_AGENT_STORAGE: has an unknown parameter behind `?`; known are public_base_url, min_playlist_interval",
        ),
        (
            &[("EDGE_AGENT_STORAGE", "s3://st%20reams")],
            "environment: EDGE_AGENT_STORAGE: its bucket has the character '%'; bucket names have letters, digits, `-`, `.` and `_`",
        ),
    ];
    for (vars, expected) in table {
        let env = vars.iter().fold(Stub::default(), |env, (name, value)| env.var(name, value));
        assert_eq!(faults_in("- {id: cam, rtsp_url: test://}\n", &env), *expected);
    }
}

#[test]
fn no_message_shows_a_secret() {
    for table in [
        include_str!("bad/documents.txt"),
        include_str!("bad/cameras.txt"),
        include_str!("bad/settings.txt"),
        include_str!("bad/full.txt"),
    ] {
        for case in table.split("====\n") {
            let (_, messages) = case.split_once(">>>>\n").expect("a case has `>>>>`");
            assert!(!messages.contains("hunter2"), "{messages}");
        }
    }
}

#[test]
fn files_that_can_not_be_read() {
    let load = |env: &Stub| load(Path::new("/etc/cameras.yaml"), env).expect_err("bad").to_string();
    let with = |bytes: &[u8]| Stub::supabase().file("/etc/cameras.yaml", bytes);
    assert_eq!(load(&Stub::default()), "/etc/cameras.yaml: cannot be read: entity not found");
    assert_eq!(
        load(&with(&vec![b'#'; 1024 * 1024 + 1])),
        "/etc/cameras.yaml: is larger than 1 MiB; is it a configuration?"
    );
    assert_eq!(
        load(&with(b"- id: cam\n  name: k\xe4se\n")),
        "/etc/cameras.yaml:2: is not UTF-8 text; save it as UTF-8"
    );
    assert_eq!(load(&with(b"\xff\xfe-\0 \0")), "/etc/cameras.yaml:1: is not UTF-8 text; save it as UTF-8");
}
