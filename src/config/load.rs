//! Finding the file, reading it, and handing out a configuration or all of its faults.

use std::path::{Path, PathBuf};

use super::env::Env;
use super::env_file::{EnvFile, FileEnv};
use super::fault::{Fault, Faults, Place, sort};
use super::model::{Config, StoreConfig};
use super::node::Node;
use super::read::Reader;
use super::source::StorageSource;
use super::{file, yaml};

const FILE_MAX: u64 = 1024 * 1024;

const VARIABLE: &str = "EDGE_AGENT_CONFIG";
const PLACES: [&str; 2] = ["cameras.yaml", "/etc/edge-agent/cameras.yaml"];

/// A configuration, and what is odd about it.
#[derive(Debug, Clone)]
pub struct Loaded {
    pub config: Config,
    pub warnings: Vec<Fault>,
    /// To read the storage's credentials again.
    pub storage: StorageSource,
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
    let text = read(path, env)?;
    parse(&path.display().to_string(), &text, env)
}

/// The same with a file of variables, and with the text from `content`, a newer copy of the file at `path`.
pub fn load_with(
    path: &Path,
    content: &Path,
    env_file: Option<&EnvFile>,
    base: &dyn Env,
) -> Result<Loaded, Faults> {
    let env = FileEnv::load(env_file, base)?;
    let text = read(content, &env)?;
    let mut loaded = parse(&path.display().to_string(), &text, &env)?;
    loaded.storage.env_file = env_file.cloned();
    Ok(loaded)
}

fn read(path: &Path, env: &dyn Env) -> Result<String, Faults> {
    let name = path.display().to_string();
    let whole = |problem: String| {
        Faults::from(Fault { place: Place::File(name.clone()), field: String::new(), problem })
    };
    let bytes = env.read(path, FILE_MAX + 1).map_err(|e| whole(format!("cannot be read: {e}")))?;
    if bytes.len() as u64 > FILE_MAX {
        return Err(whole("is larger than 1 MiB; is it a configuration?".into()));
    }
    String::from_utf8(bytes).map_err(|error| {
        let (error, bytes) = (error.utf8_error(), error.as_bytes());
        let line = 1 + bytes[..error.valid_up_to()].iter().filter(|b| **b == b'\n').count();
        let place = Place::Line { file: name.clone(), line, column: None };
        Faults::from(Fault {
            place,
            field: String::new(),
            problem: "is not UTF-8 text; save it as UTF-8".into(),
        })
    })
}

/// Validates a file's text. `file_name` is for the faults; relative `*_file` paths start at its folder.
pub fn parse(file_name: &str, text: &str, env: &dyn Env) -> Result<Loaded, Faults> {
    let root = tree(file_name, text)?;
    let mut reader = Reader::new(file_name, env);
    let config = file::read(&mut reader, root.as_ref());
    let Reader { faults, mut warnings, .. } = reader;
    if let Some(faults) = Faults::of(faults) {
        return Err(faults);
    }
    sort(&mut warnings);
    let config = config.expect("a reader that returns nothing has reported why");
    let storage = StorageSource { file_name: file_name.into(), text: text.into(), env_file: None };
    Ok(Loaded { config, warnings, storage })
}

/// The storage alone: whatever else the file has may be wrong by now.
pub(super) fn parse_storage(file_name: &str, text: &str, env: &dyn Env) -> Result<StoreConfig, Faults> {
    let root = tree(file_name, text)?;
    let mut reader = Reader::new(file_name, env);
    let store = file::read_storage(&mut reader, root.as_ref());
    match Faults::of(reader.faults) {
        Some(faults) => Err(faults),
        None => Ok(store.expect("a reader that returns nothing has reported why")),
    }
}

fn tree(file_name: &str, text: &str) -> Result<Option<Node>, Faults> {
    yaml::parse(text).map_err(|flaw| {
        let place = Place::Line { file: file_name.into(), line: flaw.line, column: Some(flaw.column) };
        Faults::from(Fault { place, field: String::new(), problem: flaw.problem })
    })
}
