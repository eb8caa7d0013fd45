//! The `storage` section of the full form.

use std::ops::RangeInclusive;
use std::time::Duration;

use secrecy::ExposeSecret;
use url::Url;

use super::check::{absolute_path, region, s3_bucket, supabase_bucket, supabase_url, web_url};
use super::model::{FileConfig, S3Config, S3Credentials, StoreConfig, SupabaseConfig};
use super::prices;
use super::read::{Reader, Section};
use super::suggest::nearest;
use crate::domain::prices::Prices;

pub(super) const S3_KEYS: &[&str] = &[
    "type",
    "bucket",
    "endpoint",
    "region",
    "public_base_url",
    "min_playlist_interval",
    "request_prices",
    "access_key_id",
    "secret_access_key",
    "secret_access_key_file",
    "session_token",
    "session_token_file",
];
pub(super) const SUPABASE_KEYS: &[&str] = &[
    "type",
    "url",
    "bucket",
    "key",
    "key_file",
    "public_base_url",
    "min_playlist_interval",
    "request_prices",
];
pub(super) const FILE_KEYS: &[&str] = &["type", "root", "public_base_url", "min_playlist_interval"];
pub(super) const NONE_KEYS: &[&str] = &["type"];
const TYPES: [&str; 4] = ["s3", "supabase", "file", "none"];

/// The bucket of existing Supabase users.
pub(super) const SUPABASE_BUCKET: &str = "streams";

/// Where the video goes, and how it wants to be written to.
pub(super) struct Storage {
    pub store: StoreConfig,
    pub min_playlist_interval: Duration,
    /// `None`: nobody knows them.
    pub request_prices: Option<Prices>,
}

impl Storage {
    /// With what is usual there for what nobody said.
    pub fn new(store: StoreConfig, interval: Option<Duration>, request_prices: Option<Prices>) -> Self {
        Self {
            min_playlist_interval: interval.unwrap_or_else(|| usual_playlist_interval(&store)),
            request_prices: request_prices.or_else(|| prices::usual(&store)),
            store,
        }
    }
}

/// Longer, and no player could follow.
pub(super) const PLAYLIST_INTERVALS: RangeInclusive<Duration> = Duration::ZERO..=Duration::from_secs(10);
/// A little more than the second that they ask for.
const ONE_A_SECOND: Duration = Duration::from_millis(1100);

/// Cloudflare R2 and Google take one write a second for one key, and answer more with 429.
fn usual_playlist_interval(store: &StoreConfig) -> Duration {
    let StoreConfig::S3(S3Config { endpoint: Some(endpoint), .. }) = store else { return Duration::ZERO };
    let host = endpoint.host_str().unwrap_or_default();
    let limited = host.ends_with(".r2.cloudflarestorage.com") || host == "storage.googleapis.com";
    if limited { ONE_A_SECOND } else { Duration::ZERO }
}

/// `None` only if there was a fault.
pub(super) fn read(reader: &mut Reader<'_>, section: &Section<'_>) -> Option<Storage> {
    reader.require(section, "type", "use s3, supabase, file or none");
    let interval = reader.duration(section, "min_playlist_interval", PLAYLIST_INTERVALS);
    let prices = prices::read(reader, section);
    let store = store(reader, section)?;
    Some(Storage::new(store, interval.map(|interval| interval.value), prices))
}

fn store(reader: &mut Reader<'_>, section: &Section<'_>) -> Option<StoreConfig> {
    let kind = reader.text(section, "type")?;
    match kind.value.value.as_str() {
        "s3" => s3(reader, section).map(StoreConfig::S3),
        "supabase" => supabase(reader, section).map(StoreConfig::Supabase),
        "file" => file(reader, section).map(StoreConfig::File),
        "none" => {
            reader.refuse_unknown(section, NONE_KEYS, None);
            Some(StoreConfig::None)
        }
        other => {
            let mend = match nearest(other, TYPES) {
                Some(name) => format!("did you mean `{name}`?"),
                None => "MinIO, R2, B2, Garage and other S3 stores are `s3`".into(),
            };
            reader.fault(&kind.spot, format!("is not one of s3, supabase, file, none; {mend}"));
            None
        }
    }
}

