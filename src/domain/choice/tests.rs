mod audio;
mod parts;
use proptest::prelude::*;

use super::*;
use crate::domain::media::{Keyframes, VideoCodec, VideoIn};

const S: fn(f64) -> Duration = Duration::from_secs_f64;

fn wish() -> Wish {
    let rung = Quality::Auto.rung();
    Wish {
        quality: Some(Quality::Auto),
        passthrough: false,
        width: rung.width,
        fps: rung.fps,
        segment_duration: S(2.0),
        max_kbps: None,
        renditions: Vec::new(),
        audio: true,
    }
}

fn video() -> VideoIn {
    VideoIn {
        codec: VideoCodec::H264,
        profile: Some("High".into()),
        pixel_format: Some("yuv420p".into()),
        width: 1920,
        height: 1080,
        fps: Some(25.0),
        interlaced: false,
        b_frames: false,
        keyframes: Keyframes { longest: Some(S(2.0)), watched: S(5.0), vary: false },
        bitrate_kbps: Some(4200),
    }
}

fn aac() -> AudioIn {
    AudioIn { codec: AudioCodec::Aac, profile: Some("LC".into()), sample_rate_hz: 16_000, channels: 1 }
}

fn of_video(change: impl FnOnce(&mut VideoIn)) -> Choice {
    let mut video = video();
    change(&mut video);
    decide(&wish(), Some(&Media { video, audio: Some(aac()) }))
}

fn of_interval(asked: f64, interval: f64) -> Choice {
    let mut video = video();
    video.keyframes.longest = Some(S(interval));
    let wish = Wish { segment_duration: S(asked), ..wish() };
    decide(&wish, Some(&Media { video, audio: None }))
}

fn encoding(choice: &Choice) -> Encoding {
    match choice.video {
        VideoOut::Encode(encoding) => encoding,
        VideoOut::Copy | VideoOut::CopyH265 => panic!("{choice:?}"),
    }
}

#[test]
fn what_every_browser_plays_is_copied() {
    assert_eq!(
        of_video(|_| {}),
        Choice {
            video: VideoOut::Copy,
            others: Vec::new(),
            audio: AudioOut::Copy,
            fps: Some(25.0),
            segment_duration: S(2.0),
            cut_after: S(1.8),
            target_duration_s: 2,
            why: "copying: H.264 High 1920x1080, keyframe interval 2 s".into(),
        }
    );
    for profile in [Some("Main"), Some("Baseline"), Some("Constrained Baseline"), None] {
        for format in ["yuv420p", "yuvj420p"] {
            let choice = of_video(|video| {
                video.profile = profile.map(Into::into);
                video.pixel_format = Some(format.into());
                video.b_frames = true;
            });
            assert_eq!(choice.video, VideoOut::Copy, "{profile:?} {format}: {}", choice.why);
        }
    }
}

#[test]
fn the_mode_names_what_encodes() {
    let copied = of_video(|_| {});
    assert_eq!(copied.mode("with vaapi"), copied.why);
    let encoded = of_video(|video| video.codec = VideoCodec::H265);
    assert_eq!(encoded.mode(""), encoded.why);
    assert_eq!(encoded.mode("with vaapi"), "re-encoding with vaapi: H.265 can't be played by every browser");
}

