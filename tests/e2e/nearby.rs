//! A stream in parts out of the box itself: blocking reload, the part that comes next, and stock hls.js near the edge.

use std::path::Path;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use reqwest::{Client, StatusCode};
use tokio::process::Command;

use crate::browser::free_address;
use crate::support::agent::{Agent, Place};
use crate::support::wait::until;
use crate::{STOP_WITHIN, UP_WITHIN, alone, my_turn};

const PLAY_SECONDS: u64 = 30;
/// For the browser to start and to end.
const PLAYED_WITHIN: Duration = Duration::from_secs(150);
/// Reloads in a row, of which each but the first one has news.
const RELOADS: usize = 20;
/// A part that does not come is waited for as long as three take; clocks differ by little.
const PATIENCE: Duration = Duration::from_millis(550);
/// A playlist is: three target durations of a second.
const RELOAD_PATIENCE: Duration = Duration::from_millis(2_900);
/// Of one part, and of all reloads: a busy machine may be late with some.
const MOST_LATE: usize = 20;
const LATE: usize = RELOADS / 4;

struct Box {
    client: Client,
    folder: String,
}

/// What a playlist says, as far as a player needs it.
#[derive(Debug, PartialEq)]
struct Seen {
    /// Of the open segment.
    msn: u64,
    parts: Vec<String>,
    hint: Option<String>,
}

impl Box {
    async fn get(&self, name: &str) -> (StatusCode, String) {
        let answer = self.client.get(format!("{}{name}", self.folder)).send().await.expect("an answer");
        (answer.status(), answer.text().await.expect("text"))
    }

    /// A part that was hinted at, which a busy machine may be late with: then it is asked for again.
    /// How often it was.
    async fn comes(&self, hint: &str) -> usize {
        for late in 0..MOST_LATE {
            let asked = edge_agent::clock::now();
            if self.get(hint).await.0 == StatusCode::OK {
                return late;
            }
            assert!(asked.elapsed() >= PATIENCE, "{hint} was not waited for: {:?}", asked.elapsed());
        }
        panic!("{hint} did not come");
    }

    async fn playlist(&self, query: &str) -> Seen {
        let (status, text) = self.get(&format!("stream.m3u8{query}")).await;
        assert_eq!(status, StatusCode::OK, "{text}");
        seen(&text)
    }
}

fn quoted(line: &str) -> Option<String> {
    Some(line.split("URI=\"").nth(1)?.split('"').next()?.to_owned())
}

fn seen(text: &str) -> Seen {
    let first: u64 = text
        .lines()
        .find_map(|line| line.strip_prefix("#EXT-X-MEDIA-SEQUENCE:"))
        .and_then(|number| number.parse().ok())
        .unwrap_or_else(|| panic!("{text}"));
    let segments = text.lines().filter(|line| line.starts_with("#EXTINF:")).count();
    let open = text.rsplit_once("#EXTINF:").map_or("", |(_, open)| open);
    let parts = open.lines().filter(|line| line.starts_with("#EXT-X-PART:")).filter_map(quoted).collect();
    let hint = open.lines().find(|line| line.starts_with("#EXT-X-PRELOAD-HINT:")).and_then(quoted);
    Seen { msn: first + segments as u64, parts, hint }
}

