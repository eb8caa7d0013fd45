//! Waiting for an event with a deadline: never a fixed sleep.

use std::fmt::Display;
use std::time::Duration;

const POLL: Duration = Duration::from_millis(50);

/// Asks until the answer is `Some`; panics with `what` and `why` after the deadline.
pub async fn until<T, D: Display>(
    deadline: Duration,
    what: &str,
    ask: impl AsyncFnMut() -> Option<T>,
    why: impl Fn() -> D,
) -> T {
    until_every(POLL, deadline, what, ask, why).await
}

/// The same at another pace.
pub async fn until_every<T, D: Display>(
    poll: Duration,
    deadline: Duration,
    what: &str,
    mut ask: impl AsyncFnMut() -> Option<T>,
    why: impl Fn() -> D,
) -> T {
    let asking = async {
        loop {
            if let Some(answer) = ask().await {
                return answer;
            }
            tokio::time::sleep(poll).await;
        }
    };
    match tokio::time::timeout(deadline, asking).await {
        Ok(answer) => answer,
        Err(_) => panic!("waited {deadline:?} in vain for {what}\n{}", why()),
    }
}
