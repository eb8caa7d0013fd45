//! An init object (the first two bytes say how long it is) and a segment behind it, whose times are changed.
#![no_main]

use edge_agent_fuzz::domain::fmp4::Header;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let Some((length, data)) = data.split_first_chunk() else { return };
    let (init, segment) = data.split_at(data.len().min(u16::from_be_bytes(*length).into()));
    let Some(header) = Header::read(init.to_vec()) else { return };
    assert_eq!(header.bytes().len(), init.len());
    // What is stored can be read again: an agent that takes over does.
    assert!(Header::read(header.bytes().to_vec()).is_some());
    let mut retimed = segment.to_vec();
    header.retime(&mut retimed);
    assert_eq!(retimed.len(), segment.len());
});
