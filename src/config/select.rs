//! Which cameras to run.

use super::model::{Camera, Config, LIVE_STREAM};
use super::suggest::nearest;

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SelectError {
    #[error("no camera has the id {id:?}; {}", known(nearest, ids))]
    Unknown { id: String, nearest: Option<String>, ids: Vec<String> },
    #[error("camera {id} is disabled; set `enabled: true` to run it")]
    Disabled { id: String },
    #[error("camera {id} has the use_case {use_case:?}; only `{LIVE_STREAM}` cameras can be run")]
    UseCase { id: String, use_case: String },
    #[error(
        "no camera to run: {disabled} disabled, {others} of another use_case; \
         one needs `enabled: true` and `use_case: {LIVE_STREAM}`"
    )]
    Nothing { disabled: usize, others: usize },
}

fn known(nearest: &Option<String>, ids: &[String]) -> String {
    match nearest {
        Some(id) => format!("did you mean {id}?"),
        None => format!("known: {}", ids.join(", ")),
    }
}

/// The cameras with these ids, or all that run by default if there are none. Empty only where callers may start others.
pub fn select<'a>(config: &'a Config, ids: &[impl AsRef<str>]) -> Result<Vec<&'a Camera>, SelectError> {
    if ids.is_empty() {
        return by_default(config);
    }
    let mut picked: Vec<&Camera> = Vec::with_capacity(ids.len());
    for id in ids {
        let camera = named(config, id.as_ref())?;
        if !picked.iter().any(|earlier| earlier.id == camera.id) {
            picked.push(camera);
        }
    }
    Ok(picked)
}

fn by_default(config: &Config) -> Result<Vec<&Camera>, SelectError> {
    let picked: Vec<_> = config.cameras.iter().filter(|camera| camera.runs_by_default()).collect();
    let knows_others = config.http.as_ref().is_some_and(|http| http.adhoc.is_some());
    if picked.is_empty() && !knows_others {
        return Err(SelectError::Nothing { disabled: config.cameras.len(), others: config.others.len() });
    }
    Ok(picked)
}

fn named<'a>(config: &'a Config, id: &str) -> Result<&'a Camera, SelectError> {
    if let Some(camera) = config.cameras.iter().find(|camera| camera.id.as_str() == id) {
        return if camera.enabled { Ok(camera) } else { Err(SelectError::Disabled { id: id.into() }) };
    }
    if let Some(other) = config.others.iter().find(|other| other.id.as_str() == id) {
        return Err(SelectError::UseCase { id: id.into(), use_case: other.use_case.clone() });
    }
    let ids: Vec<String> = config.cameras.iter().map(|camera| camera.id.to_string()).collect();
    let nearest = nearest(id, ids.iter().map(String::as_str)).map(str::to_owned);
    Err(SelectError::Unknown { id: id.into(), nearest, ids })
}
