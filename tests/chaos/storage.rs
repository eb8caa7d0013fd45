//! Everything a store and the way to it can do wrong, one after the other to one agent.

use std::time::Duration;

use crate::report::{Row, Table};
use crate::stage::{Limits, SEGMENT, SLACK, Stage, last, small_camera};
use crate::support::fault_proxy::{Canned, Fault};
use crate::trial::{attempt, failed};

/// One probe at a time, for segments, playlist and deletions each; and what was under way when it began.
const REQUESTS_PER_S: f64 = 3.0;
const REQUESTS_AT_ONCE: u64 = 20;
/// What a person has to mend is asked for every 30 s.
const DENIED_PAUSE: Duration = Duration::from_secs(30);
const RETRY_AFTER: Duration = Duration::from_secs(2);

const fn xml(status: u16, body: &'static str) -> Fault {
    Fault::Answer(Canned { status, headers: &[("content-type", "application/xml")], body })
}

const fn page(status: u16) -> Fault {
    let body = "<!DOCTYPE html><html><body>Sorry, you have been blocked</body></html>";
    Fault::Answer(Canned { status, headers: &[("content-type", "text/html")], body })
}

const SLOW_DOWN: Fault = Fault::Answer(Canned {
    status: 503,
    headers: &[("content-type", "application/xml"), ("retry-after", "2")],
    body: "<Error><Code>SlowDown</Code><Message>Please reduce your request rate.</Message></Error>",
});

#[derive(Debug)]
enum Trouble {
    Proxy(Fault),
    /// As fast as this part of the stream.
    SlowerThanTheStream(f64),
    NoDns,
}

/// How long the agent may hold back after the fault's end.
type Pause = Duration;

/// Of each kind one: they are tried in every test run.
const SHORT: &[&str] = &[
    "connections refused",
    "no name resolution",
    "a TLS certificate that nobody trusts",
    "HTTP 500",
    "HTTP 503 SlowDown, Retry-After: 2",
    "HTTP 403 ExpiredToken",
    "HTTP 200 with a block page",
    "the store hangs",
    "reset in mid-request",
    "stored, but the answer is lost",
];

pub fn is_short(name: &str) -> bool {
    SHORT.contains(&name)
}

fn troubles() -> Vec<(&'static str, Trouble, Pause)> {
    use Trouble::Proxy;
    let none = Duration::ZERO;
    let body =
        "<Error><Code>InternalError</Code><Message>We encountered an internal error.</Message></Error>";
    let throttled = Canned { status: 429, headers: &[("retry-after", "2")], body: "" };
    let expired =
        "<Error><Code>ExpiredToken</Code><Message>The provided token has expired.</Message></Error>";
    vec![
        ("connections refused", Proxy(Fault::Refuse), none),
        ("connections reset", Proxy(Fault::Reset), none),
        ("no name resolution", Trouble::NoDns, none),
        ("a TLS certificate that nobody trusts", Proxy(Fault::WrongCertificate), none),
        ("HTTP 500", Proxy(xml(500, body)), none),
        ("HTTP 502 with a page", Proxy(page(502)), none),
        ("HTTP 503", Proxy(xml(503, "")), none),
        ("HTTP 429, Retry-After: 2", Proxy(Fault::Answer(throttled)), RETRY_AFTER),
        ("HTTP 503 SlowDown, Retry-After: 2", Proxy(SLOW_DOWN), RETRY_AFTER),
        ("HTTP 403 ExpiredToken", Proxy(xml(403, expired)), DENIED_PAUSE),
        ("HTTP 403 with a block page", Proxy(page(403)), DENIED_PAUSE),
        ("HTTP 200 with a block page", Proxy(page(200)), DENIED_PAUSE),
        ("the store hangs", Proxy(Fault::Hang), none),
        ("reset in mid-request", Proxy(Fault::CutRequest), none),
        ("reset in mid-answer", Proxy(Fault::CutAnswer), none),
        ("stored, but the answer is lost", Proxy(Fault::LoseAnswer), none),
        ("an uplink at 60 % of the stream", Trouble::SlowerThanTheStream(0.6), none),
    ]
}

/// Those that the proxy can make alone.
pub fn proxy_faults() -> Vec<Fault> {
    let faults = troubles().into_iter().filter_map(|(_, trouble, _)| match trouble {
        Trouble::Proxy(fault) => Some(fault),
        _ => None,
    });
    faults.collect()
}

/// All of them that `wanted` wants, for `lasting` each.
pub async fn run(table: &mut Table, wanted: &dyn Fn(&str) -> bool, lasting: Duration) {
    let troubles: Vec<_> = troubles().into_iter().filter(|(name, ..)| wanted(name)).collect();
    if troubles.is_empty() {
        return;
    }
    let started = attempt("start", async {
        let (mut stage, camera) = Stage::with_camera("storage", small_camera()).await;
        stage.calm(3).await;
        (stage, camera)
    });
    let (mut stage, _camera) = match started.await {
        Ok(parts) => parts,
        Err(row) => return table.add(row),
    };
    for (name, trouble, pause) in troubles {
        let row = attempt(name, one(&mut stage, name, &trouble, pause, lasting)).await;
        table.add(row.unwrap_or_else(|row| row));
    }
    match attempt("stop", stage.strike()).await {
        Ok(report) if report.breaches.is_empty() => {}
        Ok(report) => table.add(failed("all storage faults", report.breaches)),
        Err(row) => table.add(row),
    }
}

async fn one(stage: &mut Stage, name: &str, trouble: &Trouble, pause: Pause, lasting: Duration) -> Row {
    stage.calm(1).await;
    let trial = stage.begin(name);
    match trouble {
        Trouble::Proxy(fault) => stage.proxy.set(fault.clone()).await,
        Trouble::SlowerThanTheStream(part) => {
            let bytes_per_s = (bytes_per_s(stage) * part) as u64;
            stage.proxy.set(Fault::Slow { bytes_per_s }).await;
        }
        Trouble::NoDns => {
            stage.box_faults.resolve(false);
            // Who is connected needs no name.
            stage.proxy.set(Fault::Refuse).await;
            stage.proxy.set(Fault::None).await;
        }
    }
    last(lasting).await;
    stage.proxy.set(Fault::None).await;
    stage.box_faults.resolve(true);
    let requests = REQUESTS_AT_ONCE + (lasting.as_secs_f64() * REQUESTS_PER_S) as u64;
    let limits = Limits {
        back_within: 2 * SEGMENT + pause + SLACK,
        requests: Some(requests),
        exact_seams: true,
        stamps: true,
    };
    let row = stage.end(trial, limits).await;
    stage.agent.assert_running();
    row
}

/// Of the stream, as far as it was seen.
fn bytes_per_s(stage: &Stage) -> f64 {
    let files = std::fs::read_dir(stage.place.path().join("seen")).expect("the viewer keeps what it sees");
    let sizes: Vec<u64> = files.flatten().filter_map(|file| Some(file.metadata().ok()?.len())).collect();
    sizes.iter().sum::<u64>() as f64 / sizes.len().max(1) as f64 / SEGMENT.as_secs_f64()
}
