//! Who may use the web server, now and after a reload.

use std::time::Duration;

use anyhow::Context as _;
use secrecy::{ExposeSecret as _, SecretString};

use crate::config::model::HttpConfig;
use crate::domain::access::Tokens;
use crate::domain::rate::Rate;
use crate::domain::signature::SigningKeys;
use crate::http::{Access, Limits};

/// `own_key` signs where the configuration has no key.
pub(super) fn access(http: &HttpConfig, own_key: &SecretString) -> Access {
    let bytes = |key: &SecretString| key.expose_secret().as_bytes().to_vec();
    let own_key = Some(own_key).filter(|_| http.signing_keys.is_empty());
    Access {
        tokens: Tokens::new(http.tokens.iter().map(|token| token.expose_secret())),
        signing: SigningKeys::new(http.signing_keys.iter().chain(own_key).map(bytes)),
        sign_max: http.sign_max,
    }
}

/// One that nobody can guess, for as long as this process lives.
pub fn random_key() -> anyhow::Result<SecretString> {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes).context("the system gives no random key")?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>().into())
}

/// As many requests at once as come in two seconds, and no fewer connections than requests: an office may have one address.
pub(super) fn limits(http: &HttpConfig) -> Limits {
    let most = http.requests_per_second.max(1);
    let requests = Rate { interval: Duration::from_secs(1) / most, burst: most.saturating_mul(2) };
    let usual = Limits::default();
    let connections_of_one = usual.connections_of_one.max(most as usize);
    Limits { requests, connections_of_one, ..usual }
}

/// What a running server takes over of a new configuration: everything but its address and what one may ask of it.
pub(super) fn renewed(old: Option<HttpConfig>, new: Option<HttpConfig>) -> Option<HttpConfig> {
    let mut http = old?;
    let Some(new) = new else { return Some(http) };
    // An address that others reach keeps its guard until the restart that gives it up.
    if http.is_local() || !new.tokens.is_empty() {
        http.tokens = new.tokens;
    }
    http.signing_keys = new.signing_keys;
    http.sign_max = new.sign_max;
    http.adhoc = new.adhoc;
    http.streams = new.streams;
    Some(http)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn http(listen: &str, tokens: &[&str]) -> Option<HttpConfig> {
        let tokens = tokens.iter().map(|token| (*token).into()).collect();
        Some(HttpConfig { tokens, ..HttpConfig::at(listen.parse().unwrap()) })
    }

    fn after(old: Option<HttpConfig>, new: Option<HttpConfig>) -> (String, Vec<String>) {
        let http = renewed(old, new).unwrap();
        let tokens = http.tokens.iter().map(|token| token.expose_secret().to_owned()).collect();
        (http.listen.to_string(), tokens)
    }

    #[test]
    fn tokens_are_renewed_and_never_lost_while_others_can_reach_the_server() {
        let (all, own) = ("0.0.0.0:80", "127.0.0.1:80");
        assert_eq!(after(http(all, &["old"]), http(all, &["new", "old"])).1, ["new", "old"]);
        assert_eq!(after(http(all, &["old"]), http(own, &[])), (all.into(), vec!["old".into()]));
        assert_eq!(after(http(all, &["old"]), None).1, ["old"]);
        assert_eq!(after(http(own, &["old"]), http(own, &[])).1, [""; 0]);
        assert!(renewed(None, http(own, &[])).is_none(), "a server needs a restart");
    }
}
