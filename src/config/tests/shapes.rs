//! Good files of both shapes.

use std::time::Duration;

use secrecy::ExposeSecret;

use super::*;
use crate::config::model::{Config, OtherCamera, S3Config, Settings, StoreConfig, SupabaseConfig};
use crate::domain::choice::{Quality, Rendition};
use crate::domain::quota;
use crate::domain::segment::SegmentType;

pub(super) const CAMERA: &str = "- {id: cam, rtsp_url: test://}\n";

fn supabase(config: &Config) -> &SupabaseConfig {
    match &config.store {
        StoreConfig::Supabase(supabase) => supabase,
        other => panic!("{other:?}"),
    }
}

fn s3(config: &Config) -> &S3Config {
    match &config.store {
        StoreConfig::S3(s3) => s3,
        other => panic!("{other:?}"),
    }
}

pub(super) fn storage(lines: &str, env: &Stub) -> Loaded {
    good(&format!("cameras: [{{id: cam, rtsp_url: test://}}]\nstorage:\n{lines}"), env)
}

#[test]
fn a_plain_list_takes_its_storage_from_supabase_variables() {
    let config = good(CAMERA, &Stub::supabase()).config;
    assert_eq!(config.location.as_str(), "location_1");
    let storage = supabase(&config);
    assert_eq!((storage.url.as_str(), &*storage.bucket), ("https://abc.supabase.co/", "streams"));
    assert_eq!(storage.key.expose_secret(), "eyJkey");

    let env = Stub::supabase().var("EDGE_AGENT_BUCKET", "video").var("EDGE_AGENT_LOCATION", "shops/berlin-3");
    let config = good(CAMERA, &env).config;
    assert_eq!((config.location.as_str(), &*supabase(&config).bucket), ("shops/berlin-3", "video"));
}

#[test]
fn a_plain_list_takes_its_storage_from_a_url() {
    let url = "s3://streams?endpoint=http%3A%2F%2F127.0.0.1%3A9000&region=auto&public_base_url=https://cdn.example/v";
    let config = good(CAMERA, &Stub::default().var("EDGE_AGENT_STORAGE", url)).config;
    let storage = s3(&config);
    assert_eq!(storage.bucket, "streams");
    assert_eq!(storage.endpoint.as_ref().map(|url| url.as_str()), Some("http://127.0.0.1:9000/"));
    assert_eq!(storage.region.as_deref(), Some("auto"));
    assert_eq!(storage.public_base_url.as_ref().map(|url| url.as_str()), Some("https://cdn.example/v"));
    assert!(storage.credentials.is_none());

    for url in ["file:///srv/my%20streams", "file://localhost/srv/my streams"] {
        let config = good(CAMERA, &Stub::default().var("EDGE_AGENT_STORAGE", url)).config;
        let StoreConfig::File(file) = config.store else { panic!("{:?}", config.store) };
        assert_eq!(file.root, Path::new("/srv/my streams"));
    }
}

#[test]
fn supabase_variables_win_and_say_so() {
    let env = Stub::supabase().var("EDGE_AGENT_STORAGE", "file:///srv");
    supabase(&good(CAMERA, &env).config);
    assert_eq!(
        warnings_in(CAMERA, &env),
        ["environment: EDGE_AGENT_STORAGE: is ignored beside SUPABASE_URL and SUPABASE_KEY; \
          unset the one that is not meant"]
    );
    let half = Stub::default().var("SUPABASE_URL", "https://a.co").var("EDGE_AGENT_STORAGE", "file:///srv");
    let env = half.var("EDGE_AGENT_BUCKET", "video");
    assert_eq!(
        warnings_in(CAMERA, &env),
        [
            "environment: SUPABASE_URL: is ignored: the storage is EDGE_AGENT_STORAGE's",
            "environment: EDGE_AGENT_BUCKET: is ignored: EDGE_AGENT_STORAGE says where to write",
        ]
    );
}

