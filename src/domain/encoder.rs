//! Which H.264 encoder a camera's runs use, and what happens when one dies in use.
//!
//! Each camera has its own [`Policy`]: a graphics card that has no session left for the ninth camera goes on well with
//! the other eight. Software always works and is what everything falls back to: a picture that costs more is better
//! than none, also where a person asked for exactly one hardware encoder. Then it is told loudly.

use std::fmt;
use std::time::{Duration, Instant};

use super::backoff::Backoff;
use super::lifecycle::Cause;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Encoder {
    Software,
    Vaapi,
    Qsv,
    Nvenc,
    V4l2m2m,
    Rkmpp,
}

impl Encoder {
    /// In the order in which `auto` tries them. VAAPI before Quick Sync: it drives the same Intel chips and needs one
    /// library less.
    pub const HARDWARE: &[Self] = &[Self::Nvenc, Self::Vaapi, Self::Qsv, Self::Rkmpp, Self::V4l2m2m];

    /// As the configuration has it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Software => "software",
            Self::Vaapi => "vaapi",
            Self::Qsv => "qsv",
            Self::Nvenc => "nvenc",
            Self::V4l2m2m => "v4l2m2m",
            Self::Rkmpp => "rkmpp",
        }
    }

    /// As ffmpeg has it.
    pub fn ffmpeg_name(self) -> &'static str {
        match self {
            Self::Software => "libx264",
            Self::Vaapi => "h264_vaapi",
            Self::Qsv => "h264_qsv",
            Self::Nvenc => "h264_nvenc",
            Self::V4l2m2m => "h264_v4l2m2m",
            Self::Rkmpp => "h264_rkmpp",
        }
    }

    pub fn is_hardware(self) -> bool {
        self != Self::Software
    }
}

impl fmt::Display for Encoder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What the configuration asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Wish {
    /// The first hardware encoder that works, else software.
    Auto,
    Only(Encoder),
}

impl Default for Wish {
    /// Its picture, rate and faults are known on every machine.
    fn default() -> Self {
        Self::Only(Encoder::Software)
    }
}

impl Wish {
    pub const ALL: [Self; 7] = [
        Self::Auto,
        Self::Only(Encoder::Software),
        Self::Only(Encoder::Vaapi),
        Self::Only(Encoder::Qsv),
        Self::Only(Encoder::Nvenc),
        Self::Only(Encoder::V4l2m2m),
        Self::Only(Encoder::Rkmpp),
    ];

    /// As the configuration has it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Only(encoder) => encoder.name(),
        }
    }

    /// The hardware encoders that are worth a trial for it, in this order.
    pub fn candidates(self) -> &'static [Encoder] {
        match self {
            Self::Auto => Encoder::HARDWARE,
            Self::Only(wanted) => {
                let at = Encoder::HARDWARE.iter().position(|encoder| *encoder == wanted);
                at.map_or(&[], |at| &Encoder::HARDWARE[at..=at])
            }
        }
    }
}

impl fmt::Display for Wish {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Is the encoder why a run ended?
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Blame {
    /// It said so itself.
    Encoder,
    /// The run fell silent. A camera that does is noticed otherwise, but hardware that hangs looks like this.
    Perhaps,
    /// Something else ended it.
    Not,
}

/// SIGILL, SIGABRT, SIGBUS, SIGFPE, SIGSEGV: a driver runs within ffmpeg, and takes it along.
const CRASHES: [i32; 5] = [4, 6, 7, 8, 11];

impl Blame {
    /// Of a run that ended so.
    pub fn of(cause: Cause, signal: Option<i32>) -> Self {
        match cause {
            Cause::Encoder => Self::Encoder,
            Cause::Stalled => Self::Perhaps,
            Cause::Crashed if signal.is_some_and(|signal| CRASHES.contains(&signal)) => Self::Perhaps,
            _ => Self::Not,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// Find out whether this encoder works; the answer is [`Policy::tried`].
    Try(Encoder),
    /// End the current run, so that the next one uses the hardware that works again.
    Renew,
}

/// What changed, for the log. Each is told once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Notice {
    /// Asked for, but it did not work at the start.
    Refused { wanted: Encoder },
    /// It died in use; the hardware is tried again after this pause.
    FellBack { from: Encoder, again_in: Duration },
    /// It works again.
    Back { to: Encoder },
}

/// A hardware run that ends sooner than this by the encoder's own fault shows that it does not work here.
const SHORT: Duration = Duration::from_secs(30);
/// One that lasted for this long was a good one: earlier deaths are forgotten.
const GOOD: Duration = Duration::from_secs(3600);
/// Ends in a row that may be the encoder's fault.
const STRIKES: u32 = 2;
/// Until the hardware is tried again: a driver that was reset needs minutes, one that is being updated hours.
const PAUSES: Backoff =
    Backoff { first: Duration::from_secs(2 * 3600), most: Duration::from_secs(24 * 3600) };

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// The hardware encoder, or software because there is no other.
    Settled,
    /// On software until then.
    Fallen { again_at: Instant },
    /// On software; the driver finds out whether the hardware works again.
    Trying,
}

/// One camera's choice. A machine as the others: `poll` gives the next action until it gives `None`.
#[derive(Debug)]
pub struct Policy {
    /// What is used while all goes well: a hardware encoder that was found working, or software.
    best: Encoder,
    /// That was found to work at some time.
    has_worked: bool,
    pauses: Backoff,
    state: State,
    strikes: u32,
    /// Falls since the last good run.
    falls: u32,
    /// What the current run uses.
    running: Option<Encoder>,
    renew: bool,
    notice: Option<Notice>,
}

impl Policy {
    /// `working`: what was found to work, of the wish's candidates. A hardware encoder that was asked for and does not
    /// work at the start is tried again as if it had died.
    pub fn new(now: Instant, wish: Wish, working: &[Encoder]) -> Self {
        Self::pausing(now, wish, working, PAUSES)
    }

