//! Whose page has a browser ask, as browsers tell of their own accord. Any page may send its reader's browser here, and for
//! what only reads nobody is asked before.

use axum::extract::Request;
use axum::http::{HeaderMap, HeaderValue, Uri, header};

use super::host::is_local;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Asker {
    /// This server's own page, a person, or no browser at all.
    Own,
    /// A page of another server on this machine.
    Neighbour,
    Elsewhere,
}

pub(super) fn of(request: &Request) -> Asker {
    let headers = request.headers();
    match headers.get("sec-fetch-site").map(HeaderValue::as_bytes) {
        Some(b"same-origin" | b"none") => Asker::Own,
        Some(b"same-site") => Asker::Neighbour,
        // `localhost` and 127.0.0.1 are two sites.
        Some(_) => by_origin(headers).unwrap_or(Asker::Elsewhere),
        // Older browsers (before 2023), and programs.
        None => by_origin(headers).unwrap_or(Asker::Own),
    }
}

/// No page can say that it is another one.
fn by_origin(headers: &HeaderMap) -> Option<Asker> {
    let uri = Uri::try_from(headers.get(header::ORIGIN)?.as_bytes());
    let is_near = uri.is_ok_and(|uri| uri.authority().is_some_and(is_local));
    Some(if is_near { Asker::Neighbour } else { Asker::Elsewhere })
}

#[cfg(test)]
mod tests {
    use axum::body::Body;

    use super::*;

    fn asked_by(headers: &[(&str, &str)]) -> Asker {
        let request =
            headers.iter().fold(Request::builder(), |request, (name, value)| request.header(*name, *value));
        of(&request.body(Body::empty()).unwrap())
    }

    #[test]
    fn what_the_browser_says_counts() {
        for (site, asker) in [
            ("same-origin", Asker::Own),
            ("none", Asker::Own),
            ("same-site", Asker::Neighbour),
            ("cross-site", Asker::Elsewhere),
            ("CROSS-SITE", Asker::Elsewhere),
            ("", Asker::Elsewhere),
        ] {
            assert_eq!(asked_by(&[("sec-fetch-site", site)]), asker, "{site}");
        }
    }

    #[test]
    fn two_names_of_this_machine_are_neighbours() {
        let from = |origin| asked_by(&[("sec-fetch-site", "cross-site"), ("origin", origin)]);
        assert_eq!(from("http://localhost:5173"), Asker::Neighbour);
        assert_eq!(from("https://evil.example"), Asker::Elsewhere);
        assert_eq!(from("null"), Asker::Elsewhere);
    }

    #[test]
    fn older_ones_name_the_page_alone() {
        assert_eq!(asked_by(&[]), Asker::Own);
        for near in ["http://localhost:3000", "http://127.0.0.1", "https://[::1]:8443"] {
            assert_eq!(asked_by(&[("origin", near)]), Asker::Neighbour, "{near}");
        }
        for far in ["https://evil.example", "null", "", "http://localhost.evil.example", "file://", "a b"] {
            assert_eq!(asked_by(&[("origin", far)]), Asker::Elsewhere, "{far}");
        }
    }
}
