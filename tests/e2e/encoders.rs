//! A hardware encoder that dies in use and comes back. There is none here: a script stands for one.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use edge_agent::camera::plan::plan;
use edge_agent::camera::status::CameraStatus;
use edge_agent::camera::supervisor::Supervisor;
use edge_agent::clock;
use edge_agent::config::model::{FileConfig, Settings, StoreConfig};
use edge_agent::domain::backoff::Backoff;
use edge_agent::domain::choice::decide;
use edge_agent::domain::encoder::{Encoder, Policy, Wish};
use edge_agent::domain::lifecycle::Patience;
use edge_agent::engine::StreamSpec;
use edge_agent::engine::ffmpeg::capabilities::detect;
use edge_agent::engine::ffmpeg::{EncoderUse, FfmpegEngine, Trials, Workshop};
use edge_agent::engine::spool::watch::SpoolWatch;
use edge_agent::sys::child::Spawner;
use nix::sys::signal::Signal;
use serde_json::Value;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::support::agent::{Agent, Place};
use crate::support::camera::{Camera as RtspCamera, CameraOpts};
use crate::support::m3u8::Playlist;
use crate::support::script;
use crate::support::wait::until;
use crate::{STOP_WITHIN, UP_WITHIN, my_turn};

const ENCODER: Encoder = Encoder::V4l2m2m;

/// ffmpeg whose `h264_v4l2m2m` is x264 by another name, until the file `dead` is there: then it dies, and does not
/// start any more. Each start of it is a line in `tried`, if it is a trial, else in `used`.
struct Hardware {
    folder: PathBuf,
}

const SCRIPT: &str = r#"case "$*" in
*-encoders*) ffmpeg "$@"; echo ' V..... h264_v4l2m2m a stand-in'; exit ;;
*h264_v4l2m2m*pipe:1) echo x >> FOLDER/tried ;;
*h264_v4l2m2m*) echo x >> FOLDER/used ;;
*) exec ffmpeg "$@" ;;
esac
if [ -e FOLDER/dead ]; then echo '[h264_v4l2m2m @ 0x1] [error] Could not find a valid device' >&2; exit 1; fi
for arg do
    shift
    if [ "$arg" = h264_v4l2m2m ]; then set -- "$@" libx264 -preset ultrafast -tune zerolatency; else set -- "$@" "$arg"; fi
done
me=$$
( while [ -e /proc/$me/fd/2 ]; do
    if [ -e FOLDER/dead ]; then echo '[h264_v4l2m2m @ 0x1] [error] qbuf failed' > /proc/$me/fd/2; kill -KILL $me; exit; fi
    sleep 0.05
done ) > /dev/null 2> /dev/null < /dev/null &
exec ffmpeg "$@"
"#;

impl Hardware {
    fn new(place: &Path) -> Self {
        let folder = place.join("hardware");
        fs::create_dir(&folder).unwrap();
        let path = folder.join("ffmpeg.sh");
        script::write(&path, &SCRIPT.replace("FOLDER", &folder.display().to_string()));
        Self { folder }
    }

    fn ffmpeg(&self) -> PathBuf {
        self.folder.join("ffmpeg.sh")
    }

    fn dies(&self) {
        fs::write(self.folder.join("dead"), "").unwrap();
    }

    fn is_mended(&self) {
        fs::remove_file(self.folder.join("dead")).unwrap();
    }

    fn count(&self, what: &str) -> usize {
        fs::read_to_string(self.folder.join(what)).unwrap_or_default().lines().count()
    }
}

fn playlist(root: &Path, camera: &str) -> Option<Playlist> {
    let text = fs::read_to_string(root.join("location_1").join(camera).join("stream.m3u8")).ok()?;
    Some(Playlist::parse(&text).unwrap())
}

fn seams(playlist: &Playlist) -> usize {
    playlist.segments.iter().filter(|segment| segment.discontinuity).count()
}

