//! Streams of cameras that are not in the configuration: a caller names the URL, and perhaps how the stream is called.

use sha2::{Digest as _, Sha256};
use url::Url;

use super::ids::CameraId;
use super::source::{RtspUrl, Source, SourceError};

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UrlError {
    #[error("rtsp_url is no rtsp:// or rtsps:// URL")]
    Scheme,
    #[error("rtsp_url names no host")]
    NoHost,
    #[error("rtsp_url has a `#`, which ends a URL; in a user name or password write `%23`")]
    Fragment,
    #[error("rtsp_url has a character that no camera URL has; percent-encode it, e.g. `'` as `%27`")]
    Character,
    #[error("rtsp_url is not a URL; percent-encode special characters of the password, e.g. `@` as `%40`")]
    NotAUrl,
    #[error("rtsp_url is longer than {MOST_URL} characters")]
    TooLong,
}

const MOST_URL: usize = 2048;

/// Nothing but a camera's URL: no file, no pattern.
///
/// # Errors
/// In words that hold nothing of it.
pub fn url(text: &str) -> Result<RtspUrl, UrlError> {
    if text.len() > MOST_URL {
        return Err(UrlError::TooLong);
    }
    // The parser drops line ends and blanks at the ends in silence, and ffmpeg's scripts have a quoting of their own.
    if text.chars().any(|c| c.is_control() || c.is_whitespace() || matches!(c, '\'' | '\\')) {
        return Err(UrlError::Character);
    }
    match text.parse() {
        Ok(Source::Rtsp(url)) if url.reveal().contains('#') => Err(UrlError::Fragment),
        Ok(Source::Rtsp(url)) => Ok(url),
        Ok(Source::TestPattern | Source::Clip(_)) | Err(SourceError::Scheme(_) | SourceError::NotAPath) => {
            Err(UrlError::Scheme)
        }
        Err(SourceError::NoHost) => Err(UrlError::NoHost),
        Err(SourceError::Character(_)) => Err(UrlError::Character),
        Err(SourceError::NotAUrl(_)) => Err(UrlError::NotAUrl),
    }
}

const PREFIX: &str = "adhoc_";
const DIGITS: usize = 16;

/// How a stream is called whose caller did not say: always the same for one URL. It goes into public addresses, so what may
/// be a secret is no part of it.
pub fn derived_id(url: &RtspUrl) -> CameraId {
    let digest = Sha256::digest(without_logins(url));
    let digits: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("{PREFIX}{}", &digits[..DIGITS]).parse().expect("letters and digits")
}

/// What a camera's own words for a user, a password or a key have in them.
const SECRETS: [&str; 10] = ["pass", "pwd", "psw", "user", "usr", "auth", "token", "key", "secret", "login"];
/// As whole words: `encoder1` is none.
const SHORT_SECRETS: [&str; 5] = ["pw", "code", "pin", "sess", "session"];

/// Whether both are the same camera's, whatever user and password are. Where these, or what looks like them, may be in path or
/// query, that is not told: who tries some must not learn which one is right.
pub fn is_surely_same(one: &RtspUrl, other: &RtspUrl) -> bool {
    let (Ok(a), Ok(b)) = (Url::parse(one.reveal()), Url::parse(other.reveal())) else { return false };
    let are_plain = [&a, &b].into_iter().all(|url| parts(url).all(is_plain));
    are_plain && (a.path(), a.query()) == (b.path(), b.query()) && derived_id(one) == derived_id(other)
}

/// Cheap cameras have `user=admin&password=...` in the path.
fn parts(url: &Url) -> impl Iterator<Item = &str> {
    url.path().split(['&', '/']).chain(url.query().unwrap_or_default().split('&'))
}

fn is_plain(part: &str) -> bool {
    let name = part.split('=').next().unwrap_or_default().to_ascii_lowercase();
    !SECRETS.iter().any(|secret| name.contains(secret)) && !SHORT_SECRETS.contains(&&*name)
}

