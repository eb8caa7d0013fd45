//! Which encoder one camera's runs use, and the trials that bring a better one back.

use std::convert::Infallible;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, watch};

use super::encoders::{Finding, Way, mend};
use super::stderr::blames_encoder;
use crate::clock;
use crate::domain::encoder::{Action, Blame, Encoder, Notice, Policy, Wish};
use crate::domain::lifecycle::Cause;
use crate::engine::Exit;

/// It outlives a camera's engines. Clones are the same.
#[derive(Debug, Clone)]
pub struct EncoderUse(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    seat: Mutex<Seat>,
    /// The policy's next deadline may be another one.
    stirred: Notify,
    /// The current run should end.
    renew: watch::Sender<bool>,
}

#[derive(Debug)]
struct Seat {
    policy: Policy,
    /// What the trials found of its candidates.
    findings: Vec<Finding>,
}

impl Seat {
    fn way(&self, encoder: Encoder) -> Way {
        let way = |finding: &Finding| match finding {
            Finding::Works(way) if way.encoder == encoder => Some(way.clone()),
            _ => None,
        };
        self.findings.iter().find_map(way).unwrap_or_else(Way::software)
    }

    /// Takes a newer finding in an older one's place.
    fn learn(&mut self, finding: Finding) {
        self.findings.retain(|older| older.encoder() != finding.encoder());
        self.findings.push(finding);
    }
}

impl EncoderUse {
    /// x264, come what may.
    pub fn software() -> Self {
        Self::new(Policy::new(clock::now(), Wish::default(), &[]), Vec::new())
    }

    /// `findings`: of the wish's candidates, which the policy was made with.
    pub fn new(policy: Policy, findings: Vec<Finding>) -> Self {
        let seat = Mutex::new(Seat { policy, findings });
        let encoder =
            Self(Arc::new(Shared { seat, stirred: Notify::new(), renew: watch::Sender::new(false) }));
        encoder.tell("");
        encoder
    }

    /// In place: the next run begins with this, for all clones.
    pub fn equip(&self, policy: Policy, findings: Vec<Finding>) {
        *self.seat() = Seat { policy, findings };
        self.0.stirred.notify_one();
        self.tell("");
    }

    fn seat(&self) -> MutexGuard<'_, Seat> {
        self.0.seat.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How a run that starts now encodes.
    pub(super) fn start(&self) -> Way {
        self.0.renew.send_replace(false);
        let mut seat = self.seat();
        let encoder = seat.policy.start();
        seat.way(encoder)
    }

    /// `true`: the encoder was to blame, software takes over, and the log was told.
    pub(super) fn ended(&self, exit: &Exit, cause: Cause) -> bool {
        let blame = Blame::of(cause, exit.signal);
        self.seat().policy.ended(clock::now(), exit.ran_for, blame);
        self.0.stirred.notify_one();
        let own = exit.last_words.iter().find(|line| blames_encoder(line));
        let why = own.or(exit.last_words.last()).map_or(cause.in_words(), String::as_str);
        self.tell(why)
    }

    /// What the next run encodes with.
    pub(super) fn current(&self) -> Encoder {
        self.seat().policy.current()
    }

    /// The same, as part of a sentence; empty where there is nothing to say.
    pub(super) fn in_words(&self) -> String {
        let seat = self.seat();
        match (seat.policy.current(), seat.policy.fallen_from()) {
            (Encoder::Software, Some(wanted)) if seat.policy.is_refused() => {
                format!("in software, as {wanted} does not work here")
            }
            (Encoder::Software, Some(wanted)) => format!("in software, as {wanted} died"),
            (Encoder::Software, None) => String::new(),
            (hardware, _) => format!("with {}", seat.way(hardware)),
        }
    }

    /// Comes when the current run should end, once for each run. Cancel-safe.
    pub(super) async fn renewal(&self) {
        let mut renew = self.0.renew.subscribe();
        // The sender is `self`'s: it does not go away.
        let _ = renew.wait_for(|renew| *renew).await;
        self.0.renew.send_replace(false);
    }

    /// Tries hardware that has died, when it is time, and calls for a new run when it works again.
    pub async fn tend<T: Future<Output = Finding>>(&self, try_it: impl Fn(Encoder) -> T) -> Infallible {
        loop {
            let (action, deadline) = {
                let policy = &mut self.seat().policy;
                (policy.poll(clock::now()), policy.deadline())
            };
            match action {
                Some(Action::Try(encoder)) => {
                    let finding = try_it(encoder).await;
                    let (works, why) = (finding.works(), finding.why_not().unwrap_or_default());
                    tracing::debug!(%encoder, works, why, "a hardware encoder was tried again");
                    let mut seat = self.seat();
                    seat.learn(finding);
                    seat.policy.tried(clock::now(), works);
                    drop(seat);
                    self.tell("");
                }
                Some(Action::Renew) => drop(self.0.renew.send_replace(true)),
                None => tokio::select! {
                    () = clock::sleep_until(deadline) => {}
                    () = self.0.stirred.notified() => {}
                },
            }
        }
    }

