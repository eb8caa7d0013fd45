//! Orders of the web server's callers: they reach a camera's task as a demand, and nothing else.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::watch;

use super::adhoc::Reception;
use super::directory::{Directories, Stream};
use crate::camera::status::CameraStatus;
use crate::clock;
use crate::config::Overrides;
use crate::config::model::{Settings, Start};
use crate::domain::choice::Quality;
use crate::domain::demand::Demand;
use crate::domain::lifecycle::{Cause, Phase};
use crate::http::{self, Accepted, Control, Order, Outcome, Refusal, Settled};

/// `reception` sees to streams that the configuration does not know.
pub(super) fn control(directories: Directories, reception: Reception) -> Control {
    let starts = directories.clone();
    let room = Mutex::new(());
    let order = move |id: &str, order| {
        let directory = directories.borrow().clone();
        let stream = directory.one(id).ok_or(Refusal::NoStream)?;
        // Whoever finds room takes it before another one looks.
        let _turn = stream.asked.is_some().then(|| room.lock().unwrap_or_else(PoisonError::into_inner));
        if order != Order::Stop {
            directory.has_room_for(stream, clock::now())?;
        }
        stream.carry_out(order)
    };
    let start = move |start: http::Start| -> http::Starting {
        let (directories, reception) = (starts.clone(), reception.clone());
        Box::pin(async move {
            let http::Start { id, rtsp_url, overrides } = start;
            let overrides = overrides_of(overrides);
            match (id, rtsp_url) {
                (id, Some(url)) => reception.start(&directories, id, &url, &overrides).await,
                (Some(id), None) => {
                    let directory = directories.borrow().clone();
                    directory.one(&id).ok_or(Refusal::NoStream)?.start(&overrides)
                }
                (None, None) => Err(Refusal::NoStream),
            }
        })
    };
    Control::new(order).starting(start)
}

fn overrides_of(overrides: http::Overrides) -> Overrides {
    let http::Overrides { quality, max_bitrate, profile } = overrides;
    Overrides { quality, max_bitrate, profile }
}

impl Stream {
    /// Joins it, or begins it with what is wanted otherwise.
    pub(super) fn start(&self, overrides: &Overrides) -> Result<Accepted, Refusal> {
        let settings = &self.camera.settings;
        let wanted = (!overrides.is_empty())
            .then(|| overrides.over(&self.camera.said))
            .transpose()
            .map_err(Refusal::Invalid)?
            .map(|wanted| Settings { start: settings.start, ..wanted })
            .filter(|wanted| wanted != settings);
        if wanted.is_some() && settings.start == Start::Always {
            return Err(Refusal::Conflict(
                "this camera always runs (start: always), as the configuration says: leave quality, max_bitrate and \
                 profile out, or change them there"
                    .into(),
            ));
        }
        let now = clock::now();
        let in_effect = self.slot.start(now, wanted).ok_or(Refusal::NoStream)?;
        Ok(self.accepted(&in_effect, now))
    }

    pub(super) fn accepted(&self, in_effect: &Settings, asked_at: Instant) -> Accepted {
        Accepted {
            stream_id: self.camera.id.to_string(),
            settled: self.settled(Some(asked_at)),
            quality: in_effect.quality.map(Quality::name),
            max_bitrate: in_effect.max_bitrate,
            profile: in_effect.profile_of(in_effect.segment_duration).name(),
        }
    }

    fn carry_out(&self, order: Order) -> Result<Settled, Refusal> {
        match order {
            Order::Want => self.slot.renew(clock::now()),
            Order::Fetched => self.slot.fetched(clock::now()),
            Order::Stop if self.camera.settings.start == Start::Always => return Err(Refusal::AlwaysRuns),
            Order::Stop => self.slot.end(),
        }
        Ok(self.settled(None))
    }

    fn settled(&self, asked_at: Option<Instant>) -> Settled {
        let Stream { slot, camera, .. } = self;
        Box::pin(settled(slot.status.clone(), slot.demand.clone(), camera.settings.idle_timeout, asked_at))
    }
}

/// Who waits no longer is believed for as long as he is told.
const PROLONG_EVERY: Duration = Duration::from_secs(1);

/// The camera may take longer than its stream is wanted without another word. `asked_at`: what failed before counts for
/// nothing, as there is another try.
async fn settled(
    mut status: watch::Receiver<CameraStatus>,
    demand: Arc<watch::Sender<Demand>>,
    idle_timeout: Duration,
    asked_at: Option<Instant>,
) -> Outcome {
    let mut wanted = demand.subscribe();
    let stopped = async { wanted.wait_for(|demand| !demand.is_wanted(clock::now())).await.is_ok() };
    // What is settled by time alone wakes nobody.
    let now = status.clone();
    let prolong = || demand.send_modify(|demand| demand.prolong(clock::now(), idle_timeout));
    let settles = async { status.wait_for(|status| is_settled(status, asked_at)).await.is_err() };
    tokio::pin!(settles, stopped);
    loop {
        let is_gone = tokio::select! {
            biased;
            is_gone = &mut settles => is_gone,
            _ = &mut stopped => return Outcome::Stopped,
            () = tokio::time::sleep((idle_timeout / 2).min(PROLONG_EVERY)) => {
                prolong();
                if is_settled(&now.borrow(), asked_at) {
                    return Outcome::Known;
                }
                continue;
            }
        };
        prolong();
        if is_gone {
            // The camera's task has ended: nothing more is to be learnt.
            std::future::pending::<()>().await;
        }
        return Outcome::Known;
    }
}

