//! Which file, which cameras.

use super::*;
use crate::config::{NotFound, ProcessEnv, find, select};

#[test]
fn the_file_is_looked_for_in_order() {
    let nowhere = Stub::default();
    let etc = nowhere.clone().file("/etc/edge-agent/cameras.yaml", "");
    let both = etc.clone().file("cameras.yaml", "");
    let named = both.clone().var("EDGE_AGENT_CONFIG", "/srv/c.yaml");
    assert_eq!(find(Some(Path::new("x.yaml")), &named), Ok("x.yaml".into()));
    assert_eq!(find(None, &named), Ok("/srv/c.yaml".into()));
    assert_eq!(find(None, &both), Ok("cameras.yaml".into()));
    assert_eq!(find(None, &etc), Ok("/etc/edge-agent/cameras.yaml".into()));
    assert_eq!(find(None, &both.var("EDGE_AGENT_CONFIG", "")), Ok("cameras.yaml".into()));
    assert_eq!(find(None, &nowhere), Err(NotFound));
    assert_eq!(
        NotFound.to_string(),
        "no configuration found, neither cameras.yaml nor /etc/edge-agent/cameras.yaml; \
         name it with --config FILE or $EDGE_AGENT_CONFIG, or write one of these"
    );
}

const CAMERAS: &str = "
- {id: floor, rtsp_url: test://}
- {id: gate, rtsp_url: test://, enabled: false}
- {id: till, rtsp_url: test://}
- {id: counter, use_case: people_counting}
";

fn picked(text: &str, ids: &[&str]) -> Result<Vec<String>, String> {
    let config = good(text, &Stub::supabase()).config;
    match select(&config, ids) {
        Ok(cameras) => Ok(cameras.iter().map(|camera| camera.id.to_string()).collect()),
        Err(error) => Err(error.to_string()),
    }
}

#[test]
fn without_ids_every_enabled_live_stream_runs() {
    assert_eq!(picked(CAMERAS, &[]), Ok(vec!["floor".into(), "till".into()]));
    let none =
        "- {id: gate, rtsp_url: test://, enabled: false}\n- {id: counter, use_case: people_counting}\n";
    assert_eq!(
        picked(none, &[]),
        Err("no camera to run: 1 disabled, 1 of another use_case; one needs `enabled: true` and \
             `use_case: live_stream`"
            .into())
    );
}

#[test]
fn ids_pick_exactly_their_cameras_once() {
    assert_eq!(picked(CAMERAS, &["till", "floor", "till"]), Ok(vec!["till".into(), "floor".into()]));
    for (id, error) in [
        ("flor", "no camera has the id \"flor\"; did you mean floor?"),
        ("x", "no camera has the id \"x\"; known: floor, gate, till"),
        ("gate", "camera gate is disabled; set `enabled: true` to run it"),
        (
            "counter",
            "camera counter has the use_case \"people_counting\"; only `live_stream` cameras can be run",
        ),
    ] {
        assert_eq!(picked(CAMERAS, &["floor", id]), Err(error.into()));
    }
}

#[test]
fn a_real_file_with_a_real_secret_beside_it_loads() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("cameras.yaml");
    let missing = load(&path, &ProcessEnv).expect_err("not there yet").to_string();
    assert!(missing.contains("cameras.yaml: cannot be read: No such file"), "{missing}");
    assert!(!ProcessEnv.exists(&path));

    let text = "location: here
storage: {type: supabase, url: 'https://abc.supabase.co', key_file: key}
cameras: [{id: cam, rtsp_url: test://}]
";
    std::fs::write(&path, text).expect("written");
    std::fs::write(folder.path().join("key"), "sb_secret_x\n").expect("written");
    assert!(ProcessEnv.exists(&path));
    let loaded = load(&path, &ProcessEnv).unwrap_or_else(|faults| panic!("{faults}"));
    assert_eq!(loaded.config.cameras.len(), 1);
    assert!(loaded.warnings.is_empty());
}
