//! Names and numbers that must not be mixed up. Parsing is validating.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

/// Why a name can't be used as an object key, a folder or a URL path.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    #[error("is empty")]
    Empty,
    #[error("is longer than {0} characters")]
    TooLong(usize),
    #[error("has the character {0:?}; use letters, digits, `_`, `-` and `.`")]
    Character(char),
    #[error("must not start with `.` or `-`")]
    Start,
}

const NAME_MAX: usize = 64;

/// A name that is safe as an object key, a folder and a URL path alike.
fn check_name(name: &str) -> Result<(), NameError> {
    if name.is_empty() {
        return Err(NameError::Empty);
    }
    if let Some(bad) = name.chars().find(|c| !(c.is_ascii_alphanumeric() || "_-.".contains(*c))) {
        return Err(NameError::Character(bad));
    }
    if name.starts_with(['.', '-']) {
        return Err(NameError::Start);
    }
    if name.len() > NAME_MAX {
        return Err(NameError::TooLong(NAME_MAX));
    }
    Ok(())
}

/// A camera's id: one path segment of letters, digits, `_`, `-` and `.`, 64 at most.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CameraId(Arc<str>);

impl CameraId {
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for CameraId {
    type Err = NameError;

    fn from_str(s: &str) -> Result<Self, NameError> {
        check_name(s)?;
        Ok(Self(s.into()))
    }
}

impl fmt::Display for CameraId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for CameraId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", &*self.0)
    }
}

/// Where a site's cameras lie in the bucket: path segments joined by `/`, e.g. `location_1` or `shops/berlin-3`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Location(Arc<str>);

impl Location {
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Location {
    type Err = NameError;

    fn from_str(s: &str) -> Result<Self, NameError> {
        s.split('/').try_for_each(check_name)?;
        Ok(Self(s.into()))
    }
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// One engine lifetime, first to last byte.
///
/// Part of every segment's name. The wall clock alone could repeat (a box without a battery-backed clock
/// boots into the same second), so dice are part of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RunId {
    /// Wall clock at spawn, milliseconds since the Unix epoch; 44 bits are kept.
    millis: u64,
    dice: u32,
}

const RUN_MILLIS_BITS: u32 = 44;
const RUN_TEXT_LEN: usize = 11 + 8;

impl RunId {
    pub fn new(wall_ms: u64, dice: u32) -> Self {
        Self { millis: wall_ms & ((1 << RUN_MILLIS_BITS) - 1), dice }
    }

    /// Another one of the same time.
    #[must_use]
    pub fn with_dice(self, dice: u32) -> Self {
        Self { dice, ..self }
    }
}

impl fmt::Display for RunId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:011x}{:08x}", self.millis, self.dice)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a run id")]
pub struct NotARunId;

impl FromStr for RunId {
    type Err = NotARunId;

    fn from_str(s: &str) -> Result<Self, NotARunId> {
        let hex = |c: &u8| c.is_ascii_digit() || (b'a'..=b'f').contains(c);
        if s.len() != RUN_TEXT_LEN || !s.as_bytes().iter().all(hex) {
            return Err(NotARunId);
        }
        let (millis, dice) = s.split_at(11);
        Ok(Self {
            millis: u64::from_str_radix(millis, 16).map_err(|_| NotARunId)?,
            dice: u32::from_str_radix(dice, 16).map_err(|_| NotARunId)?,
        })
    }
}

/// Media sequence number (RFC 8216 4.3.3.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Msn(pub u64);

impl Msn {
    pub fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }
}

impl fmt::Display for Msn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_camera_id_is_one_safe_path_segment() {
        for good in ["cam_floor", "Cam-1", "a", "entrance.north"] {
            assert!(good.parse::<CameraId>().is_ok(), "{good}");
        }
        for bad in ["", "..", ".hidden", "-rf", "a/b", "a b", "käse", "a\n", "a#", "%2e", &"x".repeat(65)] {
            assert!(bad.parse::<CameraId>().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_location_may_have_folders_but_no_empty_or_climbing_ones() {
        assert!("shops/berlin-3".parse::<Location>().is_ok());
        for bad in ["", "/a", "a/", "a//b", "a/../b"] {
            assert!(bad.parse::<Location>().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_run_id_reads_back_and_sorts_by_time() {
        let early = RunId::new(1_790_000_000_000, 0xffff_ffff);
        let late = RunId::new(1_790_000_000_001, 0);
        assert_eq!(early.to_string().parse(), Ok(early));
        assert!(early.to_string() < late.to_string());
        assert_eq!("xyz".parse::<RunId>(), Err(NotARunId));
        assert_eq!("+".repeat(19).parse::<RunId>(), Err(NotARunId));
    }
}
