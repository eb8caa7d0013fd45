//! Walking the tree: sections, lists and what is wrong with them. Values are read in [`super::value`].

use std::collections::HashMap;
use std::env::VarError;
use std::path::Path;

use super::env::Env;
use super::fault::{Fault, Place};
use super::node::{Entry, Kind, Node};
use super::suggest::nearest;

/// Reads on after a fault and keeps them all; a getter that found one returns `None`.
pub(super) struct Reader<'a> {
    pub env: &'a dyn Env,
    file: &'a str,
    pub faults: Vec<Fault>,
    pub warnings: Vec<Fault>,
}

/// Where a value stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Spot {
    pub path: String,
    pub line: usize,
}

/// A value, and where it came from.
#[derive(Debug, Clone)]
pub(super) struct Given<T> {
    pub value: T,
    pub spot: Spot,
}

/// A node that has not been looked at.
pub(super) struct Field<'n> {
    pub spot: Spot,
    pub node: &'n Node,
}

/// A mapping whose keys are known to differ.
pub(super) struct Section<'n> {
    pub spot: Spot,
    entries: &'n [Entry],
}

impl<'n> Section<'n> {
    pub fn get(&self, key: &str) -> Option<Field<'n>> {
        let entry = self.entries.iter().find(|entry| entry.key == key)?;
        let spot = Spot { path: join(&self.spot.path, key), line: entry.line };
        Some(Field { spot, node: &entry.value })
    }

    pub fn has(&self, key: &str) -> bool {
        self.entries.iter().any(|entry| entry.key == key)
    }

    /// Where a key that is missing would stand.
    pub fn spot_of(&self, key: &str) -> Spot {
        Spot { path: join(&self.spot.path, key), line: self.spot.line }
    }
}

fn join(path: &str, key: &str) -> String {
    if path.is_empty() { key.into() } else { format!("{path}.{key}") }
}

impl<'a> Reader<'a> {
    pub fn new(file: &'a str, env: &'a dyn Env) -> Self {
        Self { env, file, faults: Vec::new(), warnings: Vec::new() }
    }

    pub fn fault(&mut self, spot: &Spot, problem: impl Into<String>) {
        let fault = self.at(spot, problem.into());
        self.faults.push(fault);
    }

    pub fn warn(&mut self, spot: &Spot, problem: impl Into<String>) {
        let warning = self.at(spot, problem.into());
        self.warnings.push(warning);
    }

    pub fn env_fault(&mut self, variable: &str, problem: impl Into<String>) {
        self.faults.push(in_environment(variable, problem.into()));
    }

    pub fn env_warn(&mut self, variable: &str, problem: impl Into<String>) {
        self.warnings.push(in_environment(variable, problem.into()));
    }

    fn at(&self, spot: &Spot, problem: String) -> Fault {
        let place = Place::Line { file: self.file.into(), line: spot.line, column: None };
        Fault { place, field: spot.path.clone(), problem }
    }

    /// Where relative `*_file` paths start.
    pub fn folder(&self) -> &Path {
        Path::new(self.file).parent().unwrap_or(Path::new(""))
    }

    /// An environment variable that stands for a setting; an empty one counts as unset.
    pub fn var(&mut self, name: &str) -> Option<String> {
        match self.env.var(name) {
            Ok(value) if value.is_empty() => None,
            Ok(value) => Some(value),
            Err(VarError::NotPresent) => None,
            Err(VarError::NotUnicode(_)) => {
                self.env_fault(name, "is not UTF-8");
                None
            }
        }
    }

    /// A mapping; one without any content (`settings:` alone) counts as absent.
    pub fn section<'n>(&mut self, field: &Field<'n>) -> Option<Section<'n>> {
        match &field.node.kind {
            Kind::Map(entries) => {
                self.refuse_repeated(&field.spot, entries);
                Some(Section { spot: field.spot.clone(), entries })
            }
            _ if field.node.is_null() => None,
            _ => {
                self.fault(&field.spot, format!("is {}; use `key: value` pairs", kind(field.node)));
                None
            }
        }
    }

    pub fn list<'n>(&mut self, field: &Field<'n>) -> Option<Vec<Field<'n>>> {
        let Kind::List(items) = &field.node.kind else {
            if !field.node.is_null() {
                self.fault(&field.spot, format!("is {}; use a list (`- …`)", kind(field.node)));
            }
            return None;
        };
        let field = |(i, node): (usize, &'n Node)| Field {
            spot: Spot { path: format!("{}[{i}]", field.spot.path), line: node.line },
            node,
        };
        Some(items.iter().enumerate().map(field).collect())
    }

    fn refuse_repeated(&mut self, spot: &Spot, entries: &[Entry]) {
        let mut lines = HashMap::with_capacity(entries.len());
        for entry in entries {
            let Some(first) = lines.insert(&entry.key, entry.line) else { continue };
            let at = Spot { path: join(&spot.path, &shorten(&entry.key)), line: entry.line };
            self.fault(&at, format!("is given twice, first in line {first}; keep one"));
        }
    }

    /// Reports keys that are not among `known`. `elsewhere` names a section and the keys that people
    /// put beside it instead of into it.
    pub fn refuse_unknown(
        &mut self,
        section: &Section<'_>,
        known: &[&'static str],
        elsewhere: Option<(&str, &[&'static str])>,
    ) {
        for entry in section.entries.iter().filter(|entry| !known.contains(&entry.key.as_str())) {
            let key = &entry.key;
            let mend = match elsewhere {
                _ if key == "<<" => {
                    "merge keys are YAML 1.1; write the keys out, or use `defaults`".to_owned()
                }
                Some((section, keys)) if keys.contains(&key.as_str()) => format!("move it into `{section}`"),
                _ => match nearest(key, known.iter().copied()) {
                    Some(name) => format!("did you mean `{name}`?"),
                    None => format!("known here: {}", known.join(", ")),
                },
            };
            let spot = Spot { path: join(&section.spot.path, &shorten(key)), line: entry.line };
            self.fault(&spot, format!("is not a known key; {mend}"));
        }
    }
}

/// What a node is, without showing what may be a secret.
pub(super) fn kind(node: &Node) -> &'static str {
    match &node.kind {
        Kind::List(_) => "a list",
        Kind::Map(_) => "a mapping",
        Kind::Scalar(scalar) if scalar.is_null() => "empty",
        Kind::Scalar(scalar) if scalar.boolean().is_some() => "a truth value",
        Kind::Scalar(scalar) if scalar.is_number() => "a number",
        Kind::Scalar(_) => "text",
    }
}

/// A key may be a whole paragraph when a colon is out of place, and must not break the line.
fn shorten(key: &str) -> String {
    let short: String = key.chars().take(40).collect();
    let tail = if short.len() < key.len() { "…" } else { "" };
    format!("{}{tail}", short.escape_debug())
}

fn in_environment(variable: &str, problem: String) -> Fault {
    Fault { place: Place::Environment, field: variable.into(), problem }
}
