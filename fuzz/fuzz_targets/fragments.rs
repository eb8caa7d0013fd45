//! Two pipes of fragments (the first two bytes say how long the picture's is), fed in pieces, cut into parts.
#![no_main]

use std::time::Duration;

use edge_agent_fuzz::domain::cmaf::{Cut, Cutter, Made, Samples, Tracks};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let Some((length, data)) = data.split_first_chunk() else { return };
    let (picture, sound) = data.split_at(data.len().min(u16::from_be_bytes(*length).into()));
    let [mut frames, mut packets] = [Samples::default(), Samples::default()];
    let is_picture = picture.chunks(61).try_for_each(|piece| frames.feed(piece)).is_ok();
    let _ = sound.chunks(61).try_for_each(|piece| packets.feed(piece));
    let Some(tracks) = frames.init().and_then(|init| Tracks::join(init, packets.init())) else { return };
    let cut = Cut { part: Duration::from_millis(200), segment: Duration::from_millis(900) };
    let mut cutter = Cutter::new(&tracks, cut, 1 << 20);
    while let Some(packet) = packets.next() {
        cutter.hear(packet);
    }
    let mut made = Vec::new();
    while let Some(frame) = frames.next().filter(|_| is_picture) {
        match cutter.see(frame) {
            Ok(more) => made.extend(more),
            Err(_) => return,
        }
    }
    made.extend(cutter.finish());
    let (mut next, mut parts) = (0, Vec::new());
    for made in made {
        match made {
            Made::Part { number, bytes, .. } => {
                assert_eq!(number, next);
                next += 1;
                parts.push(bytes);
            }
            Made::Segment { parts: of_segment, .. } => assert_eq!(std::mem::take(&mut parts), of_segment),
        }
    }
    assert!(parts.is_empty(), "each part is in a segment");
});
