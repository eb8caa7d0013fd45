//! Still pictures of segments with the real ffmpeg, and with scripts that behave as badly as it can.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use edge_agent::engine::ffmpeg::capabilities::{Capabilities, detect};
use edge_agent::engine::ffmpeg::{FfmpegStills, Workshop};
use edge_agent::engine::spool::watch::SpoolWatch;
use edge_agent::engine::{STILL_NEEDS, StillError, Stills};
use edge_agent::sys::child::Spawner;

#[path = "support/script.rs"]
mod program;

/// `EDGE_AGENT_TEST_FFMPEG` names another one (`make ffmpegs`).
fn real() -> PathBuf {
    std::env::var_os("EDGE_AGENT_TEST_FFMPEG").unwrap_or_else(|| "ffmpeg".into()).into()
}

async fn stills(path: &Path) -> FfmpegStills {
    let found = detect(Some(&real())).await.expect("install ffmpeg: apt-get install ffmpeg");
    let workshop = Workshop {
        capabilities: Capabilities { path: path.to_owned(), ..found },
        spawner: Spawner::start().expect("a thread"),
        watch: SpoolWatch::new(),
        spool_root: PathBuf::new(),
        spool_share: u64::MAX.into(),
    };
    FfmpegStills::new(Arc::new(workshop), 0)
}

/// A script in ffmpeg's place.
async fn script(folder: &Path, body: &str) -> FfmpegStills {
    program::write(&folder.join("ffmpeg"), body);
    stills(&folder.join("ffmpeg")).await
}

/// A second of a lively picture, as the agent's segments are; `looks` are further arguments of the encoding.
fn segment(folder: &Path, size: &str, looks: &[&str]) -> Bytes {
    let (file, picture) = (folder.join("segment"), format!("testsrc2=size={size}:rate=25:duration=1"));
    let mut command = Command::new(real());
    command.args([
        "-v",
        "error",
        "-y",
        "-f",
        "lavfi",
        "-i",
        &picture,
        "-f",
        "lavfi",
        "-i",
        "sine=duration=1",
    ]);
    command.args(looks).args(["-c:v", "libx264", "-preset", "ultrafast", "-c:a", "aac", "-f", "mpegts"]);
    let made = command.arg(&file).output().expect("ffmpeg runs");
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    fs::read(file).expect("a segment").into()
}

async fn still(stills: &FfmpegStills, segment: Bytes) -> Result<Bytes, StillError> {
    stills.still(stills.turn().await, segment).await
}

/// A JPEG as a whole decoder sees it: its size and its luma.
fn decoded(folder: &Path, jpeg: &[u8]) -> (String, Vec<u8>) {
    let file = folder.join("still.jpg");
    fs::write(&file, jpeg).expect("a file");
    let mut probe = Command::new("ffprobe");
    probe.args(["-v", "error", "-show_entries", "stream=codec_name,width,height", "-of", "csv=p=0"]);
    let seen = probe.arg(&file).output().expect("ffprobe runs");
    let mut decode = Command::new("ffmpeg");
    decode
        .args(["-v", "error", "-xerror", "-i"])
        .arg(&file)
        .args(["-f", "rawvideo", "-pix_fmt", "gray", "-"]);
    let luma = decode.output().expect("ffmpeg runs");
    assert!(luma.status.success() && luma.stderr.is_empty(), "{}", String::from_utf8_lossy(&luma.stderr));
    (String::from_utf8_lossy(&seen.stdout).trim().to_owned(), luma.stdout)
}

#[tokio::test]
async fn the_first_picture_becomes_a_jpeg_of_bounded_size() {
    let folder = tempfile::tempdir().expect("a folder");
    let stills = stills(&real()).await;
    for (size, looks, expected) in [
        ("1280x720", &["-pix_fmt", "yuv420p"][..], "mjpeg,640,360"),
        ("320x180", &["-pix_fmt", "yuvj420p"], "mjpeg,320,180"),
        // Taller than wide, and one whose pixels are not square.
        ("720x1280", &["-pix_fmt", "yuvj420p"], "mjpeg,640,1138"),
        ("704x576", &["-pix_fmt", "yuv420p", "-vf", "setsar=16/11"], "mjpeg,640,360"),
        // As the agent encodes. And: only a picture without colours can have odd sides.
        ("854x480", &["-pix_fmt", "yuv420p"], "mjpeg,640,360"),
        ("320x181", &["-pix_fmt", "gray"], "mjpeg,320,180"),
        ("321x181", &["-pix_fmt", "gray"], "mjpeg,320,180"),
    ] {
        let jpeg = still(&stills, segment(folder.path(), size, looks)).await.expect(size);
        assert!(jpeg.len() < 200_000, "{size}: {} bytes", jpeg.len());
        assert_eq!(decoded(folder.path(), &jpeg).0, expected, "{size}");
    }
}

