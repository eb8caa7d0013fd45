//! The camera and the frame checker on real media.

use std::path::Path;
use std::time::Duration;

use tokio::process::Command;
use tokio::time::timeout;

use crate::support::camera::{Camera, CameraOpts};
use crate::support::frames::{self, Expected};
use crate::support::m3u8::Segment;
use crate::support::scratch::Scratch;
use crate::support::viewer::SeenSegment;

const DEADLINE: Duration = Duration::from_secs(30);

async fn output(program: &str, args: &[&str]) -> (bool, String) {
    let mut command = Command::new(program);
    command.args(args).kill_on_drop(true);
    let output =
        timeout(DEADLINE, command.output()).await.expect(program).expect("packaging/setup.sh was run");
    let text = [output.stdout, output.stderr].concat();
    (output.status.success(), String::from_utf8_lossy(&text).into_owned())
}

async fn probe(url: &str) -> (bool, String) {
    let entries = "stream=codec_name,width,height,avg_frame_rate";
    output("ffprobe", &["-v", "error", "-rtsp_transport", "tcp", "-show_entries", entries, url]).await
}

#[tokio::test]
async fn the_camera_shows_what_it_is_asked_for() {
    let login = Some(("admin".into(), "p@ss".into()));
    let camera = Camera::start(CameraOpts { login, ..Default::default() }).await;
    let (good, text) = probe(&camera.url_with("admin:p%40ss")).await;
    assert!(good, "{text}");
    for wanted in ["h264", "aac", "width=1280", "height=720", "avg_frame_rate=25/1"] {
        assert!(text.contains(wanted), "{wanted}: {text}");
    }
    let (good, text) = probe(&camera.url_with("admin:wrong")).await;
    assert!(!good && text.contains("401"), "{text}");
    assert!(camera.control("status").await["sent"]["video"].as_u64() > Some(0));
}

#[tokio::test]
async fn a_camera_on_a_given_port_can_come_back_without_audio() {
    let small = CameraOpts { size: (320, 180), audio: false, ..Default::default() };
    let first = Camera::start(small.clone()).await;
    let port = first.port;
    first.stop().await;
    let (good, _) = probe(&crate::support::camera::url(port)).await;
    assert!(!good, "nobody is there");
    let second = Camera::start(CameraOpts { port, ..small }).await;
    let (good, text) = probe(&second.url()).await;
    assert!(good && !text.contains("aac"), "{text}");
}

/// ffmpeg's own segments of a test picture: (folder, segments).
async fn segments(folder: &Path) -> Vec<SeenSegment> {
    let name = folder.join("%03d.ts").display().to_string();
    let list = folder.join("list.m3u8").display().to_string();
    let video = "testsrc2=size=854x480:rate=15:duration=6";
    let line = format!(
        "-v error -f lavfi -i {video} -f lavfi -i sine=duration=6:sample_rate=16000 -c:v libx264 -preset ultrafast \
         -tune zerolatency -g 30 -sc_threshold 0 -c:a aac -f hls -hls_time 2 -hls_list_size 0 \
         -hls_segment_filename {name} {list}"
    );
    let (good, text) = output("ffmpeg", &line.split_whitespace().collect::<Vec<_>>()).await;
    assert!(good, "{text}");
    (0..3)
        .map(|msn| SeenSegment {
            segment: Segment {
                msn,
                continuity: 0,
                discontinuity: false,
                duration: Duration::from_secs(2),
                uri: format!("{msn}.ts"),
                map: None,
                program_time: None,
                parts: Vec::new(),
                gap: false,
            },
            file: folder.join(format!("{msn:03}.ts")),
        })
        .collect()
}

#[tokio::test]
async fn frames_are_checked_within_and_across_segments() {
    let scratch = Scratch::new("frames");
    let good = segments(scratch.path()).await;
    let expected = Expected { size: (854, 480), fps: 15, audio: true };
    assert_eq!(frames::faults(&good, expected).await, Vec::<String>::new());

    let mut hole = good.clone();
    hole.remove(1);
    hole[1].segment.msn = 1;
    let faults = frames::faults(&hole, expected).await;
    assert!(
        faults.iter().any(|f| f.contains("was due")) && faults.iter().any(|f| f.contains("audio")),
        "{faults:?}"
    );

    hole[1].segment.discontinuity = true;
    assert_eq!(frames::faults(&hole, expected).await, Vec::<String>::new(), "a marked hole is none");

    for (wrong, about) in [
        (Expected { size: (640, 360), ..expected }, "picture size"),
        (Expected { fps: 25, ..expected }, "was due"),
        (Expected { audio: false, ..expected }, "streams"),
    ] {
        let faults = frames::faults(&good, wrong).await;
        assert!(faults.iter().any(|fault| fault.contains(about)), "{wrong:?}: {faults:?}");
    }

    let mut longer = good.clone();
    longer[0].segment.duration = Duration::from_millis(2200);
    assert!(frames::faults(&longer, expected).await[0].contains("EXTINF"));
}