#[test]
fn the_full_form_falls_back_to_the_environment_part_by_part() {
    let env = Stub::supabase().var("EDGE_AGENT_LOCATION", "shop_9");
    let config = good("cameras: [{id: cam, rtsp_url: test://}]\n", &env).config;
    assert_eq!(config.location.as_str(), "shop_9");
    supabase(&config);
    assert!(config.http.is_none() && config.spool.is_none() && config.ffmpeg.is_none());

    let text = "
location: shop_1
storage: {type: file, root: /srv/streams, public_base_url: 'https://video.example'}
http: {listen: 0.0.0.0:8080, token: ['${NEW_TOKEN}', '${OLD_TOKEN}']}
spool: /run/edge-agent
spool_limit: 64MiB
ffmpeg: ffmpeg7
defaults: {settings: {target_fps: 25, segments_to_keep: 10}}
cameras:
  - id: a
    rtsp_url: rtsp://u:${PASSWORD}@10.0.0.9:8554/1
    settings: {target_fps: 30}
  - {id: b, rtsp_url: 'file:///srv/clip.mp4', name: Gate, enabled: false}
";
    let env = env.var("NEW_TOKEN", "abc-._~+/=abc-._").var("OLD_TOKEN", "0123456789abcdef");
    let config = good(text, &env.var("PASSWORD", "p%40ss")).config;
    assert_eq!(config.location.as_str(), "shop_1");
    let http = config.http.unwrap();
    assert_eq!((http.listen.to_string().as_str(), http.is_local()), ("0.0.0.0:8080", false));
    let tokens: Vec<_> = http.tokens.iter().map(|token| token.expose_secret()).collect();
    assert_eq!(tokens, ["abc-._~+/=abc-._", "0123456789abcdef"]);
    assert!(!format!("{http:?}").contains("abc"));
    assert_eq!(config.spool.as_deref(), Some(Path::new("/run/edge-agent")));
    assert_eq!(config.spool_limit, Some(64 << 20));
    assert_eq!(config.ffmpeg.as_deref(), Some(Path::new("ffmpeg7")));
    let [a, b] = &config.cameras[..] else { panic!("{:?}", config.cameras) };
    assert_eq!((&*a.name, a.enabled, a.source.to_string()), ("a", true, "rtsp://***@10.0.0.9:8554/1".into()));
    assert_eq!((&*b.name, b.enabled, b.runs_by_default()), ("Gate", false, false));
    assert_eq!((a.settings.target_fps, a.settings.segments_to_keep), (30, 10));
    assert_eq!(b.settings, Settings { target_fps: 25, segments_to_keep: 10, ..Settings::default() });
}

#[test]
fn durations_are_numbers_of_seconds_or_have_a_unit() {
    for (written, millis, fps) in [
        ("2", 2000, 15),
        ("0.4", 400, 15),
        ("2s", 2000, 15),
        ("'500ms'", 500, 20),
        ("'${SECONDS}'", 6000, 15),
        ("1m", 60000, 1),
    ] {
        let text = format!(
            "- {{id: a, rtsp_url: test://, settings: {{segment_duration: {written}, target_fps: {fps}}}}}\n"
        );
        let config = good(&text, &Stub::supabase().var("SECONDS", "6")).config;
        let settings = &config.cameras[0].settings;
        assert_eq!(settings.segment_duration, Duration::from_millis(millis), "{written}");
        assert_eq!(u64::from(settings.wish().gop_frames()) * 1000, millis * fps, "{written}");
    }
    // A third of a second has no end; six decimals are close enough for any frame rate.
    let third = "- {id: a, rtsp_url: test://, settings: {segment_duration: 0.33333333, target_fps: 15}}\n";
    assert_eq!(good(third, &Stub::supabase()).config.cameras[0].settings.wish().gop_frames(), 5);
}

