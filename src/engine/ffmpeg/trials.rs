//! Which hardware encoders work on this machine: found out when a camera first wants one, once for all cameras.

use std::collections::HashMap;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::Workshop;
use super::encoders::{ALL_TIME, Bench, Finding, RENDER_NODES, render_nodes};
use crate::clock;
use crate::config::model::Settings;
use crate::domain::encoder::{Encoder, Wish};

/// Some encoders have a least or a largest size, and some can't do every rate.
type Tried = (Encoder, u32, u32);

fn tried(encoder: Encoder, settings: &Settings) -> Tried {
    (encoder, settings.widest(), settings.target_fps)
}

/// An encoder that works gives its few frames in far less.
const ENOUGH_TIME: Duration = Duration::from_secs(5);
/// A driver that hung for all of a question's time is not waited for again so soon, at each camera's start.
const HUNG_FOR: Duration = Duration::from_secs(6 * 3600);

#[derive(Debug)]
struct Known {
    finding: Finding,
    /// `None`: for ever.
    until: Option<Instant>,
}

#[derive(Debug)]
pub struct Trials {
    workshop: Arc<Workshop>,
    known: Mutex<HashMap<Tried, Known>>,
    /// Cards have few sessions: one trial at a time.
    bench: tokio::sync::Mutex<()>,
}

impl Trials {
    pub fn new(workshop: Arc<Workshop>) -> Self {
        Self { workshop, known: Mutex::default(), bench: tokio::sync::Mutex::default() }
    }

    fn known(&self) -> MutexGuard<'_, HashMap<Tried, Known>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn recall(&self, tried: &Tried) -> Option<Finding> {
        let known = self.known();
        let known = known.get(tried)?;
        known.until.is_none_or(|until| now() < until).then(|| known.finding.clone())
    }

    /// Of the wish's candidates, up to the first that works. Bounded, and nothing is tried for software.
    pub async fn find(&self, wish: Wish, settings: &Settings) -> Vec<Finding> {
        if let Some(findings) = self.remembered(wish, settings) {
            return findings;
        }
        let mut findings = Vec::new();
        let _alone = self.bench.lock().await;
        let until = now() + ALL_TIME;
        for encoder in wish.candidates() {
            let finding = match self.recall(&tried(*encoder, settings)) {
                Some(finding) => finding,
                None => self.try_it(*encoder, settings, until).await,
            };
            let works = finding.works();
            findings.push(finding);
            if works {
                break;
            }
        }
        findings
    }

    /// Nobody waits for another camera's trial where nothing is to be tried.
    fn remembered(&self, wish: Wish, settings: &Settings) -> Option<Vec<Finding>> {
        let mut findings = Vec::new();
        for encoder in wish.candidates() {
            findings.push(self.recall(&tried(*encoder, settings))?);
            if findings.last().is_some_and(Finding::works) {
                break;
            }
        }
        Some(findings)
    }

    /// Of one that was tried before.
    pub async fn again(&self, encoder: Encoder, settings: &Settings) -> Finding {
        let _alone = self.bench.lock().await;
        self.try_it(encoder, settings, now() + ALL_TIME).await
    }

    /// Something was changed: what failed may work now.
    pub fn forget_failures(&self) {
        self.known().retain(|_, known| known.finding.works());
    }

    async fn try_it(&self, encoder: Encoder, settings: &Settings, until: Instant) -> Finding {
        let Workshop { capabilities, spawner, .. } = &*self.workshop;
        let nodes = render_nodes(Path::new(RENDER_NODES));
        let bench = Bench { ffmpeg: capabilities, spawner, nodes, settings };
        let began = now();
        let finding = bench.try_until(encoder, until).await;
        match &finding {
            Finding::Works(way) => tracing::info!(encoder = %way, "a hardware encoder works here"),
            failed => tracing::debug!(why = failed.why_not(), "no such hardware encoder"),
        }
        let is_late = now() >= until;
        // Else those before it took its time.
        if !is_late || began + ENOUGH_TIME <= until {
            let until = is_late.then(|| now() + HUNG_FOR);
            let known = Known { finding: finding.clone(), until };
            self.known().insert(tried(encoder, settings), known);
        }
        finding
    }
}

fn now() -> Instant {
    Instant::from_std(clock::now())
}