fn without_logins(url: &RtspUrl) -> String {
    let Ok(parsed) = Url::parse(url.reveal()) else { return url.to_string() };
    let parts: Vec<_> = parts(&parsed).filter(|part| is_plain(part)).collect();
    format!("{}://{}:{}/{}", parsed.scheme(), url.host().to_ascii_lowercase(), url.port(), parts.join("&"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(text: &str) -> String {
        derived_id(&url(text).unwrap()).to_string()
    }

    #[test]
    fn an_id_is_of_the_camera_and_the_channel_and_not_of_the_login() {
        let plain = id("rtsp://10.0.0.9/live?channel=1");
        assert!(plain.len() == 22 && plain.starts_with("adhoc_"), "{plain}");
        for same in [
            "rtsp://admin:hunter2@10.0.0.9:554/live?channel=1",
            "rtsp://10.0.0.9/live?channel=1&user=a&Password=hunter2",
            "rtsp://10.0.0.9/live?usr=a&pwd=x&channel=1&authToken=12",
            "rtsp://10.0.0.9/live?channel=1&pin=1234&Code=9",
        ] {
            assert_eq!(id(same), plain, "{same}");
        }
        for other in [
            "rtsp://10.0.0.9/live?channel=2",
            "rtsp://10.0.0.9/other?channel=1",
            "rtsp://10.0.0.9/encoder?channel=1",
            "rtsp://10.0.0.8/live?channel=1",
            "rtsp://10.0.0.9:8554/live?channel=1",
            "rtsps://10.0.0.9:554/live?channel=1",
        ] {
            assert_ne!(id(other), plain, "{other}");
        }
        let in_path = id("rtsp://10.0.0.9/user=admin&password=hunter2&channel=1.sdp");
        assert_eq!(in_path, id("rtsp://10.0.0.9/user=x&password=y&channel=1.sdp"));
        assert_ne!(in_path, id("rtsp://10.0.0.9/user=x&password=y&channel=2.sdp"));
    }

    #[test]
    fn nothing_but_a_cameras_url_is_taken() {
        for bad in [
            "",
            "test://",
            "file:///etc/passwd",
            "FILE:///etc/passwd",
            "http://10.0.0.9/",
            "https://10.0.0.9/",
            "rtspt://10.0.0.9/",
            "rtmp://10.0.0.9/",
            "concat:rtsp://10.0.0.9/",
            "-i",
            "--rtsp_transport=udp",
            "pipe:0",
            "/dev/fd/0",
            "rtsp:10.0.0.9",
            "rtsp:///live",
            "rtsp://u:hunter2@/live",
            "rtsp://10.0.0.9/live#hunter2",
            "rtsp://10.0.0.9/live\nfile '/etc/passwd'",
            "rtsp://10.0.0.9/\u{85}x",
            "rtsp://10.0.0.9/li\rve",
            "rtsp://10.0.0.9/li\tve",
            "rt\nsp://10.0.0.9/live",
            " rtsp://10.0.0.9/live",
            "rtsp://10.0.0.9/live ",
            "rtsp://10.0.0.9/'x",
            "rtsp://ok.example\\@10.0.0.9/live",
            "rtsp://10.0.0.9:99999/live",
            "rtsp://hunter2",
            "rtsp://[::1/live",
        ] {
            match url(bad) {
                Ok(url) => assert_eq!(bad, "rtsp://hunter2", "{url}"),
                Err(error) => assert!(!error.to_string().contains("hunter2"), "{bad}: {error}"),
            }
        }
        assert_eq!(url(&format!("rtsp://h/{}", "x".repeat(3000))), Err(UrlError::TooLong));
        assert!(url("rtsp://a:p%40ss@10.0.0.9/live?x=1").is_ok());
        assert!(url("RTSPS://Cam.Example/live").is_ok());
    }
}
