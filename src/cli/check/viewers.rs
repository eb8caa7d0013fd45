//! What viewers get at the storage's public address, as a browser on another site asks for it.

use std::time::Duration;

use bytes::Bytes;
use reqwest::{Client, StatusCode, Url};

use super::Report;
use super::storage::within;
use crate::clock;
use crate::config::model::{Config, StoreConfig};
use crate::domain::class::ObjectClass;
use crate::domain::key::ObjectKey;
use crate::store::{self, ObjectStore};

const PATIENCE: Duration = Duration::from_secs(10);
/// What was stored and can't be read for longer is late in a player by parts.
const LOOKS: u32 = 3;
const LOOKS_APART: Duration = Duration::from_millis(500);

struct Seen {
    status: StatusCode,
    has_cors: bool,
    body: Bytes,
}

async fn get(url: &Url) -> Result<Seen, reqwest::Error> {
    let client = Client::builder().timeout(PATIENCE).build()?;
    let answer = client.get(url.clone()).header("origin", "https://viewer.example").send().await?;
    let has_cors = answer.headers().contains_key("access-control-allow-origin");
    Ok(Seen { status: answer.status(), has_cors, body: answer.bytes().await? })
}

/// Of an object that is there; whether it can be read.
pub(super) async fn check(config: &Config, key: &ObjectKey, body: &Bytes, report: &mut Report) -> bool {
    const WHAT: &str = "public read";
    let Some(url) = store::public_url(&config.store, key) else {
        report.skip(WHAT, "the folder has no `public_base_url`; `http.listen` serves it on this machine");
        return false;
    };
    let seen = match get(&url).await {
        Ok(seen) => seen,
        Err(error) => {
            let why = format!("{url}: {}", error.without_url());
            report.fail(WHAT, why, "check `public_base_url`");
            return false;
        }
    };
    if !seen.status.is_success() {
        report.fail(WHAT, format!("{url} answers {}", seen.status), mend(&config.store));
        return false;
    }
    if seen.body != *body {
        let why = format!("{url} answers other bytes");
        report.fail(WHAT, why, "check that `public_base_url` shows this very bucket");
        return false;
    }
    if seen.has_cors {
        report.pass(WHAT, url.as_str());
    } else {
        report.warn(
            WHAT,
            format!("{url} answers without CORS headers"),
            "allow GET and HEAD from any origin in the bucket's CORS rules, or pages on other sites can't play it",
        );
    }
    true
}

/// `profile: sub_second`: players ask for a part by its name, now and then just before it is there.
pub(super) async fn check_parts(config: &Config, store: &dyn ObjectStore, name: &str, report: &mut Report) {
    let key = ObjectKey::new(format!("{name}-part.m4s"));
    let Some(url) = store::public_url(&config.store, &key) else { return };
    let before = get(&url).await;
    if let Err(error) = within(store.put(&key, Bytes::from_static(b"part"), ObjectClass::Part)).await {
        return report.skip(WHAT, &format!("not stored: {error}"));
    }
    let (looks, after) = stored(&again(url.clone(), store.has_slow_cdn())).await;
    let _ = within(store.delete(&[key])).await;
    match (before, after) {
        (Ok(before), Ok(after)) => tell(&url, &verdict(&before, looks, &after), report),
        (Err(error), _) | (_, Err(error)) => {
            let why = format!("{url}: {}", error.without_url());
            report.fail(WHAT, why, "check the network, then try again");
        }
    }
}

const WHAT: &str = "public read of parts";
const KEEP_NO_ERRORS: &str =
    "let the CDN or cache in front keep no errors (404, 403), not for a second: players ask for parts early";

/// As the player asks for a second time.
fn again(mut url: Url, has_slow_cdn: bool) -> Url {
    if has_slow_cdn {
        url.query_pairs_mut().append_pair("t", &clock::wall_ms().to_string());
    }
    url
}

