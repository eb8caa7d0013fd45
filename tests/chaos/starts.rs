//! Starts under bad stars: a store that is away or tells old tales, a wall clock that is wrong; or one that jumps later.

use std::time::Duration;

use crate::report::{Row, Table};
use crate::stage::{Limits, SEGMENT, SLACK, Stage, last, small_camera};
use crate::support::fault_proxy::{Fault, Kind};
use crate::support::wait::until;
use crate::trial::{attempt, failed};

const HOUR_S: i64 = 3_600;
const YEAR_S: i64 = 365 * 24 * HOUR_S;
/// A start: ffmpeg, the camera's key frame, a segment.
const START: Duration = Duration::from_secs(10);
const READ_WITHIN: Duration = Duration::from_secs(30);

const OLD: Fault = Fault::StaleReads { versions: 4 };

#[derive(Debug, Clone, Copy)]
enum Trouble {
    /// The clock jumps so far, and back when it ends.
    Jump(i64),
    /// Killed, and started with a clock that is wrong by so much.
    WrongAtStart(i64),
    /// Killed, and started while nobody listens.
    AwayAtStart,
    /// Killed, and started while no name is found.
    NoDnsAtStart,
    /// Killed, and told of an old playlist when it starts.
    StaleRead,
    /// The same, as long as it lasts.
    StaleReads,
}

const TROUBLES: &[(&str, Trouble)] = &[
    ("the clock jumps an hour ahead, then back", Trouble::Jump(HOUR_S)),
    ("the clock jumps an hour back, then ahead", Trouble::Jump(-HOUR_S)),
    ("a start with a clock a year behind, then right", Trouble::WrongAtStart(-YEAR_S)),
    ("a start with a clock an hour ahead, then right", Trouble::WrongAtStart(HOUR_S)),
    ("a start while the storage is away", Trouble::AwayAtStart),
    ("a start without name resolution", Trouble::NoDnsAtStart),
    ("a start that reads an old playlist", Trouble::StaleRead),
    ("a start that reads an old playlist again and again", Trouble::StaleReads),
];

pub async fn run(table: &mut Table, wanted: &dyn Fn(&str) -> bool, lasting: Duration) {
    for (name, trouble) in TROUBLES.iter().filter(|(name, _)| wanted(name)) {
        // Each with a bucket of its own: a broken playlist would be the next one's.
        let row = attempt(name, one(name, *trouble, lasting)).await;
        table.add(row.unwrap_or_else(|row| row));
    }
}

async fn one(name: &str, trouble: Trouble, lasting: Duration) -> Row {
    let (mut stage, _camera) = Stage::with_camera("starts", small_camera()).await;
    stage.calm(6).await;
    let trial = stage.begin(name);
    match trouble {
        Trouble::Jump(seconds) => {
            stage.box_faults.clock(seconds);
            last(lasting).await;
        }
        Trouble::WrongAtStart(seconds) => {
            stage.agent.kill9().await;
            stage.box_faults.clock(seconds);
            stage.agent = stage.place.start(&[]);
            stage.calm(3).await;
            last(lasting).await;
        }
        Trouble::AwayAtStart => {
            stage.agent.kill9().await;
            stage.proxy.set(Fault::Refuse).await;
            stage.agent = stage.place.start(&[]);
            last(lasting).await;
        }
        Trouble::NoDnsAtStart => {
            stage.agent.kill9().await;
            stage.box_faults.resolve(false);
            stage.agent = stage.place.start(&[]);
            last(lasting).await;
        }
        Trouble::StaleReads => {
            stage.agent.kill9().await;
            stage.proxy.set(OLD).await;
            stage.agent = stage.place.start(&[]);
            // It goes on without a newer one.
            stage.calm(3).await;
            last(lasting).await;
        }
        Trouble::StaleRead => {
            stage.agent.kill9().await;
            stage.proxy.set(OLD).await;
            let read_before = stage.proxy.counts().of(Kind::ReadPlaylist);
            stage.agent = stage.place.start(&[]);
            let read = async || (stage.proxy.counts().of(Kind::ReadPlaylist) > read_before).then_some(());
            until(READ_WITHIN, "the agent's reading of the playlist", read, || stage.agent.log()).await;
        }
    }
    stage.box_faults.clock(0);
    stage.box_faults.resolve(true);
    stage.proxy.set(Fault::None).await;
    let limits = Limits {
        back_within: 2 * SEGMENT + START + SLACK,
        requests: None,
        exact_seams: !matches!(trouble, Trouble::Jump(_)),
        stamps: matches!(trouble, Trouble::AwayAtStart | Trouble::NoDnsAtStart),
    };
    let mut row = stage.end(trial, limits).await;
    let breaches = stage.strike().await.breaches;
    if row.problems.is_empty() && !breaches.is_empty() {
        row.problems = failed(name, breaches).problems;
    }
    row
}