/// Until the playlist has this many segments behind its last discontinuity, of so many.
async fn segments_behind(
    root: &Path,
    camera: &str,
    discontinuities: usize,
    count: usize,
    why: impl Fn() -> String,
) {
    let enough = async || {
        let playlist = playlist(root, camera)?;
        let fresh = playlist.segments.iter().rev().position(|segment| segment.discontinuity);
        let fresh = fresh.map_or(playlist.segments.len(), |at| at + 1);
        (seams(&playlist) == discontinuities && fresh >= count).then_some(())
    };
    until(UP_WITHIN, "segments", enough, why).await;
}

const SETTINGS: &str =
    "target_width: 320, target_fps: 10, segment_duration: 1, segments_to_keep: 60, audio: off";

fn camera(id: &str, encoder: &str) -> String {
    format!("  - {{id: {id}, rtsp_url: 'test://', settings: {{{SETTINGS}, encoder: {encoder}}}}}\n")
}

struct Scene {
    place: Place,
    hardware: Hardware,
    listen: String,
}

impl Scene {
    fn new(name: &str) -> Self {
        let place = Place::new(name);
        let hardware = Hardware::new(place.path());
        let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let listen = free.local_addr().unwrap().to_string();
        Self { place, hardware, listen }
    }

    fn configure(&self, cameras: &str) {
        self.place.write_config(&format!(
            "location: location_1\nspool: {}\nhttp: {{listen: '{}'}}\nffmpeg: {}\n\
             storage: {{type: file, root: {}}}\ncameras:\n{cameras}",
            self.place.path().join("spool").display(),
            self.listen,
            self.hardware.ffmpeg().display(),
            self.root().display(),
        ));
    }

    fn root(&self) -> PathBuf {
        self.place.path().join("streams")
    }

    async fn status(&self, camera: &str) -> Option<Value> {
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        let url = format!("http://{}/api/streams/status/{camera}", self.listen);
        client.get(url).send().await.ok()?.json().await.ok()
    }

