//! Storage and location from the environment, where the file names none.
//!
//! `SUPABASE_URL` + `SUPABASE_KEY` come first, as existing users have them, then `EDGE_AGENT_STORAGE`.

use std::fmt::Display;
use std::time::Duration;

use url::Url;

use super::check::{self, absolute_path, region, s3_bucket, supabase_bucket, supabase_url, web_url};
use super::model::{FileConfig, S3Config, S3Credentials, StoreConfig, SupabaseConfig};
use super::read::{Reader, Spot};
use super::storage::{PLAYLIST_INTERVALS, PUBLISHABLE, SUPABASE_BUCKET, Storage, is_publishable};
use super::suggest::nearest;
use crate::domain::ids::Location;

const SUPABASE_URL: &str = "SUPABASE_URL";
const SUPABASE_KEY: &str = "SUPABASE_KEY";
const STORAGE: &str = "EDGE_AGENT_STORAGE";
const BUCKET: &str = "EDGE_AGENT_BUCKET";
const MIN_PLAYLIST_INTERVAL: &str = "min_playlist_interval";
const LOCATION: &str = "EDGE_AGENT_LOCATION";

const DEFAULT_LOCATION: &str = "location_1";

/// `None` only if there was a fault.
pub(super) fn location(reader: &mut Reader<'_>) -> Option<Location> {
    let text = reader.var(LOCATION).unwrap_or_else(|| DEFAULT_LOCATION.into());
    good(reader, LOCATION, check::location(&text))
}

/// `None` only if there was a fault. `spot` is where the file could name the storage.
pub(super) fn storage(reader: &mut Reader<'_>, spot: &Spot) -> Option<Storage> {
    let faults_before = reader.faults.len();
    let url = reader.var(SUPABASE_URL);
    let key = reader.var(SUPABASE_KEY);
    let other = reader.var(STORAGE);
    if reader.faults.len() > faults_before {
        return None;
    }
    match (url, key, other) {
        (Some(url), Some(key), other) => {
            if other.is_some() {
                let mend = "unset the one that is not meant";
                reader.env_warn(
                    STORAGE,
                    format!("is ignored beside {SUPABASE_URL} and {SUPABASE_KEY}; {mend}"),
                );
            }
            let store = StoreConfig::Supabase(supabase(reader, &url, key)?);
            Some(Storage::new(store, None, None))
        }
        (url, key, Some(other)) => {
            for (name, _) in [(SUPABASE_URL, url), (SUPABASE_KEY, key)].iter().filter(|(_, v)| v.is_some()) {
                reader.env_warn(name, format!("is ignored: the storage is {STORAGE}'s"));
            }
            from_url(reader, &other)
        }
        (Some(_), None, None) => missing_half(reader, SUPABASE_KEY, SUPABASE_URL),
        (None, Some(_), None) => missing_half(reader, SUPABASE_URL, SUPABASE_KEY),
        (None, None, None) => {
            reader.fault(
                spot,
                format!(
                    "is not configured; set {SUPABASE_URL} and {SUPABASE_KEY}, or \
                     {STORAGE}=s3://bucket?endpoint=…&region=… or file:///path, or a `storage` section in the full form"
                ),
            );
            None
        }
    }
}

const AWS_KEY: &str = "AWS_ACCESS_KEY_ID";
const AWS_SECRET: &str = "AWS_SECRET_ACCESS_KEY";
const AWS_TOKEN: &str = "AWS_SESSION_TOKEN";
/// Read by the AWS SDK itself, which sees the process's environment alone.
const AWS_PROCESS: [&str; 5] = [
    "AWS_PROFILE",
    "AWS_SHARED_CREDENTIALS_FILE",
    "AWS_CONFIG_FILE",
    "AWS_WEB_IDENTITY_TOKEN_FILE",
    "AWS_ROLE_ARN",
];

/// The AWS SDK does not see a file of variables: what it would take from the environment is put in here.
pub(super) fn with_variables_of_file(reader: &mut Reader<'_>, storage: Option<Storage>) -> Option<Storage> {
    let Storage { store, .. } = storage.as_ref()?;
    let store = with_variables(reader, store.clone())?;
    storage.map(|storage| Storage { store, ..storage })
}

