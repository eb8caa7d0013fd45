//! What ffmpeg says, made safe to repeat, and what it means. Pure.

use std::collections::VecDeque;
use std::time::Duration;

use super::probe::report::Report;
use crate::domain::choice::{Choice, VideoOut};
use crate::domain::lifecycle::Cause;
use crate::domain::media::Media;
use crate::domain::picture::Size;
use crate::domain::source::without_secrets;
use crate::domain::window::rounded_s;

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
fn head(line: &str) -> Option<(&str, &str)> {
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

/// Which of the input's streams a jump is said of: `DTS 1051136, next:5696000 st:1 invalid dropping`.
fn jumping_stream(line: &str) -> Option<u32> {
    let (_, stream) = line.rsplit_once(" st:")?;
    stream.split(' ').next()?.parse().ok()
}

/// Which of the input's streams is the picture: `[info]   Stream #0:1(eng): Video: …`, and no deeper, as below that
/// the camera speaks.
fn picture_stream(line: &str) -> Option<u32> {
    let (stream, _) = line.strip_prefix("[info]   Stream #0:")?.split_once(": Video: ")?;
    stream.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()
}

/// `[rtsp @ 0x1] [info] Status 302: Redirecting to rtsp://…`: the next connection goes there.
pub fn redirects(line: &str) -> bool {
    line.contains("Redirecting to ") && head(line).is_some_and(|(speaker, _)| speaker.contains("[rtsp @ "))
}

/// `-dts_error_threshold` at work: said of every packet from then on.
fn is_jump(line: &str) -> bool {
    line.contains("invalid dropping") && is_chatter(line) == Some(false)
}

/// Hears from ffmpeg's lines, and sees from its segments, when a run is not fit for its viewers any more, although it
/// goes on.
#[derive(Debug)]
pub struct Fitness {
    wanted_width: u32,
    /// What the encoder was opened with: a picture of another aspect would be squeezed into it.
    encoded: Option<Size>,
    /// What was chosen for, until the run says what comes.
    expected: Option<(Media, Report)>,
    /// Of a copied stream, and how many segments were longer.
    target_duration_s: Option<u64>,
    overlong: u32,
    /// Segments that fitted, since one did not.
    fitting: u32,
    cut_after: Duration,
    /// Whose keyframes are supposed: the first segment tells whether that is right.
    supposed: Option<(Duration, Media)>,
    /// The picture's place in the input.
    picture_at: Option<u32>,
    sound_jumps: bool,
    /// The camera must not send it elsewhere.
    stays: bool,
    told: bool,
}

/// What segments told of GOPs that was not known.
#[derive(Debug, Clone, PartialEq)]
pub enum Longer {
    /// The first one is a whole interval of what was `supposed` to have a shorter one.
    Interval { supposed: Box<Media>, interval: Duration },
    /// One was so long at least, against what was measured or went well until now.
    Gop(Duration),
}

/// A first segment as long as this, by what was supposed, is another.
const MOST_UNLIKE: f64 = 1.2;
/// A jump of the camera's clock makes one.
const MOST_OVERLONG: u32 = 1;
/// Behind so many segments that fit, half an hour of them, it was no matter of its GOPs.
const FORGIVEN_AFTER: u32 = 900;

impl Fitness {
    pub fn new(choice: &Choice, media: Option<&Media>) -> Self {
        let (wanted_width, target_duration_s) = match &choice.video {
            VideoOut::Copy | VideoOut::CopyH265 => (u32::MAX, Some(choice.target_duration_s)),
            VideoOut::Encode(encoding) => (encoding.width, None),
        };
        let supposed =
            media.filter(|media| target_duration_s.is_some() && media.video.keyframes.are_supposed());
        let supposed = supposed.map(|media| (choice.segment_duration, media.clone()));
        let expected = media.map(|media| (media.clone(), Report::default()));
        let cut_after = choice.cut_after;
        Self {
            wanted_width,
            encoded: None,
            expected,
            target_duration_s,
            overlong: 0,
            fitting: 0,
            cut_after,
            supposed,
            picture_at: None,
            sound_jumps: false,
            stays: false,
            told: false,
        }
    }

    #[must_use]
    pub fn staying(self, stays: bool) -> Self {
        Self { stays, ..self }
    }

    /// `Some` once.
    pub fn hear(&mut self, line: &str) -> Option<Cause> {
        self.picture_at = self.picture_at.or_else(|| picture_stream(line));
        let cause = if self.stays && redirects(line) {
            Cause::Redirected
        } else if is_jump(line) {
            if self.is_of_sound(line) {
                self.sound_jumps = true;
                return None;
            }
            Cause::ClockJumped
        } else if self.is_another_camera(line) {
            Cause::StreamChanged
        } else {
            let size = picture_size(line)?.scaled_to(self.wanted_width);
            if *self.encoded.get_or_insert(size) == size {
                return None;
            }
            Cause::PictureChanged
        };
        self.once(cause)
    }

    /// The sound can't be decoded: `Decoder (codec none) not found for input stream #0:1`, or as of ffmpeg 7
    /// `[aist#0:1/none @ 0x1] [error] Decoding requested, but no decoder found for: none`.
    pub fn hears_of_unknown_sound(&self, line: &str) -> bool {
        let Some((speaker, text)) = error(line) else { return false };
        let stream =
            text.split_once(" not found for input stream #0:").filter(|_| text.starts_with("Decoder ("));
        let stream = stream.and_then(|(_, stream)| stream.trim().parse::<u32>().ok());
        let is_other = self.picture_at.zip(stream).is_some_and(|(picture, stream)| picture != stream);
        is_other || speaker.starts_with("[aist#") && text.contains("no decoder found for")
    }

    /// What was supposed of it is neither right nor wrong until now.
    pub fn waits_for_first(&self) -> bool {
        self.supposed.is_some()
    }

    pub fn is_of_copy(&self) -> bool {
        self.target_duration_s.is_some()
    }

    /// The timestamps of the sound jump; if the whole camera's do, those of the picture follow with its next frame.
    pub fn sound_jumps(&self) -> bool {
        self.sound_jumps
    }

    /// They did not follow. `Some` once.
    pub fn give_up_sound(&mut self) -> Option<Cause> {
        self.once(Cause::SoundJumped)
    }

    fn is_of_sound(&self, line: &str) -> bool {
        self.picture_at.zip(jumping_stream(line)).is_some_and(|(picture, jumping)| picture != jumping)
    }

    /// A segment was cut. `Some` once, when too many were too long.
    pub fn see(&mut self, duration: Duration) -> Option<Longer> {
        if let Some((supposed, media)) = self.supposed.take()
            && duration > supposed.mul_f64(MOST_UNLIKE)
        {
            let longer = || Longer::Interval { supposed: Box::new(media), interval: duration };
            return self.once(Cause::StreamChanged).map(|_| longer());
        }
        if rounded_s(duration) <= self.target_duration_s? {
            self.fitting += 1;
            return None;
        }
        let is_forgiven = std::mem::take(&mut self.fitting) >= FORGIVEN_AFTER;
        self.overlong = if is_forgiven { 1 } else { self.overlong + 1 };
        if self.overlong <= MOST_OVERLONG {
            return None;
        }
        self.once(Cause::StreamChanged).map(|_| Longer::Gop(duration.saturating_sub(self.cut_after)))
    }

    fn once(&mut self, cause: Cause) -> Option<Cause> {
        (!std::mem::replace(&mut self.told, true)).then_some(cause)
    }

    fn is_another_camera(&mut self, line: &str) -> bool {
        let Some((media, report)) = &mut self.expected else { return false };
        report.hear(line);
        let Some(is_it) = report.is_of(media) else { return false };
        self.expected = None;
        !is_it
    }
}

/// The filter graph tells the size of its input whenever it is set up:
/// `[graph 0 input from stream 0:0 @ 0x1] [verbose] w:640 h:480 pixfmt:yuv420p …`.
fn picture_size(line: &str) -> Option<Size> {
    let (speaker, _) = head(line)?;
    let said = line.strip_prefix(speaker).filter(|_| speaker.contains(" input from stream "))?;
    let side = |name: &str| said.split(' ').find_map(|word| word.strip_prefix(name)?.parse().ok());
    Some(Size { width: side("w:")?, height: side("h:")? })
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
    use crate::config::model::Settings;
    use crate::domain::choice::{Quality, decide};
    use crate::domain::media::{Keyframes, VideoCodec, VideoIn};

    #[test]
    fn a_camera_that_leads_elsewhere_is_told_only_where_it_must_not() {
        let line = "[rtsp @ 0x55d] [info] Status 302: Redirecting to rtsp://127.0.0.1/x";
        assert_eq!(fitness().hear(line), None);
        assert_eq!(fitness().staying(true).hear(line), Some(Cause::Redirected));
        for other in
            ["[info]   title : [rtsp @ 0x1] Redirecting to x", "[h264 @ 0x1] [info] Redirecting to x"]
        {
            assert_eq!(fitness().staying(true).hear(other), None, "{other}");
        }
    }

    fn media(keyframes: Keyframes) -> Media {
        let video = VideoIn {
            codec: VideoCodec::H264,
            profile: Some("High".into()),
            pixel_format: Some("yuv420p".into()),
            width: 1280,
            height: 720,
            fps: Some(25.0),
            interlaced: false,
            b_frames: false,
            keyframes,
            bitrate_kbps: None,
        };
        Media { video, audio: None }
    }

    fn fitness() -> Fitness {
        Fitness::new(&decide(&Settings::default().wish(), None), None)
    }

    #[test]
    fn a_copy_with_longer_segments_than_announced_is_unfit_at_the_second() {
        let choice = Choice { video: VideoOut::Copy, ..decide(&Settings::default().wish(), None) };
        let mut fitness = Fitness::new(&choice, None);
        let mut see = |ms| fitness.see(Duration::from_millis(ms));
        assert_eq!((see(2_400), see(9_000), see(2_000)), (None, None, None));
        // It is cut after 1.8 s.
        assert_eq!((see(4_000), see(4_000)), (Some(Longer::Gop(Duration::from_millis(2_200))), None));
        assert_eq!((0..9).find_map(|_| self::fitness().see(Duration::from_secs(9))), None, "it is encoded");
    }

    #[test]
    fn the_first_segment_tells_whether_keyframes_are_as_near_as_was_supposed() {
        let settings = Settings { quality: Some(Quality::Auto), ..Settings::default() };
        let first = |keyframes, segments_ms: [u64; 3]| {
            let media = media(keyframes);
            let choice = decide(&settings.wish(), Some(&media));
            assert_eq!(choice.video, VideoOut::Copy, "{}", choice.why);
            let mut fitness = Fitness::new(&choice, Some(&media));
            segments_ms.map(|ms| fitness.see(Duration::from_millis(ms)))
        };
        let second = Duration::from_secs(1);
        let supposed = || Keyframes::supposed(2 * second);
        let told = Longer::Interval { supposed: Box::new(media(supposed())), interval: 3 * second };
        assert_eq!(first(supposed(), [3_000, 3_000, 3_000]), [Some(told), None, None]);
        // A later one is judged as any.
        let gop = Some(Longer::Gop(Duration::from_millis(1_200)));
        assert_eq!(first(supposed(), [2_300, 3_000, 3_000]), [None, None, gop.clone()]);
        assert_eq!(first(Keyframes::seen(2 * second), [3_000, 3_000, 2_000]), [None, gop, None]);
    }

    #[test]
    fn a_longer_segment_now_and_then_is_the_cameras_clock() {
        let choice = Choice { video: VideoOut::Copy, ..decide(&Settings::default().wish(), None) };
        let mut fitness = Fitness::new(&choice, None);
        let mut see = |count, s| (0..count).find_map(|_| fitness.see(Duration::from_secs(s)));
        for _ in 0..20 {
            assert_eq!((see(1, 4), see(FORGIVEN_AFTER, 2)), (None, None));
        }
        assert_eq!((see(1, 4), see(FORGIVEN_AFTER - 1, 2)), (None, None));
        assert!(see(1, 4).is_some());
    }

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
    fn what_the_camera_says_itself_is_no_level_and_no_jump() {
        let mut words = LastWords::default();
        words.hear("[rtsp @ 0x1] [verbose] SDP:");
        words.hear("s=Yard [error] 401 Unauthorized");
        assert_eq!(words.cause(None), Cause::Crashed);
        words.hear("[rtsp @ 0x1] [error] method DESCRIBE failed: 401 [info] Unauthorized: 401 Unauthorized");
        assert_eq!(words.cause(None), Cause::Auth);
        let mut fitness = fitness();
        for own in [
            "s=invalid dropping",
            "[rtsp @ 0x1] [verbose] s=invalid dropping",
            "s=1 input from stream w:1 h:1 ",
            "[in @ 0x1] [verbose] input from stream w:2 h:1 ",
            "i=[x input from stream @ 0x1] [verbose] w:640 h:480 ",
        ] {
            assert_eq!(fitness.hear(own), None, "{own}");
        }
        assert_eq!(fitness.encoded, None);
    }

    #[test]
    fn a_jump_makes_a_run_unfit_once() {
        let mut fitness = fitness();
        assert_eq!(fitness.hear("[warning] Queue input is backward in time"), None);
        let jump = "[warning] DTS 6206401, next:8960011 st:0 invalid dropping";
        assert_eq!(fitness.hear(jump), Some(Cause::ClockJumped));
        assert_eq!(fitness.hear(jump), None);
    }

    #[test]
    fn sound_without_a_decoder_is_heard_of() {
        let mut fitness = fitness();
        let old = "[error] Decoder (codec none) not found for input stream #0:1";
        assert!(!fitness.hears_of_unknown_sound(old), "it may be the picture");
        fitness.hear("[info]   Stream #0:0: Video: h264 (Main), yuv420p, 320x240, 10 fps");
        let new = "[aist#0:1/none @ 0x1] [error] Decoding requested, but no decoder found for: none";
        assert!(fitness.hears_of_unknown_sound(old) && fitness.hears_of_unknown_sound(new));
        for other in [
            "[error] Decoder (codec none) not found for input stream #0:0",
            "[vist#0:0/none @ 0x1] [error] Decoding requested, but no decoder found for: none",
            "[info] Decoder (codec none) not found for input stream #0:1",
            "[error] Decoder (codec x not found for input stream #0:1) not found for input stream #0:0",
        ] {
            assert!(!fitness.hears_of_unknown_sound(other), "{other}");
        }
    }

    #[test]
    fn a_jump_of_the_sound_alone_is_another_matter() {
        let sound = "[warning] DTS 1051136, next:5696000 st:1 invalid dropping";
        let picture = "[warning] PTS 6206401, next:8960011 invalid dropping st:0";
        let jumping = || {
            let mut fitness = fitness();
            fitness.hear("[info]   Stream #0:0: Video: h264 (Main), yuv420p, 320x240, 10 fps");
            assert!(!fitness.sound_jumps());
            assert_eq!((fitness.hear(sound), fitness.sound_jumps()), (None, true));
            fitness
        };
        let (mut of_sound, mut of_all) = (jumping(), jumping());
        assert_eq!(of_all.hear(picture), Some(Cause::ClockJumped));
        assert_eq!(of_all.give_up_sound(), None, "the run is over");
        assert_eq!((of_sound.give_up_sound(), of_sound.hear(picture)), (Some(Cause::SoundJumped), None));
        // Sound may come first, and output streams are described in the same words.
        let mut swapped = fitness();
        for line in
            ["Stream #0:0: Audio: aac", "Stream #0:1[0x100](eng): Video: h264", "Stream #0:0: Video: h264"]
        {
            swapped.hear(&format!("[info]   {line}"));
        }
        assert_eq!((swapped.hear(sound), swapped.hear(picture)), (Some(Cause::ClockJumped), None));
        // What nobody described is taken for the picture.
        assert_eq!(fitness().hear(sound), Some(Cause::ClockJumped));
    }

    #[test]
    fn a_picture_of_another_aspect_makes_a_run_unfit() {
        let graph = |size| {
            format!(
                "[graph 0 input from stream 0:0 @ 0x5] [verbose] {size} pixfmt:yuv420p tb:1/90000 sar:1/1"
            )
        };
        let mut fitness = fitness();
        for same in ["w:1280 h:720", "w:1920 h:1080", "w:1280 h:720"] {
            assert_eq!(fitness.hear(&graph(same)), None);
        }
        let audio =
            "[graph_0_in_0_1 @ 0x5] [verbose] tb:1/16000 samplefmt:fltp samplerate:16000 chlayout:mono";
        assert_eq!(fitness.hear(audio), None);
        assert_eq!(fitness.hear(&graph("w:640 h:480")), Some(Cause::PictureChanged));
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