#[test]
fn what_is_passed_through_is_h264_or_h265() {
    type Change = fn(&mut VideoIn);
    let h265: Change = |v| {
        v.codec = VideoCodec::H265;
        v.profile = Some("Main".into());
    };
    let table: &[(Change, VideoOut, &str)] = &[
        (|_| {}, VideoOut::Copy, "copying: H.264 High 1920x1080, keyframe interval 2 s"),
        (h265, VideoOut::CopyH265, "copying: H.265 Main 1920x1080, keyframe interval 2 s"),
        (
            |v| {
                v.codec = VideoCodec::H265;
                (v.profile, v.pixel_format) = (Some("Main 10".into()), Some("yuv420p10le".into()));
            },
            VideoOut::CopyH265,
            "copying: H.265 Main 10 1920x1080, keyframe interval 2 s",
        ),
    ];
    for (quality, passthrough) in [(None, true), (Some(Quality::Low), true), (Some(Quality::Auto), false)] {
        for (change, out, why) in table {
            let mut video = video();
            change(&mut video);
            let is_h265 = video.codec == VideoCodec::H265;
            let wish = Wish { quality, passthrough, ..wish() };
            let choice = decide(&wish, Some(&Media { video, audio: None }));
            if passthrough || !is_h265 {
                assert_eq!((&choice.video, choice.why.as_str()), (out, *why));
            } else {
                assert_eq!(choice.why, "re-encoding: H.265 can't be played by every browser");
            }
        }
    }
}

#[test]
fn what_can_not_be_passed_through_is_encoded_and_says_why() {
    type Change = fn(&mut VideoIn);
    let table: &[(Change, &str)] = &[
        (|v| v.codec = VideoCodec::Mjpeg, "MJPEG can't be passed through, only H.264 and H.265 can"),
        (|v| v.profile = Some("High 10".into()), "H.264 High 10 can't be played by every browser"),
        (
            |v| (v.codec, v.profile) = (VideoCodec::H265, Some("Rext".into())),
            "H.265 Rext can't be played by players of H.265",
        ),
        (|v| v.keyframes.longest = None, "no two keyframes came within 5 s"),
        (
            |v| v.keyframes = Keyframes { longest: None, watched: Duration::ZERO, vary: false },
            "no picture came when it was looked at",
        ),
    ];
    for (change, why) in table {
        let mut video = video();
        change(&mut video);
        let wish = Wish { passthrough: true, quality: None, ..wish() };
        let choice = decide(&wish, Some(&Media { video, audio: None }));
        assert_eq!(choice.why, format!("re-encoding: {why}"));
        assert_eq!(encoding(&choice).cap_kbps, None, "as without a preset");
    }
    let nothing = decide(&Wish { passthrough: true, ..wish() }, None);
    assert_eq!(nothing.why, "re-encoding: what the camera sends is not known");
}

#[test]
fn what_a_browser_might_not_play_is_encoded() {
    type Change = fn(&mut VideoIn);
    let table: &[(Change, &str)] = &[
        (|v| v.codec = VideoCodec::H265, "H.265 can't be played by every browser"),
        (|v| v.codec = VideoCodec::Mjpeg, "MJPEG can't be played by every browser"),
        (|v| v.codec = VideoCodec::Other("vp8".into()), "vp8 can't be played by every browser"),
        (|v| v.profile = Some("High 10".into()), "H.264 High 10 can't be played by every browser"),
        (|v| v.profile = Some("High 4:2:2".into()), "H.264 High 4:2:2 can't be played by every browser"),
        (
            |v| v.profile = Some("High 4:4:4 Predictive".into()),
            "H.264 High 4:4:4 Predictive can't be played by every browser",
        ),
        (
            |v| v.pixel_format = Some("yuv422p".into()),
            "the pixel format yuv422p can't be played by every browser",
        ),
        (
            |v| v.pixel_format = Some("yuv420p10le".into()),
            "the pixel format yuv420p10le can't be played by every browser",
        ),
        (|v| v.pixel_format = None, "the camera's pixel format is not known"),
        (|v| v.interlaced = true, "the camera's picture is interlaced"),
        (|v| v.keyframes.longest = None, "no two keyframes came within 5 s"),
        (|v| v.keyframes.longest = Some(Duration::ZERO), "no two keyframes came within 5 s"),
        (|v| v.keyframes.longest = Some(S(10.0)), "keyframe interval 10 s, asked for 2 s, at most 4 s"),
    ];
    for (change, why) in table {
        let choice = of_video(change);
        assert_eq!(choice.why, format!("re-encoding: {why}"));
        let Encoding { width, fps, effort, cap_kbps, gop_frames } = encoding(&choice);
        assert_eq!((width, fps, effort, cap_kbps), (1280, 15, Effort::Veryfast, Some(1500)), "as medium");
        assert_eq!((gop_frames, choice.segment_duration, choice.target_duration_s), (30, S(2.0), 2));
        assert_eq!(choice.audio, AudioOut::Copy, "audio is another matter");
    }
    let blind = decide(&wish(), None);
    assert_eq!(blind.why, "re-encoding: what the camera sends is not known");
    assert_eq!(blind.audio, AudioOut::EncodeAac { kbps: 64 });
}

