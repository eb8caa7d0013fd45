//! Everything a camera can do wrong, each to a fresh agent.

use std::time::Duration;

use crate::report::{Row, Table};
use crate::stage::{Limits, SEGMENT, SLACK, Stage, last, small_camera};
use crate::support::camera::{Camera, CameraOpts};
use crate::trial::{attempt, failed};

/// A start: connection, key frame, a segment.
const START: Duration = Duration::from_secs(10);
/// A refused password is tried again this late, so that the camera does not lock the account.
const PASSWORD_PAUSE: Duration = Duration::from_secs(120);
/// Runs of ffmpeg while a password is refused: more would lock accounts.
const PASSWORD_TRIES: usize = 3;
const REBOOTS: u32 = 3;

#[derive(Debug, Clone, Copy)]
enum Trouble {
    /// Requests to the camera's control port at the beginning and at the end.
    Control(&'static [&'static str], &'static [&'static str]),
    /// The same once a second.
    EverySecond(&'static str),
    Hangs,
    /// Off, then on again.
    Off,
    Reboots,
    WrongPassword,
    NoSuchPath,
}

use Trouble::Control;

/// Name, what happens, whether the seams are exact: a timestamp jump makes one without a hole.
const TROUBLES: &[(&str, Trouble, bool)] = &[
    ("camera closes the connection", Control(&["kick"], &[]), true),
    ("camera frozen, its connection up", Control(&["freeze?what=all"], &["thaw"]), true),
    ("camera's picture frozen, its sound going on", Control(&["freeze?what=video"], &["thaw"]), true),
    ("camera's sound stops", Control(&["freeze?what=audio"], &["thaw"]), false),
    ("camera's sound comes late", Control(&["freeze?what=audio", "kick"], &["thaw"]), false),
    ("camera's host hangs", Trouble::Hangs, true),
    ("camera off, then on", Trouble::Off, true),
    ("camera reboots again and again", Trouble::Reboots, true),
    ("camera refuses the password", Trouble::WrongPassword, true),
    ("camera does not know the path", Trouble::NoSuchPath, true),
    (
        "camera switches to 640x360 at 20 frames/s",
        Control(&["switch?size=640x360&fps=20&gop=20"], &[]),
        false,
    ),
    ("camera's clock jumps a minute ahead", Control(&["jump?seconds=60"], &[]), false),
    ("camera's clock jumps a minute back", Control(&["jump?seconds=-60"], &[]), false),
    ("camera's clock jumps an hour ahead", Control(&["jump?seconds=3600"], &[]), false),
    ("camera's clock jumps an hour back", Control(&["jump?seconds=-3600"], &[]), false),
    ("camera loses frames every second", Trouble::EverySecond("lose?frames=4"), false),
    (
        "camera's key frames 10 s apart, then a new connection",
        Control(&["switch?gop=100", "kick"], &[]),
        true,
    ),
];

pub async fn run(table: &mut Table, wanted: &dyn Fn(&str) -> bool, lasting: Duration) {
    for (name, trouble, exact_seams) in TROUBLES.iter().filter(|(name, ..)| wanted(name)) {
        let row = attempt(name, one(name, *trouble, *exact_seams, lasting)).await;
        table.add(row.unwrap_or_else(|row| row));
    }
}

fn opts(name: &str) -> CameraOpts {
    CameraOpts { audio: name.contains("sound"), count: 2, ..small_camera() }
}

async fn one(name: &str, trouble: Trouble, exact_seams: bool, lasting: Duration) -> Row {
    let opts = opts(name);
    let mut camera = Camera::start(opts.clone()).await;
    let opts = CameraOpts { port: camera.port, ..opts };
    // The second of two, so that it can be missing.
    let mut stage = Stage::set("cameras", &camera.url_of(2)).await;
    stage.calm(4).await;
    let trial = stage.begin(name);
    // The agent's pauses double: they are no longer than the trouble was.
    let mut back_within = lasting + START + 2 * SEGMENT + SLACK;
    let mut problems = Vec::new();
    match trouble {
        Trouble::Control(begin, end) => {
            for request in begin {
                camera.control(request).await;
            }
            last(lasting).await;
            for request in end {
                camera.control(request).await;
            }
        }
        Trouble::EverySecond(request) => {
            for _ in 0..lasting.as_secs() {
                camera.control(request).await;
                last(Duration::from_secs(1)).await;
            }
        }
        Trouble::Hangs => {
            camera.hang(true);
            last(lasting).await;
            camera.hang(false);
        }
        Trouble::Off => {
            camera.stop().await;
            last(lasting).await;
            camera = Camera::start(opts).await;
        }
        Trouble::Reboots => {
            for _ in 0..REBOOTS {
                camera.stop().await;
                last(lasting / 4).await;
                camera = Camera::start(opts.clone()).await;
                last(lasting / 2).await;
            }
        }
        Trouble::WrongPassword => {
            let login = Some(("admin".to_owned(), "changed".to_owned()));
            camera.stop().await;
            camera = Camera::start(CameraOpts { login, ..opts.clone() }).await;
            let tries = ffmpegs_within(&stage, lasting).await;
            if tries > PASSWORD_TRIES {
                problems.push(format!("{tries} tries with a wrong password"));
            }
            camera.stop().await;
            camera = Camera::start(opts).await;
            back_within += PASSWORD_PAUSE;
        }
        Trouble::NoSuchPath => {
            camera.stop().await;
            camera = Camera::start(CameraOpts { count: 1, ..opts.clone() }).await;
            last(lasting).await;
            camera.stop().await;
            camera = Camera::start(opts).await;
        }
    }
    let limits = Limits { back_within, requests: None, exact_seams, stamps: true };
    let mut row = stage.end(trial, limits).await;
    row.problems.extend(problems);
    let breaches = stage.strike().await.breaches;
    if row.problems.is_empty() && !breaches.is_empty() {
        row.problems = failed(name, breaches).problems;
    }
    camera.stop().await;
    row
}

/// How many ffmpegs were seen running in this time.
async fn ffmpegs_within(stage: &Stage, time: Duration) -> usize {
    let mut seen = std::collections::BTreeSet::new();
    let looking = async {
        loop {
            seen.extend(stage.place.ffmpegs().iter().map(|process| process.pid));
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    let _: Result<(), _> = tokio::time::timeout(time, looking).await;
    seen.len()
}
