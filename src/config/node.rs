//! A YAML document as a tree with line numbers, free of any YAML crate.
//!
//! No `Debug` on purpose: the texts may be secrets.

pub(super) struct Node {
    /// 1 is the first.
    pub line: usize,
    pub kind: Kind,
}

pub(super) enum Kind {
    Scalar(Scalar),
    List(Vec<Node>),
    Map(Vec<Entry>),
}

pub(super) struct Entry {
    pub key: String,
    pub line: usize,
    pub value: Node,
}

#[derive(Clone)]
pub(super) struct Scalar {
    pub text: String,
    /// Neither quoted, a block scalar nor tagged `!!str`: it may mean a number, a boolean or nothing.
    pub plain: bool,
}

impl Scalar {
    pub fn is_null(&self) -> bool {
        self.plain && matches!(self.text.as_str(), "" | "~" | "null" | "Null" | "NULL")
    }

    pub fn boolean(&self) -> Option<bool> {
        match self.text.as_str() {
            "true" | "True" | "TRUE" if self.plain => Some(true),
            "false" | "False" | "FALSE" if self.plain => Some(false),
            _ => None,
        }
    }

    pub fn is_number(&self) -> bool {
        let radix = |prefix, radix| {
            self.text.strip_prefix(prefix).is_some_and(|rest| i64::from_str_radix(rest, radix).is_ok())
        };
        let unsigned = self.text.trim_start_matches(['+', '-']).to_ascii_lowercase();
        let float = self.text.contains(|c: char| c.is_ascii_digit()) && self.text.parse::<f64>().is_ok();
        self.plain && (float || radix("0x", 16) || radix("0o", 8) || matches!(&*unsigned, ".inf" | ".nan"))
    }
}

impl Node {
    pub fn is_null(&self) -> bool {
        matches!(&self.kind, Kind::Scalar(scalar) if scalar.is_null())
    }

    /// How many nodes, itself counted.
    pub fn size(&self) -> usize {
        1 + match &self.kind {
            Kind::Scalar(_) => 0,
            Kind::List(items) => items.iter().map(Self::size).sum(),
            Kind::Map(entries) => entries.iter().map(|entry| entry.value.size()).sum(),
        }
    }

    /// A copy; not `Clone`, so that a copy is a decision (aliases can multiply).
    pub fn copy(&self) -> Self {
        let kind = match &self.kind {
            Kind::Scalar(scalar) => Kind::Scalar(scalar.clone()),
            Kind::List(items) => Kind::List(items.iter().map(Self::copy).collect()),
            Kind::Map(entries) => Kind::Map(entries.iter().map(Entry::copy).collect()),
        };
        Self { line: self.line, kind }
    }
}

impl Entry {
    fn copy(&self) -> Self {
        Self { key: self.key.clone(), line: self.line, value: self.value.copy() }
    }
}