    async fn mode(&self, agent: &Agent, camera: &str, begins: &str) -> Value {
        let fits = async || {
            let status = self.status(camera).await?;
            status["mode_reason"].as_str()?.starts_with(begins).then_some(status)
        };
        until(UP_WITHIN, begins, fits, || agent.log()).await
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hardware_that_dies_costs_each_camera_one_seam_and_one_warning() {
    let _turn = my_turn().await;
    let scene = Scene::new("encoder-dies");
    fs::create_dir(scene.root()).unwrap();
    let (a, b, plain) = (camera("a", "v4l2m2m"), camera("b", "v4l2m2m"), camera("plain", "software"));
    scene.configure(&format!("{a}{b}{plain}"));
    let mut agent = scene.place.start(&[]);
    agent.log_line(&["camera=a", "mode chosen", "re-encoding with v4l2m2m: "], UP_WITHIN).await;
    for camera in ["a", "b", "plain"] {
        segments_behind(&scene.root(), camera, 0, 2, || agent.log()).await;
    }
    assert_eq!((scene.hardware.count("tried"), scene.hardware.count("used")), (1, 2), "{}", agent.log());
    scene.mode(&agent, "plain", "re-encoding: ").await;

    scene.hardware.dies();
    for camera in ["a", "b"] {
        let status = scene.mode(&agent, camera, "re-encoding in software, as v4l2m2m died: ").await;
        assert_eq!(status["reconnect_count"], 1, "{status}");
        segments_behind(&scene.root(), camera, 1, 3, || agent.log()).await;
    }
    assert_eq!(scene.hardware.count("used"), 2, "one death is enough");
    let log = agent.log();
    for camera in ["a", "b"] {
        let of_camera = format!("camera={camera}");
        let warned: Vec<_> =
            log.lines().filter(|line| line.contains(" WARN ") && line.contains(&of_camera)).collect();
        assert_eq!(warned.len(), 1, "{warned:#?}");
        for word in ["encoder=v4l2m2m", "qbuf failed", "again_in=\"2 h\"", "encoding in software"] {
            assert!(warned[0].contains(word), "{warned:?} lacks {word}");
        }
    }

    // The machine's owner has mended it, and asks for it elsewhere: those that run are left alone.
    scene.hardware.is_mended();
    scene.configure(&format!("{a}{b}{plain}{}", camera("late", "auto")));
    agent.signal(Signal::SIGHUP);
    scene.mode(&agent, "late", "re-encoding with ").await;
    segments_behind(&scene.root(), "late", 0, 2, || agent.log()).await;
    assert_eq!(seams(&playlist(&scene.root(), "a").unwrap()), 1);
    assert_eq!(seams(&playlist(&scene.root(), "plain").unwrap()), 0);
    agent.stop(STOP_WITHIN).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_camera_that_is_copied_waits_for_no_trial() {
    let _turn = my_turn().await;
    let scene = Scene::new("encoder-copy");
    fs::create_dir(scene.root()).unwrap();
    let rtsp = RtspCamera::start(CameraOpts { size: (320, 180), ..CameraOpts::default() }).await;
    let auto = |id: &str, more: &str| {
        let settings = format!("quality: auto, encoder: v4l2m2m, segments_to_keep: 60{more}");
        format!("  - {{id: {id}, rtsp_url: '{}', settings: {{{settings}}}}}\n", rtsp.url())
    };
    let copied = auto("copied", "");
    scene.configure(&copied);
    let mut agent = scene.place.start(&[]);
    scene.mode(&agent, "copied", "copying: ").await;
    segments_behind(&scene.root(), "copied", 0, 2, || agent.log()).await;
    assert_eq!(scene.hardware.count("tried"), 0, "{}", agent.log());

    // Only a look tells that this one has to be encoded.
    scene.configure(&format!("{copied}{}", auto("capped", ", max_bitrate: 300")));
    agent.signal(Signal::SIGHUP);
    scene.mode(&agent, "capped", "re-encoding with v4l2m2m: ").await;
    segments_behind(&scene.root(), "capped", 0, 2, || agent.log()).await;
    assert_eq!((scene.hardware.count("tried"), scene.hardware.count("used")), (1, 1), "{}", agent.log());
    agent.stop(STOP_WITHIN).await;
}

#[tokio::test]
async fn check_and_argv_say_what_a_camera_will_encode_with() {
    let scene = Scene::new("encoder-check");
    let ids = ["v4l2m2m", "rkmpp", "software"];
    scene.configure(&ids.map(|encoder| camera(encoder, encoder)).concat());
    let said = async |args: &[&str]| {
        let output = scene.place.run(args, UP_WITHIN).await;
        assert!(output.status.success(), "{args:?}: {output:?}");
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    let check = said(&["check", "--offline"]).await;
    for line in [
        "ok    encoder v4l2m2m: works here (v4l2m2m)",
        "ok    encoding of v4l2m2m: with v4l2m2m (settings.encoder: v4l2m2m)",
        "warn  encoding of rkmpp: settings.encoder: rkmpp is not in this ffmpeg; in software until it works",
        "ok    encoding of software: in software",
    ] {
        assert!(check.lines().any(|said| said == line), "no {line:?} in\n{check}");
    }
    for (camera, comment, codec) in [
        ("v4l2m2m", "# settings.encoder: v4l2m2m: the picture is encoded with v4l2m2m.", "h264_v4l2m2m"),
        ("rkmpp", "# settings.encoder: rkmpp: the picture is encoded in software.", "libx264"),
        ("software", "", "libx264"),
    ] {
        let argv = said(&["argv", camera]).await;
        assert!(argv.contains(comment) && argv.contains(&format!("-c:v {codec} ")), "{argv}");
    }
    scene.configure(&camera("cam", "cuda"));
    let output = scene.place.run(&["check"], UP_WITHIN).await;
    let error = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{error}");
    let expected = "settings.encoder: is cuda; use one of auto, software, vaapi, qsv, nvenc, v4l2m2m, rkmpp";
    assert!(error.contains("cameras.yaml:7: ") && error.contains(expected), "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hardware_that_works_again_is_used_again() {
    let _turn = my_turn().await;
    let place = Place::new("encoder-back");
    let hardware = Hardware::new(place.path());
    let workshop = Arc::new(Workshop {
        capabilities: detect(Some(&hardware.ffmpeg())).await.unwrap(),
        spawner: Spawner::start().unwrap(),
        watch: SpoolWatch::new(),
        spool_root: place.path().join("spool"),
        spool_share: u64::MAX.into(),
    });
    let settings = Settings {
        target_width: 320,
        target_fps: 10,
        segment_duration: Duration::from_secs(1),
        segments_to_keep: 60,
        audio: false,
        encoder: Wish::Only(ENCODER),
        ..Settings::default()
    };
    let trials = Arc::new(Trials::new(workshop.clone()));
    let findings = trials.find(settings.encoder, &settings).await;
    assert!(findings.len() == 1 && findings[0].works(), "{findings:?}");
    // Hours in earnest.
    let pauses = Backoff { first: Duration::from_secs(1), most: Duration::from_secs(2) };
    let policy = Policy::pausing(clock::now(), settings.encoder, &[ENCODER], pauses);
    let encoder = EncoderUse::new(policy, findings);

    let (id, location) = ("cam".parse().unwrap(), "location_1".parse().unwrap());
    let (status, seen) = watch::channel(CameraStatus::new("cam".parse().unwrap(), clock::now()));
    let choice = decide(&settings.wish(), None);
    let plan = plan(&location, &id, &settings, &choice, 64 << 20);
    let spec = StreamSpec { camera: id, source: "test://".parse().unwrap(), settings: settings.clone() };
    let engine = FfmpegEngine::new(workshop, spec).encoding_with(encoder.clone());
    let patience = Patience::for_segments_of(settings.segment_duration);
    let supervisor = Supervisor::new(Box::new(engine), patience, Arc::new(status), 7);
    let root = place.path().join("streams");
    fs::create_dir(&root).unwrap();
    let store = StoreConfig::File(FileConfig { root: root.clone(), public_base_url: None });
    let store = edge_agent::store::open(&store).await.unwrap();
    let (stop, abort) = (CancellationToken::new(), CancellationToken::new());
    let (mut camera, mut tending) = (JoinSet::new(), JoinSet::new());
    camera.spawn(supervisor.run(plan, store, stop.clone(), abort));
    tending.spawn(async move { encoder.tend(|encoder| trials.again(encoder, &settings)).await });

    let told = || format!("{:?}", seen.borrow());
    let mode = async |begins: &str| {
        let fits = async || {
            seen.borrow().mode.as_ref().is_some_and(|mode| mode.in_words.starts_with(begins)).then_some(())
        };
        until(UP_WITHIN, begins, fits, told).await;
    };
    mode("re-encoding with v4l2m2m: ").await;
    segments_behind(&root, "cam", 0, 2, told).await;
    hardware.dies();
    mode("re-encoding in software, as v4l2m2m died: ").await;
    segments_behind(&root, "cam", 1, 2, told).await;
    let tried_in_vain = async || (hardware.count("tried") >= 3).then_some(());
    until(UP_WITHIN, "trials of dead hardware", tried_in_vain, told).await;
    assert_eq!(seams(&playlist(&root, "cam").unwrap()), 1, "a trial does not touch the stream");
    hardware.is_mended();
    mode("re-encoding with v4l2m2m: ").await;
    segments_behind(&root, "cam", 2, 2, told).await;
    assert_eq!((hardware.count("used"), seen.borrow().restarts), (2, 1), "its return is no failure");
    stop.cancel();
    camera.join_next().await.unwrap().unwrap();
    let playlist = playlist(&root, "cam").unwrap();
    let long: Duration = playlist.segments.iter().map(|segment| segment.duration).sum();
    assert_eq!(playlist.discontinuity_sequence, 0, "all that was made is in the window");
    assert!(long > Duration::from_secs(5), "{playlist:?}");
    assert_eq!(seen.borrow().segments_missed, 0);
}
