//! Who may, by tokens that lie in files and by keys that sign: two at once, others at a reload.

use std::fs;
use std::path::PathBuf;

use nix::sys::signal::Signal;
use reqwest::{Client, StatusCode};
use serde_json::{Value, json};

use crate::browser::free_address;
use crate::support::agent::Place;
use crate::support::wait::until;
use crate::{STOP_WITHIN, UP_WITHIN, my_turn};

const OLD: &str = "the-old-token-of-the-shop";
const NEW: &str = "the-new-token-of-the-shop";
const NEXT: &str = "the-next-token-of-the-shop";

struct Office {
    client: Client,
    listen: String,
    place: Place,
}

impl Office {
    fn secret(&self, name: &str) -> PathBuf {
        self.place.path().join(name)
    }

    fn configure(&self, files: &[&str]) {
        self.configure_signing(files, "");
    }

    fn configure_signing(&self, files: &[&str], more: &str) {
        let files: Vec<_> = files.iter().map(|name| self.secret(name).display().to_string()).collect();
        self.place.write_config(&format!(
            "location: l\nspool: {}\nstorage: {{type: none}}\n\
             http: {{listen: \"{}\", token_file: [{}]{more}}}\n\
             cameras: [{{id: cam, rtsp_url: \"test://\", settings: {{start: on_demand}}}}]\n",
            self.secret("spool").display(),
            self.listen,
            files.join(", ")
        ));
    }

    async fn answers(&self, token: &str) -> StatusCode {
        let url = format!("http://{}/api/streams", self.listen);
        self.client.get(url).bearer_auth(token).send().await.expect("the agent answers").status()
    }

    /// An address for a viewer.
    async fn signed(&self, token: &str) -> String {
        let url = format!("http://{}/api/streams/cam/sign", self.listen);
        let answer =
            self.client.post(url).bearer_auth(token).json(&json!({})).send().await.expect("an answer");
        let answer: Value = answer.error_for_status().expect("it signs").json().await.expect("JSON");
        answer["url"].as_str().expect("an address").to_owned()
    }

    /// Whether an address is good, as soon as it is so.
    async fn opens(&self, address: &str, expected: bool) {
        let is_so = async || {
            let status = self.client.get(address).send().await.expect("the agent answers").status();
            ((status != StatusCode::FORBIDDEN) == expected).then_some(())
        };
        until(UP_WITHIN, &format!("{address} opens: {expected}"), is_so, || "").await;
    }

    /// For the old, the new and the next one, as soon as it is so.
    async fn takes(&self, expected: [bool; 3]) {
        let is_so = async || {
            let mut taken = [false; 3];
            for (token, taken) in [OLD, NEW, NEXT].iter().zip(&mut taken) {
                *taken = match self.answers(token).await {
                    StatusCode::OK => true,
                    StatusCode::UNAUTHORIZED => false,
                    other => panic!("{other}"),
                };
            }
            (taken == expected).then_some(())
        };
        until(UP_WITHIN, &format!("{expected:?}"), is_so, || "").await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tokens_of_files_change_at_a_reload_and_a_missing_file_changes_nothing() {
    let _turn = my_turn().await;
    let client = Client::builder().no_proxy().build().expect("a client");
    let office = Office { client, listen: free_address(), place: Place::new("tokens") };
    fs::write(office.secret("old"), format!("{OLD}\n")).unwrap();
    fs::write(office.secret("new"), NEW).unwrap();
    office.configure(&["old"]);
    let mut agent = office.place.start(&[]);
    agent.log_line(&["edge-agent started"], UP_WITHIN).await;
    office.takes([true, false, false]).await;

    office.configure(&["new", "old"]);
    agent.signal(Signal::SIGHUP);
    office.takes([true, true, false]).await;
    office.configure(&["new"]);
    agent.signal(Signal::SIGHUP);
    office.takes([false, true, false]).await;

    // The same file with another content: at the reload, not before.
    fs::write(office.secret("new"), NEXT).unwrap();
    office.takes([false, true, false]).await;
    agent.signal(Signal::SIGHUP);
    office.takes([false, false, true]).await;

    fs::remove_file(office.secret("new")).unwrap();
    agent.signal(Signal::SIGHUP);
    let line = agent.log_line(&["error", "cameras.yaml:4", "token_file"], UP_WITHIN).await;
    assert!(line.contains("new"), "it names the file: {line}");
    agent.log_line(&["reload refused: nothing changed"], UP_WITHIN).await;
    office.takes([false, false, true]).await;
    let log = agent.log();
    assert!(![OLD, NEW, NEXT].iter().any(|token| log.contains(token)), "{log}");
    agent.stop(STOP_WITHIN).await;
}

/// Two at once, too: addresses of the old key go on until it is withdrawn.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn signing_keys_change_at_a_reload() {
    let _turn = my_turn().await;
    let client = Client::builder().no_proxy().build().expect("a client");
    let office = Office { client, listen: free_address(), place: Place::new("signing-keys") };
    fs::write(office.secret("token"), format!("{OLD}\n")).unwrap();
    let [old, new] = ["o", "n"].map(|letter| letter.repeat(40));
    let keys = |keys: &[&str]| office.configure_signing(&["token"], &format!(", signing_keys: {keys:?}"));
    keys(&[&old]);
    let mut agent = office.place.start(&[]);
    agent.log_line(&["edge-agent started"], UP_WITHIN).await;
    let by_old = office.signed(OLD).await;
    // There is nothing to play yet: whoever may ask gets 404.
    office.opens(&by_old, true).await;

    // With another token, which tells when it holds.
    fs::write(office.secret("token"), NEW).unwrap();
    keys(&[&new, &old]);
    agent.signal(Signal::SIGHUP);
    office.takes([false, true, false]).await;
    let by_new = office.signed(NEW).await;
    office.opens(&by_old, true).await;
    office.opens(&by_new, true).await;

    keys(&[&new]);
    agent.signal(Signal::SIGHUP);
    office.opens(&by_old, false).await;
    office.opens(&by_new, true).await;
    let log = agent.log();
    assert!(![&old, &new].iter().any(|key| log.contains(key.as_str())), "{log}");
    agent.stop(STOP_WITHIN).await;
}
