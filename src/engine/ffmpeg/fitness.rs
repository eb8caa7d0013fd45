//! Whether what a run gives is fit for its viewers: by what ffmpeg says, and by how long segments are. Pure.

use std::time::Duration;

use super::probe::report::Report;
use super::stderr::{error, head, is_jump, redirects};
use crate::domain::choice::{Choice, VideoOut, Wish, decide};
use crate::domain::lifecycle::Cause;
use crate::domain::media::Media;
use crate::domain::picture::Size;
use crate::domain::window::rounded_s;

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
    /// What the stream is for, if another engine may go on with what is cut for this one.
    wish: Option<Wish>,
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
            wish: None,
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

    /// Its segments may be announced otherwise until the first one has come.
    #[must_use]
    pub fn growing(self, wish: Option<Wish>) -> Self {
        Self { wish, ..self }
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

    /// The first segment is longer than was supposed: `true` if what the run gives is as it would be cut for `media`, which
    /// is expected of it from now on.
    pub fn goes_on_with(&mut self, media: Option<&Media>, first: Duration) -> bool {
        let choice = self.wish.take().zip(media).map(|(wish, media)| decide(&wish, Some(media)));
        let is_copied = |choice: &Choice| matches!(choice.video, VideoOut::Copy | VideoOut::CopyH265);
        let fits = |choice: &Choice| is_copied(choice) && rounded_s(first) <= choice.target_duration_s;
        let Some(choice) = choice.filter(fits) else { return false };
        // It still cuts where it was told to.
        self.target_duration_s = Some(choice.target_duration_s);
        (self.fitting, self.told) = (1, false);
        true
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::model::Settings;
    use crate::domain::choice::Quality;
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
    fn a_first_segment_that_is_longer_is_announced_anew_if_a_copy_is_worth_it() {
        let second = Duration::from_secs(1);
        let settings =
            Settings { quality: Some(Quality::Auto), segment_duration: second, ..Settings::default() };
        let supposed = media(Keyframes::supposed(second));
        let choice = decide(&settings.wish(), Some(&supposed));
        let begun = |wish| {
            let mut fitness = Fitness::new(&choice, Some(&supposed)).growing(wish);
            assert!(fitness.see(3 * second).is_some());
            fitness
        };
        let seen = media(Keyframes::seen(3 * second));
        let mut fitness = begun(Some(settings.wish()));
        assert!(fitness.goes_on_with(Some(&seen), 3 * second));
        // From then on these are what was announced.
        assert!((0..9).all(|_| fitness.see(3 * second).is_none()));
        assert_eq!(fitness.see(5 * second), None);
        // It is cut where it was told to when it began.
        assert_eq!(fitness.see(5 * second), Some(Longer::Gop(Duration::from_millis(4_100))));
        let encoded = Media { video: VideoIn { interlaced: true, ..seen.video.clone() }, ..seen.clone() };
        for (wish, media) in [(None, Some(&seen)), (Some(settings.wish()), None)]
            .into_iter()
            .chain([(Some(settings.wish()), Some(&encoded)), (Some(settings.wish()), Some(&supposed))])
        {
            let mut fitness = begun(wish);
            assert!(!fitness.goes_on_with(media, 3 * second), "{media:?}");
        }
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
    fn what_the_camera_says_itself_is_no_size_and_no_jump() {
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
}
