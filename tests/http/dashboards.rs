//! The Grafana dashboard and the alert rules that are shipped: they ask for metrics that there are, in a way that
//! Prometheus understands.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use edge_agent::http::{StreamStatus, Streams};
use serde_json::Value;

use crate::{Server, streams};

fn shipped(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("packaging").join(path)
}

fn dashboard() -> Value {
    serde_json::from_slice(&std::fs::read(shipped("grafana/edge-agent.json")).unwrap()).unwrap()
}

fn panels(dashboard: &Value) -> &Vec<Value> {
    dashboard["panels"].as_array().unwrap()
}

/// Of all panels and variables, with the variables' stand-ins.
fn expressions(dashboard: &Value) -> Vec<String> {
    let targets = panels(dashboard).iter().filter_map(|panel| panel["targets"].as_array()).flatten();
    let expressions = targets.map(|target| target["expr"].as_str().unwrap());
    let known = [("$__rate_interval", "5m"), ("$instance", ".*"), ("$camera", ".*")];
    let filled =
        |text: &str| known.iter().fold(text.to_owned(), |text, (name, value)| text.replace(name, value));
    expressions.map(filled).collect()
}

/// Every name of a metric in a text.
fn names(text: &str) -> BTreeSet<String> {
    let words = text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    let ours = words.filter(|word| word.starts_with("edge_agent_") || word.starts_with("process_"));
    ours.map(ToOwned::to_owned).collect()
}

fn promtool(args: &[&str], folder: &Path) {
    let output = Command::new("promtool").args(args).current_dir(folder).output();
    let output = output.expect("needs promtool: packaging/setup.sh test installs it (package prometheus)");
    let said = [output.stdout, output.stderr].map(|said| String::from_utf8(said).unwrap()).concat();
    assert!(output.status.success(), "promtool {args:?}: {said}");
}

/// All that a server can tell: of a camera that is live, and of one that is not.
async fn told() -> BTreeSet<String> {
    let server = Server::start().await;
    let down = StreamStatus { camera_id: "cam_door".into(), next_try_in_s: Some(5.0), ..streams::told() };
    let both = vec![streams::told(), down];
    server.site.send_modify(|site| site.streams = Streams::new(move || both.clone()));
    let told = async {
        loop {
            let text = server.get("/metrics").send().await.unwrap().text().await.unwrap();
            if text.contains("cam_door") {
                return names(&text);
            }
        }
    };
    tokio::time::timeout(crate::PATIENCE, told).await.unwrap()
}

#[tokio::test]
async fn they_ask_for_what_there_is() {
    let told = told().await;
    let alerts = std::fs::read_to_string(shipped("prometheus/alerts.yaml")).unwrap();
    for text in expressions(&dashboard()).into_iter().chain([alerts, dashboard()["templating"].to_string()]) {
        let missing: Vec<_> = names(&text).into_iter().filter(|name| !told.contains(name)).collect();
        assert!(missing.is_empty(), "{missing:?} in {text}\nthere is: {told:?}");
    }
    let asked: BTreeSet<_> = expressions(&dashboard()).iter().flat_map(|text| names(text)).collect();
    assert!(asked.len() > 20, "{asked:?}");
}

#[test]
fn the_dashboard_can_be_loaded_anywhere() {
    let dashboard = dashboard();
    let ids: BTreeSet<u64> = panels(&dashboard).iter().map(|panel| panel["id"].as_u64().unwrap()).collect();
    assert_eq!(ids.len(), panels(&dashboard).len(), "each panel has an id of its own");
    let variables = dashboard["templating"]["list"].as_array().unwrap();
    let has = |name: &str| variables.iter().any(|variable| variable["name"] == name);
    assert!(has("datasource") && has("instance") && has("camera"));
    assert_eq!(variables[0]["type"], "datasource", "the others are asked of it");
    for panel in panels(&dashboard).iter().filter(|panel| panel["type"] != "row") {
        let title = &panel["title"];
        let of_variable = |source: &Value| source["uid"] == "${datasource}" && source["type"] == "prometheus";
        assert!(of_variable(&panel["datasource"]), "{title}");
        let targets = panel["targets"].as_array().unwrap();
        assert!(targets.iter().all(|target| of_variable(&target["datasource"])), "{title}");
        let refs: BTreeSet<_> = targets.iter().map(|target| target["refId"].as_str().unwrap()).collect();
        assert_eq!(refs.len(), targets.len(), "{title}");
        let place = |side: &str| panel["gridPos"][side].as_u64().unwrap();
        assert!(place("x") + place("w") <= 24 && place("h") > 0, "{title}");
    }
    // An id is the data base's, which it is loaded into.
    assert!(dashboard.get("id").is_none_or(Value::is_null) && dashboard["uid"] == "edge-agent");
}

/// No two of them cover each other.
#[test]
fn panels_lie_beside_each_other() {
    let dashboard = dashboard();
    let area = |panel: &Value| ["x", "y", "w", "h"].map(|side| panel["gridPos"][side].as_u64().unwrap());
    let areas: Vec<_> = panels(&dashboard).iter().map(area).collect();
    for (index, [x, y, w, h]) in areas.iter().enumerate() {
        for [x2, y2, w2, h2] in &areas[index + 1..] {
            let apart = x + w <= *x2 || x2 + w2 <= *x || y + h <= *y2 || y2 + h2 <= *y;
            assert!(apart, "{} covers another panel", panels(&dashboard)[index]["title"]);
        }
    }
}

#[test]
fn prometheus_understands_every_expression() {
    let folder = tempfile::TempDir::new().unwrap();
    let mut rules = "groups:\n  - name: dashboard\n    rules:\n".to_owned();
    for (index, expression) in expressions(&dashboard()).iter().enumerate() {
        let quoted = serde_json::to_string(expression).unwrap();
        writeln!(rules, "      - {{record: \"panel:{index}\", expr: {quoted}}}").unwrap();
    }
    std::fs::write(folder.path().join("rules.yaml"), rules).unwrap();
    promtool(&["check", "rules", "rules.yaml"], folder.path());
}

#[test]
fn alerts_fire_when_they_should() {
    let folder = shipped("prometheus");
    promtool(&["check", "rules", "alerts.yaml"], &folder);
    promtool(&["test", "rules", "alerts.test.yaml"], &folder);
}