#[test]
fn copied_segments_follow_the_keyframes() {
    for (asked, interval, segment, target, why) in [
        (2.0, 2.0, 2.0, 2, "interval 2 s"),
        (2.0, 1.0, 2.0, 2, "interval 1 s"),
        (2.0, 0.04, 1.92, 2, "interval 0.04 s"),
        (2.0, 1.5, 3.0, 3, "interval 1.5 s, segments of 3 s, asked for 2 s"),
        (2.0, 4.0, 4.0, 4, "interval 4 s, asked for 2 s"),
        (2.0, 3.2, 3.2, 4, "interval 3.2 s, asked for 2 s"),
        // What is measured is never exact.
        (2.0, 2.004, 2.004, 2, "interval 2 s"),
        (2.0, 1.996, 1.996, 2, "interval 2 s"),
        (2.0, 1.92, 1.92, 2, "interval 1.92 s"),
        (2.0, 4.08, 4.08, 4, "interval 4.08 s, asked for 2 s"),
        (2.0, 2.3, 2.3, 3, "interval 2.3 s, asked for 2 s"),
        (0.5, 2.0, 2.0, 2, "interval 2 s, asked for 0.5 s"),
        (0.5, 4.0, 4.0, 4, "interval 4 s, asked for 0.5 s"),
        (0.5, 0.5, 0.5, 1, "interval 0.5 s"),
        (6.0, 2.0, 6.0, 6, "interval 2 s"),
        (6.0, 10.0, 10.0, 11, "interval 10 s, asked for 6 s"),
        (20.0, 2.0, 20.0, 21, "interval 2 s"),
    ] {
        let choice = of_interval(asked, interval);
        assert_eq!(choice.video, VideoOut::Copy, "{asked} {interval}: {}", choice.why);
        assert!((choice.segment_duration.as_secs_f64() - segment).abs() < 1e-6, "{asked} {interval}");
        assert_eq!(choice.target_duration_s, target, "{asked} {interval}");
        assert_eq!(choice.why, format!("copying: H.264 High 1920x1080, keyframe {why}"));
    }
    for (asked, interval) in [(2.0, 4.4), (0.5, 5.0), (5.0, 11.0), (6.0, 5.5), (20.0, 15.0)] {
        encoding(&of_interval(asked, interval));
    }
}

#[test]
fn nothing_is_said_of_keyframes_that_nobody_looked_at() {
    let choice = of_video(|video| video.keyframes = Keyframes::supposed(S(2.0)));
    assert_eq!((choice.video, choice.segment_duration), (VideoOut::Copy, S(2.0)));
    assert_eq!(choice.why, "copying: H.264 High 1920x1080, keyframe interval not measured");
}

#[test]
fn a_copy_has_no_longer_segments_than_the_settings_bear() {
    for (asked, longest) in [(1.0, 4.2), (2.0, 4.2), (5.0, 10.5)] {
        let bears = Wish { segment_duration: S(asked), ..wish() }.longest_segment();
        assert!((bears.as_secs_f64() - longest).abs() < 1e-6, "{bears:?}");
        assert_eq!(of_interval(asked, longest - 0.01).video, VideoOut::Copy);
        encoding(&of_interval(asked, longest + 0.01));
    }
}

