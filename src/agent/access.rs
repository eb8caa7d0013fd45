//! Who may use the web server, now and after a reload.

use secrecy::ExposeSecret as _;

use crate::config::model::HttpConfig;
use crate::domain::access::Tokens;
use crate::http::Access;

pub(super) fn access(http: &HttpConfig) -> Access {
    Access { tokens: Tokens::new(http.tokens.iter().map(|token| token.expose_secret())) }
}

/// What a running server takes over of a new configuration: everything but its address.
pub(super) fn renewed(old: Option<HttpConfig>, new: Option<HttpConfig>) -> Option<HttpConfig> {
    let (mut http, new) = (old?, new);
    // An address that others reach keeps its guard until the restart that gives it up.
    if let Some(new) = new.filter(|new| http.is_local() || !new.tokens.is_empty()) {
        http.tokens = new.tokens;
    }
    Some(http)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn http(listen: &str, tokens: &[&str]) -> Option<HttpConfig> {
        let tokens = tokens.iter().map(|token| (*token).into()).collect();
        Some(HttpConfig { listen: listen.parse().unwrap(), tokens })
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