    /// With other pauses until the hardware is tried again.
    pub fn pausing(now: Instant, wish: Wish, working: &[Encoder], pauses: Backoff) -> Self {
        let works = wish.candidates().iter().find(|candidate| working.contains(candidate));
        let mut policy = Self {
            best: works.copied().unwrap_or(Encoder::Software),
            has_worked: works.is_some(),
            pauses,
            state: State::Settled,
            strikes: 0,
            falls: 0,
            running: None,
            renew: false,
            notice: None,
        };
        if let (None, Wish::Only(wanted)) = (works, wish)
            && wanted.is_hardware()
        {
            policy.best = wanted;
            policy.fall(now);
            policy.notice = Some(Notice::Refused { wanted });
        }
        policy
    }

    /// What a run that starts now uses.
    pub fn start(&mut self) -> Encoder {
        let encoder = self.current();
        (self.running, self.renew) = (Some(encoder), false);
        encoder
    }

    /// What the next run would use.
    pub fn current(&self) -> Encoder {
        if self.state == State::Settled { self.best } else { Encoder::Software }
    }

    /// The hardware encoder in whose place software works.
    pub fn fallen_from(&self) -> Option<Encoder> {
        (self.state != State::Settled).then_some(self.best)
    }

    /// It did not die: it has not worked yet.
    pub fn is_refused(&self) -> bool {
        !self.has_worked
    }

    /// The current run has ended.
    pub fn ended(&mut self, now: Instant, ran_for: Duration, blame: Blame) {
        self.renew = false;
        // Software that dies has nothing to fall back to.
        if !self.running.take().is_some_and(Encoder::is_hardware) || self.state != State::Settled {
            return;
        }
        if ran_for >= GOOD {
            (self.falls, self.strikes) = (0, 0);
        }
        match blame {
            Blame::Encoder if ran_for < SHORT => self.strikes = STRIKES,
            Blame::Encoder | Blame::Perhaps => self.strikes += 1,
            // A camera that hangs up at once says nothing about the encoder.
            Blame::Not if ran_for >= SHORT => self.strikes = 0,
            Blame::Not => {}
        }
        if self.strikes >= STRIKES {
            let again_in = self.fall(now);
            self.notice = Some(Notice::FellBack { from: self.best, again_in });
        }
    }

    /// The answer to [`Action::Try`].
    pub fn tried(&mut self, now: Instant, works: bool) {
        if self.state != State::Trying {
            return;
        }
        if works {
            self.state = State::Settled;
            self.has_worked = true;
            self.renew = self.running == Some(Encoder::Software);
            self.notice = Some(Notice::Back { to: self.best });
        } else {
            self.fall(now);
        }
    }

    fn fall(&mut self, now: Instant) -> Duration {
        self.falls = self.falls.saturating_add(1);
        self.strikes = 0;
        let pause = self.pauses.delay(self.falls, 0.0);
        self.state = State::Fallen { again_at: now + pause };
        pause
    }

    pub fn poll(&mut self, now: Instant) -> Option<Action> {
        match self.state {
            State::Fallen { again_at } if now >= again_at => {
                self.state = State::Trying;
                Some(Action::Try(self.best))
            }
            _ => std::mem::take(&mut self.renew).then_some(Action::Renew),
        }
    }

    /// When to poll again if nothing happens before.
    pub fn deadline(&self) -> Option<Instant> {
        match self.state {
            State::Fallen { again_at } => Some(again_at),
            State::Settled | State::Trying => None,
        }
    }