    /// Tells the log what changed, if anything did.
    fn tell(&self, why: &str) -> bool {
        let mut seat = self.seat();
        let Some(notice) = seat.policy.notice() else { return false };
        let now = clock::now();
        let again_in = seat.policy.deadline().map(|at| at.saturating_duration_since(now));
        let again_in = minutes(again_in.unwrap_or_default());
        match notice {
            Notice::Refused { wanted } => {
                let complaint =
                    |finding: &Finding| finding.complaint().filter(|_| finding.encoder() == wanted);
                let why = seat.findings.iter().find_map(complaint).unwrap_or_default();
                let mend = mend(wanted);
                tracing::warn!(why, mend, again_in, "no such hardware encoder: encoding in software");
            }
            Notice::FellBack { from, .. } => {
                tracing::warn!(encoder = %from, why, again_in, "the hardware encoder failed: encoding in software");
            }
            Notice::Back { to } => {
                let way = seat.way(to);
                tracing::info!(encoder = %way, "the hardware encoder works again, and is used");
            }
        }
        true
    }
}

/// For people; a pause is never shorter in earnest.
fn minutes(time: Duration) -> String {
    let minutes = (time.as_secs_f64() / 60.0).round() as u64;
    if minutes >= 60 && minutes.is_multiple_of(60) {
        return format!("{} h", minutes / 60);
    }
    format!("{minutes} min")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn vaapi() -> EncoderUse {
        let node = Some("/dev/dri/renderD128".into());
        let way = Way { encoder: Encoder::Vaapi, node, low_power: false };
        let policy = Policy::new(clock::now(), Wish::Auto, &[Encoder::Vaapi]);
        EncoderUse::new(policy, vec![Finding::NotListed(Encoder::Nvenc), Finding::Works(way)])
    }

    fn exit(ran_for: Duration) -> Exit {
        Exit { code: None, signal: None, ran_for, cause: Cause::Asked, last_words: Vec::new() }
    }

    const MINUTE: Duration = Duration::from_secs(60);

    #[test]
    fn it_is_told_in_words_what_encodes() {
        let encoder = vaapi();
        assert_eq!(encoder.in_words(), "with vaapi (/dev/dri/renderD128)");
        assert_eq!(encoder.start().to_string(), "vaapi (/dev/dri/renderD128)");
        assert!(!encoder.ended(&exit(MINUTE), Cause::Encoder), "the first strike is told as any end");
        encoder.start();
        assert!(encoder.ended(&exit(MINUTE), Cause::Stalled));
        assert_eq!(
            (encoder.in_words().as_str(), encoder.start()),
            ("in software, as vaapi died", Way::software())
        );
        assert!(!encoder.ended(&exit(MINUTE), Cause::Encoder), "x264 has nothing to fall back to");
        let policy = Policy::new(clock::now(), Wish::Only(Encoder::Qsv), &[]);
        let refused = EncoderUse::new(policy, vec![Finding::NotListed(Encoder::Qsv)]);
        assert_eq!(refused.in_words(), "in software, as qsv does not work here");
        assert_eq!(
            (EncoderUse::software().in_words().as_str(), EncoderUse::software().start()),
            ("", Way::software())
        );
    }

    #[test]
    fn runs_without_an_encoder_are_not_its_fault() {
        let encoder = vaapi();
        (0..5).for_each(|_| assert!(!encoder.ended(&exit(MINUTE), Cause::Stalled), "a copy that stalls"));
        assert_eq!(encoder.in_words(), "with vaapi (/dev/dri/renderD128)");
    }

    #[tokio::test(start_paused = true)]
    async fn what_works_again_calls_for_one_renewal_and_a_run_that_began_meanwhile_for_none() {
        let encoder = vaapi();
        let tending = encoder.clone();
        let mut tasks = tokio::task::JoinSet::new();
        let works = |encoder| async move { Finding::Works(Way { encoder, ..Way::software() }) };
        tasks.spawn(async move { tending.tend(works).await });
        encoder.start();
        assert!(encoder.ended(&exit(MINUTE / 60), Cause::Encoder));
        assert_eq!(encoder.start(), Way::software());
        let pause = clock::now();
        encoder.renewal().await;
        assert_eq!(clock::now() - pause, 120 * MINUTE);
        let again = tokio::time::timeout(MINUTE, encoder.renewal()).await;
        assert!(again.is_err(), "told once");
        assert_eq!(encoder.start().encoder, Encoder::Vaapi);
    }

    #[test]
    fn pauses_are_for_people() {
        assert_eq!([120, 90, 61].map(|minutes| self::minutes(minutes * MINUTE)), ["2 h", "90 min", "61 min"]);
    }
}
