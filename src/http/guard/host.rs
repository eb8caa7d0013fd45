//! By which name the server was asked for. A page of another site may have its own name lead to this machine (DNS
//! rebinding); then a browser takes the server for that site's own, and lets the page do everything.

use std::net::IpAddr;

use axum::extract::Request;
use axum::http::header;
use axum::http::uri::Authority;

/// By one that always means this machine, or by none, as no browser does.
pub(super) fn is_this_machines(request: &Request) -> bool {
    let named = request.headers().get(header::HOST);
    match (request.uri().authority(), named) {
        (Some(authority), _) => is_local(authority),
        (None, Some(host)) => Authority::try_from(host.as_bytes()).is_ok_and(|host| is_local(&host)),
        (None, None) => true,
    }
}

/// As browsers judge it: of what they take for another machine they do not tell who asks.
pub(super) fn is_local(authority: &Authority) -> bool {
    let name = authority.host().to_ascii_lowercase();
    let ip = name.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
    // RFC 6761, 6.3: never asked of a name server.
    name == "localhost" || name.ends_with(".localhost") || ip.is_ok_and(|ip| ip.is_loopback())
}

#[cfg(test)]
mod tests {
    use axum::body::Body;

    use super::*;

    fn asked_for(uri: &str, host: Option<&str>) -> bool {
        let request = Request::builder().uri(uri);
        let request = host.into_iter().fold(request, |request, host| request.header(header::HOST, host));
        is_this_machines(&request.body(Body::empty()).unwrap())
    }

    #[test]
    fn only_names_that_mean_this_machine_everywhere_are_its_own() {
        for host in
            ["localhost", "LocalHost:8080", "box.localhost", "127.0.0.1:8080", "127.8.9.1", "[::1]:8080"]
        {
            assert!(asked_for("/", Some(host)), "{host}");
        }
        for host in [
            "evil.example",
            "evil.example:8080",
            "localhost.evil.example",
            "127.0.0.1.evil.example",
            "notlocalhost",
            "localhost.:8080",
            "[::ffff:127.0.0.1]",
            "192.0.2.1",
            "0.0.0.0:8080",
            "[::]:8080",
            "",
            "a b",
        ] {
            assert!(!asked_for("/", Some(host)), "{host}");
        }
        assert!(asked_for("/", None), "HTTP/1.0");
        assert!(
            !asked_for("http://evil.example/", Some("localhost")),
            "the address counts (RFC 9112, 3.2.2)"
        );
    }
}
