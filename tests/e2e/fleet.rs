//! Many more cameras than run at once.

use std::fmt::Write as _;
use std::fs;

use reqwest::{Client, StatusCode};
use serde_json::{Value, json};

use crate::browser::free_address;
use crate::support::agent::{Agent, Place};
use crate::support::wait::until;
use crate::{STOP_WITHIN, UP_WITHIN, my_turn};

/// Of more than these on demand, each gets the less of the spool the more of them run.
const AT_ONCE: usize = 64;
const FLEET: usize = 1000;
/// What each camera that nobody watches may cost.
const MOST_KB: u64 = 100;

struct Office {
    client: Client,
    base: String,
}

impl Office {
    async fn post(&self, call: &str, camera: usize) -> (StatusCode, Value) {
        let body = json!({"camera_id": format!("cam_{camera}")});
        let request = self.client.post(format!("{}/api/streams/{call}", self.base)).json(&body);
        let answer = request.send().await.expect("the agent answers");
        (answer.status(), answer.json().await.expect("JSON"))
    }

    async fn get(&self, path: &str) -> String {
        let answer = self.client.get(format!("{}{path}", self.base)).send().await.expect("the agent answers");
        answer.text().await.expect("text")
    }

    async fn last_error(&self, camera: usize) -> String {
        let status = self.get(&format!("/api/streams/status/cam_{camera}")).await;
        let status: Value = serde_json::from_str(&status).expect("JSON");
        status["last_error"].as_str().unwrap_or_default().to_owned()
    }
}

/// So many on demand, with nothing at their address.
async fn started(name: &str, cameras: usize, more: &str) -> (Place, Agent, Office) {
    let (place, listen, nowhere) = (Place::new(name), free_address(), free_address());
    let here = place.path().display();
    let mut text = format!(
        "location: location_1\nspool: {here}/spool\nstorage: {{type: file, root: {here}/store}}\n\
         http: {{listen: \"{listen}\"}}\ndefaults: {{settings: {{start: on_demand, idle_timeout: 1h}}}}\n{more}cameras:\n"
    );
    for camera in 1..=cameras {
        writeln!(text, "  - {{id: cam_{camera}, rtsp_url: \"rtsp://{nowhere}/{camera}\"}}").unwrap();
    }
    place.write_config(&text);
    let mut agent = place.start(&[]);
    agent.log_line(&["edge-agent started"], UP_WITHIN).await;
    (place, agent, Office { client: Client::new(), base: format!("http://{listen}") })
}

fn rss_kb(agent: &Agent) -> u64 {
    let status = fs::read_to_string(format!("/proc/{}/status", agent.id())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches("kB").trim().parse().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_cameras_that_nobody_watches_cost_little() {
    let _turn = my_turn().await;
    let (_place, mut agent, office) = started("fleet-of-one", 1, "").await;
    office.get("/api/streams").await;
    let of_one_kb = rss_kb(&agent);
    agent.stop(STOP_WITHIN).await;

    let (place, mut agent, office) = started("fleet", FLEET, "").await;
    let streams: Value = serde_json::from_str(&office.get("/api/streams").await).unwrap();
    assert_eq!(streams.as_array().map(Vec::len), Some(FLEET));
    let metrics = office.get("/metrics").await;
    assert!(metrics.contains(&format!("edge_agent_streams {FLEET}\n")), "{}", &metrics[..400]);
    let each_kb = rss_kb(&agent).saturating_sub(of_one_kb) / FLEET as u64;
    assert!(each_kb < MOST_KB, "{each_kb} kB for each");
    assert_eq!(place.ffmpegs().len(), 0);
    let lines = agent.log().lines().count();
    assert!(lines < 20, "{lines} lines: {}", agent.log());
    agent.stop(STOP_WITHIN).await;
}

/// The least limit: 64 have it all.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_start_without_room_in_the_spool_says_so_and_comes_when_there_is() {
    let _turn = my_turn().await;
    let (_place, mut agent, office) = started("fleet-room", AT_ONCE + 2, "spool_limit: 8MB\n").await;
    for camera in 1..=AT_ONCE {
        assert_eq!(office.post("start", camera).await.0, StatusCode::ACCEPTED);
    }
    let all_run = async || {
        let streams: Value = serde_json::from_str(&office.get("/api/streams").await).ok()?;
        let runs = |stream: &&Value| stream["phase"] != "idle";
        (streams.as_array()?.iter().filter(runs).count() == AT_ONCE).then_some(())
    };
    until(UP_WITHIN, "all that were started", all_run, || "").await;
    let late = AT_ONCE + 1;
    let (code, answer) = office.post("start?wait=20s", late).await;
    let error = answer["error"].as_str().unwrap_or_default();
    assert_eq!((code, error), (StatusCode::BAD_GATEWAY, "the spool limit was reached"));
    agent.log_line(&["warn", &format!("cam_{late}"), "spool_limit"], UP_WITHIN).await;
    assert_eq!(office.post("stop", 1).await.0, StatusCode::OK);
    let has_room = async || office.last_error(late).await.contains("can't be reached").then_some(());
    until(UP_WITHIN, "its turn", has_room, || "").await;
    // It has all the room again that nobody uses.
    assert_eq!(office.post("stop", late).await.0, StatusCode::OK);
    let (code, answer) = office.post("start?wait=20s", late + 1).await;
    assert!(code == StatusCode::BAD_GATEWAY, "{answer}");
    let has_room = async || office.last_error(late + 1).await.contains("can't be reached").then_some(());
    until(UP_WITHIN, "the turn of the next one", has_room, || "").await;
    agent.stop(STOP_WITHIN).await;
}