async fn start(name: &str) -> (Place, Agent, Box) {
    let (place, listen) = (Place::new(name), free_address());
    place.write_config(&format!(
        "spool: {}\nstorage: {{type: none}}\nhttp: {{listen: \"{listen}\"}}\n\
         defaults: {{settings: {{profile: sub_second, target_width: 320}}}}\n\
         cameras:\n  - {{id: cam, rtsp_url: \"test://\"}}\n",
        place.path().join("spool").display(),
    ));
    let agent = place.start(&[]);
    let near = Box { client: Client::new(), folder: format!("http://{listen}/streams/cam/") };
    let has_parts = async || {
        let answer = near.client.get(format!("{}stream.m3u8", near.folder)).send().await.ok()?;
        answer.text().await.ok()?.contains("#EXT-X-PART:").then_some(())
    };
    until(UP_WITHIN, "a playlist with parts", has_parts, || agent.log()).await;
    (place, agent, near)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reload_waits_for_the_next_part_and_tells_each_once() {
    let _turn = my_turn().await;
    let (place, mut agent, near) = start("nearby").await;
    let (mut now, mut late) = (near.playlist("").await, 0);
    for _ in 0..RELOADS {
        let hint = now.hint.clone().expect("a hint");
        let (next, part) = (now.msn, now.parts.len());
        // The part and the playlist are waited for at once, as players do.
        let query = format!("?_HLS_msn={next}&_HLS_part={part}");
        let asked = edge_agent::clock::now();
        let (again, newer) = tokio::join!(near.comes(&hint), near.playlist(&query));
        late += again;
        if again > 0 && newer == now && asked.elapsed() >= RELOAD_PATIENCE {
            // As much as it waits: the machine stood still.
            late += 1;
            continue;
        }
        assert!(newer.msn > next || newer.parts.len() > part, "{now:?} {newer:?}");
        if newer.msn == next {
            assert_eq!(newer.parts[part], hint, "what was hinted at came");
            assert!(newer.parts.starts_with(&now.parts), "{now:?} {newer:?}");
        }
        now = newer;
    }
    assert!(late <= LATE, "{late} times no part came while it was waited for");
    let whole = near.playlist(&format!("?_HLS_msn={}", now.msn)).await;
    assert!(whole.msn > now.msn, "{whole:?}");
    for wrong in [format!("?_HLS_msn={}", whole.msn + 9), "?_HLS_part=1".into(), "?_HLS_msn=x".into()] {
        assert_eq!(near.get(&format!("stream.m3u8{wrong}")).await.0, StatusCode::BAD_REQUEST, "{wrong}");
    }
    let (status, _) = near.get("part_1a20185516cb6f73237_000030.m4s").await;
    assert_eq!(status, StatusCode::NOT_FOUND);
    between_two_runs_it_says_that_there_will_be_parts(&place, &near, &agent).await;
    agent.assert_running();
    agent.stop(STOP_WITHIN).await;
}

/// Players would leave its parts for good.
async fn between_two_runs_it_says_that_there_will_be_parts(place: &Place, near: &Box, agent: &Agent) {
    let run_of = |part: &str| part.split('_').nth(1).map(str::to_owned);
    let before = near.playlist("").await.hint.as_deref().and_then(run_of);
    for ffmpeg in place.ffmpegs() {
        kill(Pid::from_raw(ffmpeg.pid.cast_signed()), Signal::SIGKILL).expect("it can be killed");
    }
    let another = async || {
        let (status, text) = near.get("stream.m3u8").await;
        assert_eq!(status, StatusCode::OK);
        assert!(text.contains("CAN-BLOCK-RELOAD=YES") && text.contains("#EXT-X-PART-INF:"), "{text}");
        let run = seen(&text).hint.as_deref().and_then(run_of)?;
        (Some(run) != before).then_some(())
    };
    until(UP_WITHIN, "parts of another run", another, || agent.log()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn stock_hls_js_plays_parts_near_the_edge() {
    let _turn = alone().await;
    let (_place, mut agent, near) = start("nearby-stock").await;
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let newest = root.join("player/node_modules/hls.js/dist/hls.js").display().to_string();
    let mut node = Command::new("node");
    node.arg(root.join("tests/browser/stock.mjs"))
        .arg("--playlist")
        .arg(format!("{}stream.m3u8", near.folder));
    node.arg("--seconds").arg(PLAY_SECONDS.to_string()).args(["--by-parts", &format!("newest={newest}")]);
    let output = tokio::time::timeout(PLAYED_WITHIN, node.kill_on_drop(true).output()).await;
    let output = output.expect("the browser ends in time").expect("node: run packaging/setup.sh test");
    let (said, text) = (String::from_utf8_lossy(&output.stderr), String::from_utf8_lossy(&output.stdout));
    eprintln!("{text}");
    assert!(output.status.success(), "{text}{said}");
    agent.assert_running();
    agent.stop(STOP_WITHIN).await;
}
