//! Where a camera's pictures come from. A URL with credentials prints without them.

use core::net::IpAddr;
use std::borrow::Cow;
use std::fmt;
use std::path::PathBuf;

use url::Url;

/// What the engine reads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    Rtsp(RtspUrl),
    /// `test://`: a built-in pattern with a running clock and a beep.
    TestPattern,
    /// `file:///clip.mp4`: a recorded clip, looped in real time.
    Clip(PathBuf),
}

impl Source {
    /// See [`RtspUrl::stays`].
    pub fn stays(&self) -> bool {
        matches!(self, Self::Rtsp(url) if url.stays())
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Rtsp(url) => url.fmt(f),
            Self::TestPattern => f.write_str("test://"),
            Self::Clip(path) => write!(f, "file://{}", path.display()),
        }
    }
}

/// An `rtsp://` or `rtsps://` URL. `Display` and `Debug` hide user, password and query values.
#[derive(Clone, PartialEq, Eq)]
pub struct RtspUrl {
    url: Url,
    /// A caller named it, and this address was judged: no other one.
    stays: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SourceError {
    // The URL itself is left out: it may hold a password.
    #[error("is not a URL ({0}); percent-encode special characters of the password, e.g. `@` as `%40`")]
    NotAUrl(url::ParseError),
    #[error("has the scheme `{0}`; use rtsp://, rtsps://, test:// or file:///path")]
    Scheme(String),
    #[error("names no host")]
    NoHost,
    #[error("has a character that no camera URL has: {0:?}; percent-encode it, e.g. `'` as `%27`")]
    Character(char),
    #[error("must be an absolute path, e.g. file:///srv/clip.mp4")]
    NotAPath,
}

impl std::str::FromStr for Source {
    type Err = SourceError;

    fn from_str(s: &str) -> Result<Self, SourceError> {
        // A newline or a quote would break out of the script that ffmpeg reads.
        if let Some(bad) = s.chars().find(|c| c.is_control() || *c == '\'') {
            return Err(SourceError::Character(bad));
        }
        if s == "test://" || s == "test:" {
            return Ok(Self::TestPattern);
        }
        let url = Url::parse(s).map_err(SourceError::NotAUrl)?;
        match url.scheme() {
            "rtsp" | "rtsps" if url.host_str().is_none_or(str::is_empty) => Err(SourceError::NoHost),
            "rtsp" | "rtsps" => Ok(Self::Rtsp(RtspUrl { url, stays: false })),
            "file" => url.to_file_path().map(Self::Clip).map_err(|()| SourceError::NotAPath),
            "test" => Ok(Self::TestPattern),
            other => Err(SourceError::Scheme(other.to_owned())),
        }
    }
}

impl RtspUrl {
    /// The whole URL with its secrets: for ffmpeg alone, never for a log or argv.
    pub fn reveal(&self) -> &str {
        self.url.as_str()
    }

    pub fn is_tls(&self) -> bool {
        self.url.scheme() == "rtsps"
    }

    pub fn host(&self) -> &str {
        self.url.host_str().unwrap_or_default()
    }

    /// The same camera at this address, whatever its name leads to later.
    #[must_use]
    pub fn at(&self, ip: IpAddr) -> Option<Self> {
        let host = match ip {
            IpAddr::V4(ip) => ip.to_string(),
            IpAddr::V6(ip) => format!("[{ip}]"),
        };
        let mut url = self.url.clone();
        url.set_host(Some(&host)).ok()?;
        Some(Self { url, stays: true })
    }

    /// Nobody may send the one who connects to it elsewhere.
    pub fn stays(&self) -> bool {
        self.stays
    }

    /// 554, or 322 for rtsps (RFC 7826), unless the URL says otherwise.
    pub fn port(&self) -> u16 {
        self.url.port().unwrap_or(if self.is_tls() { 322 } else { 554 })
    }
}

impl fmt::Display for RtspUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rest = self.url.as_str().split_once("://").map_or("", |(_, rest)| rest);
        write!(f, "{}://{}", self.url.scheme(), without_secrets(rest))
    }
}

