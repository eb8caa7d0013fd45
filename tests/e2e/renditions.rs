//! One camera in several renditions: playlists that go together, and a browser that changes between them.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use nix::sys::signal::Signal;
use serde_json::Value;
use tokio::process::Command;
use tokio::time::timeout;

use crate::browser::free_address;
use crate::support::agent::Place;
use crate::support::camera::{Camera, CameraOpts};
use crate::support::minio::Minio;
use crate::support::viewer::{Report, Viewer};
use crate::support::wait::until;
use crate::{BUCKET, NO_FFMPEG_WITHIN, STOP_WITHIN, UP_WITHIN, alone, folder_of, minio, playlist_of};

const CAMERA: &str = "cam_floor";
const RENDITIONS: &str =
    "[{width: 1280, max_bitrate: 1500}, {width: 640, max_bitrate: 400}, {width: 320, max_bitrate: 150}]";
const MORE_WITHIN: Duration = Duration::from_secs(30);
const ADAPTED_WITHIN: Duration = Duration::from_secs(240);
/// Between the two smaller ones' bit rates and the largest one's.
const SLOW_KBPS: u32 = 1000;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn renditions_go_together_and_a_browser_follows_its_network() {
    let _turn = alone().await;
    let minio = minio().await;
    let camera = Camera::start(CameraOpts::default()).await;
    let listen = free_address();
    let mut place = Place::new("renditions");
    let configure = |place: &mut Place, renditions: &str| {
        let settings = format!("{{renditions: {renditions}}}");
        let more = format!("http:\n  listen: {listen}\ndefaults:\n  settings: {settings}\n");
        place.configure(&minio, BUCKET, &[(CAMERA, &camera.url())], &more);
    };
    configure(&mut place, RENDITIONS);
    let mut viewers = watch(&minio, &place);
    let mut agent = place.start(&[]);
    for viewer in &mut viewers {
        viewer.segments(2, UP_WITHIN).await;
    }
    let mut variants = multivariant(&minio, 3).await;
    let page = format!("http://{listen}/");
    adapt(&page).await;

    agent.kill9().await;
    place.no_ffmpeg_within(NO_FFMPEG_WITHIN).await;
    agent = place.start(&[]);
    more(&mut viewers).await;
    announced(&mut variants, multivariant(&minio, 3).await);
    // Two are left of three: the third one's viewers see nothing new any more, and nothing wrong.
    configure(&mut place, "[{width: 1280, max_bitrate: 1500}, {width: 640, max_bitrate: 400}]");
    agent.signal(Signal::SIGHUP);
    more(&mut viewers[..2]).await;
    announced(&mut variants, multivariant(&minio, 2).await);
    let [first, second, third] = viewers;
    let third = third.stop().await;
    agent.stop(STOP_WITHIN).await;
    let reports = [first.stop().await, second.stop().await, third];
    reports.iter().for_each(Report::assert_legal);
    for (number, report) in (2..).zip(&reports[1..]) {
        assert_alike(&reports[0], report, number);
    }
    for (variant, report) in variants.iter().zip(&reports) {
        assert_true(variant, report).await;
    }
}

fn watch(minio: &Minio, place: &Place) -> [Viewer; 3] {
    let first = playlist_of(minio, CAMERA);
    ["stream", "stream_2", "stream_3"].map(|name| {
        let playlist = first.replace("stream.m3u8", &format!("{name}.m3u8"));
        Viewer::watch(&playlist, &place.path().join(name))
    })
}

async fn more(viewers: &mut [Viewer]) {
    for viewer in viewers {
        let known = viewer.segment_count();
        viewer.segments(known + 3, MORE_WITHIN).await;
    }
}

/// A line of the multivariant playlist, and the URI behind it.
struct Variant {
    attributes: BTreeMap<String, String>,
    uri: String,
}

impl Variant {
    fn number(&self, name: &str) -> f64 {
        self.attributes[name].parse().unwrap_or_else(|_| panic!("{name}: {}", self.attributes[name]))
    }
}

/// Each agent measures anew: the largest that any of them announced.
fn announced(variants: &mut [Variant], later: Vec<Variant>) {
    for (variant, later) in variants.iter_mut().zip(later) {
        if later.number("BANDWIDTH") > variant.number("BANDWIDTH") {
            *variant = later;
        }
    }
}

