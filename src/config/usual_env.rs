//! Variables that other streamers' installations set: what the file does not say is taken from them.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::time::Duration;

use super::check::absolute_path;
use super::http;
use super::model::HttpConfig;
use super::read::Reader;
use super::settings::{IDLE, SEGMENTS, Said, WINDOWS};

const PORT: &str = "PORT";
const TOKEN: &str = "EDGE_AGENT_TOKEN";
pub(super) const STREAM_DIR: &str = "STREAM_DIR";
const CLEANUP_DELAY: &str = "CLEANUP_DELAY_SECONDS";
const SEGMENT_TIME: &str = "HLS_SEGMENT_TIME";
const LIST_SIZE: &str = "HLS_LIST_SIZE";

/// The web server of a file that has none: of this machine alone, unless there is a token.
pub(super) fn server(reader: &mut Reader<'_>) -> Option<HttpConfig> {
    let port = port(reader)?;
    let token = reader.var(TOKEN);
    let mut server = HttpConfig::at(listen(port, token.is_some()));
    if let Some(token) = token {
        if let Err(problem) = http::fit_for_a_header(&token) {
            reader.env_fault(TOKEN, problem);
        }
        server.tokens.push(token.into());
    }
    Some(server)
}

/// Where a server listens whose section does not say.
pub(super) fn address(reader: &mut Reader<'_>, has_token: bool) -> Option<SocketAddr> {
    port(reader).map(|port| listen(port, has_token))
}

fn listen(port: u16, has_token: bool) -> SocketAddr {
    let ip = if has_token { Ipv4Addr::UNSPECIFIED } else { Ipv4Addr::LOCALHOST };
    SocketAddr::new(IpAddr::V4(ip), port)
}

fn port(reader: &mut Reader<'_>) -> Option<u16> {
    let text = reader.var(PORT)?;
    let port = text.trim().parse().ok().filter(|port| *port > 0);
    if port.is_none() {
        reader.env_fault(PORT, "is no port; use 1 to 65535, e.g. 8080");
    }
    port
}

pub(super) fn spool(reader: &mut Reader<'_>) -> Option<PathBuf> {
    let text = reader.var(STREAM_DIR)?;
    absolute_path(&text).map_err(|problem| reader.env_fault(STREAM_DIR, problem)).ok()
}

/// What the file's `defaults` go over.
pub(super) fn settings(reader: &mut Reader<'_>) -> Said {
    let idle = seconds(reader, CLEANUP_DELAY, IDLE);
    let duration = seconds(reader, SEGMENT_TIME, SEGMENTS);
    let keep = reader.var(LIST_SIZE).and_then(|text| {
        let keep = text.trim().parse().ok().filter(|keep| WINDOWS.contains(keep));
        if keep.is_none() {
            let (least, most) = (WINDOWS.start(), WINDOWS.end());
            reader.env_fault(LIST_SIZE, format!("is no number of segments; use {least} to {most}"));
        }
        keep
    });
    Said::of_environment(duration, keep, idle)
}

/// What the file says of frames is told there; this is for what it leaves to the variable.
pub(super) fn refuse_torn(reader: &mut Reader<'_>, environment: &Said, said: &Said) {
    if !environment.is_segment_duration_of(said) {
        return;
    }
    if let Some(problem) = said.torn() {
        reader.env_fault(SEGMENT_TIME, problem);
    }
}

