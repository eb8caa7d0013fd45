//! The files that are shipped load, and the reference knows every key.

use super::*;
use crate::config::model::StoreConfig;
use crate::config::{adhoc, camera, file, http, settings, storage};

macro_rules! shipped {
    ($($path:literal),* $(,)?) => {
        &[$(($path, include_str!(concat!("../../../", $path)))),*]
    };
}

pub(super) const EXAMPLES: &[(&str, &str)] = shipped![
    "cameras.yaml",
    "packaging/examples/aws.yaml",
    "packaging/examples/b2.yaml",
    "packaging/examples/file.yaml",
    "packaging/examples/garage.yaml",
    "packaging/examples/minio.yaml",
    "packaging/examples/none.yaml",
    "packaging/examples/r2.yaml",
    "packaging/examples/supabase.yaml",
];

/// What the examples ask of the environment.
fn env() -> Stub {
    Stub::supabase()
        .var("CAM_GATE_PASSWORD", "p%40ss")
        .var("EDGE_AGENT_TOKEN", "a-token-of-some-length")
        .var("R2_ACCESS_KEY_ID", "id")
        .var("R2_SECRET_ACCESS_KEY", "secret")
        .var("B2_KEY_ID", "id")
        .var("B2_APPLICATION_KEY", "secret")
        .var("CREDENTIALS_DIRECTORY", "/run/credentials/edge-agent.service")
        .file("/run/credentials/edge-agent.service/garage-secret", "secret\n")
}

#[test]
fn examples_load_without_a_warning() {
    for (path, text) in EXAMPLES {
        let loaded = parse(path, text, &env()).unwrap_or_else(|faults| panic!("{faults}"));
        assert!(loaded.warnings.is_empty(), "{:?}", loaded.warnings);
        let cameras = &loaded.config.cameras;
        assert!(cameras.iter().any(|camera| camera.runs_by_default()), "{path} runs nothing");
    }
}

#[test]
fn the_plain_list_is_the_one_that_existing_users_have() {
    let loaded = good(EXAMPLES[0].1, &env());
    let camera = &loaded.config.cameras[0];
    assert_eq!((camera.id.as_str(), &*camera.name), ("cam_floor", "Floor Camera"));
    assert_eq!(camera.source.to_string(), "rtsp://localhost:8554/cam1");
    assert_eq!(camera.settings, crate::config::model::Settings::default());
    assert!(matches!(loaded.config.store, StoreConfig::Supabase(_)));
}

/// A commented-out variant that does not load when a user takes the `#` away would be a trap.
#[test]
fn commented_variants_of_the_plain_list_load() {
    let (active, variants) = EXAMPLES[0].1.split_once("\n#-").expect("a variant");
    let mut text = format!("{active}\n-");
    for line in variants.lines() {
        let is_variant = line.starts_with("#-") || line.starts_with("#  ");
        text += &format!("{}\n", if is_variant { &line[1..] } else { line });
    }
    let loaded = good(&text, &env());
    assert!(loaded.config.cameras.len() + loaded.config.others.len() >= 3, "{:?}", loaded.config);
}

#[test]
fn the_reference_names_every_key() {
    let reference = include_str!("../../../docs/configuration.md");
    let keys = [
        camera::KEYS,
        settings::KEYS,
        file::KEYS,
        http::KEYS,
        adhoc::KEYS,
        file::DEFAULTS_KEYS,
        storage::S3_KEYS,
        storage::SUPABASE_KEYS,
        storage::FILE_KEYS,
        storage::NONE_KEYS,
    ];
    for key in keys.into_iter().flatten() {
        assert!(reference.contains(&format!("`{key}`")), "docs/configuration.md lacks `{key}`");
    }
}

/// The full form in the reference is a configuration, too.
#[test]
fn the_references_examples_load() {
    let reference = include_str!("../../../docs/configuration.md");
    let blocks: Vec<&str> = reference
        .split("```yaml\n")
        .skip(1)
        .map(|rest| rest.split("```").next().unwrap_or_default())
        .collect();
    assert!(blocks.len() >= 2);
    for block in blocks {
        good(block, &env());
    }
}
