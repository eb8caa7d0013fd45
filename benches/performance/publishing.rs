//! From a segment's rename in the spool to the playlist PUT's answer, against the limit of two round trips:
//! the segment's PUT, then the playlist's.
//!
//! The whole agent runs in this process, so that the moment at which it learns the answer can be read off its
//! status; ffmpeg's stand-in and the S3 server do not.

use std::net::SocketAddr;
use std::time::{Duration, Instant, SystemTime};

use anyhow::{Context as _, ensure};
use edge_agent::agent::Agent;
use edge_agent::config::model::{
    Camera, Config, LIVE_STREAM, S3Config, S3Credentials, Settings, StoreConfig,
};
use edge_agent::domain::source::Source;

use crate::link::Link;
use crate::numbers::{ms, percentile};
use crate::s3_process::S3Process;
use crate::stage::Stage;

const ROUND_TRIPS_MS: [u64; 3] = [0, 20, 100];
/// Short, for many samples; longer than any overhead, so that no segment waits for the one before.
const SEGMENT: Duration = Duration::from_millis(500);
/// Until the window has slid, deletions go on beside the uploads, and connections are there.
const WARM_UP: u64 = 16;
const SAMPLES: u64 = 40;
const TARGET: f64 = 1.15;

/// One playlist PUT that was answered: how many segments were published by then, and when.
type Stored = (u64, SystemTime);

struct Overheads {
    /// With no connection yet, and the takeover's GET before it.
    first: Duration,
    rest: Vec<Duration>,
    connections: usize,
}

pub fn report() -> anyhow::Result<()> {
    println!(
        "Publishing overhead: segment's rename -> playlist PUT's answer, {SAMPLES} segments of 500 kB each"
    );
    println!("| round trip | limit | p50 | p90 | max | ratio p50 | ratio p90 | first | connections |");
    println!("|---|---|---|---|---|---|---|---|---|");
    for round_trip_ms in ROUND_TRIPS_MS {
        let Overheads { first, rest, connections } = measure(Duration::from_millis(round_trip_ms))?;
        let limit = 2.0 * round_trip_ms as f64;
        let [p50, p90, max] = [50, 90, 100].map(|percent| ms(percentile(&rest, percent)));
        let ratio = |value: f64| if limit > 0.0 { format!("{:.3}", value / limit) } else { "-".to_owned() };
        println!(
            "| {round_trip_ms} ms | {limit} ms | {p50:.2} ms | {p90:.2} ms | {max:.2} ms | {} | {} | {:.1} ms | {connections} |",
            ratio(p50),
            ratio(p90),
            ms(first),
        );
    }
    println!("Target: a ratio of {TARGET} or less at 100 ms.\n");
    Ok(())
}

fn measure(round_trip: Duration) -> anyhow::Result<Overheads> {
    let stage = Stage::set()?;
    let server = S3Process::start()?;
    let link = Link::start(server.address, round_trip)?;
    let runtime = edge_agent::cli::runtime()?;
    let stored = runtime.block_on(run_agent(&config(&stage, link.address)?))?;
    let renames = stage.renames()?;
    let mut overheads = stored.iter().filter_map(|(published, at)| {
        let renamed = renames.get(usize::try_from(*published).ok()?.checked_sub(1)?)?;
        Some((*published, at.duration_since(*renamed).ok()?))
    });
    let (_, first) = overheads.next().context("nothing was published")?;
    let rest: Vec<_> =
        overheads.filter(|(published, _)| *published > WARM_UP).map(|(_, time)| time).collect();
    ensure!(
        rest.len() as u64 >= SAMPLES * 9 / 10,
        "only {} segments got a playlist of their own",
        rest.len()
    );
    Ok(Overheads { first, rest, connections: link.connections() })
}

async fn run_agent(config: &Config) -> anyhow::Result<Vec<Stored>> {
    let agent = Agent::start(config, &config.cameras.iter().collect::<Vec<_>>()).await?;
    let mut status = agent.statuses().first().context("a camera")?.clone();
    let mut stored: Vec<Stored> = Vec::new();
    let mut last = None;
    let deadline = SEGMENT * u32::try_from(WARM_UP + SAMPLES)? + Duration::from_secs(20);
    let watching = async {
        while stored.last().is_none_or(|(published, _)| *published < WARM_UP + SAMPLES) {
            status.changed().await?;
            let (published, at) = {
                let status = status.borrow_and_update();
                (status.progress.segments_published, status.playlist_stored)
            };
            if let Some(at) = at.filter(|at| last.replace(*at) != Some(*at)) {
                stored.push((published, wall_clock(at)));
            }
        }
        anyhow::Ok(())
    };
    tokio::time::timeout(deadline, watching).await.context("the agent publishes too slowly")??;
    agent.stop(std::future::pending()).await;
    Ok(stored)
}

/// The stand-in is another process: only the wall clock is common.
fn wall_clock(at: Instant) -> SystemTime {
    SystemTime::now() - at.elapsed()
}

fn config(stage: &Stage, s3: SocketAddr) -> anyhow::Result<Config> {
    let settings =
        Settings { target_fps: 10, segment_duration: SEGMENT, segments_to_keep: 6, ..Settings::default() };
    let camera = Camera {
        id: "cam".parse()?,
        name: "cam".into(),
        source: Source::Clip(stage.clip()),
        use_case: LIVE_STREAM.into(),
        enabled: true,
        settings,
        said: Default::default(),
    };
    let credentials = S3Credentials {
        access_key_id: "bench".into(),
        secret_access_key: "bench".into(),
        session_token: None,
    };
    Ok(Config {
        location: "location_1".parse()?,
        store: StoreConfig::S3(S3Config {
            bucket: "streams".into(),
            endpoint: Some(format!("http://{s3}").parse()?),
            region: None,
            credentials: Some(credentials),
            public_base_url: None,
        }),
        min_playlist_interval: std::time::Duration::ZERO,
        request_prices: None,
        http: None,
        spool: Some(stage.spool()),
        spool_limit: None,
        ffmpeg: Some(stage.ffmpeg()),
        defaults: Default::default(),
        cameras: vec![camera],
        others: Vec::new(),
    })
}
