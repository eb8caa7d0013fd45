//! Orders of the web server's callers: they reach a camera's task as a demand, and nothing else.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use super::camera::Slot;
use crate::camera::status::CameraStatus;
use crate::clock;
use crate::config::model::{Camera, Start};
use crate::domain::demand::Demand;
use crate::domain::lifecycle::Phase;
use crate::http::{Control, Order, Refusal, Settled};

struct Stream {
    demand: Arc<watch::Sender<Demand>>,
    status: watch::Receiver<CameraStatus>,
    start: Start,
    idle_timeout: Duration,
}

/// Of the cameras that run now, or may.
pub(super) fn control<'a>(cameras: impl Iterator<Item = (&'a Camera, &'a Slot)>) -> Control {
    let stream = |camera: &Camera, slot: &Slot| Stream {
        demand: slot.demand(),
        status: slot.status.clone(),
        start: camera.settings.start,
        idle_timeout: camera.settings.idle_timeout,
    };
    let streams: HashMap<_, _> =
        cameras.map(|(camera, slot)| (camera.id.to_string(), stream(camera, slot))).collect();
    Control::new(move |id, order| streams.get(id).ok_or(Refusal::NoStream)?.carry_out(order))
}

impl Stream {
    fn carry_out(&self, order: Order) -> Result<Settled, Refusal> {
        match order {
            Order::Want => {
                let now = clock::now();
                self.demand.send_modify(|demand| demand.renew(now, self.idle_timeout));
            }
            Order::Stop if self.start == Start::Always => return Err(Refusal::AlwaysRuns),
            Order::Stop => self.demand.send_modify(Demand::drop_all),
        }
        Ok(Box::pin(settled(self.status.clone(), self.demand.clone(), self.idle_timeout)))
    }
}

/// The camera may take longer than its stream is wanted without another word.
async fn settled(
    mut status: watch::Receiver<CameraStatus>,
    demand: Arc<watch::Sender<Demand>>,
    idle_timeout: Duration,
) {
    let prolong = || demand.send_modify(|demand| demand.prolong(clock::now(), idle_timeout));
    let settles = async { status.wait_for(is_settled).await.is_err() };
    tokio::pin!(settles);
    loop {
        let is_gone = tokio::select! {
            is_gone = &mut settles => is_gone,
            () = tokio::time::sleep(idle_timeout / 2) => {
                prolong();
                continue;
            }
        };
        prolong();
        if is_gone {
            // The camera's task has ended: nothing more is to be learnt.
            std::future::pending::<()>().await;
        }
        return;
    }
}

/// It can be played, or its run has failed.
fn is_settled(status: &CameraStatus) -> bool {
    let is_live = matches!(status.phase, Phase::Live { .. });
    (is_live && status.playlist_stored.is_some()) || matches!(status.phase, Phase::BackingOff { .. })
}

#[cfg(test)]
mod tests {
    use tokio::task::JoinSet;

    use super::*;

    const S: Duration = Duration::from_secs(1);

    #[tokio::test(start_paused = true)]
    async fn who_waits_wants_it_until_he_knows_and_for_a_while_from_then() {
        let (sender, status) = watch::channel(CameraStatus::new("cam".parse().unwrap(), clock::now()));
        let demand = Arc::new(watch::Sender::new(Demand::default()));
        demand.send_modify(|demand| demand.renew(clock::now(), 5 * S));
        let mut waits = JoinSet::new();
        waits.spawn(settled(status, demand.clone(), 5 * S));
        tokio::time::sleep(29 * S).await;
        let is_wanted = || demand.borrow().is_wanted(clock::now());
        assert!(is_wanted() && waits.try_join_next().is_none());
        sender.send_modify(|status| status.phase = Phase::BackingOff { until: clock::now() + 60 * S });
        waits.join_next().await.unwrap().unwrap();
        tokio::time::sleep(4 * S).await;
        assert!(is_wanted());
        tokio::time::sleep(2 * S).await;
        assert!(!is_wanted());
    }

    #[tokio::test(start_paused = true)]
    async fn who_waits_for_what_another_has_stopped_does_not_start_it_again() {
        let (_sender, status) = watch::channel(CameraStatus::new("cam".parse().unwrap(), clock::now()));
        let demand = Arc::new(watch::Sender::new(Demand::default()));
        demand.send_modify(|demand| demand.renew(clock::now(), 5 * S));
        let mut waits = JoinSet::new();
        waits.spawn(settled(status, demand.clone(), 5 * S));
        tokio::time::sleep(8 * S).await;
        demand.send_modify(Demand::drop_all);
        tokio::time::sleep(8 * S).await;
        assert!(!demand.borrow().is_wanted(clock::now()) && waits.try_join_next().is_none());
    }
}
