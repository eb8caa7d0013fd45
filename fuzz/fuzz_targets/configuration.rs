//! A configuration that somebody wrote late at night. The first byte picks what is made of the rest.
#![no_main]

use std::collections::HashMap;
use std::env::VarError;
use std::io;
use std::path::Path;

use edge_agent_fuzz::config::{Env, Fault, Place, parse};
use libfuzzer_sys::fuzz_target;

const SECRET: &str = "Zq7hunter2";
const MOST_FAULT: usize = 1000;

/// A process in which every secret has the same mark.
struct Stub(HashMap<&'static str, String>);

impl Stub {
    fn new() -> Self {
        let mut vars = HashMap::new();
        vars.insert("SUPABASE_URL", "https://abc.supabase.co".to_owned());
        vars.insert("SUPABASE_KEY", format!("eyJ{SECRET}"));
        vars.insert("A", SECRET.to_owned());
        Self(vars)
    }
}

impl Env for Stub {
    fn var(&self, name: &str) -> Result<String, VarError> {
        self.0.get(name).cloned().ok_or(VarError::NotPresent)
    }

    fn read(&self, path: &Path, _: u64) -> io::Result<Vec<u8>> {
        match path.file_name().and_then(|name| name.to_str()) {
            Some("key") => Ok(format!("{SECRET}\n").into_bytes()),
            Some("odd") => Ok(format!("{SECRET} x\n\u{0}").into_bytes()),
            _ => Err(io::ErrorKind::NotFound.into()),
        }
    }

    fn exists(&self, _: &Path) -> bool {
        false
    }
}

fuzz_target!(|data: &[u8]| {
    let Some((pick, rest)) = data.split_first() else { return };
    let Ok(rest) = std::str::from_utf8(rest) else { return };
    // The mark stands where this target puts it, and nowhere else.
    if rest.contains(SECRET) {
        return;
    }
    let text = match pick {
        b'1' => format!("cameras:\n  - id: a\n    rtsp_url: rtsp://u:{SECRET}{rest}"),
        b'2' => format!("storage:\n  type: supabase\n  key: {SECRET}{rest}"),
        b'3' => format!("storage: {{type: s3, access_key_id: x, secret_access_key: \"{SECRET}{rest}"),
        b'4' => format!("- id: a\n  rtsp_url: 'rtsp://u:{SECRET}{rest}"),
        b'5' => format!("http:\n  listen: 0.0.0.0:1\n  token: {SECRET}{rest}"),
        _ => rest.to_owned(),
    };
    let env = Stub::new();
    let faults: Vec<Fault> = match parse("cameras.yaml", &text, &env) {
        Ok(loaded) => {
            let config = loaded.config;
            for camera in &config.cameras {
                assert!(camera.settings.wish().gop_frames() > 0);
            }
            // A variable may be meant as a bucket's name.
            if !rest.contains("${") {
                let shown = format!("{:?}", config.store);
                assert!(!shown.contains(SECRET), "{shown}");
            }
            loaded.warnings
        }
        Err(faults) => {
            assert!(faults.iter().next().is_some());
            faults.iter().cloned().collect()
        }
    };
    let lines = text.replace("\r\n", "\n").replace('\r', "\n").lines().count().max(1);
    for fault in faults {
        well_told(&fault, lines);
    }
});

/// One line that names the place and the field, says what is wrong, and shows no secret.
fn well_told(fault: &Fault, lines: usize) {
    let shown = fault.to_string();
    match &fault.place {
        Place::File(file) => assert_eq!(file, "cameras.yaml"),
        Place::Line { file, line, .. } => {
            assert_eq!(file, "cameras.yaml");
            assert!((1..=lines).contains(line), "{shown:?} of {lines} lines");
        }
        Place::Environment => assert!(!fault.field.is_empty()),
    }
    assert!(!fault.problem.is_empty() && shown.lines().count() == 1, "{shown:?}");
    assert!(!shown.contains(|c: char| c.is_control()), "{shown:?}");
    assert!(shown.chars().count() <= MOST_FAULT, "{shown:?}");
    assert!(!shown.contains(SECRET), "{shown:?}");
}
