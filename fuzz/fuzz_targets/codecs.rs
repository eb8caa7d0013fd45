//! What is told to players of a camera's streams: a segment's first bytes, or an init object.
#![no_main]

use edge_agent_fuzz::domain::bandwidth::Bandwidth;
use edge_agent_fuzz::domain::codecs::{Pictures, frames, keyframes, of_init, of_transport_stream};
use edge_agent_fuzz::domain::playlist::{Variant, render_multivariant};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let mut pictures = Pictures::default();
    pictures.read_packets(data);
    for at in keyframes(data).unwrap_or_default() {
        let sample = usize::try_from(at).ok().and_then(|at| data.get(at..));
        sample.into_iter().for_each(|sample| pictures.read_sample(sample));
    }
    assert!(pictures.found().len() <= 2);
    let _ = (frames::of_transport_stream(data), frames::of_fragments(data));
    for streams in [of_transport_stream(data), of_init(data)].into_iter().flatten() {
        assert!(streams.width > 0 && streams.height > 0, "{streams:?}");
        let plain = |c: char| c.is_ascii_alphanumeric() || c == '.' || c == ',';
        assert!(streams.codecs.chars().all(plain) && streams.codecs.len() < 80, "{streams:?}");
        let bandwidth = Bandwidth { peak_bps: 2, average_bps: 1 };
        let variant = Variant { uri: "stream.m3u8".into(), bandwidth, streams, frames_per_s: None };
        assert_eq!(render_multivariant(&[variant]).lines().count(), 5);
    }
});
