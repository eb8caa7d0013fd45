//! What the storage charges for requests.

use super::model::{S3Config, StoreConfig};
use super::read::{Reader, Section};
use crate::domain::prices::{AMAZON, NO_FEE, Prices};

pub(super) const KEY: &str = "request_prices";
const KEYS: &[&str] = &["write", "read"];
/// Dollars for a million requests: a thousand times what anybody asks.
const MOST: f64 = 10_000.0;

/// `None`: nobody knows.
pub(super) fn usual(store: &StoreConfig) -> Option<Prices> {
    match store {
        StoreConfig::S3(S3Config { endpoint: None, .. }) => Some(AMAZON),
        StoreConfig::S3(S3Config { endpoint: Some(endpoint), .. }) => Prices::of_host(endpoint.host_str()?),
        StoreConfig::Supabase(_) => Some(NO_FEE),
        StoreConfig::File(_) | StoreConfig::None => None,
    }
}

/// Of the `storage` section.
pub(super) fn read(reader: &mut Reader<'_>, storage: &Section<'_>) -> Option<Prices> {
    let field = storage.get(KEY)?;
    let section = reader.section(&field)?;
    reader.refuse_unknown(&section, KEYS, None);
    for key in KEYS {
        reader.require(&section, key, "give the dollars for a million requests, e.g. 5");
    }
    let write = reader.number(&section, "write", 0.0..=MOST);
    let read = reader.number(&section, "read", 0.0..=MOST);
    Some(Prices { write: write?, read: read? })
}
