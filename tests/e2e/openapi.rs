//! What the agent answers, against its own description of it: requests that nobody thought of, by schemathesis.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use reqwest::Client;
use serde_json::Value;
use tokio::process::Command;
use tokio::time::timeout;
use url::Url;

use crate::browser::free_address;
use crate::support::agent::Place;
use crate::{STOP_WITHIN, UP_WITHIN, my_turn};

const TOKEN: &str = "a-token-for-schemathesis";
const RUNS_WITHIN: Duration = Duration::from_secs(240);

/// Nothing listens there: a camera that is wanted has failed at once, and one that always runs is down.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_answer_is_as_described_and_none_is_an_error_of_the_server() {
    let nowhere = format!("rtsp://viewer:hunter2@{}/x", free_address());
    let cameras = format!(
        "  - {{id: cam_floor, rtsp_url: \"{nowhere}\"}}\n\
         \x20 - {{id: cam_always, rtsp_url: \"{nowhere}\", settings: {{start: always}}}}\n"
    );
    asked("openapi", "", &cameras, &["get /api/health"]).await;
}

/// A box that is well, and takes cameras of its callers.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_answer_of_a_box_that_is_well_is_as_described() {
    let adhoc = ", allow_adhoc: true, adhoc: {networks: [127.0.0.0/8], max_streams: 2}";
    let cameras = "  - {id: cam_floor, rtsp_url: \"test://\", settings: {target_width: 320}}\n\
                   \x20 - {id: cam_always, rtsp_url: \"test://\", settings: {target_width: 320, start: always}}\n";
    asked("openapi-well", adhoc, cameras, &[]).await;
}

async fn asked(name: &str, http: &str, cameras: &str, others: &[&str]) {
    let _turn = my_turn().await;
    let (place, listen) = (Place::new(name), free_address());
    let store = place.path().join("store");
    fs::create_dir_all(store.join("location_1/cam_floor")).unwrap();
    fs::write(store.join("location_1/cam_floor/stream.m3u8"), "#EXTM3U\n").unwrap();
    place.write_config(&format!(
        "location: location_1\nspool: {}\nstorage: {{type: file, root: {}}}\n\
         http: {{listen: \"{listen}\", token: {TOKEN}{http}}}\n\
         defaults: {{settings: {{start: on_demand, idle_timeout: 5}}}}\ncameras:\n{cameras}",
        place.path().join("spool").display(),
        store.display()
    ));
    let mut agent = place.start(&[]);
    agent.log_line(&["edge-agent started"], UP_WITHIN).await;
    if others.is_empty() {
        agent.log_line(&["camera is live"], UP_WITHIN).await;
    }

    let url = format!("http://{listen}/api/openapi.json");
    let api: Value = Client::new().get(&url).bearer_auth(TOKEN).send().await.unwrap().json().await.unwrap();
    let count = |item: &Value| item.as_object().map_or(0, serde_json::Map::len);
    let operations: usize = api["paths"].as_object().unwrap().values().map(count).sum();
    // It does not ask for what it has got: the description itself.
    let operations = operations - 1;
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/schemathesis");
    let mut command = Command::new(folder.join(".venv/bin/schemathesis"));
    command.arg("--config-file").arg(folder.join("schemathesis.toml")).args(["run", &url]);
    command.arg("-H").arg(format!("Authorization: Bearer {TOKEN}"));
    let asked = place.path().join("asked.har");
    command.args(["--report", "har", "--report-har-path"]).arg(&asked);
    command.current_dir(place.path()).stdin(Stdio::null()).kill_on_drop(true);
    let output = timeout(RUNS_WITHIN, command.output()).await.expect("it ends");
    let output =
        output.unwrap_or_else(|error| panic!("no schemathesis ({error}): run packaging/setup.sh test"));
    let said =
        format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{said}");
    assert!(said.contains(&format!("Tested: {operations}\n")) && operations >= 15, "{said}");
    let never = never_done(&asked, &api, others);
    assert!(never.is_empty(), "none of the requests was carried out: {never:?}");

    agent.assert_running();
    let log = agent.log();
    for word in ["panic", "a bug", "hunter2", TOKEN] {
        assert!(!log.contains(word), "{word} in {log}");
    }
    agent.stop(STOP_WITHIN).await;
}

/// Operations that no request got a success from: what they answer then was not looked at.
fn never_done(har: &Path, api: &Value, others: &[&str]) -> BTreeSet<String> {
    let har: Value = serde_json::from_slice(&fs::read(har).unwrap()).unwrap();
    let done = har["log"]["entries"].as_array().unwrap().iter().filter_map(|entry| {
        let status = entry["response"]["status"].as_u64()?;
        let url = Url::parse(entry["request"]["url"].as_str()?).ok()?;
        let names = [("/cam_floor", "/{id}"), ("stream.m3u8", "{name}"), ("edge-player.js", "{name}")];
        let path = names.iter().fold(url.path().to_owned(), |path, (is, named)| path.replace(is, named));
        let method = entry["request"]["method"].as_str()?.to_ascii_lowercase();
        (200..300).contains(&status).then(|| format!("{method} {path}"))
    });
    let done: BTreeSet<String> = done.collect();
    let paths = api["paths"].as_object().unwrap().iter();
    let all =
        paths.flat_map(|(path, item)| item.as_object().unwrap().keys().map(move |m| format!("{m} {path}")));
    // The description itself is not asked for again, and a proxy asks with a header of its own.
    let others = [others, &["get /api/openapi.json", "get /api/auth"]].concat();
    all.filter(|one| !done.contains(one) && !others.contains(&one.as_str())).collect()
}
