//! The page that `edge-agent publish-player` puts beside the streams.

use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};

use crate::browser::play;
use crate::player::watch;
use crate::support::agent::Place;
use crate::support::camera::{Camera, CameraOpts};
use crate::support::supabase_server::{SECRET_KEY, SupabaseServer};
use crate::support::viewer::Viewer;
use crate::{BUCKET, STOP_WITHIN, UP_WITHIN, alone, minio, playlist_of};

const WATCH_SECONDS: u32 = 20;
const PUBLISHED_WITHIN: Duration = Duration::from_secs(60);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_public_address_alone_is_a_viewer() {
    let _turn = alone().await;
    let minio = minio().await;
    let camera = Camera::start(CameraOpts { size: (640, 360), ..CameraOpts::default() }).await;
    let mut place = Place::new("published-page");
    let parts = format!(
        "  - {{id: cam_parts, rtsp_url: \"{}\", settings: {{profile: sub_second, target_width: 640}}}}\n",
        camera.url()
    );
    place.configure(&minio, BUCKET, &[("cam_floor", &camera.url())], "");
    place.write_config(&(read(place.path(), "cameras.yaml") + &parts));
    let playlist = playlist_of(&minio, "cam_floor");
    let mut viewer = Viewer::watch(&playlist, &place.path().join("seen"));
    let mut agent = place.start(&[]);
    // Beside a running agent, and again over what is there.
    for _ in 0..2 {
        let output = place.run(&["publish-player"], PUBLISHED_WITHIN).await;
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
        assert_eq!(said.trim(), minio.public_url(BUCKET, "location_1/index.html"));
    }
    viewer.segments(2, UP_WITHIN).await;
    let page = |query: &str| minio.public_url(BUCKET, &format!("location_1/index.html?{query}"));
    play(&page("camera=cam_floor"), "published", WATCH_SECONDS).await;
    play(&page("camera=cam_parts"), "published-parts", WATCH_SECONDS).await;
    let artifacts = Path::new(env!("CARGO_MANIFEST_DIR")).join("artifacts");
    let seen: Value = serde_json::from_str(&read(&artifacts, "published-parts.json")).expect("JSON");
    let samples = seen["samples"].as_array().expect("samples");
    let by_parts = |sample: &&Value| sample["protocol"] == "sub_second";
    // A busy server's playlist may come too late for the beginning.
    let since = samples.iter().position(|sample| by_parts(&sample)).expect("it is played by parts");
    assert!(since <= samples.len() / 2, "{since} samples until it is played by parts: {seen}");
    assert!(samples[since..].iter().all(|sample| by_parts(&sample)), "and stays so: {seen}");

    let wall = page("playing=3");
    let args = ["--page", &wall, "--cameras", "2", "--stills", "0", "--name", "published-wall"];
    let steps = ["--only", "wide", "--only", "reader", "--only", "keyboard"];
    watch("cameras.mjs", &[&args[..], &steps].concat(), |_| ()).await;
    agent.stop(STOP_WITHIN).await;
    viewer.stop().await.assert_legal();
}

#[tokio::test]
async fn a_page_that_the_store_would_show_as_text_goes_into_a_folder() {
    let server = SupabaseServer::start().await;
    server.create_bucket(BUCKET);
    let place = Place::new("page-as-text");
    let config = format!(
        "location: l\nstorage: {{type: supabase, url: {}, bucket: {BUCKET}, key: {SECRET_KEY}}}\n\
         cameras: [{{id: cam, name: 'A \"door\" </script>', rtsp_url: 'rtsp://u:secret@h/1', use_case: live_stream}}]\n",
        server.url.as_str().trim_end_matches("/")
    );
    std::fs::write(place.path().join("cameras.yaml"), config).unwrap();
    let output = place.run(&["publish-player"], PUBLISHED_WITHIN).await;
    let error = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{error}");
    assert!(error.contains("text/plain") && error.contains("--to"), "{error}");

    let output = place.run(&["publish-player", "--to", "page/of/mine"], PUBLISHED_WITHIN).await;
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let folder = place.path().join("page/of/mine");
    assert!(read(&folder, "index.html").contains("assets/player.js"));
    assert!(read(&folder, "assets/player.js").len() > 1000);
    let list = read(&folder, "api/cameras.json");
    assert!(!list.contains("secret"), "{list}");
    let playlist = format!(
        "{}/storage/v1/object/public/{BUCKET}/l/cam/stream.m3u8",
        server.url.as_str().trim_end_matches("/")
    );
    let wanted = json!([{"id": "cam", "name": "A \"door\" </script>", "playlist_url": playlist}]);
    assert_eq!(serde_json::from_str::<Value>(&list).unwrap(), wanted);
}

#[tokio::test]
async fn a_page_has_to_have_a_public_place() {
    let place = Place::new("page-nowhere");
    for (storage, args, wanted) in [
        ("{type: none}", &["publish-player"][..], "`storage.type: none` has no bucket"),
        ("{type: file, root: /nowhere}", &["publish-player", "--to", "x"], "`storage.public_base_url`"),
    ] {
        let http = "http: {listen: \"127.0.0.1:0\"}\n";
        let cameras = "cameras: [{id: cam, rtsp_url: \"rtsp://h/1\", use_case: live_stream}]\n";
        std::fs::write(place.path().join("cameras.yaml"), format!("storage: {storage}\n{http}{cameras}"))
            .unwrap();
        let output = place.run(args, PUBLISHED_WITHIN).await;
        let error = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{error}");
        assert!(error.contains(wanted), "{error}");
    }
    assert!(!place.path().join("x").exists(), "nothing half done");
}

fn read(folder: &Path, name: &str) -> String {
    std::fs::read_to_string(folder.join(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}