fn with_variables(reader: &mut Reader<'_>, store: StoreConfig) -> Option<StoreConfig> {
    let StoreConfig::S3(mut s3) = store else { return Some(store) };
    let var = |name: &str| reader.env.file_var(name);
    if s3.region.is_none() && s3.endpoint.is_none() {
        let name = var("AWS_REGION").or_else(|| var("AWS_DEFAULT_REGION"));
        s3.region = match name {
            Some(name) => Some(good(reader, "AWS_REGION", region(&name))?),
            None => None,
        };
    }
    if s3.credentials.is_some() {
        return Some(StoreConfig::S3(s3));
    }
    let var = |name: &str| reader.env.file_var(name);
    let (key, secret) = match (var(AWS_KEY), var(AWS_SECRET)) {
        (Some(key), Some(secret)) => (key, secret),
        (None, None) => {
            warn_of_process_variables(reader);
            return Some(StoreConfig::S3(s3));
        }
        (Some(_), None) => return missing_half(reader, AWS_SECRET, AWS_KEY),
        (None, Some(_)) => return missing_half(reader, AWS_KEY, AWS_SECRET),
    };
    let session_token = var(AWS_TOKEN).map(Into::into);
    s3.credentials =
        Some(S3Credentials { access_key_id: key, secret_access_key: secret.into(), session_token });
    Some(StoreConfig::S3(s3))
}

fn warn_of_process_variables(reader: &mut Reader<'_>) {
    for name in AWS_PROCESS {
        let in_file = reader.env.file_var(name);
        if in_file.is_some() && in_file != reader.env.process_var(name) {
            reader.env_warn(name, "is ignored in the file of variables; set it in the process's environment");
        }
    }
}

fn missing_half<T>(reader: &mut Reader<'_>, missing: &str, given: &str) -> Option<T> {
    reader.env_fault(missing, format!("is not set, but {given} is; set both"));
    None
}

fn supabase(reader: &mut Reader<'_>, url: &str, key: String) -> Option<SupabaseConfig> {
    let url = good(reader, SUPABASE_URL, supabase_url(url));
    let bucket = reader.var(BUCKET).unwrap_or_else(|| SUPABASE_BUCKET.into());
    let bucket = good(reader, BUCKET, supabase_bucket(&bucket));
    let key = good(reader, SUPABASE_KEY, supabase_key(key));
    Some(SupabaseConfig { url: url?, bucket: bucket?, key: key?.into(), public_base_url: None })
}

fn supabase_key(key: String) -> Result<String, &'static str> {
    // A variable read from a file often ends in a line break.
    let key = key.trim_end_matches(['\r', '\n']);
    if is_publishable(key) {
        return Err(PUBLISHABLE);
    }
    if key.is_empty() || key.contains(|c: char| c.is_whitespace() || c.is_control()) {
        return Err("has a space or a line break in it; copy it anew");
    }
    Ok(key.into())
}

/// `s3://bucket?endpoint=…` or `file:///path`, each perhaps with `public_base_url` and `min_playlist_interval`.
fn from_url(reader: &mut Reader<'_>, text: &str) -> Option<Storage> {
    let url = match Url::parse(text) {
        Ok(url) if matches!(url.scheme(), "s3" | "file") => url,
        _ => {
            reader.env_fault(STORAGE, "must be s3://bucket?endpoint=…&region=… or file:///path");
            return None;
        }
    };
    if !url.username().is_empty() || url.password().is_some() {
        let mend = "use AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY";
        reader.env_fault(STORAGE, format!("holds credentials; {mend}"));
        return None;
    }
    if url.fragment().is_some() || url.port().is_some() {
        reader.env_fault(STORAGE, "has a port or a `#`; a server goes into `?endpoint=`");
        return None;
    }
    if let Some(bucket) = reader.var(BUCKET)
        && url.host_str() != Some(&*bucket)
    {
        reader.env_warn(BUCKET, format!("is ignored: {STORAGE} says where to write"));
    }
    if url.scheme() == "s3" { s3(reader, &url) } else { file(reader, &url) }
}

