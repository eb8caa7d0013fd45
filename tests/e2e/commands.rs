//! Commands that end by themselves: `check`, `argv`, `url`, and bad configurations.

use std::process::Output;
use std::time::Duration;

use crate::support::agent::Place;
use crate::support::camera::{Camera, CameraOpts};
use crate::support::supabase_server::{SECRET_KEY, SupabaseServer};
use crate::support::web_server::WebServer;
use crate::{BUCKET, minio, my_turn, playlist_of};

const DEADLINE: Duration = Duration::from_secs(60);

fn text(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

#[tokio::test]
async fn a_bad_configuration_is_status_2_with_every_fault_on_stderr() {
    let place = Place::new("bad-config");
    place.write_config(
        "- {id: a/b, rtsp_url: \"rtsp://h/1\"}\n- {id: c, rtsp_url: \"rtsp://h/2\", sound: on}\n",
    );
    for args in [&["run"][..], &[], &["check"], &["check", "--offline"], &["url", "c"]] {
        let output = place.run(args, DEADLINE).await;
        let error = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{args:?}: {error}");
        for wanted in ["cameras.yaml:1", "storage", "cameras[0].id", "cameras.yaml:2", "cameras[1].sound"] {
            assert!(error.contains(wanted), "{args:?} does not name {wanted}: {error}");
        }
    }
}

#[tokio::test]
async fn no_configuration_and_no_such_camera_are_status_2() {
    let mut place = Place::new("no-config");
    place.env("EDGE_AGENT_CONFIG", "/nowhere/cameras.yaml");
    let output = place.run(&[], DEADLINE).await;
    assert_eq!(output.status.code(), Some(2), "{}", text(&output));
    assert!(text(&output).contains("/nowhere/cameras.yaml"), "{}", text(&output));

    let mut place = Place::new("no-camera");
    place.env("EDGE_AGENT_STORAGE", "file:///nowhere");
    place.write_config("- {id: cam_floor, rtsp_url: \"rtsp://h/1\", use_case: live_stream}\n");
    let output = place.run(&["--camera", "cam_flor"], DEADLINE).await;
    assert_eq!(output.status.code(), Some(2), "{}", text(&output));
    assert!(text(&output).contains("cam_flor"), "{}", text(&output));
}

#[tokio::test]
async fn variables_may_stand_in_a_file() {
    let place = Place::new("env-file");
    place.write_config("- {id: cam_floor, rtsp_url: \"rtsp://h/${STREAM}\"}\n");
    let vars = place.path().join("vars");
    let storage = "EDGE_AGENT_STORAGE='file:///srv?public_base_url=http://here/v'\n";
    std::fs::write(&vars, format!("{storage}STREAM=1\n")).unwrap();
    for args in
        [&["url", "cam_floor", "--env-file", "vars"][..], &["url", "cam_floor", "--env-file", "-vars"]]
    {
        let output = place.run(args, DEADLINE).await;
        assert_eq!(text(&output).trim(), "http://here/v/location_1/cam_floor/stream.m3u8");
    }
    std::fs::write(&vars, format!("{storage}STREAM='1\n")).unwrap();
    let output = place.run(&["check", "--offline", "--env-file", "vars"], DEADLINE).await;
    assert_eq!(output.status.code(), Some(2), "{}", text(&output));
    assert!(text(&output).contains("vars:2: STREAM: has a quote"), "{}", text(&output));
    let output = place.run(&["check", "--offline", "--env-file", "nowhere"], DEADLINE).await;
    assert_eq!(output.status.code(), Some(2), "{}", text(&output));
    assert!(text(&output).contains("nowhere: cannot be read"), "{}", text(&output));
}

/// What a compose file gives as empty is not there, and a region counts beside keys, too.
#[tokio::test]
async fn the_environment_is_understood_as_it_is_written() {
    let mut place = Place::new("environment");
    let storage = "{type: s3, bucket: shop, access_key_id: \"${K}\", secret_access_key: \"${K}\"}";
    place.write_config(&format!(
        "location: l\nstorage: {storage}\ncameras: [{{id: cam_floor, rtsp_url: \"test://\"}}]\n"
    ));
    std::fs::write(place.path().join("vars"), "K=hunter2\nAWS_REGION=eu-west-1\n").unwrap();
    let output = place.run(&["url", "cam_floor", "--env-file", "vars"], DEADLINE).await;
    assert_eq!(text(&output).trim(), "https://shop.s3.eu-west-1.amazonaws.com/l/cam_floor/stream.m3u8");
    place.env("EDGE_AGENT_ENV_FILE", "").env("RUST_LOG", "").env("K", "hunter2");
    let output = place.run(&["url", "cam_floor"], DEADLINE).await;
    assert!(output.status.success() && text(&output).contains("amazonaws.com"), "{}", text(&output));
    place.write_config("- {id: cam_floor, rtsp_url: \"test://\"}\n");
    place.env("EDGE_AGENT_STORAGE", "file:///srv/streams").env("STREAM_DIR", "/srv/streams");
    let output = place.run(&["url", "cam_floor"], DEADLINE).await;
    assert_eq!(output.status.code(), Some(2), "{}", text(&output));
    assert!(text(&output).contains("STREAM_DIR: is where the storage's folder has"), "{}", text(&output));
}

#[tokio::test]
async fn check_passes_what_is_well_and_names_what_is_not() {
    let _turn = my_turn().await;
    let minio = minio().await;
    let login = Some(("admin".into(), "hunter2".into()));
    let camera = Camera::start(CameraOpts { login, ..Default::default() }).await;
    let mut place = Place::new("check");
    place.configure(&minio, BUCKET, &[("cam_floor", &camera.url_with("admin:hunter2"))], "");
    let output = place.run(&["check"], DEADLINE).await;
    assert!(output.status.success(), "{}", text(&output));
    for shown in [&["check"][..], &["argv", "cam_floor"], &["url", "cam_floor"]] {
        let output = place.run(shown, DEADLINE).await;
        assert!(output.status.success(), "{shown:?}: {}", text(&output));
        assert!(!text(&output).contains("hunter2"), "{shown:?} shows the password");
    }
    let url = place.run(&["url", "cam_floor"], DEADLINE).await;
    assert_eq!(String::from_utf8_lossy(&url.stdout).trim(), playlist_of(&minio, "cam_floor"));
    let argv = place.run(&["argv", "cam_floor"], DEADLINE).await;
    for wanted in ["ffmpeg", "libx264", "-f hls"] {
        assert!(text(&argv).contains(wanted), "{wanted}: {}", text(&argv));
    }

    place.configure(&minio, "no-such-bucket", &[("cam_floor", &camera.url_with("admin:hunter3"))], "");
    let output = place.run(&["check"], DEADLINE).await;
    assert_eq!(output.status.code(), Some(1), "{}", text(&output));
    let said = text(&output);
    assert!(said.contains("NoSuchBucket") && said.contains("password"), "{said}");
    assert!(!said.contains("hunter3"), "{said}");
    let offline = place.run(&["check", "--offline"], DEADLINE).await;
    assert!(offline.status.success(), "offline needs neither: {}", text(&offline));
}

#[tokio::test]
async fn check_names_each_content_type_that_a_bucket_refuses() {
    let _turn = my_turn().await;
    let store = SupabaseServer::start().await;
    store.create_bucket(BUCKET);
    let place = Place::new("check-types");
    let said = async |cameras: &str| {
        place.write_config(&format!(
            "location: l\nspool: {}\nstorage: {{type: supabase, url: {}, bucket: {BUCKET}, key: {SECRET_KEY}}}\n\
             cameras:\n  - {{id: a, rtsp_url: \"test://\"{cameras}}}\n",
            place.path().join("spool").display(),
            store.url,
        ));
        let output = place.run(&["check"], DEADLINE).await;
        (output.status.code(), text(&output))
    };
    let told = |output: &str, kind: &str, what: &str| {
        let what = format!("storage put {what}: ");
        output.lines().any(|line| line.starts_with(kind) && line.contains(&what))
    };
    let all = ", settings: {segment_type: fmp4, snapshot_interval: 10s}";
    let (code, output) = said(all).await;
    let listed = "application/vnd.apple.mpegurl, application/json, video/mp4, image/jpeg";
    assert!(code == Some(0) && output.contains(&format!("storage content types: {listed}")), "{output}");

    store.allow(&["video/mp2t", "application/vnd.apple.mpegurl"]);
    let (code, output) = said("").await;
    assert!(code == Some(0) && told(&output, "warn", "application/json"), "players do without it: {output}");
    let (code, output) = said(all).await;
    assert!(code == Some(1) && told(&output, "FAIL", "video/mp4"), "{output}");
    assert!(told(&output, "warn", "image/jpeg") && told(&output, "warn", "application/json"), "{output}");
    assert!(output.contains("list of MIME types"), "{output}");
    assert!(!output.contains(SECRET_KEY), "{output}");
}

/// Players by parts ask for what is not there yet: a real nginx, as the README has it, and with what breaks that.
#[tokio::test]
async fn check_tells_whether_parts_can_be_asked_for_early() {
    let _turn = my_turn().await;
    let place = Place::new("check-parts");
    let root = place.path().join("streams");
    std::fs::create_dir_all(&root).unwrap();
    let said = async |server: &WebServer, profile: &str| {
        place.write_config(&format!(
            "location: l\nspool: {}\nstorage: {{type: file, root: {}, public_base_url: \"{}\"}}\n\
             cameras:\n  - {{id: a, rtsp_url: \"test://\", settings: {{profile: {profile}}}}}\n",
            place.path().join("spool").display(),
            root.display(),
            server.url,
        ));
        let output = place.run(&["check"], DEADLINE).await;
        let line = |line: &&str| line.contains("public read of parts");
        (output.status.code(), text(&output).lines().find(line).map(str::to_owned), text(&output))
    };
    let well = WebServer::showing(&root, |recipe| recipe).await;
    let (code, line, all) = said(&well, "low").await;
    assert!(code == Some(0) && line.is_none(), "nobody asks for parts: {all}");
    let (code, line, all) = said(&well, "sub_second").await;
    let line = line.unwrap_or_else(|| panic!("{all}"));
    assert!(code == Some(0) && line.starts_with("ok ") && line.contains("404 before"), "{all}");

    let silent = WebServer::showing(&root, |recipe| recipe.replace(" always;", ";")).await;
    let (code, line, all) = said(&silent, "sub_second").await;
    assert!(code == Some(0) && line.is_some_and(|line| line.starts_with("warn ")), "{all}");
    assert!(all.contains("without CORS headers") && all.contains("`always`"), "{all}");

    let keeps = "alias /";
    let keeping = "open_file_cache max=100; open_file_cache_errors on; open_file_cache_valid 1h; alias /";
    let forgetful = WebServer::showing(&root, |recipe| recipe.replace(keeps, keeping)).await;
    let (code, line, all) = said(&forgetful, "sub_second").await;
    assert!(code == Some(1) && line.is_some_and(|line| line.starts_with("FAIL ")), "{all}");
    assert!(all.contains("still answered 404") && all.contains("keep no errors"), "{all}");

    let page_for_all =
        |recipe: String| recipe.replace("alias /", "error_page 404 =200 /streams/l/any.html; alias /");
    std::fs::create_dir_all(root.join("l")).unwrap();
    std::fs::write(root.join("l/any.html"), "an application of one page").unwrap();
    let wrong = WebServer::showing(&root, page_for_all).await;
    let (code, line, all) = said(&wrong, "sub_second").await;
    assert!(code == Some(1) && line.is_some_and(|line| line.contains("answered 200")), "{all}");
    let left = std::fs::read_dir(root.join("l")).unwrap().count();
    assert_eq!(left, 1, "nothing is left but the page");
}
