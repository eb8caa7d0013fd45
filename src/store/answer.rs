//! What an HTTP store said when it did not say yes: one table from status and code to [`StoreError`]. Pure.

use std::time::Duration;

use super::StoreError;
use super::reason::one_line;

/// A server that asks for more is not believed.
const MAX_RETRY_AFTER: Duration = Duration::from_secs(600);

/// A refusal of S3 or Supabase, in the words both share.
#[derive(Debug, Default)]
pub(super) struct Answer {
    /// HTTP's, or the truer one in the body.
    pub status: u16,
    /// S3's error code; Supabase uses the same ones.
    pub code: Option<String>,
    pub message: Option<String>,
    pub retry_after: Option<Duration>,
    /// The body is not what the store itself would write: a proxy, a firewall or a wrong address answers.
    pub foreign: bool,
}

/// Seconds of a `Retry-After` header. Its date form is left out: no store uses it.
pub(super) fn retry_after(header: Option<&str>) -> Option<Duration> {
    let seconds = header?.trim().parse().ok()?;
    Some(Duration::from_secs(seconds).min(MAX_RETRY_AFTER))
}

enum Class {
    Unavailable,
    Throttled,
    Denied,
    NotFound,
    Rejected,
}

impl Answer {
    pub fn into_error(self) -> StoreError {
        let reason = self.reason();
        match self.class() {
            Class::Unavailable => StoreError::Unavailable { reason },
            Class::Throttled => StoreError::Throttled { reason, retry_after: self.retry_after },
            Class::Denied => StoreError::Denied { reason },
            Class::NotFound => StoreError::NotFound,
            Class::Rejected => StoreError::Rejected { reason },
        }
    }

    fn class(&self) -> Class {
        self.code.as_deref().and_then(class_of_code).unwrap_or_else(|| self.class_of_status())
    }

    fn class_of_status(&self) -> Class {
        match self.status {
            429 => Class::Throttled,
            503 if self.retry_after.is_some() => Class::Throttled,
            // Not implemented stays so.
            501 => Class::Rejected,
            500.. => Class::Unavailable,
            // MinIO says 499 of what it broke off itself (github.com/minio/minio/issues/19236).
            408 | 409 | 423 | 425 | 499 => Class::Unavailable,
            // Also a redirect: S3 sends one for a wrong region. Followed, it would leak the key.
            401 | 403 | 407 | 300..=399 => Class::Denied,
            _ if self.foreign => Class::Denied,
            404 => Class::NotFound,
            _ => Class::Rejected,
        }
    }

    fn reason(&self) -> String {
        let mut text = format!("HTTP {}", self.status);
        if let Some(code) = &self.code {
            text = format!("{text} {code}");
        }
        if let Some(message) = self.message.as_ref().filter(|message| !message.is_empty()) {
            text = format!("{text}: {message}");
        } else if self.foreign {
            text = format!("{text}: not an answer of the store; is there a proxy, or is its URL wrong?");
        }
        one_line(&text)
    }
}

/// Codes that say more than the status they come with.
fn class_of_code(code: &str) -> Option<Class> {
    Some(match code {
        "SlowDown"
        | "Throttling"
        | "ThrottlingException"
        | "RequestLimitExceeded"
        | "TooManyRequests"
        | "TooManyRequestsException"
        | "BandwidthLimitExceeded" => Class::Throttled,
        // The SDK learns the offset from this answer: the next attempt is signed with the store's time.
        "RequestTimeTooSkewed" => Class::Unavailable,
        "RequestTimeout"
        | "IncompleteBody"
        | "BadDigest"
        | "XAmzContentSHA256Mismatch"
        | "OperationAborted"
        | "InternalError"
        | "ServiceUnavailable"
        | "ResourceLocked"
        | "LockTimeout"
        | "DatabaseTimeout"
        | "XMinioServerNotInitialized" => Class::Unavailable,
        "AccessDenied"
        | "AllAccessDisabled"
        | "AccountProblem"
        | "AuthorizationHeaderMalformed"
        | "ExpiredToken"
        | "InvalidAccessKeyId"
        | "InvalidJWT"
        | "InvalidToken"
        | "NotSignedUp"
        | "PermanentRedirect"
        | "SignatureDoesNotMatch"
        | "TokenRefreshRequired"
        | "Unauthorized" => Class::Denied,
        // The bucket may come, or be set right, but only by a person.
        "NoSuchBucket" | "InvalidMimeType" => Class::Denied,
        "NoSuchKey" => Class::NotFound,
        _ => return None,
    })
}

