//! Which hardware encoders work on this machine: found out when a camera first wants one, once for all cameras.

use std::collections::HashMap;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::time::Instant;

use super::Workshop;
use super::encoders::{ALL_TIME, Bench, Finding, RENDER_NODES, render_nodes};
use crate::clock;
use crate::config::model::Settings;
use crate::domain::encoder::{Encoder, Wish};

/// Some encoders have a least or a largest size, and some can't do every rate.
type Tried = (Encoder, u32, u32);

fn tried(encoder: Encoder, settings: &Settings) -> Tried {
    (encoder, settings.target_width, settings.target_fps)
}

#[derive(Debug)]
pub struct Trials {
    workshop: Arc<Workshop>,
    known: Mutex<HashMap<Tried, Finding>>,
    /// Cards have few sessions: one trial at a time.
    bench: tokio::sync::Mutex<()>,
}

impl Trials {
    pub fn new(workshop: Arc<Workshop>) -> Self {
        Self { workshop, known: Mutex::default(), bench: tokio::sync::Mutex::default() }
    }

    fn known(&self) -> MutexGuard<'_, HashMap<Tried, Finding>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Of the wish's candidates, up to the first that works. Bounded, and nothing is tried for software.
    pub async fn find(&self, wish: Wish, settings: &Settings) -> Vec<Finding> {
        if let Some(findings) = self.remembered(wish, settings) {
            return findings;
        }
        let mut findings = Vec::new();
        let _alone = self.bench.lock().await;
        let until = Instant::from_std(clock::now()) + ALL_TIME;
        for encoder in wish.candidates() {
            let known = self.known().get(&tried(*encoder, settings)).cloned();
            let finding = match known {
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
        let known = self.known();
        let mut findings = Vec::new();
        for encoder in wish.candidates() {
            findings.push(known.get(&tried(*encoder, settings))?.clone());
            if findings.last().is_some_and(Finding::works) {
                break;
            }
        }
        Some(findings)
    }

    /// Of one that was tried before.
    pub async fn again(&self, encoder: Encoder, settings: &Settings) -> Finding {
        let _alone = self.bench.lock().await;
        self.try_it(encoder, settings, Instant::from_std(clock::now()) + ALL_TIME).await
    }

    /// Something was changed: what failed may work now.
    pub fn forget_failures(&self) {
        self.known().retain(|_, finding| finding.works());
    }

    async fn try_it(&self, encoder: Encoder, settings: &Settings, until: Instant) -> Finding {
        let Workshop { capabilities, spawner, .. } = &*self.workshop;
        let nodes = render_nodes(Path::new(RENDER_NODES));
        let bench = Bench { ffmpeg: capabilities, spawner, nodes, settings };
        let finding = bench.try_until(encoder, until).await;
        match &finding {
            Finding::Works(way) => tracing::info!(encoder = %way, "a hardware encoder works here"),
            failed => tracing::debug!(why = failed.why_not(), "no such hardware encoder"),
        }
        // Else it may not have had its time.
        if Instant::from_std(clock::now()) < until {
            self.known().insert(tried(encoder, settings), finding.clone());
        }
        finding
    }
}