#[test]
fn cameras_of_other_use_cases_are_left_alone() {
    let text = "
- {id: counter, use_case: people_counting, rtsp_url: '${UNSET}', model: yolo, settings: {threshold: 0.4, target_fps: many}}
- {id: live, use_case: livestream, rtsp_url: test://}
- {id: cam, rtsp_url: test://, use_case: live_stream}
";
    let loaded = good(text, &Stub::supabase());
    let ids: Vec<_> = loaded.config.cameras.iter().map(|camera| camera.id.as_str()).collect();
    assert_eq!(ids, ["cam"]);
    let other = |id: &str, use_case: &str| OtherCamera { id: id.parse().unwrap(), use_case: use_case.into() };
    assert_eq!(loaded.config.others, [other("counter", "people_counting"), other("live", "livestream")]);
    assert_eq!(
        warnings_in(text, &Stub::supabase()),
        [
            "cameras.yaml:3: cameras[1].use_case: is not `live_stream`, so this camera is left alone; is that a typo?"
        ]
    );
}

#[test]
fn ids_that_differ_in_capitals_only_are_a_warning() {
    let text = "- {id: cam, rtsp_url: test://}\n- {id: Cam, rtsp_url: test://}\n";
    assert_eq!(
        warnings_in(text, &Stub::supabase()),
        ["cameras.yaml:2: cameras[1].id: `Cam` differs from cameras[0].id in line 1 in capitals only; \
          some file systems would put both into one folder"]
    );
}

#[test]
fn secrets_come_from_variables_and_files() {
    let env = Stub::default()
        .var("SECRET", "12345")
        .file("conf/id_secret", "s3cret\r\n")
        .file("/run/token", "t0ken");
    let keys = "  type: s3\n  bucket: streams\n  access_key_id: AKIA\n";
    let of = |more: &str| {
        let loaded = storage(&format!("{keys}{more}"), &env);
        assert!(loaded.warnings.is_empty(), "{:?}", loaded.warnings);
        let debug = format!("{loaded:?}");
        assert!(!debug.contains("12345") && !debug.contains("s3cret") && !debug.contains("t0ken"), "{debug}");
        s3(&loaded.config).credentials.clone().expect("given")
    };
    assert_eq!(of("  secret_access_key: ${SECRET}\n").secret_access_key.expose_secret(), "12345");
    let with_token = of("  secret_access_key: ${SECRET}\n  session_token_file: /run/token\n");
    assert_eq!(with_token.session_token.expect("given").expose_secret(), "t0ken");

    // A relative path starts at the configuration's folder.
    let text = format!("cameras: {CAMERA}storage:\n{keys}  secret_access_key_file: id_secret\n")
        .replace("cameras: -", "cameras:\n -");
    let loaded = parse("conf/cameras.yaml", &text, &env).unwrap();
    assert_eq!(
        s3(&loaded.config).credentials.as_ref().expect("given").secret_access_key.expose_secret(),
        "s3cret"
    );
}

#[test]
fn a_secret_written_out_and_a_doubled_bucket_are_warnings() {
    let text = "cameras: [{id: cam, rtsp_url: test://}]
storage:
  type: s3
  bucket: streams
  endpoint: https://abc.r2.cloudflarestorage.com/streams
  access_key_id: AKIA
  secret_access_key: hunter2
";
    assert_eq!(
        warnings_in(text, &Stub::default()),
        [
            "cameras.yaml:5: storage.endpoint: ends in the bucket's name, which is added by itself; leave it out",
            "cameras.yaml:7: storage.secret_access_key: holds the secret itself, for all who can read this file; \
             use ${NAME} or `secret_access_key_file`",
        ]
    );
}

#[test]
fn anchors_and_quoting_work_as_in_yaml() {
    let text = "- &first\n  id: 'a'\n  rtsp_url: \"test://\"\n  settings: &s {target_fps: 20}\n- id: b\n  name: !!str 12\n  rtsp_url: test://\n  settings: *s\n";
    let config = good(text, &Stub::supabase()).config;
    assert_eq!(config.cameras[1].name, "12");
    assert_eq!(config.cameras[1].settings.target_fps, 20);
    assert_eq!(good("\u{feff}- {id: a, rtsp_url: test://}\r\n", &Stub::supabase()).config.cameras.len(), 1);
    let escaped = "- {id: a, rtsp_url: test://, name: 'costs $5 and $${X}'}\n";
    assert_eq!(good(escaped, &Stub::supabase()).config.cameras[0].name, "costs $5 and ${X}");
}

#[test]
fn playlists_are_written_as_often_as_the_storage_takes_them() {
    let millis = |config: &Config| config.min_playlist_interval.as_millis();
    let s3 = "  type: s3\n  bucket: streams\n";
    for (lines, expected) in [
        (s3.to_owned(), 0),
        (format!("{s3}  endpoint: http://127.0.0.1:9000\n"), 0),
        (format!("{s3}  endpoint: https://0123.r2.cloudflarestorage.com\n"), 1100),
        (
            format!("{s3}  endpoint: https://0123.eu.r2.cloudflarestorage.com\n  min_playlist_interval: 0\n"),
            0,
        ),
        (format!("{s3}  endpoint: https://storage.googleapis.com\n"), 1100),
        (format!("{s3}  min_playlist_interval: 500ms\n"), 500),
        ("  type: file\n  root: /srv\n  min_playlist_interval: 2.5\n".to_owned(), 2500),
    ] {
        assert_eq!(millis(&storage(&lines, &Stub::default()).config), expected, "{lines}");
    }
    for (url, expected) in [
        ("s3://streams?min_playlist_interval=1.5", 1500),
        ("s3://streams?endpoint=https://0123.r2.cloudflarestorage.com", 1100),
        ("file:///srv?min_playlist_interval=500ms", 500),
        ("file:///srv", 0),
    ] {
        let env = Stub::default().var("EDGE_AGENT_STORAGE", url);
        assert_eq!(millis(&good(CAMERA, &env).config), expected, "{url}");
    }
    assert_eq!(millis(&good(CAMERA, &Stub::supabase()).config), 0);
}

fn settings_of(defaults: &str, camera: &str) -> Settings {
    let text = format!(
        "defaults: {{settings: {{{defaults}}}}}\ncameras: [{{id: a, rtsp_url: test://, settings: {{{camera}}}}}]\n"
    );
    good(&text, &Stub::supabase()).config.cameras.remove(0).settings
}

#[test]
fn presets_give_way_to_explicit_numbers() {
    let picture = |defaults, camera| {
        let settings = settings_of(defaults, camera);
        (settings.quality.map_or("", Quality::name), settings.target_width, settings.target_fps)
    };
    assert_eq!(picture("", ""), ("", 854, 15));
    assert_eq!(picture("", "quality: low"), ("low", 640, 10));
    assert_eq!(picture("", "quality: medium"), ("medium", 1280, 15));
    assert_eq!(picture("", "quality: high"), ("high", 1920, 25));
    assert_eq!(picture("", "quality: 'auto'"), ("auto", 1280, 15));
    assert_eq!(picture("", "quality: high, target_width: 960"), ("high", 960, 25));
    assert_eq!(picture("", "quality: high, target_width: 960, target_fps: 12"), ("high", 960, 12));
    assert_eq!(picture("quality: low", ""), ("low", 640, 10));
    assert_eq!(picture("quality: low", "target_fps: 5"), ("low", 640, 5));
    assert_eq!(picture("target_width: 320", "target_fps: 5"), ("", 320, 5));
    // What is nearer to the camera counts more.
    assert_eq!(picture("target_width: 320, target_fps: 5", "quality: high"), ("high", 1920, 25));
    assert_eq!(picture("quality: low, target_fps: 5", "quality: medium"), ("medium", 1280, 15));
}

#[test]
fn profiles_are_lengths_and_numbers_of_segments() {
    let segments = |defaults, camera| {
        let settings = settings_of(defaults, camera);
        (settings.segment_duration.as_millis(), settings.segments_to_keep, settings.target_fps)
    };
    assert_eq!(segments("", "profile: low"), (1000, 6, 15));
    assert_eq!(segments("", "profile: balanced"), (2000, 5, 15));
    assert_eq!(segments("", "profile: stable"), (6000, 4, 15));
    assert_eq!(segments("", "profile: stable, segments_to_keep: 8"), (6000, 8, 15));
    assert_eq!(segments("", "profile: stable, segment_duration: 4"), (4000, 4, 15));
    assert_eq!(segments("profile: stable", ""), (6000, 4, 15));
    assert_eq!(segments("profile: stable", "segment_duration: 1"), (1000, 4, 15));
    assert_eq!(segments("segment_duration: 1, segments_to_keep: 9", "profile: stable"), (6000, 4, 15));
    // 0.5 s of 15 or 25 fps would be half a frame too much: a rate that nobody gave makes way.
    assert_eq!(segments("", "profile: realtime"), (500, 6, 16));
    assert_eq!(segments("profile: realtime", "quality: high"), (500, 6, 26));
    assert_eq!(segments("quality: low", "profile: realtime"), (500, 6, 10));
    assert_eq!(segments("profile: realtime", "segment_duration: 0.4"), (400, 6, 15));
    assert_eq!(segments("target_fps: 30", "profile: realtime"), (500, 6, 30));
}

#[test]
fn switches_and_limits_are_inherited() {
    let of = |defaults: &str, camera: &str| {
        let settings = settings_of(defaults, camera);
        (settings.audio, settings.max_bitrate, settings.threads, settings.nice)
    };
    let encoder = |defaults, camera| settings_of(defaults, camera).encoder.name();
    assert_eq!((encoder("", ""), encoder("", "encoder: 'auto'")), ("software", "auto"));
    assert_eq!((encoder("encoder: qsv", ""), encoder("encoder: qsv", "encoder: nvenc")), ("qsv", "nvenc"));
    assert_eq!(of("", ""), (true, None, 2, 0));
    let all = "audio: off, max_bitrate: 2000, threads: 4, nice: 10";
    assert_eq!(of("", all), (false, Some(2000), 4, 10));
    assert_eq!(of(all, ""), (false, Some(2000), 4, 10));
    assert_eq!(of(all, "audio: on, max_bitrate: 900, nice: 0"), (true, Some(900), 4, 0));
    for (written, on) in [
        ("off", false),
        ("Off", false),
        ("false", false),
        ("FALSE", false),
        ("'off'", false),
        ("\"false\"", false),
        ("on", true),
        ("ON", true),
        ("true", true),
        ("'on'", true),
    ] {
        assert_eq!(of("", &format!("audio: {written}")).0, on, "{written}");
    }
}

#[test]
fn still_pictures_can_be_off_where_the_defaults_have_them() {
    let of = |defaults: &str, camera: &str| {
        settings_of(defaults, camera).snapshot_interval.map(|every| every.as_secs())
    };
    assert_eq!((of("", ""), of("", "snapshot_interval: off")), (None, None));
    assert_eq!(of("snapshot_interval: 10s", ""), Some(10));
    assert_eq!(of("snapshot_interval: off", "snapshot_interval: 5"), Some(5));
    for off in ["off", "OFF", "false", "'off'"] {
        assert_eq!(of("snapshot_interval: 10s", &format!("snapshot_interval: {off}")), None, "{off}");
    }
}

#[test]
fn what_is_passed_through_goes_into_fmp4() {
    let of = |settings: &str| {
        let text = format!("- {{id: cam, rtsp_url: test://, settings: {{{settings}}}}}\n");
        let settings = good(&text, &Stub::supabase()).config.cameras.remove(0).settings;
        (settings.passthrough, settings.segment_type)
    };
    assert_eq!(of(""), (false, SegmentType::MpegTs));
    assert_eq!(of("video: h264"), (false, SegmentType::MpegTs));
    assert_eq!(of("segment_type: fmp4"), (false, SegmentType::Fmp4));
    assert_eq!(of("video: passthrough"), (true, SegmentType::Fmp4));
    assert_eq!(of("video: passthrough, segment_type: fmp4"), (true, SegmentType::Fmp4));
}

#[test]
fn renditions_are_inherited_and_give_way() {
    let of = |defaults, camera| -> Vec<(u32, Option<u32>)> {
        let settings = settings_of(defaults, camera);
        settings.renditions.iter().map(|rendition| (rendition.width, rendition.max_kbps)).collect()
    };
    const TWO: &str = "renditions: [{width: 1280, max_bitrate: 1500}, {width: 640}]";
    let two = [(1280, Some(1500)), (640, None)];
    assert_eq!(of("", ""), []);
    assert_eq!((of("", TWO), of(TWO, "")), (two.into(), two.into()));
    assert_eq!(of(TWO, "target_fps: 10, max_bitrate: 900"), two);
    assert_eq!(of(TWO, "renditions: []"), [], "just one");
    assert_eq!(of(TWO, "renditions: [{width: 320}]"), [(320, None)]);
    // What is nearer to the camera counts more.
    assert_eq!(of(TWO, "target_width: 640"), []);
    assert_eq!(of(TWO, "quality: low"), []);
    assert_eq!(of("target_width: 640, quality: low", TWO), two);
    assert_eq!(settings_of("quality: low", TWO).target_fps, 10);
}

#[test]
fn the_least_share_has_room_for_the_largest_renditions_files() {
    let renditions = [1920, 320, 160].map(|width| Rendition { width, max_kbps: None }).to_vec();
    let settings = Settings { renditions, ..Settings::default() };
    let alone = quota::least_share(1920, settings.target_fps, settings.segment_duration);
    assert!(quota::largest_file(settings.least_share(), 3) >= quota::largest_segment(alone));
}
