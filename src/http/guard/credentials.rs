//! What a request shows to be let in.

use std::borrow::Cow;

use axum::extract::Request;
use axum::http::header;
use percent_encoding::percent_decode_str;

use super::SESSION_COOKIE;
use crate::domain::signature::{EXPIRES, SIGNATURE};

/// The first that there is, in this order: what was said for this request outweighs what a browser adds by itself.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(in crate::http) enum Shown<'r> {
    /// `Authorization: Bearer`.
    Token(&'r [u8]),
    /// `?token=`.
    TokenInAddress(Cow<'r, [u8]>),
    /// `?expires=` and `?signature=`.
    Signature {
        expires: &'r str,
        signature: &'r str,
    },
    Session(&'r str),
    Nothing,
}

pub(in crate::http) fn of(request: &Request) -> Shown<'_> {
    if let Some(token) =
        request.headers().get(header::AUTHORIZATION).and_then(|value| bearer(value.as_bytes()))
    {
        return Shown::Token(token);
    }
    let query = request.uri().query();
    if let Some(token) = parameter(query, "token") {
        return Shown::TokenInAddress(percent_decode_str(token).into());
    }
    if let Some(signature) = parameter(query, SIGNATURE) {
        return Shown::Signature { expires: parameter(query, EXPIRES).unwrap_or_default(), signature };
    }
    session(request).map_or(Shown::Nothing, Shown::Session)
}

/// Another scheme is not for us: a proxy may have asked for it.
fn bearer(value: &[u8]) -> Option<&[u8]> {
    let (scheme, token) = value.split_at_checked(7)?;
    scheme.eq_ignore_ascii_case(b"bearer ").then(|| token.trim_ascii())
}

/// A query's parameter as it is written: a `+` stays one, as tokens may have it.
fn parameter<'q>(query: Option<&'q str>, name: &str) -> Option<&'q str> {
    let mut pairs = query?.split('&').filter_map(|pair| pair.split_once('='));
    pairs.find(|(key, _)| *key == name).map(|(_, value)| value)
}

fn session(request: &Request) -> Option<&str> {
    let cookies = request.headers().get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
    let mut pairs = cookies.flat_map(|list| list.split(';')).filter_map(|pair| pair.trim().split_once('='));
    pairs.find(|(name, _)| *name == SESSION_COOKIE).map(|(_, value)| value)
}

#[cfg(test)]
mod tests {
    use axum::body::Body;

    use super::*;

    fn request(uri: &str, headers: &[(&str, &str)]) -> Request {
        let builder = axum::http::Request::get(uri);
        let builder = headers.iter().fold(builder, |builder, (name, value)| builder.header(*name, *value));
        builder.body(Body::empty()).unwrap()
    }

    fn token(text: &str) -> Shown<'_> {
        Shown::Token(text.as_bytes())
    }

    fn in_address(text: &str) -> Shown<'_> {
        Shown::TokenInAddress(text.as_bytes().into())
    }

    #[test]
    fn a_token_is_in_the_header_or_in_the_address() {
        for value in ["Bearer a+b/c==", "bearer a+b/c==", "BEARER  a+b/c== "] {
            assert_eq!(
                of(&request("/?token=other", &[("authorization", value)])),
                token("a+b/c=="),
                "{value}"
            );
        }
        for uri in ["/?token=a+b/c==", "/?x=y&token=a%2Bb%2fc%3D%3d&token=z"] {
            assert_eq!(of(&request(uri, &[])), in_address("a+b/c=="), "{uri}");
        }
        assert_eq!(of(&request("/?token=x", &[("authorization", "Bearer ")])), token(""));
        for value in ["Basic YTpi", "Bearer", "", "Bé"] {
            assert_eq!(of(&request("/", &[("authorization", value)])), Shown::Nothing, "{value}");
            assert_eq!(of(&request("/?token=x", &[("authorization", value)])), in_address("x"), "{value}");
        }
        assert_eq!(of(&request("/?token", &[])), Shown::Nothing);
        assert_eq!(of(&request("/?tokens=x", &[])), Shown::Nothing);
    }

    #[test]
    fn a_session_is_in_a_cookie_and_comes_last() {
        let cookies = [("cookie", "a=b; edge_agent_session=12.ab; c"), ("cookie", "d=e")];
        assert_eq!(of(&request("/", &cookies)), Shown::Session("12.ab"));
        assert_eq!(of(&request("/?token=x", &cookies)), in_address("x"));
        let signed = Shown::Signature { expires: "1", signature: "2" };
        assert_eq!(of(&request("/?signature=2&expires=1", &cookies)), signed);
        assert_eq!(
            of(&request("/", &[("cookie", "xedge_agent_session=1; edge_agent_session")])),
            Shown::Nothing
        );
    }
}
