//! What systemd is told: ready, stopping, alive. Without systemd these do nothing.

use std::time::Duration;

use sd_notify::NotifyState;

pub fn ready(status: &str) {
    notify(&[NotifyState::Ready, NotifyState::Status(status)]);
}

/// A reload began; [`ready`] ends it.
pub fn reloading() {
    match NotifyState::monotonic_usec_now() {
        Ok(now) => notify(&[NotifyState::Reloading, now]),
        Err(error) => tracing::debug!(%error, "systemd could not be told of the reload"),
    }
}

pub fn stopping() {
    notify(&[NotifyState::Stopping]);
}

pub fn status(text: &str) {
    notify(&[NotifyState::Status(text)]);
}

pub fn alive() {
    notify(&[NotifyState::Watchdog]);
}

/// How often systemd wants to hear that the agent lives (half of WatchdogSec); `None` if it does not.
pub fn watchdog_interval() -> Option<Duration> {
    sd_notify::watchdog_enabled().map(|timeout| timeout / 2)
}

/// The journal reads standard error: it stamps lines itself and takes the level from their prefix.
pub fn is_journal() -> bool {
    std::env::var_os("JOURNAL_STREAM").is_some()
}

fn notify(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        tracing::debug!(%error, "systemd could not be notified");
    }
}