#[tokio::test]
async fn white_stays_white() {
    let folder = tempfile::tempdir().expect("a folder");
    let stills = stills(&real()).await;
    for range in [&["-pix_fmt", "yuv420p"][..], &["-pix_fmt", "yuvj420p"]] {
        let white = [&["-vf", "drawbox=t=fill:color=white"], range].concat();
        let jpeg = still(&stills, segment(folder.path(), "640x360", &white)).await.expect("a picture");
        let (_, luma) = decoded(folder.path(), &jpeg);
        assert!(luma.iter().all(|value| *value >= 253), "{range:?}: {:?}", luma.iter().min());
    }
}

#[tokio::test]
async fn the_beginning_of_a_large_segment_is_enough() {
    let folder = tempfile::tempdir().expect("a folder");
    let looks = ["-pix_fmt", "yuv420p", "-qp", "1", "-vf", "noise=alls=100:allf=t"];
    let whole = segment(folder.path(), "1280x720", &looks);
    assert!(whole.len() > 2 * STILL_NEEDS, "{} bytes", whole.len());
    let jpeg = still(&stills(&real()).await, whole.slice(..STILL_NEEDS)).await.expect("a picture");
    assert_eq!(decoded(folder.path(), &jpeg).0, "mjpeg,640,360");
}

#[tokio::test]
async fn what_holds_no_picture_is_said() {
    let stills = stills(&real()).await;
    for (name, segment) in [
        ("nothing", Bytes::new()),
        ("noise", Bytes::from_iter((0..100_000_u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 11) as u8))),
        ("a playlist of a file", Bytes::from_static(b"ffconcat version 1.0\nfile '/etc/passwd'\n")),
    ] {
        match still(&stills, segment).await {
            Err(StillError::NoPicture { said }) => assert!(!said.is_empty(), "{name}"),
            other => panic!("{name}: {other:?}"),
        }
    }
}

#[tokio::test]
async fn a_flood_is_cut_off() {
    let folder = tempfile::tempdir().expect("a folder");
    let stills = script(folder.path(), "exec yes").await;
    let flood = still(&stills, Bytes::from_static(b"x")).await;
    assert!(matches!(flood, Err(StillError::TooLarge { .. })), "{flood:?}");
}

/// The clock is the test's: it jumps to the next deadline as soon as nothing else happens.
#[tokio::test(start_paused = true)]
async fn an_ffmpeg_that_hangs_is_ended_with_all_that_it_started() {
    let folder = tempfile::tempdir().expect("a folder");
    let pids = folder.path().join("pids");
    let body = format!("sleep 1000 & echo $! > {0}.new; mv {0}.new {0}; wait", pids.display());
    tokio::time::resume();
    let stills = script(folder.path(), &body).await;
    let turn = stills.turn().await;
    let hangs = stills.still(turn, Bytes::from_static(b"x"));
    tokio::pin!(hangs);
    while !pids.exists() {
        let early = tokio::time::timeout(Duration::from_millis(20), &mut hangs).await;
        assert!(early.is_err(), "{early:?}");
    }
    tokio::time::pause();
    let late = hangs.await;
    assert!(matches!(late, Err(StillError::Late { .. })), "{late:?}");
    tokio::time::resume();
    ends(&pids).await;
}

#[tokio::test]
async fn a_still_that_nobody_waits_for_any_more_leaves_nothing_behind() {
    let folder = tempfile::tempdir().expect("a folder");
    let pids = folder.path().join("pids");
    let body = format!("sleep 1000 & echo $! > {0}.new; mv {0}.new {0}; wait", pids.display());
    let stills = script(folder.path(), &body).await;
    let hangs = still(&stills, Bytes::from_static(b"x"));
    let started = async {
        while !pids.exists() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::select! {
        early = hangs => panic!("{early:?}"),
        () = started => {}
    }
    ends(&pids).await;
}

/// The process whose id is in the file.
async fn ends(pids: &Path) {
    let pid = fs::read_to_string(pids).expect("a pid");
    let stat = Path::new("/proc").join(pid.trim()).join("stat");
    // Its parent is gone: until somebody reaps it, it is a zombie at most.
    let gone = async {
        while fs::read_to_string(&stat).is_ok_and(|stat| !stat.contains(") Z ")) {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), gone).await.expect("it ends");
}

#[tokio::test]
async fn no_more_than_two_are_made_at_once() {
    let stills = stills(&real()).await;
    let two = (stills.turn().await, stills.turn().await);
    let third = tokio::time::timeout(Duration::from_millis(100), stills.turn()).await;
    assert!(third.is_err(), "three at once");
    drop(two);
    let _third = stills.turn().await;
}
