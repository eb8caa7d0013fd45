//! Orders of the web server's callers: they reach a camera's task as a demand, and nothing else.

use std::sync::Arc;

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
    camera: Camera,
}

/// Of the cameras that run now, or may.
pub(super) fn control<'a>(cameras: impl Iterator<Item = (&'a Camera, &'a Slot)>) -> Control {
    let stream = |(camera, slot): (&Camera, &Slot)| Stream {
        demand: slot.demand(),
        status: slot.status.clone(),
        camera: camera.clone(),
    };
    let streams: Vec<_> = cameras.map(stream).collect();
    Control::new(move |id, order| {
        let stream =
            streams.iter().find(|stream| stream.camera.id.as_str() == id).ok_or(Refusal::NoStream)?;
        stream.carry_out(order)
    })
}

impl Stream {
    fn carry_out(&self, order: Order) -> Result<Settled, Refusal> {
        let settings = &self.camera.settings;
        match order {
            Order::Want => {
                let now = clock::now();
                self.demand.send_modify(|demand| demand.renew(now, settings.idle_timeout));
            }
            Order::Stop if settings.start == Start::Always => return Err(Refusal::AlwaysRuns),
            Order::Stop => self.demand.send_modify(Demand::drop_all),
        }
        let mut status = self.status.clone();
        Ok(Box::pin(async move {
            if status.wait_for(is_settled).await.is_err() {
                // The camera's task has ended: nothing more is to be learnt.
                std::future::pending::<()>().await;
            }
        }))
    }
}

/// It can be played, or its run has failed.
fn is_settled(status: &CameraStatus) -> bool {
    let is_live = matches!(status.phase, Phase::Live { .. });
    (is_live && status.playlist_stored.is_some()) || matches!(status.phase, Phase::BackingOff { .. })
}
