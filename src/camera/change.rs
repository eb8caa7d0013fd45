//! How long a camera that became another one waits for what it published before.

use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::status::StatusSender;

/// Its viewers wait as long, those of this box, too, while a storage takes nothing. Less than `Agent::is_alive` waits for
/// a beat.
const CHANGE_TIME: Duration = Duration::from_secs(20);

/// Not behind a stop: that has a time of its own.
pub(super) async fn is_late(stop: &CancellationToken) {
    if stop.run_until_cancelled(tokio::time::sleep(CHANGE_TIME)).await.is_none() {
        std::future::pending().await
    }
}

/// Of a publisher that was cut short: what it had left is counted.
pub(super) fn give_up_the_rest(status: &StatusSender) {
    let given_up = status.borrow().progress.backlog;
    if given_up > 0 {
        tracing::warn!(
            given_up,
            "the camera has changed, and not all from before could be published in time"
        );
    }
    status.send_modify(|status| status.progress = status.progress.cut_short());
}
