//! The SDK's errors as ours. The one place that looks into them.

use std::error::Error;

use aws_credential_types::provider::error::CredentialsError;
use aws_sdk_s3::config::http::HttpResponse;
use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};

use crate::store::StoreError;
use crate::store::answer::{Answer, retry_after};
use crate::store::reason::{chain, one_line};

type Failure<E> = SdkError<E, HttpResponse>;

pub(super) fn from_sdk<E>(error: Failure<E>) -> StoreError
where
    E: ProvideErrorMetadata + Error + Send + Sync + 'static,
{
    if let Some(response) = error.raw_response() {
        // A 200 that can't be understood is no answer of the store either.
        return answer(response, error.as_service_error()).into_error();
    }
    if let Some(credentials) = in_chain::<CredentialsError>(&error) {
        return no_credentials(credentials);
    }
    match error {
        SdkError::TimeoutError(_) => StoreError::Unavailable { reason: "no answer in time".to_owned() },
        SdkError::DispatchFailure(failure) => {
            let reason = failure.as_connector_error().map(|error| chain(error));
            StoreError::Unavailable { reason: reason.unwrap_or_else(|| "no connection".to_owned()) }
        }
        SdkError::ConstructionFailure(_) => StoreError::Rejected { reason: chain(&error) },
        other => StoreError::Unavailable { reason: chain(&other) },
    }
}

/// The store takes no DeleteObjects at all, as far as its answer tells.
pub(super) fn is_batch_refusal<E>(error: &Failure<E>) -> bool
where
    E: ProvideErrorMetadata + Error + Send + Sync + 'static,
{
    let Some(response) = error.raw_response() else { return false };
    let refused = matches!(response.status().as_u16(), 400 | 405 | 501);
    // An expired token is a 400 too: that is no matter of the batch.
    refused && matches!(answer(response, error.as_service_error()).into_error(), StoreError::Rejected { .. })
}

fn answer<E: ProvideErrorMetadata>(response: &HttpResponse, error: Option<&E>) -> Answer {
    let code = error.and_then(|error| error.code()).map(one_line);
    let has_body = response.body().bytes().is_some_and(|body| !body.trim_ascii().is_empty());
    Answer {
        status: response.status().as_u16(),
        message: error.and_then(|error| error.message()).map(one_line),
        retry_after: retry_after(response.headers().get("retry-after")),
        foreign: code.is_none() && (has_body || response.status().is_success()),
        code,
    }
}

pub(super) fn no_credentials(error: &CredentialsError) -> StoreError {
    let reason = format!("no credentials: {}", chain(error));
    match error {
        // The instance's metadata service or STS did not answer: that passes.
        CredentialsError::ProviderTimedOut(_) | CredentialsError::ProviderError(_) => {
            StoreError::Unavailable { reason }
        }
        _ => StoreError::Denied { reason },
    }
}

fn in_chain<'a, T: Error + 'static>(error: &'a (dyn Error + 'static)) -> Option<&'a T> {
    let mut link = Some(error);
    while let Some(error) = link {
        if let Some(found) = error.downcast_ref() {
            return Some(found);
        }
        link = error.source();
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use aws_sdk_s3::Client;
    use aws_sdk_s3::config::{BehaviorVersion, ProvideCredentials, Region};

    #[derive(Debug)]
    struct Failing(fn() -> CredentialsError);

    impl ProvideCredentials for Failing {
        fn provide_credentials<'a>(&'a self) -> aws_credential_types::provider::future::ProvideCredentials<'a>
        where
            Self: 'a,
        {
            aws_credential_types::provider::future::ProvideCredentials::ready(Err((self.0)()))
        }
    }

    async fn without_credentials(error: fn() -> CredentialsError) -> StoreError {
        let config = aws_sdk_s3::Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::new("us-east-1"))
            .endpoint_url("http://127.0.0.1:9/")
            .credentials_provider(Failing(error))
            .build();
        let sent = Client::from_conf(config).get_object().bucket("b").key("k").send().await;
        from_sdk(sent.unwrap_err())
    }

    #[tokio::test]
    async fn missing_credentials_are_a_persons_matter_and_slow_ones_are_not() {
        let missing = without_credentials(CredentialsError::not_loaded_no_source).await;
        assert!(
            matches!(&missing, StoreError::Denied { reason } if reason.contains("no credentials")),
            "{missing:?}"
        );
        let away = without_credentials(|| CredentialsError::provider_error("metadata service is away")).await;
        assert!(
            matches!(&away, StoreError::Unavailable { reason } if reason.contains("is away")),
            "{away:?}"
        );
    }
}