#[test]
fn gops_that_vary_are_copied_if_the_longest_still_fits_behind_a_cut() {
    let of = |asked: f64, longest: f64| {
        let mut video = video();
        video.keyframes = Keyframes { longest: Some(S(longest)), watched: S(8.0), vary: true };
        decide(&Wish { segment_duration: S(asked), ..wish() }, Some(&Media { video, audio: None }))
    };
    for (asked, longest, cut, target, why) in [
        (2.0, 1.8, 1.8, 4, "1.8 s, segments of up to 3.6 s, asked for 2 s"),
        (2.0, 0.4, 1.8, 3, "0.4 s, segments of up to 2.2 s, asked for 2 s"),
        // The timer is set earlier, so that no segment is longer than is borne.
        (2.0, 3.0, 1.0, 4, "3 s, segments of up to 4 s, asked for 2 s"),
        (6.0, 4.0, 5.4, 10, "4 s, segments of up to 9.4 s, asked for 6 s"),
    ] {
        let choice = of(asked, longest);
        assert_eq!(choice.video, VideoOut::Copy, "{}", choice.why);
        assert!((choice.cut_after.as_secs_f64() - cut).abs() < 1e-6, "{choice:?}");
        assert_eq!(choice.target_duration_s, target, "{choice:?}");
        assert_eq!(
            choice.why,
            format!("copying: H.264 High 1920x1080, keyframe interval varies up to {why}")
        );
    }
    let why = "re-encoding: keyframe interval varies up to 3.5 s, asked for 2 s, at most 4 s";
    assert_eq!(of(2.0, 3.5).why, why);
    encoding(&of(2.0, 10.0));
}

#[test]
fn a_cap_holds_for_copies_and_encoded_pictures() {
    let of = |quality, max_kbps, sends| {
        let wish = Wish { quality, max_kbps, ..wish() };
        let video = VideoIn { bitrate_kbps: sends, ..video() };
        decide(&wish, Some(&Media { video, audio: None }))
    };
    let auto = Some(Quality::Auto);
    assert_eq!(of(auto, Some(4200), Some(4200)).video, VideoOut::Copy);
    assert_eq!(of(auto, None, None).video, VideoOut::Copy);
    let over = of(auto, Some(2000), Some(4200));
    assert_eq!(over.why, "re-encoding: the camera sends 4200 kbps, max_bitrate is 2000");
    assert_eq!(encoding(&over).cap_kbps, Some(1500), "medium's is lower");
    let unknown = of(auto, Some(1000), None);
    assert_eq!(unknown.why, "re-encoding: the camera's bitrate is not known, max_bitrate is 1000");
    for (quality, max, cap, why) in [
        (None, None, None, "to 1280 pixels at 15 fps, as the settings say"),
        (None, Some(800), Some(800), "to 1280 pixels at 15 fps, as the settings say"),
        (Some(Quality::Low), None, Some(500), "quality is low"),
        (Some(Quality::Low), Some(300), Some(300), "quality is low"),
        (Some(Quality::Low), Some(900), Some(500), "quality is low"),
        (Some(Quality::Medium), None, Some(1500), "quality is medium"),
        (Some(Quality::High), None, Some(3000), "quality is high"),
        (Some(Quality::High), Some(2500), Some(2500), "quality is high"),
    ] {
        let choice = of(quality, max, Some(100));
        assert_eq!(encoding(&choice).cap_kbps, cap, "{quality:?} {max:?}");
        assert_eq!(choice.why, format!("re-encoding: {why}"));
    }
}

