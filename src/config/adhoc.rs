//! `http.allow_adhoc` and `http.adhoc`: streams of cameras that only a caller knows.

use super::model::Adhoc;
use super::read::{Field, Reader, Section};
use crate::domain::reach::{Network, Reach, allowed_host};

pub(super) const ALLOW: &str = "allow_adhoc";
pub(super) const SECTION: &str = "adhoc";
pub(super) const KEYS: &[&str] = &["hosts", "networks", "private_addresses", "max_streams"];
const MOST_STREAMS: u32 = 256;

/// `None`: there are none.
pub(super) fn read(reader: &mut Reader<'_>, http: &Section<'_>) -> Option<Adhoc> {
    let is_allowed = reader.boolean(http, ALLOW);
    let section = http.get(SECTION).and_then(|field| reader.section(&field));
    if section.is_some() && !http.has(ALLOW) {
        reader.fault(&http.spot_of(SECTION), format!("has no effect alone; add `{ALLOW}: true` beside it"));
    }
    let adhoc = section.map_or_else(Adhoc::default, |section| limits(reader, &section));
    (is_allowed == Some(true)).then_some(adhoc)
}

fn limits(reader: &mut Reader<'_>, section: &Section<'_>) -> Adhoc {
    reader.refuse_unknown(section, KEYS, None);
    let usual = Adhoc::default();
    let hosts = texts(reader, section, "hosts", allowed_host);
    let networks = texts(reader, section, "networks", |text| text.parse::<Network>());
    let private = reader.boolean(section, "private_addresses").unwrap_or(usual.reach.private);
    let most = reader.integer(section, "max_streams", 1..=MOST_STREAMS);
    Adhoc {
        reach: Reach { hosts, networks, private },
        max_streams: most.map_or(usual.max_streams, |most| most.value as usize),
    }
}

/// A list that is there and empty would allow everything: that is not what it looks like.
fn texts<T, E: std::fmt::Display>(
    reader: &mut Reader<'_>,
    section: &Section<'_>,
    key: &str,
    parse: impl Fn(&str) -> Result<T, E>,
) -> Vec<T> {
    let Some(field) = section.get(key) else { return Vec::new() };
    let spot = field.spot.clone();
    let items = reader.list(&field).unwrap_or_default();
    if items.is_empty() {
        reader.fault(&spot, "is empty; list what is allowed, or leave it out for everything");
    }
    items.into_iter().filter_map(|item| text(reader, item, &parse)).collect()
}

fn text<T, E: std::fmt::Display>(
    reader: &mut Reader<'_>,
    item: Field<'_>,
    parse: impl Fn(&str) -> Result<T, E>,
) -> Option<T> {
    let text = reader.text_of(item)?;
    match parse(&text.value.value) {
        Ok(value) => Some(value),
        Err(error) => {
            reader.fault(&text.spot, error.to_string());
            None
        }
    }
}
