//! What ffmpeg says, made safe to repeat, and what it means. Pure.

use std::collections::VecDeque;

use crate::domain::lifecycle::Cause;
use crate::domain::source::without_secrets;

/// Bytes of a line that are read; what follows is not.
pub const MOST_LINE: usize = 4096;
/// Longest line that is kept; ffmpeg can print whole SDPs.
const MOST_CHARS: usize = 300;
const KEPT_LINES: usize = 12;

/// Said of the audio encoder's bitrate whenever a camera has no audio: no reason of anything.
const NO_AUDIO: &str = "has not been used for any stream";

/// The line without credentials and control characters, at most `MOST_CHARS` long.
pub fn redact(line: &str) -> String {
    let (mut safe, mut rest) = (String::new(), whole_words(line));
    while let Some(at) = rest.find("://") {
        let (before, url) = rest.split_at(at + 3);
        let (url, after) = url.split_at(url.find(ends_a_url).unwrap_or(url.len()));
        safe.push_str(before);
        safe.push_str(&without_secrets(url));
        rest = after;
    }
    safe.push_str(rest);
    safe.chars().filter(|c| !c.is_control()).take(MOST_CHARS).collect()
}

/// What no URL has that the configuration lets through; a double quote may be part of its host.
fn ends_a_url(c: char) -> bool {
    c.is_whitespace() || "'<>".contains(c)
}

/// A URL that was cut off may end within its password, and then nothing tells that it is one.
fn whole_words(line: &str) -> &str {
    if line.len() < MOST_LINE { line } else { &line[..line.rfind(ends_a_url).unwrap_or_default()] }
}

/// The last lines that matter, and the worst thing they said.
#[derive(Debug, Default)]
pub struct LastWords {
    lines: VecDeque<String>,
    cause: Option<Cause>,
    /// What is said now is below a warning.
    chats: bool,
}

impl LastWords {
    /// Takes a raw line; returns it safe. What ffmpeg only mentions explains nothing, and is not kept.
    pub fn hear(&mut self, line: &str) -> String {
        let safe = redact(line);
        // A line without a level goes on with the message before it: an SDP has many.
        self.chats = is_chatter(&safe).unwrap_or(self.chats);
        if self.chats || is_jump(&safe) || safe.contains(NO_AUDIO) {
            return safe;
        }
        let blamed = blames_encoder(&safe).then_some(Cause::Encoder);
        if let Some(cause) = blamed.or_else(|| classify(&safe)) {
            // The first explanation is the right one: what follows are its consequences.
            self.cause.get_or_insert(cause);
        }
        self.note(safe.clone());
        safe
    }

    /// Adds a line of the agent's own.
    pub fn note(&mut self, line: String) {
        if self.lines.len() == KEPT_LINES {
            self.lines.pop_front();
        }
        self.lines.push_back(line);
    }

