//! Supabase Storage's headers, bodies and errors.

use std::error::Error;

use bytes::Bytes;
use reqwest::RequestBuilder;
use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderValue, RETRY_AFTER};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::store::StoreError;
use crate::store::answer::{Answer, retry_after};
use crate::store::reason::{chain, one_line};

/// The headers that carry the key; they never print.
pub(super) struct Credentials(HeaderMap);

impl Credentials {
    /// A legacy key is a JWT and goes into both headers; an `sb_secret_` key is none, and as a bearer it is
    /// refused.
    pub fn new(key: &SecretString) -> Result<Self, StoreError> {
        let key = key.expose_secret().trim();
        let mut headers = HeaderMap::new();
        headers.insert("apikey", secret_header(key)?);
        if !key.starts_with("sb_") {
            headers.insert(AUTHORIZATION, secret_header(&format!("Bearer {key}"))?);
        }
        Ok(Self(headers))
    }

    pub fn headers(&self) -> HeaderMap {
        self.0.clone()
    }
}

fn secret_header(text: &str) -> Result<HeaderValue, StoreError> {
    let refused = |_| StoreError::Denied { reason: "the key has characters that no key has".to_owned() };
    let mut value = HeaderValue::from_str(text).map_err(refused)?;
    value.set_sensitive(true);
    Ok(value)
}

/// A whole answer.
pub(super) struct Reply {
    status: u16,
    retry_after: Option<std::time::Duration>,
    body: Bytes,
}

impl Reply {
    pub async fn of(request: RequestBuilder) -> Result<Self, StoreError> {
        let response = request.send().await.map_err(|error| unsent(&error))?;
        let status = response.status().as_u16();
        let retry_after = retry_after(response.headers().get(RETRY_AFTER).and_then(|v| v.to_str().ok()));
        let body = response.bytes().await.map_err(|error| unsent(&error))?;
        Ok(Self { status, retry_after, body })
    }

    pub fn bytes(self) -> Result<Bytes, StoreError> {
        if self.is_yes() { Ok(self.body) } else { Err(self.into_answer().into_error()) }
    }

    /// A yes of another shape is not the store's: a captive portal says 200 to everything.
    pub fn json<T: DeserializeOwned>(self) -> Result<T, StoreError> {
        let parsed = self.is_yes().then(|| serde_json::from_slice(&self.body).ok()).flatten();
        parsed.ok_or_else(|| self.into_answer().into_error())
    }

    fn is_yes(&self) -> bool {
        (200..300).contains(&self.status)
    }

    /// HTTP says 400 to nearly everything; what it is stands in the body.
    fn into_answer(self) -> Answer {
        let refusal: Option<Refusal> = serde_json::from_slice(&self.body).ok();
        let foreign = refusal.is_none() && !self.body.trim_ascii().is_empty() || self.is_yes();
        let refusal = refusal.unwrap_or_default();
        Answer {
            status: refusal.status().unwrap_or(self.status),
            code: refusal.code().map(one_line),
            message: refusal.message.as_deref().map(one_line),
            retry_after: self.retry_after,
            foreign,
        }
    }
}

/// Proof that an upload was one.
#[derive(Deserialize)]
#[expect(dead_code, reason = "that it is there is all we need")]
pub(super) struct Stored {
    #[serde(rename = "Key")]
    key: String,
}

/// A row of a listing; its name is relative to the prefix.
#[derive(Deserialize)]
pub(super) struct Listed {
    pub name: String,
    pub id: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Refusal {
    /// A string; a number in some versions.
    status_code: Option<serde_json::Value>,
    code: Option<String>,
    error: Option<String>,
    message: Option<String>,
}

impl Refusal {
    fn status(&self) -> Option<u16> {
        match self.status_code.as_ref()? {
            serde_json::Value::String(text) => text.parse().ok(),
            number => number.as_u64().and_then(|number| number.try_into().ok()),
        }
    }

    fn code(&self) -> Option<&str> {
        // Versions without codes tell only here that it is the bucket that is missing.
        let no_bucket = [&self.error, &self.message].into_iter().flatten().any(|s| s == "Bucket not found");
        if no_bucket {
            return Some("NoSuchBucket");
        }
        self.code.as_deref().or(self.error.as_deref())
    }
}

/// No answer. The URL is left out, as ever.
pub(super) fn unsent(error: &reqwest::Error) -> StoreError {
    if error.is_timeout() {
        return StoreError::Unavailable { reason: "no answer in time".to_owned() };
    }
    let reason = error.source().map_or_else(|| "no connection".to_owned(), chain);
    if error.is_builder() {
        return StoreError::Rejected { reason };
    }
    StoreError::Unavailable { reason }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(status: u16, body: &'static str) -> StoreError {
        let reply = Reply { status, retry_after: None, body: Bytes::from_static(body.as_bytes()) };
        reply.bytes().unwrap_err()
    }

    #[test]
    fn the_body_tells_what_http_400_means() {
        let text = |status, body| error(status, body).to_string();
        let missing =
            r#"{"statusCode":"404","error":"not_found","message":"Object not found","code":"NoSuchKey"}"#;
        assert_eq!(error(400, missing), StoreError::NotFound);
        let old = r#"{"statusCode":"404","error":"Not found","message":"The resource was not found"}"#;
        assert_eq!(error(400, old), StoreError::NotFound);
        let bucket = r#"{"statusCode":"404","error":"Bucket not found","message":"Bucket not found"}"#;
        assert_eq!(text(400, bucket), "storage refuses access: HTTP 404 NoSuchBucket: Bucket not found");
        let jwt =
            r#"{"statusCode":"403","error":"Unauthorized","message":"jwt expired","code":"AccessDenied"}"#;
        assert_eq!(text(400, jwt), "storage refuses access: HTTP 403 AccessDenied: jwt expired");
        let large = r#"{"statusCode":"413","error":"Payload too large","message":"The object exceeded the maximum allowed size","code":"EntityTooLarge"}"#;
        assert!(matches!(error(400, large), StoreError::Rejected { .. }));
        let slow =
            r#"{"statusCode":"429","error":"too_many_connections","message":"Slow down","code":"SlowDown"}"#;
        assert!(matches!(error(429, slow), StoreError::Throttled { .. }));
        let number = r#"{"statusCode":503,"message":"down"}"#;
        assert!(matches!(error(400, number), StoreError::Unavailable { .. }));
    }

    #[test]
    fn a_gateways_word_counts_by_its_status() {
        assert_eq!(
            error(401, r#"{"message":"Invalid API key"}"#).to_string(),
            "storage refuses access: HTTP 401: Invalid API key"
        );
        assert!(matches!(error(403, "<html>blocked</html>"), StoreError::Denied { .. }));
        assert!(matches!(error(400, "<html>blocked</html>"), StoreError::Denied { .. }));
        assert!(matches!(error(404, "<html>nothing here</html>"), StoreError::Denied { .. }));
        assert!(matches!(error(502, "<html>bad gateway</html>"), StoreError::Unavailable { .. }));
        assert!(matches!(error(500, ""), StoreError::Unavailable { .. }));
    }
}