    pub fn notice(&mut self) -> Option<Notice> {
        self.notice.take()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::domain::test_time::start;

    const HOUR: Duration = Duration::from_secs(3600);
    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn every_encoder_can_be_wished_for() {
        let names = Wish::ALL.map(Wish::name);
        assert_eq!(names, ["auto", "software", "vaapi", "qsv", "nvenc", "v4l2m2m", "rkmpp"]);
        for encoder in Encoder::HARDWARE {
            assert!(names.contains(&encoder.name()));
            assert_eq!(Wish::Only(*encoder).candidates(), [*encoder]);
        }
    }

    #[test]
    fn the_cause_of_an_end_tells_whose_fault_it_may_be() {
        for (cause, signal, blame) in [
            (Cause::Encoder, None, Blame::Encoder),
            (Cause::Encoder, Some(9), Blame::Encoder),
            (Cause::Stalled, None, Blame::Perhaps),
            (Cause::Stalled, Some(15), Blame::Perhaps),
            (Cause::Crashed, Some(11), Blame::Perhaps),
            (Cause::Crashed, Some(6), Blame::Perhaps),
            // Out of memory, or a person.
            (Cause::Crashed, Some(9), Blame::Not),
            (Cause::Crashed, None, Blame::Not),
            (Cause::Asked, Some(11), Blame::Not),
            (Cause::Disconnected, None, Blame::Not),
            (Cause::Unreachable, None, Blame::Not),
            (Cause::BadStream, None, Blame::Not),
            (Cause::ClockJumped, None, Blame::Not),
            (Cause::Spool, None, Blame::Not),
            (Cause::SpoolLimit, Some(9), Blame::Not),
        ] {
            assert_eq!(Blame::of(cause, signal), blame, "{cause:?} {signal:?}");
        }
    }

    #[test]
    fn a_wish_and_what_works_make_the_choice() {
        use Encoder::{Nvenc, Qsv, Software, V4l2m2m, Vaapi};
        let only = Wish::Only;
        for (wish, working, chosen, refused) in [
            (Wish::Auto, &[][..], Software, None),
            (Wish::Auto, &[V4l2m2m, Vaapi], Vaapi, None),
            (Wish::Auto, &[Qsv, Nvenc], Nvenc, None),
            (only(Software), &[Vaapi], Software, None),
            (only(Vaapi), &[Vaapi, Nvenc], Vaapi, None),
            (only(Vaapi), &[Nvenc], Software, Some(Vaapi)),
            (only(Qsv), &[], Software, Some(Qsv)),
        ] {
            let mut policy = Policy::new(start(), wish, working);
            assert_eq!(policy.start(), chosen, "{wish} with {working:?}");
            assert_eq!(policy.notice(), refused.map(|wanted| Notice::Refused { wanted }));
            assert_eq!(policy.fallen_from(), refused);
            assert_eq!(policy.is_refused(), !chosen.is_hardware());
            assert_eq!(policy.notice(), None, "told once");
        }
    }

    /// Runs of a working VAAPI that end so: is it still used?
    #[test]
    fn it_falls_back_when_the_encoder_is_to_blame() {
        use Blame::{Encoder as Own, Not, Perhaps};
        let s = Duration::from_secs;
        for (ends, falls) in [
            (&[(s(1), Own)][..], true),
            (&[(s(29), Own)], true),
            (&[(s(30), Own)], false),
            (&[(s(60), Own), (s(60), Own)], true),
            (&[(s(60), Own), (s(60), Perhaps)], true),
            (&[(s(60), Perhaps)], false),
            (&[(s(1), Perhaps), (s(1), Perhaps)], true),
            (&[(s(60), Own), (s(60), Not), (s(60), Own)], false),
            (&[(s(60), Own), (s(1), Not), (s(60), Own)], true),
            (&[(s(60), Own), (s(3600), Own)], false),
            (&[(s(1), Not), (s(1), Not), (s(1), Not), (s(1), Not)], false),
        ] {
            let mut policy = Policy::new(start(), Wish::Auto, &[Encoder::Vaapi]);
            for (ran_for, blame) in ends {
                assert_eq!(policy.start(), Encoder::Vaapi, "{ends:?}");
                policy.ended(start(), *ran_for, *blame);
            }
            let expected = if falls { Encoder::Software } else { Encoder::Vaapi };
            assert_eq!(policy.current(), expected, "{ends:?}");
            let told = Notice::FellBack { from: Encoder::Vaapi, again_in: 2 * HOUR };
            assert_eq!(policy.notice(), falls.then_some(told));
        }
    }

    fn die(policy: &mut Policy, now: Instant) {
        policy.start();
        policy.ended(now, SECOND, Blame::Encoder);
    }

    #[test]
    fn the_hardware_is_tried_again_ever_more_rarely_and_a_good_run_forgets() {
        let mut now = start();
        let mut policy = Policy::new(now, Wish::Auto, &[Encoder::Nvenc]);
        die(&mut policy, now);
        for hours in [2, 4, 8, 16, 24, 24] {
            assert_eq!(policy.start(), Encoder::Software);
            assert_eq!(policy.deadline(), Some(now + hours * HOUR));
            assert_eq!(policy.poll(now + hours * HOUR - SECOND), None);
            now += hours * HOUR;
            assert_eq!(policy.poll(now), Some(Action::Try(Encoder::Nvenc)));
            assert_eq!((policy.poll(now), policy.deadline()), (None, None));
            policy.tried(now, false);
        }
        now += 24 * HOUR;
        assert_eq!(policy.poll(now), Some(Action::Try(Encoder::Nvenc)));
        policy.notice();
        policy.tried(now, true);
        assert_eq!(policy.notice(), Some(Notice::Back { to: Encoder::Nvenc }));
        assert_eq!((policy.poll(now), policy.poll(now)), (Some(Action::Renew), None));
        policy.ended(now, HOUR, Blame::Not);
        assert_eq!(policy.start(), Encoder::Nvenc);
        policy.ended(now, 2 * HOUR, Blame::Not);
        die(&mut policy, now);
        assert_eq!(policy.deadline(), Some(now + 2 * HOUR), "a good run forgets");
    }

    #[test]
    fn hardware_that_is_back_ends_no_run_that_uses_it_or_is_over() {
        let now = start();
        let mut policy = Policy::new(now, Wish::Only(Encoder::Qsv), &[]);
        assert_eq!(policy.poll(now + 2 * HOUR), Some(Action::Try(Encoder::Qsv)));
        policy.start();
        policy.ended(now, SECOND, Blame::Not);
        policy.tried(now, true);
        assert_eq!(policy.poll(now), None, "nothing runs");
        assert_eq!(policy.start(), Encoder::Qsv);
        policy.tried(now, true);
        assert_eq!((policy.poll(now), policy.notice()), (None, Some(Notice::Back { to: Encoder::Qsv })));
    }

    #[test]
    fn dying_software_changes_nothing() {
        for wish in [Wish::Auto, Wish::default()] {
            let mut policy = Policy::new(start(), wish, &[]);
            (0..9).for_each(|_| die(&mut policy, start()));
            assert_eq!((policy.current(), policy.deadline()), (Encoder::Software, None));
            assert_eq!((policy.poll(start() + 99 * HOUR), policy.notice()), (None, None));
        }
    }

    #[derive(Debug, Clone)]
    enum Step {
        Run { secs: u64, blame: Blame },
        Wait { secs: u64 },
        Answer(bool),
    }

    fn step() -> impl Strategy<Value = Step> {
        let blame = prop_oneof![Just(Blame::Encoder), Just(Blame::Perhaps), Just(Blame::Not)];
        prop_oneof![
            (0..10_000_u64, blame).prop_map(|(secs, blame)| Step::Run { secs, blame }),
            (0..200_000_u64).prop_map(|secs| Step::Wait { secs }),
            any::<bool>().prop_map(Step::Answer),
        ]
    }

    proptest! {
        #[test]
        fn whatever_happens(steps in proptest::collection::vec(step(), 0..60), works: bool) {
            let mut now = start();
            let working: &[Encoder] = if works { &[Encoder::Vaapi] } else { &[] };
            let mut policy = Policy::new(now, Wish::Only(Encoder::Vaapi), working);
            let mut deaths = 0;
            for step in steps {
                match step {
                    Step::Run { secs, blame } => {
                        let used = policy.start();
                        prop_assert!(used == Encoder::Vaapi || used == Encoder::Software);
                        prop_assert_eq!(used == Encoder::Software, policy.fallen_from().is_some());
                        now += Duration::from_secs(secs);
                        policy.ended(now, Duration::from_secs(secs), blame);
                        // The same hardware never gets a third run after two that it ended.
                        if secs >= 3600 || blame == Blame::Not && secs >= 30 {
                            deaths = 0;
                        }
                        deaths += u32::from(used.is_hardware() && blame != Blame::Not);
                        prop_assert!(deaths < 2 || policy.current() == Encoder::Software);
                        if policy.current() == Encoder::Software {
                            deaths = 0;
                        }
                    }
                    Step::Wait { secs } => now += Duration::from_secs(secs),
                    Step::Answer(works) => policy.tried(now, works),
                }
                while policy.poll(now).is_some() {}
                let deadline = policy.deadline();
                prop_assert!(deadline.is_none_or(|at| at > now && at <= now + 24 * HOUR), "{deadline:?}");
            }
        }
    }
}