fn s3(reader: &mut Reader<'_>, section: &Section<'_>) -> Option<S3Config> {
    reader.refuse_unknown(section, S3_KEYS, None);
    reader.require(section, "bucket", "name the bucket");
    let bucket = reader.parsed(section, "bucket", s3_bucket);
    let endpoint = reader.parsed(section, "endpoint", web_url);
    let region = reader.parsed(section, "region", region).map(|region| region.value);
    let credentials = s3_credentials(reader, section);
    let public_base_url = public_base_url(reader, section);
    let bucket = bucket?.value;
    if let Some(endpoint) = endpoint.as_ref().filter(|endpoint| ends_in(&endpoint.value, &bucket)) {
        reader.warn(&endpoint.spot, "ends in the bucket's name, which is added by itself; leave it out");
    }
    let endpoint = endpoint.map(|endpoint| endpoint.value);
    Some(S3Config { bucket, endpoint, region, credentials, public_base_url })
}

/// R2's console shows its endpoint with the bucket at the end.
fn ends_in(endpoint: &Url, bucket: &str) -> bool {
    endpoint.path().trim_end_matches('/').rsplit('/').next() == Some(bucket)
}

/// `None`, unless keys are given: then the standard AWS chain has them.
fn s3_credentials(reader: &mut Reader<'_>, section: &Section<'_>) -> Option<S3Credentials> {
    let id = reader.text(section, "access_key_id");
    let secret = reader.secret(section, "secret_access_key");
    let token = reader.secret(section, "session_token");
    let has_secret = section.has("secret_access_key") || section.has("secret_access_key_file");
    let has_token = section.has("session_token") || section.has("session_token_file");
    let has_id = section.has("access_key_id");
    let chain = "or leave all of them out to use the standard AWS chain";
    if has_id && !has_secret {
        let spot = section.spot_of("secret_access_key");
        reader.fault(&spot, format!("is missing beside `access_key_id`; add it or its `_file`, {chain}"));
    }
    if !has_id && (has_secret || has_token) {
        let spot = section.spot_of("access_key_id");
        reader.fault(&spot, format!("is missing beside the secret; add it, {chain}"));
    }
    Some(S3Credentials {
        access_key_id: id?.value.value,
        secret_access_key: secret?.value,
        session_token: token.map(|token| token.value),
    })
}

fn supabase(reader: &mut Reader<'_>, section: &Section<'_>) -> Option<SupabaseConfig> {
    reader.refuse_unknown(section, SUPABASE_KEYS, None);
    reader.require(section, "url", "give the project's URL, e.g. https://abc.supabase.co");
    let url = reader.parsed(section, "url", supabase_url);
    let bucket = reader.parsed(section, "bucket", supabase_bucket);
    let public_base_url = public_base_url(reader, section);
    let key = match reader.secret(section, "key") {
        None if !section.has("key_file") => {
            reader.require(section, "key", "give the service key as ${SUPABASE_KEY}, or use `key_file`");
            None
        }
        key => key,
    };
    if let Some(key) = &key
        && is_publishable(key.value.expose_secret())
    {
        reader.fault(&key.spot, PUBLISHABLE);
    }
    let bucket = bucket.map_or_else(|| SUPABASE_BUCKET.into(), |bucket| bucket.value);
    Some(SupabaseConfig { url: url?.value, bucket, key: key?.value, public_base_url })
}

pub(super) const PUBLISHABLE: &str =
    "is a publishable key, which may not write; use the service_role or an sb_secret_ key";

pub(super) fn is_publishable(key: &str) -> bool {
    key.starts_with("sb_publishable_")
}

fn file(reader: &mut Reader<'_>, section: &Section<'_>) -> Option<FileConfig> {
    reader.refuse_unknown(section, FILE_KEYS, None);
    reader.require(section, "root", "give the folder, e.g. /srv/streams");
    let root = reader.parsed(section, "root", absolute_path);
    let public_base_url = public_base_url(reader, section);
    Some(FileConfig { root: root?.value, public_base_url })
}

fn public_base_url(reader: &mut Reader<'_>, section: &Section<'_>) -> Option<Url> {
    reader.parsed(section, "public_base_url", web_url).map(|url| url.value)
}
