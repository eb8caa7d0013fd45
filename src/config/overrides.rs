//! What a caller wants otherwise of one stream: read as the configuration is, over what that says.

use super::env::Env;
use super::model::Settings;
use super::node::{Entry, Kind, Node, Scalar};
use super::read::{Field, Reader, Spot};
use super::settings::{self, Said};
use super::suggest::nearest;
use crate::domain::choice::Quality;
use crate::domain::profile::Profile;

/// As it was written; `None`: as the configuration says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Overrides {
    pub quality: Option<String>,
    /// A number in kbps.
    pub max_bitrate: Option<String>,
    pub profile: Option<String>,
}

impl Overrides {
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// The settings of a stream for which `base` was said before.
    ///
    /// # Errors
    /// What is wrong, with its field and mend, and in nobody's words but our own.
    pub fn over(&self, base: &Said) -> Result<Settings, String> {
        known("quality", self.quality.as_deref(), &Quality::ALL.map(Quality::name))?;
        known("profile", self.profile.as_deref(), &Profile::ALL.map(Profile::name))?;
        let fields = [
            ("quality", &self.quality, false),
            ("max_bitrate", &self.max_bitrate, true),
            ("profile", &self.profile, false),
        ];
        let entry = |(key, value, plain): (&str, &Option<String>, bool)| {
            let kind = Kind::Scalar(Scalar { text: value.clone()?, plain });
            Some(Entry { key: key.into(), line: 1, value: Node { line: 1, kind } })
        };
        let node = Node { line: 1, kind: Kind::Map(fields.into_iter().filter_map(entry).collect()) };
        let mut reader = Reader::new("", &Nothing);
        let field = Field { spot: Spot { path: String::new(), line: 1 }, node: &node };
        let settings = settings::read(&mut reader, Some(field), base).settings();
        match reader.faults.first() {
            None => Ok(settings),
            Some(fault) => Err(format!("{}: {}", fault.field, for_callers(&fault.problem, &fault.field))),
        }
    }
}

/// So that no word of a caller's comes back.
fn known(field: &str, given: Option<&str>, names: &[&'static str]) -> Result<(), String> {
    let Some(given) = given.filter(|given| !names.contains(given)) else { return Ok(()) };
    let mend = match nearest(given, names.iter().copied()) {
        Some(name) => format!("did you mean `{name}`?"),
        None => format!("use one of {}", names.join(", ")),
    };
    Err(format!("{field}: is not known; {mend}"))
}

/// They can't give the other numbers that the configuration has.
fn for_callers(problem: &str, field: &str) -> String {
    match problem.split_once("; give ") {
        Some((problem, _)) => {
            format!("{problem}; use another {field}, or change the configuration's numbers")
        }
        None => problem.to_owned(),
    }
}

/// A caller has no business with this process's variables.
struct Nothing;

impl Env for Nothing {
    fn var(&self, _name: &str) -> Result<String, std::env::VarError> {
        Err(std::env::VarError::NotPresent)
    }

    fn read(&self, _path: &std::path::Path, _limit: u64) -> std::io::Result<Vec<u8>> {
        Err(std::io::ErrorKind::NotFound.into())
    }

    fn exists(&self, _path: &std::path::Path) -> bool {
        false
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::config::{parse, tests::Stub};

    fn said(settings: &str) -> Said {
        let text = format!(
            "storage: {{type: file, root: /srv}}\ncameras: [{{id: a, rtsp_url: \"test://\", settings: {settings}}}]\n"
        );
        parse("c.yaml", &text, &Stub::default()).unwrap().config.cameras.remove(0).said
    }

    fn over(base: &str, quality: &str, max_bitrate: &str, profile: &str) -> Result<Settings, String> {
        let given = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        let overrides =
            Overrides { quality: given(quality), max_bitrate: given(max_bitrate), profile: given(profile) };
        overrides.over(&said(base))
    }

    #[test]
    fn what_is_given_here_is_nearer_than_the_configuration() {
        let plain = Overrides::default().over(&said("{quality: high, target_fps: 10}")).unwrap();
        assert_eq!((plain.quality, plain.target_fps), (Some(Quality::High), 10));
        let other = over("{quality: high, target_fps: 10, max_bitrate: 900}", "low", "", "realtime").unwrap();
        let rung = Quality::Low.rung();
        assert_eq!((other.quality, other.target_width), (Some(Quality::Low), rung.width));
        assert_eq!((other.max_bitrate, other.segment_duration), (Some(900), Duration::from_millis(500)));
        assert_eq!(over("{}", "", "700", "").unwrap().max_bitrate, Some(700));
    }

    #[test]
    fn what_is_wrong_is_told_by_field_and_mend_and_not_in_the_callers_words() {
        for (quality, max_bitrate, profile, expected) in [
            ("hihg", "", "", "quality: is not known; did you mean `high`?"),
            ("${HOME}", "", "", "quality: is not known; use one of "),
            ("", "", "hunter2", "profile: is not known; use one of realtime, low, balanced, stable"),
            ("", "50", "", "max_bitrate: is 50; use 100 to 100000"),
            ("", "-1", "", "max_bitrate: is -1; use 100 to 100000"),
            ("", "1.5", "", "max_bitrate: is 1.5; use a whole number, 100 to 100000"),
            ("", "4e99", "", "max_bitrate: is 4e99; use a whole number, 100 to 100000"),
        ] {
            let error = over("{}", quality, max_bitrate, profile).unwrap_err();
            assert!(error.starts_with(expected) && !error.contains("hunter2"), "{error}");
        }
    }

    #[test]
    fn all_of_it_has_to_go_together() {
        let error = over("{target_fps: 25, segment_duration: 2}", "", "", "realtime").unwrap_err();
        assert!(error.starts_with("profile: profile realtime's 0.5 s at 25 fps are 12.5 frames"), "{error}");
        assert!(error.ends_with("use another profile, or change the configuration's numbers"), "{error}");
    }
}
