//! The released binary's own CPU time and memory with 1 and 20 cameras; ffmpeg's stand-ins and the S3 server
//! are other processes.

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};

use crate::agent_process::AgentProcess;
use crate::numbers::mean;
use crate::process::{Memory, cpu_time, memory, peak_rss, threads};
use crate::s3_process::S3Process;
use crate::s3_server::PUTS_PATH;
use crate::stage::Stage;

const MANY: usize = 20;
/// Until the window has slid and deletions go on.
const WARM_UP: Duration = Duration::from_secs(26);
const MEASURE: Duration = Duration::from_secs(30);

struct Footprint {
    /// Percent of one core.
    cpu: f64,
    memory: Memory,
    peak_rss: f64,
    threads: usize,
    puts_per_s: f64,
}

pub fn report() -> anyhow::Result<()> {
    println!("Footprint of the agent alone: segments of 2 s and 500 kB, window of 5, over {MEASURE:?}");
    println!("| cameras | CPU, of a core | RSS | of it anonymous | PSS | peak RSS | threads | PUTs/s |");
    println!("|---|---|---|---|---|---|---|---|");
    let [one, many] = [measure(1)?, measure(MANY)?];
    for (cameras, footprint) in [(1, &one), (MANY, &many)] {
        let Footprint { cpu, memory, peak_rss, threads, puts_per_s } = footprint;
        println!(
            "| {cameras} | {cpu:.2} % | {:.1} MB | {:.1} MB | {:.1} MB | {peak_rss:.1} MB | {threads} | {puts_per_s:.1} |",
            memory.rss, memory.anonymous, memory.pss,
        );
    }
    let further = (MANY - 1) as f64;
    println!(
        "Per further camera: {:.2} MB of RSS, {:.2} MB of it anonymous, {:.3} % of a core.",
        (many.memory.rss - one.memory.rss) / further,
        (many.memory.anonymous - one.memory.anonymous) / further,
        (many.cpu - one.cpu) / further,
    );
    println!("Targets: under 1 % and under 40 MB with one, 1 MB or less per further camera.\n");
    Ok(())
}

fn measure(cameras: usize) -> anyhow::Result<Footprint> {
    let stage = Stage::set()?;
    let server = S3Process::start()?;
    let agent = AgentProcess::start(&stage, &yaml(&stage, server.address, cameras)?)?;
    sleep(WARM_UP);
    let pid = agent.pid();
    let (puts, cpu, start) = (puts(server.address)?, cpu_time(pid)?, Instant::now());
    let mut memories = Vec::new();
    while start.elapsed() < MEASURE {
        sleep(Duration::from_millis(500));
        memories.push(memory(pid).with_context(|| agent.log())?);
    }
    let seconds = start.elapsed().as_secs_f64();
    let mean_of = |figure: fn(&Memory) -> f64| mean(&memories.iter().map(figure).collect::<Vec<_>>());
    let footprint = Footprint {
        cpu: (cpu_time(pid)? - cpu).as_secs_f64() / seconds * 100.0,
        memory: Memory {
            rss: mean_of(|m| m.rss),
            anonymous: mean_of(|m| m.anonymous),
            pss: mean_of(|m| m.pss),
        },
        peak_rss: peak_rss(pid)?,
        threads: threads(pid)?,
        puts_per_s: (self::puts(server.address)? - puts) as f64 / seconds,
    };
    // A segment and a playlist every two seconds.
    let expected = cameras as f64;
    ensure!(footprint.puts_per_s > 0.9 * expected, "too little was published: {}", agent.log());
    agent.stop()?;
    Ok(footprint)
}

fn puts(server: SocketAddr) -> anyhow::Result<u64> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let text = runtime.block_on(async {
        let client = reqwest::Client::builder().no_proxy().build()?;
        client.get(format!("http://{server}{PUTS_PATH}")).send().await?.text().await
    })?;
    Ok(text.parse()?)
}

fn yaml(stage: &Stage, s3: SocketAddr, cameras: usize) -> anyhow::Result<String> {
    let mut text = format!(
        "location: location_1\nspool: {}\nffmpeg: {}\nstorage: {{type: s3, bucket: streams, endpoint: \"http://{s3}\"}}\ncameras:\n",
        stage.spool().display(),
        stage.ffmpeg().display(),
    );
    for number in 1..=cameras {
        writeln!(text, "  - {{id: cam_{number}, rtsp_url: \"file://{}\"}}", stage.clip().display())?;
    }
    Ok(text)
}
