//! The decisions of the agent, pure: no I/O, no clock, no task, no log. Time and dice are arguments.
//!
//! May use: `std` (no `fs`, `net`, `process`, `thread`), `bytes`, `url`, `humantime`, `thiserror`, what
//! [`access`], [`adhoc`] and [`signature`] compute with (`hmac`, `sha2`, `subtle`), itself.
//!
//! The machines here ([`publication::Publication`], [`lifecycle::Lifecycle`]) share one contract: `handle` takes
//! what happened, `poll` gives the next action until it gives `None`, and `deadline` says when to poll again if
//! nothing happens. A drained machine never has a deadline in the past.

pub mod access;
pub mod adhoc;
pub mod arrivals;
pub mod backoff;
pub mod bandwidth;
pub mod bulletin;
pub mod changes;
pub mod choice;
pub mod class;
pub mod cmaf;
pub mod codecs;
pub mod demand;
pub mod dice;
pub mod doubt;
pub mod edge;
pub mod encoder;
pub mod fmp4;
pub mod gate;
pub mod health;
pub mod ids;
pub mod key;
pub mod lanes;
pub mod lifecycle;
pub mod measured;
pub mod media;
pub mod origin;
pub mod pace;
pub mod parts;
pub mod pauses;
pub mod picture;
pub mod playlist;
pub mod precedence;
pub mod prices;
pub mod profile;
pub mod publication;
pub mod quota;
pub mod rate;
pub mod reach;
pub mod requests;
pub mod retired;
mod seal;
pub mod segment;
pub mod signature;
pub mod snapshot;
pub mod sound;
pub mod source;
pub mod timeline;
pub mod uplink;
pub mod uploads;
pub mod viewers;
pub mod window;

#[cfg(test)]
pub(crate) mod test_time {
    /// Machines only compare instants: any one will do to count from.
    #[expect(clippy::disallowed_methods, reason = "an Instant can't be made in any other way")]
    pub(crate) fn start() -> std::time::Instant {
        std::time::Instant::now()
    }
}
