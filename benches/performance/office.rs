//! What a back office and its viewers ask of one agent: starts, loads, and a thousand cameras.

mod fleet;
mod load;
mod starts;

use std::fmt::Write as _;
use std::net::{SocketAddr, TcpListener};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};
use reqwest::{Client, Response, StatusCode};
use serde_json::{Value, json};

use crate::agent_process::AgentProcess;
use crate::numbers::{ms, percentile};
use crate::stage::Stage;

pub use fleet::report as fleet;
pub use load::report as load;
pub use starts::report as starts;

const UP_WITHIN: Duration = Duration::from_secs(60);
const POLL: Duration = Duration::from_millis(50);

/// An agent with the `file` store, asked over loopback.
struct Office<'a> {
    agent: AgentProcess<'a>,
    listen: SocketAddr,
    client: Client,
}

impl<'a> Office<'a> {
    /// `cameras` by id and URL, which run on demand.
    async fn open(stage: &'a Stage, settings: &str, cameras: &[(String, String)]) -> anyhow::Result<Self> {
        let listen = TcpListener::bind("127.0.0.1:0")?.local_addr()?;
        let (spool, store) = (stage.spool(), stage.path().join("store"));
        let mut yaml = format!(
            "location: location_1\nspool: {}\nstorage: {{type: file, root: {}}}\nhttp: {{listen: \"{listen}\"}}\n\
             defaults:\n  settings: {{start: on_demand, {settings}}}\ncameras:\n",
            spool.display(),
            store.display(),
        );
        for (id, url) in cameras {
            writeln!(yaml, "  - {{id: {id}, rtsp_url: \"{url}\"}}")?;
        }
        let agent = AgentProcess::start(stage, &yaml)?;
        let client = Client::builder().no_proxy().timeout(UP_WITHIN).build()?;
        let office = Self { agent, listen, client };
        let start = Instant::now();
        while office.client.get(office.url("/healthz")).send().await.is_err() {
            ensure!(start.elapsed() < UP_WITHIN, "the agent does not answer: {}", office.agent.log());
            tokio::time::sleep(POLL).await;
        }
        Ok(office)
    }

    fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.listen)
    }

    async fn post(&self, call: &str, id: &str) -> anyhow::Result<Response> {
        let request = self.client.post(self.url(&format!("/api/streams/{call}")));
        Ok(request.json(&json!({"camera_id": id})).send().await?)
    }

    /// Until it can be played, or the camera's failure.
    async fn start(&self, id: &str) -> anyhow::Result<Duration> {
        let start = Instant::now();
        let answer = self.post("start?wait=60s", id).await?;
        let code = answer.status();
        ensure!(code == StatusCode::OK, "{id}: {code} {}", answer.text().await?);
        Ok(start.elapsed())
    }

    async fn status(&self, id: &str) -> anyhow::Result<Value> {
        let answer = self.client.get(self.url(&format!("/api/streams/status/{id}"))).send().await?;
        Ok(answer.json().await?)
    }

    /// Its ffmpeg is gone.
    async fn ended(&self, id: &str) -> anyhow::Result<Duration> {
        let start = Instant::now();
        while self.status(id).await?["phase"] != "idle" {
            if start.elapsed() > UP_WITHIN {
                bail!("{id} does not end: {}", self.agent.log());
            }
            tokio::time::sleep(POLL).await;
        }
        Ok(start.elapsed())
    }

    /// How long a page takes to come, whole.
    async fn takes(&self, path: &str) -> anyhow::Result<Duration> {
        let start = Instant::now();
        self.client.get(self.url(path)).send().await?.error_for_status()?.bytes().await?;
        Ok(start.elapsed())
    }
}

/// `p50 | p90 | p99 | max`, in milliseconds.
fn row(sample: &[Duration]) -> String {
    let at = |percent| format!("{:.1}", ms(percentile(sample, percent)));
    [at(50), at(90), at(99), at(100)].join(" | ")
}

fn in_runtime<T>(work: impl Future<Output = anyhow::Result<T>>) -> anyhow::Result<T> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    runtime.block_on(work).context("the office")
}
