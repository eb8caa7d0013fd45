//! What the store was asked.

use std::collections::BTreeMap;
use std::ops::Sub;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    PutPlaylist,
    PutSegment,
    ReadPlaylist,
    Delete,
    List,
    Other,
    /// A connection that brought no request.
    Connection,
}

impl Kind {
    pub fn of(method: &str, target: &str) -> Self {
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let is_playlist = path.ends_with(".m3u8");
        match method {
            "PUT" if is_playlist => Self::PutPlaylist,
            "PUT" if path.ends_with(".ts") => Self::PutSegment,
            "GET" if is_playlist => Self::ReadPlaylist,
            "DELETE" => Self::Delete,
            "POST" if query.split('&').any(|part| part.starts_with("delete")) => Self::Delete,
            "GET" if query.contains("list-type=") => Self::List,
            _ => Self::Other,
        }
    }
}

#[derive(Debug, Clone, Default, PartialEq)]
pub struct Counts(pub BTreeMap<Kind, u64>);

impl Counts {
    pub fn of(&self, kind: Kind) -> u64 {
        self.0.get(&kind).copied().unwrap_or_default()
    }

    pub fn total(&self) -> u64 {
        self.0.values().sum()
    }

    pub fn add(&mut self, kind: Kind) {
        *self.0.entry(kind).or_default() += 1;
    }
}

impl Sub<&Counts> for Counts {
    type Output = Counts;

    fn sub(mut self, earlier: &Counts) -> Counts {
        for (kind, count) in &mut self.0 {
            *count -= earlier.of(*kind);
        }
        self
    }
}
