//! What becomes of a camera's sound.

use super::*;

#[test]
fn audio_that_browsers_play_is_copied_whatever_becomes_of_the_video() {
    let of = |audio: Option<AudioIn>, on| {
        let media = Media { video: video(), audio };
        let choices = Quality::ALL.map(|quality| {
            let wish = Wish { quality: Some(quality), audio: on, ..wish() };
            decide(&wish, Some(&media)).audio
        });
        assert!(choices.iter().all(|choice| *choice == choices[0]));
        choices[0]
    };
    let converted = AudioOut::EncodeAac { kbps: 64 };
    assert_eq!(of(Some(aac()), true), AudioOut::Copy);
    assert_eq!(of(Some(AudioIn { channels: 2, sample_rate_hz: 48_000, ..aac() }), true), AudioOut::Copy);
    for odd in [
        AudioIn { channels: 6, ..aac() },
        AudioIn { channels: 0, ..aac() },
        AudioIn { sample_rate_hz: 96_000, ..aac() },
        AudioIn { profile: Some("HE-AAC".into()), ..aac() },
        AudioIn { profile: None, ..aac() },
        AudioIn { codec: AudioCodec::Pcma, profile: None, ..aac() },
        AudioIn { codec: AudioCodec::Pcmu, profile: None, ..aac() },
        AudioIn { codec: AudioCodec::Opus, profile: None, ..aac() },
        AudioIn { codec: AudioCodec::Other("pcm_s16be".into()), profile: None, ..aac() },
    ] {
        assert_eq!(of(Some(odd.clone()), true), converted, "{odd:?}");
    }
    assert_eq!(of(None, true), AudioOut::None);
    assert_eq!(of(Some(aac()), false), AudioOut::None);
    assert_eq!(decide(&Wish { audio: false, ..wish() }, None).audio, AudioOut::None);
}

#[test]
fn sound_that_is_left_out_is_told_once() {
    let silent = of_video(|_| {}).without_sound("it came late, or its timestamps jumped");
    assert_eq!(silent.audio, AudioOut::None);
    assert_eq!(silent, silent.clone().without_sound("it came late, or its timestamps jumped"));
    assert!(
        silent.why.ends_with("interval 2 s, without sound: it came late, or its timestamps jumped"),
        "{}",
        silent.why
    );
}