async fn multivariant(minio: &Minio, count: usize) -> Vec<Variant> {
    let url = minio.public_url(BUCKET, &format!("{}multivariant.m3u8", folder_of(CAMERA)));
    let read = async || {
        let text = reqwest::get(&url).await.ok()?.error_for_status().ok()?.text().await.ok()?;
        Some(variants_in(&text)).filter(|variants| variants.len() == count)
    };
    let variants = until(MORE_WITHIN, "the multivariant playlist", read, || "").await;
    let uris: Vec<_> = variants.iter().map(|variant| variant.uri.as_str()).collect();
    assert_eq!(uris, ["stream.m3u8", "stream_2.m3u8", "stream_3.m3u8"][..count]);
    variants
}

fn variants_in(text: &str) -> Vec<Variant> {
    let lines: Vec<_> = text.lines().collect();
    lines
        .windows(2)
        .filter_map(|pair| {
            let attributes = attributes(pair[0].strip_prefix("#EXT-X-STREAM-INF:")?);
            Some(Variant { attributes, uri: pair[1].to_owned() })
        })
        .collect()
}

/// Commas may stand in quotes.
fn attributes(list: &str) -> BTreeMap<String, String> {
    let mut quoted = false;
    let parts = list.split(|c: char| {
        quoted ^= c == '"';
        c == ',' && !quoted
    });
    let pair = |part: &str| {
        let (name, value) = part.split_once('=')?;
        Some((name.to_owned(), value.trim_matches('"').to_owned()))
    };
    parts.filter_map(pair).collect()
}

/// The same segments under the same numbers, but for their pictures: what RFC 8216 6.2.4 asks of variants.
fn assert_alike(first: &Report, other: &Report, number: u32) {
    let told = |report: &Report| -> BTreeMap<u64, _> {
        let tell = |seen: &crate::support::viewer::SeenSegment| {
            let segment = seen.segment.clone();
            let place = segment.uri.rsplit_once('_').expect("1of3").0.to_owned();
            (segment.msn, (place, segment.duration, segment.discontinuity, segment.program_time))
        };
        report.segments.iter().map(tell).collect()
    };
    let (first, other) = (told(first), told(other));
    let common: Vec<_> = other.keys().filter(|msn| first.contains_key(msn)).collect();
    assert!(common.len() + 2 >= other.len() && common.len() > 5, "{} of {}", common.len(), other.len());
    for msn in common {
        assert_eq!(first[msn], other[msn], "number {msn} of rendition {number}");
    }
}

/// The multivariant playlist says what the segments are.
async fn assert_true(variant: &Variant, report: &Report) {
    let (peak, average) = (variant.number("BANDWIDTH"), variant.number("AVERAGE-BANDWIDTH"));
    assert!(average <= peak && average > 0.0, "{average} of {peak}");
    for seen in &report.segments {
        let bytes = std::fs::metadata(&seen.file).expect("the viewer keeps it").len();
        let seconds = seen.segment.duration.as_secs_f64();
        // RFC 8216 4.3.4.2 counts from half a target duration on.
        let bps = 8.0 * bytes as f64 / seconds;
        assert!(seconds < 1.0 || bps <= 1.25 * peak, "{}: {bps} of {peak}", seen.segment.uri);
    }
    let told = probe(&report.segments[0].file).await;
    let video = &told["streams"][0];
    let size = format!("{}x{}", video["width"], video["height"]);
    assert_eq!(variant.attributes["RESOLUTION"], size);
    assert_eq!(variant.number("FRAME-RATE"), 15.0);
    // x264's ultrafast makes Constrained Baseline.
    let level = video["level"].as_u64().expect("a level");
    assert_eq!(variant.attributes["CODECS"], format!("avc1.42c0{level:02x},mp4a.40.2"));
}

async fn probe(file: &Path) -> Value {
    let args = ["-v", "error", "-select_streams", "v", "-show_streams", "-of", "json"];
    let mut command = Command::new("ffprobe");
    let output = command.args(args).arg(file).kill_on_drop(true).output();
    let output = timeout(MORE_WITHIN, output).await.expect("it ends in time").expect("install ffmpeg");
    serde_json::from_slice(&output.stdout).expect("ffprobe gives JSON")
}

async fn adapt(page: &str) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let artifacts = root.join("artifacts");
    std::fs::create_dir_all(&artifacts).unwrap();
    let mut command = Command::new("node");
    command.arg(root.join("tests/browser/adapt.mjs")).args(["--page", page]);
    command.args(["--wide", "1280", "--narrow", "640", "--kbps", &SLOW_KBPS.to_string()]);
    command.arg("--screenshot").arg(artifacts.join("renditions.png"));
    let output = timeout(ADAPTED_WITHIN, command.kill_on_drop(true).output())
        .await
        .expect("the browser ends in time")
        .unwrap_or_else(|error| panic!("can't run node ({error}): run packaging/setup.sh test"));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{page}: {}\n{said}", output.status);
}
