//! What ffmpeg says, with the camera's URL in it: the camera decides what stands around it.
#![no_main]

use edge_agent_fuzz::domain::source::{RtspUrl, Source};
use edge_agent_fuzz::stderr::{LastWords, classify, redact};
use libfuzzer_sys::fuzz_target;

const SECRET: &str = "Zq7hunter2";
const MOST_CHARS: usize = 300;
/// How much of a line the agent reads.
const MOST_LINE: usize = 4096;

fuzz_target!(|data: &[u8]| {
    let text = String::from_utf8_lossy(data);
    let safe = redact(&text);
    assert!(safe.chars().count() <= MOST_CHARS && !safe.contains(|c: char| c.is_control()));
    let _ = classify(&safe);

    let mut parts = text.splitn(5, '\n');
    let mut part = || parts.next().unwrap_or_default();
    let (before, user, tail, path, after) = (part(), part(), part(), part(), part());
    // The mark stands where this target puts it, and nowhere else.
    if text.replace(|c: char| c.is_control(), "").contains(SECRET) {
        return;
    }
    for source in [
        // The secret begins each value; `tail` may be anything that a URL still takes.
        format!("rtsp://{user}:{SECRET}{tail}@10.0.0.9:554/{path}"),
        format!("rtsps://cam/h264?{user}={SECRET}{tail}&x={path}"),
        format!("rtsp://cam/h264?{user}={path}&pw={SECRET}{tail}"),
        format!("rtsp://cam:554/user={user}&password={SECRET}{tail}&channel=1"),
    ] {
        // Only what the configuration lets through can ever be said. Where a `..` in the path took the `@` away,
        // nothing tells a password from a path any more.
        if let Ok(Source::Rtsp(url)) = source.parse()
            && url.reveal().contains('@') == source.contains('@')
        {
            says_no_secret(&url, before, after);
        }
    }
});

fn says_no_secret(url: &RtspUrl, before: &str, after: &str) {
    assert!(!format!("{url} {url:?}").contains(SECRET));
    let whole = url.reveal();
    // As it was read, too: a fragment of it must not tell more than the whole.
    for shown in [format!("'{whole}'"), format!("{whole}: "), format!("\"{whole}\""), format!("{whole} ")] {
        let line = format!("{before}{shown}{after}");
        let mut cut = line.len().min(MOST_LINE);
        while !line.is_char_boundary(cut) {
            cut -= 1;
        }
        let mut words = LastWords::default();
        let safe = words.hear(&line[..cut]);
        assert!(!safe.contains(SECRET), "{line:?} became {safe:?}");
        assert!(words.into_lines().iter().all(|line| !line.contains(SECRET)));
    }
}
