//! The whole pipeline of one 1080p25 camera: the agent and its ffmpeg, copying and re-encoding.
//!
//! A real camera (the tests' own) and the real ffmpeg; the S3 server answers at once. CPU time, not wall time: others
//! may use the machine meanwhile.

use std::net::SocketAddr;
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};

use crate::agent_process::AgentProcess;
use crate::camera::{Camera, CameraOpts};
use crate::process::{children, cpu_time};
use crate::s3_process::S3Process;
use crate::stage::Stage;

/// As a scene with some movement: 4 Mbit/s at most.
const CAMERA: &str = "--size=1920x1080 --fps=25 --gop=50 --bitrate=4000 --picture=moving --audio=aac";
/// `{}`: what the settings ask for by themselves, 854x480 at 15 frames per second.
const SETTINGS: [(&str, &str); 5] = [
    ("`quality: auto`, copying", "{quality: auto}"),
    ("none (854x480 at 15 fps)", "{}"),
    ("`quality: low` (640x360 at 10 fps)", "{quality: low}"),
    ("`quality: medium` (1280x720 at 15 fps)", "{quality: medium}"),
    ("`quality: high` (1920x1080 at 25 fps)", "{quality: high}"),
];
/// A look, the first segments.
const UP_WITHIN: Duration = Duration::from_secs(40);
const MEASURE: Duration = Duration::from_secs(30);

struct Cost {
    /// CPU seconds per second of stream: 1 is a whole core.
    agent: f64,
    ffmpeg: f64,
}

pub fn report() -> anyhow::Result<()> {
    println!("The whole pipeline of one H.264 camera, 1920x1080 at 25 fps with AAC, over {MEASURE:?} each");
    println!("| settings | agent | ffmpeg | both, of a core | times the copy |");
    println!("|---|---|---|---|---|");
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    let camera =
        runtime.block_on(Camera::start(CameraOpts { audio: false, more: CAMERA, ..CameraOpts::default() }));
    let mut copy = None;
    for (name, settings) in SETTINGS {
        let Cost { agent, ffmpeg } = measure(&camera.url(), settings)?;
        let both = agent + ffmpeg;
        let ratio = both / *copy.get_or_insert(both);
        println!(
            "| {name} | {:.2} % | {:.2} % | {:.2} % | {ratio:.1} |",
            agent * 100.0,
            ffmpeg * 100.0,
            both * 100.0
        );
    }
    println!("Expected: copying costs a twentieth of the second row or less.\n");
    Ok(())
}

fn measure(url: &str, settings: &str) -> anyhow::Result<Cost> {
    let stage = Stage::set()?;
    let server = S3Process::start()?;
    let agent = AgentProcess::start(&stage, &yaml(&stage, server.address, url, settings))?;
    wait_for_segments(&agent).with_context(|| agent.log())?;
    let before = spent(&agent)?;
    let start = Instant::now();
    sleep(MEASURE);
    let after = spent(&agent)?;
    let seconds = start.elapsed().as_secs_f64();
    // The same ffmpeg all the time, or its time would be another's.
    ensure!(before.1.0 == after.1.0, "ffmpeg was restarted: {}", agent.log());
    agent.stop()?;
    Ok(Cost {
        agent: (after.0 - before.0).as_secs_f64() / seconds,
        ffmpeg: (after.1.1 - before.1.1).as_secs_f64() / seconds,
    })
}

fn yaml(stage: &Stage, s3: SocketAddr, url: &str, settings: &str) -> String {
    format!(
        "location: location_1\nspool: {}\nstorage: {{type: s3, bucket: streams, endpoint: \"http://{s3}\"}}\n\
         defaults:\n  settings: {settings}\ncameras:\n  - {{id: cam_1, rtsp_url: \"{url}\"}}\n",
        stage.spool().display(),
    )
}

/// The run that streams has begun, whatever was looked at before.
fn wait_for_segments(agent: &AgentProcess) -> anyhow::Result<()> {
    let start = Instant::now();
    while start.elapsed() < UP_WITHIN {
        if agent.log().contains("first segment") {
            return Ok(());
        }
        sleep(Duration::from_millis(100));
    }
    anyhow::bail!("no segment within {UP_WITHIN:?}")
}

/// The agent's CPU time; its ffmpeg's process and CPU time.
fn spent(agent: &AgentProcess) -> anyhow::Result<(Duration, (u32, Duration))> {
    let children = children(agent.pid())?;
    let &[ffmpeg] = children.as_slice() else { anyhow::bail!("{} children", children.len()) };
    Ok((cpu_time(agent.pid())?, (ffmpeg, cpu_time(ffmpeg)?)))
}