/// Of a camera that is well: a storage may fail once.
const STORAGE_PATIENCE: Duration = Duration::from_secs(3);

/// It can be played, its run has failed, or nothing of it gets into the storage.
fn is_settled(status: &CameraStatus, asked_at: Option<Instant>) -> bool {
    let is_live = matches!(status.phase, Phase::Live { .. });
    let has_failed = matches!(status.phase, Phase::BackingOff { .. });
    // A camera that refused is not asked again for a while, whoever asks.
    let is_barred = status.barred.is_some() && status.last_trouble == Some(Cause::Auth);
    let is_new = asked_at.is_none_or(|asked_at| status.failed_at > Some(asked_at));
    let live_for = status.live_since.map(|since| clock::now().saturating_duration_since(since));
    let is_refused = status.storage_error.is_some() && live_for >= Some(STORAGE_PATIENCE);
    (is_live && (status.playlist_stored.is_some() || is_refused)) || (has_failed && (is_new || is_barred))
}

#[cfg(test)]
mod tests {
    use tokio::task::JoinSet;

    use super::*;
    use crate::domain::lifecycle::Barred;

    const S: Duration = Duration::from_secs(1);

    #[tokio::test(start_paused = true)]
    async fn who_waits_wants_it_until_he_knows_and_for_a_while_from_then() {
        let (sender, status) = watch::channel(CameraStatus::new("cam".parse().unwrap(), clock::now()));
        let demand = Arc::new(watch::Sender::new(Demand::default()));
        demand.send_modify(|demand| demand.renew(clock::now(), 5 * S));
        let mut waits = JoinSet::new();
        waits.spawn(settled(status, demand.clone(), 5 * S, None));
        tokio::time::sleep(29 * S).await;
        let is_wanted = || demand.borrow().is_wanted(clock::now());
        assert!(is_wanted() && waits.try_join_next().is_none());
        sender.send_modify(|status| status.phase = Phase::BackingOff { until: clock::now() + 60 * S });
        assert_eq!(waits.join_next().await.unwrap().unwrap(), Outcome::Known);
        tokio::time::sleep(4 * S).await;
        assert!(is_wanted());
        tokio::time::sleep(2 * S).await;
        assert!(!is_wanted());
    }

    #[tokio::test(start_paused = true)]
    async fn who_waited_in_vain_is_believed_from_the_answer_on() {
        let (_sender, status) = watch::channel(CameraStatus::new("cam".parse().unwrap(), clock::now()));
        let demand = Arc::new(watch::Sender::new(Demand::default()));
        demand.send_modify(|demand| demand.renew(clock::now(), 30 * S));
        let outcome = tokio::time::timeout(10 * S, settled(status, demand.clone(), 30 * S, None)).await;
        assert!(outcome.is_err());
        tokio::time::sleep(28 * S).await;
        assert!(demand.borrow().is_wanted(clock::now()));
        tokio::time::sleep(2 * S).await;
        assert!(!demand.borrow().is_wanted(clock::now()));
    }

    #[tokio::test(start_paused = true)]
    async fn who_waits_for_what_another_has_stopped_does_not_start_it_again() {
        let (_sender, status) = watch::channel(CameraStatus::new("cam".parse().unwrap(), clock::now()));
        let demand = Arc::new(watch::Sender::new(Demand::default()));
        demand.send_modify(|demand| demand.renew(clock::now(), 5 * S));
        let mut waits = JoinSet::new();
        waits.spawn(settled(status, demand.clone(), 5 * S, None));
        tokio::time::sleep(8 * S).await;
        assert!(waits.try_join_next().is_none());
        demand.send_modify(|demand| demand.stop(clock::now()));
        assert_eq!(waits.join_next().await.unwrap().unwrap(), Outcome::Stopped);
        tokio::time::sleep(8 * S).await;
        assert!(!demand.borrow().is_wanted(clock::now()));
    }

    #[tokio::test(start_paused = true)]
    async fn a_storage_that_takes_nothing_of_a_camera_that_is_well_is_an_answer() {
        let mut status = CameraStatus::new("cam".parse().unwrap(), clock::now());
        (status.phase, status.live_since) =
            (Phase::Live { since: clock::now(), last_segment: clock::now() }, Some(clock::now()));
        status.storage_error = Some("HTTP 403".into());
        assert!(!is_settled(&status, None), "it may fail once");
        tokio::time::sleep(STORAGE_PATIENCE).await;
        assert!(is_settled(&status, None));
        status.storage_error = None;
        assert!(!is_settled(&status, None), "it is on its way");
        status.playlist_stored = Some(clock::now());
        assert!(is_settled(&status, None));
    }

    #[test]
    fn an_old_failure_is_no_answer_unless_nobody_tries_again() {
        let now = clock::now();
        let mut status = CameraStatus::new("cam".parse().unwrap(), now);
        status.phase = Phase::BackingOff { until: now + 60 * S };
        (status.failed_at, status.last_trouble) = (Some(now), Some(Cause::Unreachable));
        assert!(is_settled(&status, None) && !is_settled(&status, Some(now)));
        assert!(is_settled(&status, now.checked_sub(S)), "it has failed again");
        status.barred = Some(Barred { until: now + 60 * S, times: 1 });
        status.last_trouble = Some(Cause::Auth);
        assert!(is_settled(&status, Some(now)), "it is not asked again");
    }
}