fn s3(reader: &mut Reader<'_>, url: &Url) -> Option<Storage> {
    if !matches!(url.path(), "" | "/") {
        reader.env_fault(STORAGE, format!("has a path behind the bucket; folders belong in {LOCATION}"));
        return None;
    }
    let bucket = s3_bucket(url.host_str().unwrap_or_default()).map_err(|e| format!("its bucket {e}"));
    let bucket = good(reader, STORAGE, bucket);
    let known = ["endpoint", "region", "public_base_url", MIN_PLAYLIST_INTERVAL];
    let [endpoint, region_name, public, pace] = parameters(reader, url, known)?;
    let endpoint = parameter(reader, "endpoint", endpoint, web_url)?;
    let region = parameter(reader, "region", region_name, region)?;
    let public_base_url = parameter(reader, "public_base_url", public, web_url)?;
    let pace = parameter(reader, MIN_PLAYLIST_INTERVAL, pace, interval)?;
    let config = S3Config { bucket: bucket?, endpoint, region, credentials: None, public_base_url };
    Some(Storage::new(StoreConfig::S3(config), pace, None))
}

fn file(reader: &mut Reader<'_>, url: &Url) -> Option<Storage> {
    let path = url.to_file_path().map_err(|()| "must be an absolute path, e.g. file:///srv/streams");
    let path = path.and_then(|path| absolute_path(&path.to_string_lossy()));
    let root = good(reader, STORAGE, path);
    let [public, pace] = parameters(reader, url, ["public_base_url", MIN_PLAYLIST_INTERVAL])?;
    let public_base_url = parameter(reader, "public_base_url", public, web_url)?;
    let pace = parameter(reader, MIN_PLAYLIST_INTERVAL, pace, interval)?;
    Some(Storage::new(StoreConfig::File(FileConfig { root: root?, public_base_url }), pace, None))
}

/// A number of seconds, or text with a unit.
fn interval(text: &str) -> Result<Duration, &'static str> {
    let seconds = text.parse().ok().and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
    let interval = seconds.or_else(|| humantime::parse_duration(text).ok());
    interval
        .filter(|interval| PLAYLIST_INTERVALS.contains(interval))
        .ok_or("must be 0 to 10 seconds, e.g. 1.1 or 500ms")
}

/// The values of the query's parameters; `None` if there was a fault.
fn parameters<const N: usize>(
    reader: &mut Reader<'_>,
    url: &Url,
    known: [&'static str; N],
) -> Option<[Option<String>; N]> {
    let mut values = [const { None }; N];
    let faults_before = reader.faults.len();
    for (name, value) in url.query_pairs() {
        match known.iter().position(|known| *known == name) {
            None => {
                let mend = match nearest(&name, known) {
                    Some(name) => format!("did you mean `{name}`?"),
                    None => format!("known are {}", known.join(", ")),
                };
                reader.env_fault(STORAGE, format!("has an unknown parameter behind `?`; {mend}"));
            }
            Some(i) if values[i].is_some() => {
                reader.env_fault(STORAGE, format!("has `{}` twice; keep one", known[i]));
            }
            Some(i) => values[i] = Some(value.into_owned()),
        }
    }
    (reader.faults.len() == faults_before).then_some(values)
}

/// `Some(None)` for a parameter that is absent or empty, `None` for a bad one.
fn parameter<T, E: Display>(
    reader: &mut Reader<'_>,
    name: &str,
    value: Option<String>,
    parse: impl FnOnce(&str) -> Result<T, E>,
) -> Option<Option<T>> {
    let Some(value) = value.filter(|value| !value.is_empty()) else { return Some(None) };
    good(reader, STORAGE, parse(&value).map_err(|e| format!("its `{name}` {e}"))).map(Some)
}

fn good<T, E: Display>(reader: &mut Reader<'_>, variable: &str, result: Result<T, E>) -> Option<T> {
    result.map_err(|error| reader.env_fault(variable, error.to_string())).ok()
}
