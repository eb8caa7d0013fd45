//! What ffmpeg says, made safe to repeat, and what it means. Pure.

use std::collections::VecDeque;

use crate::domain::lifecycle::Cause;
use crate::domain::source::hide_path;

/// Longest line that is kept; ffmpeg can print whole SDPs.
const MOST_CHARS: usize = 300;
const KEPT_LINES: usize = 12;

/// The line without credentials and control characters, at most `MOST_CHARS` long.
pub fn redact(line: &str) -> String {
    let mut safe = String::new();
    for (i, part) in line.split("://").enumerate() {
        if i > 0 {
            safe.push_str("://");
        }
        safe.push_str(&if i > 0 { without_secrets(part) } else { part.to_owned() });
    }
    safe.chars().filter(|c| !c.is_control()).take(MOST_CHARS).collect()
}

/// What follows `://`: user and password, and a query's values, go.
fn without_secrets(rest: &str) -> String {
    let end = rest.find(|c: char| c.is_whitespace() || "'\"<>".contains(c)).unwrap_or(rest.len());
    let (url, tail) = rest.split_at(end);
    // A raw `@` or `/` in a password: take the last `@` of the whole URL, rather too much than too little.
    let host = match url.rfind('@') {
        Some(at) => format!("***@{}", &url[at + 1..]),
        None => url.to_owned(),
    };
    match host.split_once('?') {
        Some((path, _)) => format!("{}?***{tail}", hide_path(path)),
        None => format!("{}{tail}", hide_path(&host)),
    }
}

/// The last lines that matter, and the worst thing they said.
#[derive(Debug, Default)]
pub struct LastWords {
    lines: VecDeque<String>,
    cause: Option<Cause>,
}

impl LastWords {
    /// Takes a raw line; returns it safe.
    pub fn hear(&mut self, line: &str) -> String {
        let safe = redact(line);
        if let Some(cause) = classify(&safe) {
            // The first explanation is the right one: what follows are its consequences.
            self.cause.get_or_insert(cause);
        }
        if self.lines.len() == KEPT_LINES {
            self.lines.pop_front();
        }
        self.lines.push_back(safe.clone());
        safe
    }

    /// Frames arrive: what was said while connecting explains no later death.
    pub fn all_is_well(&mut self) {
        self.cause = None;
    }

    /// The cause of an exit with this code (`None`: a signal).
    pub fn cause(&self, code: Option<i32>) -> Cause {
        match (self.cause, code) {
            (Some(cause), _) => cause,
            // A camera that closes the connection ends ffmpeg without an error.
            (None, Some(0)) => Cause::Disconnected,
            (None, _) => Cause::Crashed,
        }
    }

    pub fn into_lines(self) -> Vec<String> {
        self.lines.into()
    }
}

/// What a line means for the run. Exit codes differ between versions, texts hardly do.
pub fn classify(line: &str) -> Option<Cause> {
    const TABLE: &[(&str, Cause)] = &[
        ("401 Unauthorized", Cause::Auth),
        ("403 Forbidden", Cause::Auth),
        ("404 Not Found", Cause::NotFound),
        ("454 Session Not Found", Cause::Disconnected),
        ("Connection refused", Cause::Unreachable),
        ("No route to host", Cause::Unreachable),
        ("Network is unreachable", Cause::Unreachable),
        ("Host is unreachable", Cause::Unreachable),
        ("Failed to resolve hostname", Cause::Unreachable),
        ("Name or service not known", Cause::Unreachable),
        ("Connection timed out", Cause::Unreachable),
        ("Connection reset by peer", Cause::Disconnected),
        ("Broken pipe", Cause::Disconnected),
        ("End of file", Cause::Disconnected),
        ("No space left on device", Cause::Spool),
        ("Failed to open file", Cause::Spool),
        ("Failed to open segment", Cause::Spool),
        ("matches no streams", Cause::BadStream),
        ("Could not find codec parameters", Cause::BadStream),
        ("Invalid data found when processing input", Cause::BadStream),
    ];
    TABLE.iter().find(|(text, _)| line.contains(text)).map(|(_, cause)| *cause)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_go_wherever_they_stand() {
        for (raw, safe) in [
            ("[error] rtsp://admin:p@ss:w/rd@10.0.0.9/h264: 401", "[error] rtsp://***@10.0.0.9/h264: 401"),
            ("Opening 'rtsp://u:p%40@cam:554/a?user=x&pw=y' for", "Opening 'rtsp://***@cam:554/a?***' for"),
            ("rtsp://h:554/user=a&password=b&channel=1: 404", "rtsp://h:554/user=*** 404"),
            ("https://h/p?X-Amz-Signature=abc now", "https://h/p?*** now"),
            ("two rtsp://a:b@c rtsps://d:e@f end", "two rtsp://***@c rtsps://***@f end"),
            ("no url here: 12:30 a@b", "no url here: 12:30 a@b"),
        ] {
            assert_eq!(redact(raw), safe);
        }
    }

    #[test]
    fn lines_are_bounded_and_of_one_line() {
        assert_eq!(redact(&"x".repeat(10_000)).len(), MOST_CHARS);
        assert_eq!(redact("a\u{1b}[31mb\rc"), "a[31mbc");
    }

    #[test]
    fn the_first_explanation_counts() {
        let mut words = LastWords::default();
        words.hear("[rtsp @ 0x55] [error] method DESCRIBE failed: 401 Unauthorized");
        words.hear("[error] pipe:3: Invalid data found when processing input");
        assert_eq!(words.cause(Some(1)), Cause::Auth);
        assert_eq!(words.into_lines().len(), 2);
    }

    #[test]
    fn an_exit_without_words_is_read_from_its_code() {
        assert_eq!(LastWords::default().cause(Some(0)), Cause::Disconnected);
        assert_eq!(LastWords::default().cause(None), Cause::Crashed);
        let mut words = LastWords::default();
        words.hear("Connection refused");
        words.all_is_well();
        assert_eq!(words.cause(Some(0)), Cause::Disconnected);
    }

    #[test]
    fn only_the_last_lines_are_kept() {
        let mut words = LastWords::default();
        (0..100).for_each(|i| drop(words.hear(&i.to_string())));
        let lines = words.into_lines();
        assert_eq!((lines.len(), lines.last().map(String::as_str)), (KEPT_LINES, Some("99")));
    }
}
