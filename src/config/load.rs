//! Finding the file, reading it, and handing out a configuration or all of its faults.

use std::path::{Path, PathBuf};

use super::env::Env;
use super::fault::{Fault, Faults, Place, sort};
use super::model::Config;
use super::read::Reader;
use super::{file, yaml};

const FILE_MAX: u64 = 1024 * 1024;

const VARIABLE: &str = "EDGE_AGENT_CONFIG";
const PLACES: [&str; 2] = ["cameras.yaml", "/etc/edge-agent/cameras.yaml"];

/// A configuration, and what is odd about it.
#[derive(Debug, Clone)]
pub struct Loaded {
    pub config: Config,
    pub warnings: Vec<Fault>,
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "no configuration found, neither {} nor {}; \
     name it with --config FILE or ${VARIABLE}, or write one of these",
    PLACES[0],
    PLACES[1]
)]
pub struct NotFound;

/// The file to load: the one of the command line, else of `$EDGE_AGENT_CONFIG`, else in the usual places.
pub fn find(explicit: Option<&Path>, env: &dyn Env) -> Result<PathBuf, NotFound> {
    if let Some(path) = explicit {
        return Ok(path.into());
    }
    if let Some(path) = env.var(VARIABLE).ok().filter(|path| !path.is_empty()) {
        return Ok(path.into());
    }
    PLACES.iter().map(PathBuf::from).find(|path| env.exists(path)).ok_or(NotFound)
}

/// Reads and validates a file.
pub fn load(path: &Path, env: &dyn Env) -> Result<Loaded, Faults> {
    let name = path.display().to_string();
    let whole = |problem: String| {
        Faults::from(Fault { place: Place::File(name.clone()), field: String::new(), problem })
    };
    let bytes = env.read(path, FILE_MAX + 1).map_err(|e| whole(format!("cannot be read: {e}")))?;
    if bytes.len() as u64 > FILE_MAX {
        return Err(whole("is larger than 1 MiB; is it a configuration?".into()));
    }
    let text = std::str::from_utf8(&bytes).map_err(|error| {
        let line = 1 + bytes[..error.valid_up_to()].iter().filter(|b| **b == b'\n').count();
        let place = Place::Line { file: name.clone(), line, column: None };
        Faults::from(Fault {
            place,
            field: String::new(),
            problem: "is not UTF-8 text; save it as UTF-8".into(),
        })
    })?;
    parse(&name, text, env)
}

/// Validates a file's text. `file_name` is for the faults; relative `*_file` paths start at its folder.
pub fn parse(file_name: &str, text: &str, env: &dyn Env) -> Result<Loaded, Faults> {
    let root = yaml::parse(text).map_err(|flaw| {
        let place = Place::Line { file: file_name.into(), line: flaw.line, column: Some(flaw.column) };
        Faults::from(Fault { place, field: String::new(), problem: flaw.problem })
    })?;
    let mut reader = Reader::new(file_name, env);
    let config = file::read(&mut reader, root.as_ref());
    let Reader { faults, mut warnings, .. } = reader;
    if let Some(faults) = Faults::of(faults) {
        return Err(faults);
    }
    sort(&mut warnings);
    let config = config.expect("a reader that returns nothing has reported why");
    Ok(Loaded { config, warnings })
}
