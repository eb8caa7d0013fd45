//! The SDK, set up for S3 as many speak it.

use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_sdk_s3::Config;
use aws_sdk_s3::config::retry::RetryConfig;
use aws_sdk_s3::config::timeout::TimeoutConfig;
use aws_sdk_s3::config::{
    Credentials, ProvideCredentials, RequestChecksumCalculation, ResponseChecksumValidation,
    StalledStreamProtectionConfig,
};
use secrecy::ExposeSecret;
use url::Url;

use super::errors::no_credentials;
use crate::config::model::{S3Config, S3Credentials};
use crate::store::StoreError;
use crate::store::open::{Identity, Limits};
use crate::store::public_url::bare;

/// What stores that have no regions call theirs.
const CUSTOM_REGION: &str = "us-east-1";
const R2_REGION: &str = "auto";
const R2_DOMAIN: &str = ".r2.cloudflarestorage.com";

pub(super) async fn sdk_config(config: &S3Config, limits: &Limits) -> Result<Config, StoreError> {
    from_shared(config, limits, &shared_config(config).await)
}

/// The same, with the credentials that it has at this moment.
pub(super) async fn sdk_config_and_identity(
    config: &S3Config,
    limits: &Limits,
) -> Result<(Config, Identity), StoreError> {
    let shared = shared_config(config).await;
    let sdk = from_shared(config, limits, &shared)?;
    let none = || StoreError::Denied { reason: "no credentials".to_owned() };
    let provider = shared.credentials_provider().ok_or_else(none)?;
    let found = provider.provide_credentials().await.map_err(|error| no_credentials(&error))?;
    let token = found.session_token().unwrap_or_default();
    Ok((sdk, Identity::new(&[found.access_key_id(), found.secret_access_key(), token])))
}

fn from_shared(config: &S3Config, limits: &Limits, shared: &SdkConfig) -> Result<Config, StoreError> {
    if shared.region().is_none() {
        let reason = "no region: set `region`, AWS_REGION or a profile with one".to_owned();
        return Err(StoreError::Rejected { reason });
    }
    let timeouts = TimeoutConfig::builder()
        .connect_timeout(limits.connect)
        .operation_attempt_timeout(limits.attempt)
        .build();
    let mut builder = aws_sdk_s3::config::Builder::from(shared)
        // One attempt per call, as only the publisher retries. A wrong clock needs no second one in here:
        // the SDK keeps the offset that it learns from any answer's `Date` and signs the next call with it.
        .retry_config(RetryConfig::disabled())
        .timeout_config(timeouts)
        // The limit above is enough; this would also fail a slow but living uplink.
        .stalled_stream_protection(StalledStreamProtectionConfig::disabled())
        // Some stores refuse the CRC32 headers that are the SDK's default.
        .request_checksum_calculation(RequestChecksumCalculation::WhenRequired)
        .response_checksum_validation(ResponseChecksumValidation::WhenRequired)
        .force_path_style(config.endpoint.is_some());
    // Also where none is given: an AWS_ENDPOINT_URL would move the objects away from their public URL.
    builder.set_endpoint_url(config.endpoint.as_ref().map(endpoint_url));
    Ok(builder.build())
}

/// Region and credentials: the given ones, the rest from the standard AWS chain.
async fn shared_config(config: &S3Config) -> SdkConfig {
    let mut loader = aws_config::defaults(BehaviorVersion::latest());
    if let Some(region) = region(config) {
        loader = loader.region(Region::new(region.to_owned()));
    }
    if let Some(credentials) = &config.credentials {
        loader = loader.credentials_provider(fixed(credentials));
    }
    loader.load().await
}

fn region(config: &S3Config) -> Option<&str> {
    if let Some(region) = &config.region {
        return Some(region);
    }
    let host = config.endpoint.as_ref()?.host_str().unwrap_or_default();
    Some(if host.ends_with(R2_DOMAIN) { R2_REGION } else { CUSTOM_REGION })
}

fn fixed(credentials: &S3Credentials) -> Credentials {
    let token = credentials.session_token.as_ref().map(|token| token.expose_secret().to_owned());
    let secret = credentials.secret_access_key.expose_secret();
    Credentials::new(&credentials.access_key_id, secret, token, None, "configuration")
}

/// With a path it must end in `/`: the SDK would join `/s3` and `bucket` to `/s3bucket`.
fn endpoint_url(endpoint: &Url) -> String {
    let mut url = bare(endpoint);
    if !url.path().ends_with('/') {
        url.set_path(&format!("{}/", url.path()));
    }
    url.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(endpoint: Option<&str>, region: Option<&str>) -> S3Config {
        S3Config {
            bucket: "streams".into(),
            endpoint: endpoint.map(|url| Url::parse(url).unwrap()),
            region: region.map(Into::into),
            credentials: None,
            public_base_url: None,
        }
    }

    #[test]
    fn an_endpoint_with_a_path_ends_in_a_slash() {
        let normal = |url: &str| endpoint_url(&Url::parse(url).unwrap());
        assert_eq!(normal("http://h:9000"), "http://h:9000/");
        assert_eq!(normal("https://h/storage/v1/s3"), "https://h/storage/v1/s3/");
        assert_eq!(normal("https://u:p@h/storage/v1/s3/?x#y"), "https://h/storage/v1/s3/");
    }

    #[test]
    fn a_custom_endpoint_needs_no_region() {
        assert_eq!(region(&config(Some("http://127.0.0.1:9000"), None)), Some("us-east-1"));
        assert_eq!(region(&config(Some("https://0123.r2.cloudflarestorage.com"), None)), Some("auto"));
        assert_eq!(region(&config(Some("https://0123.eu.r2.cloudflarestorage.com"), None)), Some("auto"));
        assert_eq!(region(&config(Some("http://h"), Some("garage"))), Some("garage"));
        assert_eq!(region(&config(None, None)), None, "AWS: from the chain");
    }
}