    /// The line that was heard last is below a warning.
    pub fn chats(&self) -> bool {
        self.chats
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

/// Is it below a warning? `None`: it has no level of its own.
fn is_chatter(line: &str) -> Option<bool> {
    let (_, level) = head(line)?;
    Some(!matches!(level, "warning" | "error" | "fatal" | "panic"))
}

/// `[rtsp @ 0x55] [error] text` -> who speaks and the level. The text may be the camera's own and say anything:
/// only what stands before it counts.
pub fn head(line: &str) -> Option<(&str, &str)> {
    const LEVELS: [&str; 8] = ["panic", "fatal", "error", "warning", "info", "verbose", "debug", "trace"];
    let (mut at, mut rest) = (0, line);
    loop {
        let (inner, after) = rest.strip_prefix('[')?.split_once("] ")?;
        if LEVELS.contains(&inner) {
            return Some((&line[..at], inner));
        }
        if !inner.contains(" @ ") {
            return None;
        }
        (at, rest) = (line.len() - after.len(), after);
    }
}

/// `[rtsp @ 0x1] [info] Status 302: Redirecting to rtsp://…`: the next connection goes there.
pub fn redirects(line: &str) -> bool {
    line.contains("Redirecting to ") && head(line).is_some_and(|(speaker, _)| speaker.contains("[rtsp @ "))
}

/// `-dts_error_threshold` at work: said of every packet from then on.
pub fn is_jump(line: &str) -> bool {
    line.contains("invalid dropping") && is_chatter(line) == Some(false)
}

/// The text of an error, and who says it.
pub fn error(line: &str) -> Option<(&str, &str)> {
    let (speaker, level) = head(line).filter(|(_, level)| matches!(*level, "error" | "fatal" | "panic"))?;
    Some((speaker, &line[speaker.len() + level.len() + "[] ".len()..]))
}

/// An error of the video encoder or of its device. The speaker decides: what a camera sends stands behind it.
pub fn blames_encoder(line: &str) -> bool {
    const SPEAKERS: &[&str] = &[
        "[libx264 @",
        "[h264_vaapi @",
        "[h264_qsv @",
        "[h264_nvenc @",
        "[h264_v4l2m2m @",
        "[h264_rkmpp @",
        "[AVHWDeviceContext @",
        "[AVHWFramesContext @",
        "[VAAPI @",
        "[QSV @",
    ];
    const TEXTS: &[&str] = &[
        "Device creation failed",
        "Error initializing output stream 0:0",
        "Error submitting video frame to the encoder",
        "Video encoding failed",
    ];
    // libva tells its search for a driver as errors: `iHD_drv_video.so init failed`, and then another one works.
    error(line).filter(|(_, text)| !text.starts_with("libva: ")).is_some_and(|(speaker, text)| {
        SPEAKERS.iter().any(|name| speaker.contains(name)) || TEXTS.iter().any(|said| text.starts_with(said))
    })
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
        ("failed to rename file", Cause::Spool),
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
    fn the_encoder_is_blamed_for_what_it_says_itself() {
        // As 5.1, 4.4, 6.1, 7.1 and 9.0 print them.
        for line in [
            "[h264_nvenc @ 0x559092c2bac0] [error] Cannot load libcuda.so.1",
            "[AVHWDeviceContext @ 0x557f8e1da940] [error] No VA display found for device /dev/dri/renderD128.",
            "[VAAPI @ 0x55555dfcdcc0] [error] No VA display found for device /dev/dri/renderD128.",
            "[error] Device creation failed: -22.",
            "[vost#0:0/h264_nvenc @ 0x5] [error] Error submitting video frame to the encoder",
        ] {
            assert!(blames_encoder(line), "{line}");
            let mut words = LastWords::default();
            words.hear(line);
            assert_eq!(words.cause(Some(234)), Cause::Encoder);
        }
        for line in [
            "[h264_nvenc @ 0x5] [warning] a word",
            "[AVHWDeviceContext @ 0x5] [error] libva: /usr/lib/x86_64-linux-gnu/dri/iHD_drv_video.so init failed",
            "[vost#0:0/h264_nvenc @ 0x5] [error] Error submitting a packet to the muxer: No space left on device",
            "[h264 @ 0x5] [error] concealing 12 DC errors",
            "[h264_mp4toannexb @ 0x5] [error] Invalid NAL unit size",
            "[rtsp @ 0x5] [error] method DESCRIBE failed: [h264_nvenc @ 0x5] [error]",
            "[error] rtsp://***@10.0.0.9/h264_: 401",
            "a=note:[h264_nvenc @ 0x5] [error] x",
        ] {
            assert!(!blames_encoder(line), "{line}");
        }
    }

    #[test]
    fn credentials_go_wherever_they_stand() {
        for (raw, safe) in [
            ("[error] rtsp://admin:p@ss:w/rd@10.0.0.9/h264: 401", "[error] rtsp://***@10.0.0.9/h264: 401"),
            ("Opening 'rtsp://u:p%40@cam:554/a?user=x&pw=y' for", "Opening 'rtsp://***@cam:554/a?***' for"),
            ("rtsp://h:554/user=a&password=b&channel=1: 404", "rtsp://h:554/user=*** 404"),
            ("https://h/p?X-Amz-Signature=abc now", "https://h/p?*** now"),
            ("two rtsp://a:b@c rtsps://d:e@f end", "two rtsp://***@c rtsps://***@f end"),
            ("no url here: 12:30 a@b", "no url here: 12:30 a@b"),
            ("rtsp://h/x?pw=a://hunter2 x", "rtsp://h/x?*** x"),
            ("rtsp://h/x?pw=ab@hunter2", "rtsp://***?***"),
            ("rtsp://h/user=a&pw=b://hunter2: x", "rtsp://h/user=*** x"),
            ("rtsp://admin:hunter2", "rtsp://***"),
            ("'rtsp://%5B@\"/a:hunter2@10.0.0.9/'", "'rtsp://***@10.0.0.9/'"),
            ("tcp://10.0.0.9:554?timeout=0: refused", "tcp://10.0.0.9:554?*** refused"),
            ("rtsp://cam:554: refused, rtsp://[::1]:554, x", "rtsp://cam:554: refused, rtsp://[::1]:554, x"),
        ] {
            assert_eq!(redact(raw), safe);
        }
    }

    #[test]
    fn lines_are_bounded_and_of_one_line() {
        assert_eq!(redact(&"x ".repeat(5_000)).len(), MOST_CHARS);
        assert_eq!(redact("a\u{1b}[31mb\rc"), "a[31mbc");
    }

    #[test]
    fn a_line_that_was_cut_off_tells_no_half_of_a_password() {
        let mut line = format!("rtsp://h/x?{} rtsp://admin:123456", "q".repeat(MOST_LINE));
        assert_eq!(redact(&line), "rtsp://h/x?***");
        line.truncate(MOST_LINE);
        assert_eq!(redact(&line), "");
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
    fn chatter_is_neither_kept_nor_a_cause() {
        let mut words = LastWords::default();
        words.hear("[rtsp @ 0x1] [verbose] SDP:");
        words.hear("a=note:Connection refused");
        words.hear("[warning] DTS 6206401, next:8960011 st:0 invalid dropping");
        words.hear("[warning] Queue input is backward in time");
        words.hear("[warning] Codec AVOption b (set bitrate (in bits/s)) specified for output file #0 (/run/x/index.m3u8) has not been used for any stream. The most likely reason is");
        assert_eq!(words.cause(None), Cause::Crashed);
        assert_eq!(words.into_lines(), ["[warning] Queue input is backward in time"]);
    }

    #[test]
    fn what_the_camera_says_itself_is_no_level() {
        let mut words = LastWords::default();
        words.hear("[rtsp @ 0x1] [verbose] SDP:");
        words.hear("s=Yard [error] 401 Unauthorized");
        assert_eq!(words.cause(None), Cause::Crashed);
        words.hear("[rtsp @ 0x1] [error] method DESCRIBE failed: 401 [info] Unauthorized: 401 Unauthorized");
        assert_eq!(words.cause(None), Cause::Auth);
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
