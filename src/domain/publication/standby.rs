//! Segments that wait until it is known who publishes; while another does, the freshest are kept for the day that it
//! falls silent.

use std::collections::VecDeque;

use super::floor;
use super::times::Times;
use crate::domain::uploads::{Outgoing, UploadLimits};

#[derive(Debug)]
pub(super) struct Standby {
    queue: VecDeque<Outgoing>,
    most: usize,
    most_bytes: u64,
}

impl Standby {
    /// With room for all that is made while a dead agent's playlist is watched, or read again.
    pub(super) fn new(limits: &UploadLimits, times: Times) -> Self {
        let longest = times.longest_watch().max(floor::PATIENCE);
        let meanwhile = longest.div_duration_f64(limits.segment_duration).ceil() as usize;
        let most = limits.backlog.max(meanwhile) + 2;
        Self { queue: VecDeque::new(), most, most_bytes: limits.backlog_bytes }
    }

    /// Queues a segment; returns the oldest ones that it has no room for.
    pub(super) fn push(&mut self, outgoing: Outgoing) -> Vec<Outgoing> {
        self.queue.push_back(outgoing);
        let mut dropped = Vec::new();
        while self.is_over_limit()
            && let Some(oldest) = self.queue.pop_front()
        {
            if let Some(next) = self.queue.front_mut() {
                next.discontinuity = true;
            }
            dropped.push(oldest);
        }
        dropped
    }

    fn is_over_limit(&self) -> bool {
        let bytes: u64 = self.queue.iter().map(|outgoing| outgoing.segment.payload.bytes()).sum();
        self.queue.len() > self.most || (bytes > self.most_bytes && self.queue.len() > 1)
    }

    pub(super) fn len(&self) -> usize {
        self.queue.len()
    }

    pub(super) fn take(&mut self) -> VecDeque<Outgoing> {
        std::mem::take(&mut self.queue)
    }
}