/// For calls that name no single object to read: a missing one can't be what the store means.
pub(super) fn nothing_to_find(error: StoreError) -> StoreError {
    match error {
        StoreError::NotFound => {
            StoreError::Denied { reason: "HTTP 404: is there such a bucket, and is the URL right?".into() }
        }
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(status: u16, code: &str) -> Answer {
        let code = Some(code.to_owned()).filter(|code| !code.is_empty());
        Answer { status, code, ..Answer::default() }
    }

    fn class(answer: Answer) -> &'static str {
        match answer.into_error() {
            StoreError::Unavailable { .. } => "unavailable",
            StoreError::Throttled { .. } => "throttled",
            StoreError::Denied { .. } => "denied",
            StoreError::NotFound => "not found",
            StoreError::Rejected { .. } => "rejected",
        }
    }

    #[test]
    fn every_answer_has_its_class() {
        for (status, code, expected) in [
            (500, "", "unavailable"),
            (500, "InternalError", "unavailable"),
            (502, "", "unavailable"),
            (503, "", "unavailable"),
            (503, "SlowDown", "throttled"),
            (429, "", "throttled"),
            (501, "NotImplemented", "rejected"),
            (544, "DatabaseTimeout", "unavailable"),
            (423, "", "unavailable"),
            (499, "ClientDisconnected", "unavailable"),
            (400, "RequestTimeout", "unavailable"),
            (403, "RequestTimeTooSkewed", "unavailable"),
            (403, "", "denied"),
            (401, "", "denied"),
            (403, "SignatureDoesNotMatch", "denied"),
            (400, "ExpiredToken", "denied"),
            (400, "AuthorizationHeaderMalformed", "denied"),
            (301, "PermanentRedirect", "denied"),
            (302, "", "denied"),
            (404, "NoSuchBucket", "denied"),
            (404, "NoSuchKey", "not found"),
            (404, "", "not found"),
            (400, "InvalidKey", "rejected"),
            (413, "EntityTooLarge", "rejected"),
            (415, "InvalidMimeType", "denied"),
        ] {
            assert_eq!(class(answer(status, code)), expected, "{status} {code}");
        }
    }

    #[test]
    fn a_web_page_is_no_answer_of_the_store() {
        for (status, expected) in
            [(200, "denied"), (403, "denied"), (404, "denied"), (400, "denied"), (502, "unavailable")]
        {
            assert_eq!(class(Answer { foreign: true, ..answer(status, "") }), expected, "{status}");
        }
    }

    #[test]
    fn retry_after_is_kept_within_reason() {
        assert_eq!(retry_after(Some("7")), Some(Duration::from_secs(7)));
        assert_eq!(retry_after(Some("99999999")), Some(MAX_RETRY_AFTER));
        assert_eq!(retry_after(Some("soon")), None);
        let slow = Answer { retry_after: retry_after(Some("7")), ..answer(503, "") };
        assert!(matches!(slow.into_error(), StoreError::Throttled { retry_after: Some(after), .. }
            if after == Duration::from_secs(7)));
    }

    #[test]
    fn a_reason_carries_code_and_message_in_one_line() {
        let message = Some("no\nsuch\u{7} bucket".to_owned());
        let error = Answer { message, ..answer(404, "NoSuchBucket") }.into_error();
        assert_eq!(error.to_string(), "storage refuses access: HTTP 404 NoSuchBucket: no such bucket");
    }
}
