//! How long parts of a stream are.

use super::*;

#[test]
fn parts_are_a_whole_number_of_frames() {
    let part = |fps: Option<f64>| {
        let choice = Choice { fps, ..of_video(|_| {}) };
        (choice.part(Duration::from_millis(200)).as_secs_f64() * 1e6).round() / 1e6
    };
    let ntsc = 30_000.0 / 1001.0;
    let parts = [25.0, 12.5, 30.0, ntsc, 12.0, 2.0].map(|fps| part(Some(fps)));
    assert_eq!(parts, [0.2, 0.24, 0.2, 0.2002, 0.166_667, 0.5]);
    assert_eq!(part(None), 0.2, "nobody knows");
}
