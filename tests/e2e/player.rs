//! The page's states and its wall of cameras in headless Chromium, with the agent's own `file` store.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, BufReader};
use tokio::process::Command;
use tokio::time::timeout;

use crate::browser::free_address;
use crate::support::agent::{Agent, Place};
use crate::support::camera::{Camera, CameraOpts};
use crate::support::wait::until;
use crate::{STOP_WITHIN, UP_WITHIN, alone};

/// All states, one after the other; going offline alone takes 20 s.
const STATES_WITHIN: Duration = Duration::from_secs(1200);

const CAMERAS: usize = 6;
/// Those of them that have still pictures.
const WITH_STILLS: [usize; 2] = [1, 4];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_page_says_how_it_is_and_is_used_by_keyboard() {
    let _turn = alone().await;
    let camera = Camera::start(CameraOpts { size: (640, 360), ..CameraOpts::default() }).await;
    let place = Place::new("player");
    let settings = "{quality: auto, segment_duration: 2}";
    let (mut agent, page) =
        start(&place, &format!("  - {{id: cam, rtsp_url: \"{}\"}}\n", camera.url()), settings).await;
    watch("states.mjs", &["--page", &page], |_| ()).await;

    // Without a picture, and with one that was there.
    let mut camera = Some(camera);
    watch("states.mjs", &["--page", &page, "--only", "gone"], |line| {
        if line == "gone: now" {
            drop(camera.take());
        }
    })
    .await;
    assert!(camera.is_none(), "the camera was taken away");
    agent.assert_running();
    agent.stop(STOP_WITHIN).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_wall_shows_pictures_and_a_bounded_number_of_streams() {
    let _turn = alone().await;
    let place = Place::new("player-wall");
    let mut cameras = String::new();
    for number in 0..CAMERAS {
        let stills = if WITH_STILLS.contains(&number) { "10s" } else { "off" };
        writeln!(
            cameras,
            "  - {{id: cam_{number}, name: Camera {number}, rtsp_url: \"test://\", \
             settings: {{snapshot_interval: {stills}}}}}"
        )
        .unwrap();
    }
    let settings = "{target_width: 160, target_fps: 5, segment_duration: 1, segments_to_keep: 6}";
    let (mut agent, page) = start(&place, &cameras, settings).await;
    for number in WITH_STILLS {
        let still = place.path().join(format!("bucket/location_1/cam_{number}/snapshot.jpg"));
        until(UP_WITHIN, "a still picture", async || still.is_file().then_some(()), || agent.log()).await;
    }
    let page = format!("{page}?playing=3");
    let (all, with_stills) = (CAMERAS.to_string(), WITH_STILLS.len().to_string());
    watch("cameras.mjs", &["--page", &page, "--cameras", &all, "--stills", &with_stills], |_| ()).await;
    agent.assert_running();
    agent.stop(STOP_WITHIN).await;
}

/// An agent with these cameras that all have a playlist, and its page.
async fn start(place: &Place, cameras: &str, settings: &str) -> (Agent, String) {
    let (listen, folder) = (free_address(), place.path().to_owned());
    let text = format!(
        "location: location_1\nspool: {}\nstorage: {{type: file, root: {}}}\nhttp: {{listen: \"{listen}\"}}\n\
         defaults:\n  settings: {settings}\ncameras:\n{cameras}",
        folder.join("spool").display(),
        folder.join("bucket").display(),
    );
    place.write_config(&text);
    let agent = place.start(&[]);
    let ids = cameras.lines().filter_map(|line| line.split("id: ").nth(1)?.split(',').next());
    for id in ids {
        let playlist = folder.join(format!("bucket/location_1/{id}/stream.m3u8"));
        until(UP_WITHIN, "a playlist", async || playlist.is_file().then_some(()), || agent.log()).await;
    }
    (agent, format!("http://{listen}/"))
}

/// Runs a script of `tests/browser`; `heard` has each line that it prints, as it comes.
pub async fn watch(script: &str, args: &[&str], mut heard: impl FnMut(&str)) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let shots: PathBuf = root.join("artifacts");
    let mut command = Command::new("node");
    command.arg(root.join("tests/browser").join(script)).args(args).arg("--shots").arg(shots);
    command.stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    let mut child = command
        .spawn()
        .unwrap_or_else(|error| panic!("can't run node ({error}): run packaging/setup.sh test"));
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut stderr = child.stderr.take().unwrap();
    let done = async {
        let mut said = String::new();
        while let Ok(Some(line)) = lines.next_line().await {
            eprintln!("{script}: {line}");
            heard(&line);
        }
        _ = stderr.read_to_string(&mut said).await;
        (child.wait().await.unwrap(), said)
    };
    let (status, said) = timeout(STATES_WITHIN, done).await.expect("the browser ends in time");
    assert!(status.success(), "{script}: {status}\n{said}");
}