/// What follows a URL's `://`, without what may be a secret: rather too much goes than too little.
pub fn without_secrets(rest: &str) -> String {
    let (main, query) = rest.split_once(['?', '#']).map_or((rest, None), |(main, query)| (main, Some(query)));
    let shown = match main.rsplit_once('@') {
        // A raw `?` in a password: what is before it is no host.
        _ if query.is_some_and(|query| query.contains('@')) => "***".to_owned(),
        // The last one: a password may have raw ones, and a `/` too.
        Some((_, host)) => format!("***@{}", hide_path(host)),
        None if names_a_host(main) => hide_path(main).into_owned(),
        // `user:passw`: the rest is missing.
        None => "***".to_owned(),
    };
    // Cheap cameras take the password as a query parameter.
    if query.is_some() { shown + "?***" } else { shown }
}

/// `host`, `host:port`, `[v6]:port`, perhaps with a path.
fn names_a_host(main: &str) -> bool {
    let authority = main.split('/').next().unwrap_or_default();
    // In a sentence a colon or a comma may follow.
    let authority = authority.trim_end_matches([':', ',', '.', ')']);
    let after_v6 = authority.rsplit(']').next().unwrap_or_default();
    after_v6.split_once(':').is_none_or(|(_, port)| port.bytes().all(|b| b.is_ascii_digit()))
}

/// Some cameras take the password in the path: `/user=admin&password=...&channel=1`.
fn hide_path(path: &str) -> Cow<'_, str> {
    match path.split_once('=') {
        Some((name, _)) => format!("{name}=***").into(),
        None => path.into(),
    }
}

impl fmt::Debug for RtspUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RtspUrl({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rtsp(s: &str) -> RtspUrl {
        match s.parse() {
            Ok(Source::Rtsp(url)) => url,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn secrets_do_not_print() {
        let url = rtsp("rtsp://admin:p%40ss@10.0.0.9:8554/h264?user=admin&password=hunter2");
        for text in [url.to_string(), format!("{url:?}")] {
            assert!(
                !text.contains("p%40ss") && !text.contains("hunter2") && !text.contains("admin"),
                "{text}"
            );
        }
        assert_eq!(url.to_string(), "rtsp://***@10.0.0.9:8554/h264?***");
        assert_eq!(url.reveal(), "rtsp://admin:p%40ss@10.0.0.9:8554/h264?user=admin&password=hunter2");
        assert_eq!((url.host(), url.port()), ("10.0.0.9", 8554));
        assert_eq!(rtsp("rtsp://cam/1").to_string(), "rtsp://cam/1");
        let in_path = rtsp("rtsp://10.0.0.9:554/user=admin&password=hunter2&channel=1.sdp");
        assert_eq!(in_path.to_string(), "rtsp://10.0.0.9:554/user=***");
        // `123/456` was the password: what is left of it makes a host, a port and a path.
        assert_eq!(rtsp("rtsp://admin:123/456@10.0.0.9/h264").to_string(), "rtsp://***@10.0.0.9/h264");
        assert_eq!(rtsp("rtsp://admin:12/34?56@10.0.0.9/h264").to_string(), "rtsp://***?***");
        assert_eq!(rtsp("rtsp://[::1]:8554/h264").to_string(), "rtsp://[::1]:8554/h264");
    }

    #[test]
    fn an_address_takes_the_place_of_a_name_and_the_rest_stays() {
        let at = |url: &str, ip: &str| rtsp(url).at(ip.parse().unwrap()).unwrap().reveal().to_owned();
        let url = "rtsp://a:b%40@cam.example:8554/h264?x=1";
        assert_eq!(at(url, "10.0.0.9"), "rtsp://a:b%40@10.0.0.9:8554/h264?x=1");
        assert_eq!(at(url, "fd00::9"), "rtsp://a:b%40@[fd00::9]:8554/h264?x=1");
        assert_eq!(at("rtsps://[fd00::1]/", "10.0.0.9"), "rtsps://10.0.0.9/");
    }

    #[test]
    fn bad_sources_are_named_without_their_secrets() {
        for bad in [
            "rtsp://u:hunter2@",
            "http://u:hunter2@h/",
            "rtsp://u:hunter2@h:99999/x",
            "rtsp://u:hunter2@h/\nfile x",
            "rtsp://u:hunt'er2@h/",
        ] {
            let error = bad.parse::<Source>().unwrap_err().to_string();
            assert!(!error.contains("hunter2"), "{error}");
        }
    }

    #[test]
    fn the_test_pattern_and_clips_are_sources_too() {
        assert_eq!("test://".parse(), Ok(Source::TestPattern));
        assert_eq!("file:///srv/a.mp4".parse(), Ok(Source::Clip("/srv/a.mp4".into())));
        assert!("clip.mp4".parse::<Source>().is_err());
    }
}