fn seconds(reader: &mut Reader<'_>, name: &str, range: RangeInclusive<Duration>) -> Option<Duration> {
    let text = reader.var(name)?;
    let seconds = text.trim().parse().ok().and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
    let good = seconds.filter(|time| range.contains(time));
    if good.is_none() {
        let (least, most) = (range.start().as_secs_f64(), range.end().as_secs_f64());
        reader.env_fault(name, format!("is no time; use {least} to {most}, a number of seconds"));
    }
    good
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use secrecy::ExposeSecret as _;

    use super::*;
    use crate::config::model::{Config, Settings};
    use crate::config::{parse, tests::Stub};

    const LIST: &str = "- {id: a, rtsp_url: \"test://\"}\n";

    fn env(vars: &[(&str, &str)]) -> Stub {
        let storage = Stub::default().var("EDGE_AGENT_STORAGE", "file:///srv/streams");
        vars.iter().fold(storage, |env, (name, value)| env.var(name, value))
    }

    fn load(text: &str, vars: &[(&str, &str)]) -> Config {
        parse("c.yaml", text, &env(vars)).unwrap_or_else(|faults| panic!("{faults}")).config
    }

    fn faults(text: &str, vars: &[(&str, &str)]) -> String {
        parse("c.yaml", text, &env(vars)).map(|_| ()).unwrap_err().to_string()
    }

    fn listen(text: &str, vars: &[(&str, &str)]) -> String {
        load(text, vars).http.map(|http| http.listen.to_string()).unwrap_or_default()
    }

    #[test]
    fn the_environment_says_what_the_file_does_not() {
        let vars = [
            ("PORT", "8081"),
            ("STREAM_DIR", "/srv/spool"),
            ("CLEANUP_DELAY_SECONDS", "45"),
            ("HLS_SEGMENT_TIME", "4"),
            ("HLS_LIST_SIZE", "7"),
        ];
        let config = load(LIST, &vars);
        assert_eq!(config.spool.as_deref(), Some(Path::new("/srv/spool")));
        let Settings { idle_timeout, segment_duration, segments_to_keep, .. } = config.cameras[0].settings;
        let expected = (Duration::from_secs(45), Duration::from_secs(4), 7);
        assert_eq!((idle_timeout, segment_duration, segments_to_keep), expected);
        let full = "spool: /mine\nhttp: {listen: \"127.0.0.1:9000\"}\ndefaults: {settings: {segment_duration: 1, segments_to_keep: 3, idle_timeout: 9}}\ncameras:\n  - {id: a, rtsp_url: \"test://\"}\n";
        let config = load(full, &vars);
        assert_eq!(config.spool.as_deref(), Some(Path::new("/mine")));
        assert_eq!(config.http.unwrap().listen.to_string(), "127.0.0.1:9000");
        let Settings { idle_timeout, segment_duration, segments_to_keep, .. } = config.cameras[0].settings;
        let expected = (Duration::from_secs(9), Duration::from_secs(1), 3);
        assert_eq!((idle_timeout, segment_duration, segments_to_keep), expected, "the file wins");
        let profile = load("cameras: [{id: a, rtsp_url: \"test://\", settings: {profile: low}}]\n", &vars);
        assert_eq!(profile.cameras[0].settings.segment_duration, Duration::from_secs(1), "a preset, too");
    }

    #[test]
    fn a_port_alone_is_for_this_machine_and_with_a_token_for_all() {
        assert_eq!(listen(LIST, &[]), "");
        assert_eq!(listen(LIST, &[("PORT", "8081")]), "127.0.0.1:8081");
        let token = ("EDGE_AGENT_TOKEN", "0123456789abcdef");
        assert_eq!(listen(LIST, &[("PORT", "8081"), token]), "0.0.0.0:8081");
        assert_eq!(listen(LIST, &[token]), "", "it is there for the file's ${{…}}");
        let server = load(LIST, &[("PORT", "8081"), token]).http.unwrap();
        assert_eq!(server.tokens[0].expose_secret(), "0123456789abcdef");
        let cameras = "cameras: [{id: a, rtsp_url: \"test://\"}]\n";
        let section = format!("http: {{token: \"${{EDGE_AGENT_TOKEN}}\"}}\n{cameras}");
        assert_eq!(listen(&section, &[("PORT", "8081"), token]), "0.0.0.0:8081");
        let section = format!("http: {{sign_max: 60}}\n{cameras}");
        assert_eq!(listen(&section, &[("PORT", "8081")]), "127.0.0.1:8081");
        assert!(faults(&section, &[]).contains("http.listen: is missing"));
    }

    #[test]
    fn a_bad_variable_is_named_with_its_mend() {
        for (name, value, expected) in [
            ("PORT", "http", "PORT: is no port; use 1 to 65535, e.g. 8080"),
            ("PORT", "0", "PORT: is no port"),
            ("PORT", "70000", "PORT: is no port"),
            ("STREAM_DIR", "streams", "STREAM_DIR: must be an absolute path"),
            (
                "CLEANUP_DELAY_SECONDS",
                "1",
                "CLEANUP_DELAY_SECONDS: is no time; use 5 to 86400, a number of seconds",
            ),
            ("CLEANUP_DELAY_SECONDS", "soon", "CLEANUP_DELAY_SECONDS: is no time"),
            ("HLS_SEGMENT_TIME", "0.1", "HLS_SEGMENT_TIME: is no time; use 0.2 to 60"),
            (
                "HLS_SEGMENT_TIME",
                "2.5",
                "HLS_SEGMENT_TIME: 2.5 s at 15 fps are 37.5 frames, not a whole number; use ",
            ),
            ("HLS_LIST_SIZE", "2", "HLS_LIST_SIZE: is no number of segments; use 3 to 100"),
        ] {
            let faults = faults(LIST, &[(name, value)]);
            assert!(faults.starts_with(&format!("environment: {expected}")), "{faults}");
        }
        let short = faults(LIST, &[("PORT", "80"), ("EDGE_AGENT_TOKEN", "hunter2")]);
        assert!(short.contains("EDGE_AGENT_TOKEN: is too short") && !short.contains("hunter2"), "{short}");
        let other_rate =
            "defaults: {settings: {target_fps: 20}}\ncameras: [{id: a, rtsp_url: \"test://\"}]\n";
        let config = load(other_rate, &[("HLS_SEGMENT_TIME", "2.5")]);
        assert_eq!(config.cameras[0].settings.segment_duration, Duration::from_millis(2500));
        assert_eq!(listen(LIST, &[("PORT", "")]), "", "an empty one is none");
    }
}