proptest! {
    #[test]
    fn what_is_announced_is_true_of_gops_that_vary(
        asked in 200..60_000_u64,
        longest in 20..20_000_u64,
        parts in prop::collection::vec(0.01..1.0_f64, 60),
    ) {
        let mut video = video();
        let longest = Duration::from_millis(longest);
        video.keyframes = Keyframes { longest: Some(longest), watched: S(8.0), vary: true };
        let wish = Wish { segment_duration: Duration::from_millis(asked), ..wish() };
        let choice = decide(&wish, Some(&Media { video, audio: None }));
        if choice.video == VideoOut::Copy {
            let mut segment = Duration::ZERO;
            for gop in parts.into_iter().map(|part| longest.mul_f64(part)) {
                segment += gop;
                if segment >= choice.cut_after {
                    prop_assert!(segment.as_secs_f64().round() as u64 <= choice.target_duration_s, "{choice:?}");
                    segment = Duration::ZERO;
                }
            }
            prop_assert!(choice.segment_duration <= Duration::from_secs(10).max(wish.segment_duration * 2));
        }
    }

    #[test]
    fn what_is_announced_is_true(asked in 200..60_000_u64, interval in 1..70_000_u64, late in 0..5_u64) {
        let choice = of_interval(asked as f64 / 1e3, interval as f64 / 1e3);
        let (asked, segment) = (asked as f64 / 1e3, choice.segment_duration.as_secs_f64());
        let longest = match choice.video {
            VideoOut::Copy | VideoOut::CopyH265 => segment * (1.0 + late as f64 / 100.0),
            VideoOut::Encode(_) => segment,
        };
        prop_assert!(longest.round() as u64 <= choice.target_duration_s, "{choice:?}");
        prop_assert!(choice.target_duration_s as f64 <= 1.06 * segment + 1.2, "{choice:?}");
        prop_assert!(!choice.cut_after.is_zero() && choice.cut_after < choice.segment_duration);
        if choice.video == VideoOut::Copy {
            let intervals = segment / (interval as f64 / 1e3);
            prop_assert!((intervals - intervals.round()).abs() < 1e-3, "whole GOPs: {choice:?}");
            prop_assert!(segment >= 0.949 * asked, "{choice:?}");
            prop_assert!(segment <= 1.06 * (2.0 * asked).clamp(4.0, 10.0).max(1.25 * asked), "{choice:?}");
        }
    }

    #[test]
    fn a_cap_is_kept(quality in 0..5_usize, max in 100..8000_u32, sends in prop::option::of(1..9000_u32)) {
        let wish = Wish { quality: Quality::ALL.get(quality).copied(), max_kbps: Some(max), ..wish() };
        let media = Media { video: VideoIn { bitrate_kbps: sends, ..video() }, audio: None };
        match decide(&wish, Some(&media)).video {
            VideoOut::Copy | VideoOut::CopyH265 => prop_assert!(sends.is_some_and(|sends| sends <= max)),
            VideoOut::Encode(encoding) => prop_assert!(encoding.cap_kbps.is_some_and(|cap| cap <= max)),
        }
    }
}

#[test]
fn renditions_share_rate_and_gop_and_have_their_own_sizes_and_caps() {
    let rendition = |width, max_kbps| Rendition { width, max_kbps };
    let renditions = vec![rendition(1280, Some(1500)), rendition(854, Some(5000)), rendition(640, None)];
    let wish = Wish { renditions, max_kbps: Some(2000), quality: Some(Quality::High), fps: 25, ..wish() };
    let choice = decide(&wish, None);
    let VideoOut::Encode(first) = choice.video else { panic!("{choice:?}") };
    let all: Vec<_> = [first].into_iter().chain(choice.others.clone()).collect();
    let shapes: Vec<_> = all.iter().map(|e| (e.width, e.cap_kbps)).collect();
    assert_eq!(shapes, [(1280, Some(1500)), (854, Some(2000)), (640, Some(2000))]);
    assert!(all.iter().all(|e| (e.fps, e.gop_frames, e.effort) == (25, 50, Effort::Fast)));
    assert_eq!(choice.why, "re-encoding: to 1280, 854, 640 pixels at 25 fps, as renditions says");
    assert_eq!((choice.renditions(), choice.frames_per_s()), (3, Some(25)));
    let auto = Wish { quality: Some(Quality::Auto), ..wish };
    assert!(!auto.depends_on_media(), "nothing is copied, whatever comes");
    let media = Media { video: video(), audio: Some(aac()) };
    assert_eq!(decide(&auto, Some(&media)).renditions(), 3);
}