/// The answer after what was put, the last one where none is good; and the number of looks.
async fn stored(url: &Url) -> (u32, Result<Seen, reqwest::Error>) {
    let mut looks = 1;
    loop {
        let seen = get(url).await;
        if looks == LOOKS || seen.as_ref().is_ok_and(|seen| seen.status.is_success()) {
            return (looks, seen);
        }
        looks += 1;
        tokio::time::sleep(LOOKS_APART).await;
    }
}

/// What was answered, and the mend.
#[derive(Debug, PartialEq)]
enum Verdict {
    Pass(String),
    Warn(String, &'static str),
    Fail(String, &'static str),
}

fn tell(url: &Url, verdict: &Verdict, report: &mut Report) {
    match verdict {
        Verdict::Pass(how) => report.pass(WHAT, how),
        Verdict::Warn(why, mend) => report.warn(WHAT, format!("{url} {why}"), mend),
        Verdict::Fail(why, mend) => report.fail(WHAT, format!("{url} {why}"), mend),
    }
}

fn verdict(before: &Seen, looks: u32, after: &Seen) -> Verdict {
    let waited_ms = (LOOKS_APART * (looks - 1)).as_millis();
    if !is_missing(before.status) {
        let why = format!("answered {} before it was there", before.status);
        Verdict::Fail(why, "let what is not there be 404: players ask for the next part by its name")
    } else if !after.status.is_success() {
        let why = format!("still answered {} {waited_ms} ms after it was stored", after.status);
        Verdict::Fail(why, KEEP_NO_ERRORS)
    } else if looks > 1 {
        let why = format!("was not to be had at once, but {waited_ms} ms after it was stored");
        Verdict::Warn(why, KEEP_NO_ERRORS)
    } else if after.has_cors && !before.has_cors {
        let why = format!("answered {} without CORS headers before it was there", before.status);
        Verdict::Warn(
            why,
            "send them with errors, too (nginx: `always`), or pages on other sites count such answers as failures",
        )
    } else {
        let status = before.status.as_u16();
        Verdict::Pass(format!("{status} before it is there, and there once it is stored"))
    }
}

/// As the player has it (`player/src/store.ts`).
fn is_missing(status: StatusCode) -> bool {
    let asks_for_patience = matches!(status, StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_MANY_REQUESTS);
    status.is_client_error() && !asks_for_patience
}

fn mend(store: &StoreConfig) -> &'static str {
    match store {
        StoreConfig::Supabase(_) => "make the bucket public (Storage > bucket > Edit bucket > Public bucket)",
        StoreConfig::S3(_) => {
            "let everybody s3:GetObject in the bucket's policy, or set `public_base_url` (R2, CDN)"
        }
        StoreConfig::File(_) | StoreConfig::None => {
            "check that the web server shows this folder at `public_base_url`"
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(status: u16, has_cors: bool) -> Seen {
        Seen { status: StatusCode::from_u16(status).unwrap(), has_cors, body: Bytes::new() }
    }

    #[test]
    fn what_players_by_parts_meet_is_told() {
        let said = |before: u16, looks, after: u16| verdict(&seen(before, true), looks, &seen(after, true));
        for missing in [400, 403, 404] {
            assert!(
                matches!(said(missing, 1, 200), Verdict::Pass(how) if how.starts_with(&missing.to_string()))
            );
        }
        for wrong in [200, 302, 408, 429, 500] {
            assert!(matches!(said(wrong, 1, 200), Verdict::Fail(..)), "{wrong}");
        }
        assert_eq!(
            said(404, LOOKS, 404),
            Verdict::Fail("still answered 404 Not Found 1000 ms after it was stored".into(), KEEP_NO_ERRORS)
        );
        assert_eq!(
            said(404, 2, 200),
            Verdict::Warn("was not to be had at once, but 500 ms after it was stored".into(), KEEP_NO_ERRORS)
        );
        assert!(matches!(verdict(&seen(404, false), 1, &seen(200, true)), Verdict::Warn(..)));
        let same_site = verdict(&seen(404, false), 1, &seen(200, false));
        assert!(matches!(same_site, Verdict::Pass(_)), "that was told of the object that is there");
    }
}
