//! Chaos: what a cloud may do to an application, decided by a seed. The test harness plays it on a clock of its own, one
//! event at a time; `dev --chaos` does it to the application that runs on this machine, without stalls and restarts.
//!
//! Each decision is made for itself, from the seed and from what it is about (a message, an attempt, the number of a
//! step): leaving one fault out changes no other, and the same message meets the same faults again.
//!
//! Chaos does what the contracts allow and no more: messages come late, twice and out of turn, operations fail before or
//! after they took effect, attempts and processes are lost. It loses nothing that was acknowledged, and it alone is never
//! the reason that a message is given up: it leaves the last attempt alone.

mod dice;

pub(crate) use dice::Dice;

use crate::engine::{Channel, EngineError, EngineResult};
use crate::faults::{Attempt, Moment, Travel};
use std::fmt;
use std::future::pending;
use std::time::Duration;

/// What may go wrong, how often, and the seed that decides when: `Chaos::seed(17).duplicates(0.5)`.
#[derive(Clone, Debug)]
pub struct Chaos {
    seed: u64,
    duplicates: f64,
    delays: f64,
    longest_delay: Duration,
    failures: f64,
    crashes: f64,
    lost_acks: f64,
    stalls: f64,
    restarts: f64,
}

/// A share of all chances, 0 to 1.
macro_rules! shares {
    ($($(#[$doc:meta])* $name:ident;)*) => {$(
        $(#[$doc])*
        #[must_use]
        pub fn $name(mut self, share: f64) -> Self {
            self.$name = share.clamp(0.0, 1.0);
            self
        }
    )*};
}

impl Chaos {
    /// Some of everything: 10% duplicates, 20% delays up to 10 s, 4% failures, 2% crashes, 5% lost acknowledgements, 2% stalls,
    /// 0.5% restarts.
    pub fn seed(seed: u64) -> Self {
        Chaos {
            seed,
            duplicates: 0.1,
            delays: 0.2,
            longest_delay: Duration::from_secs(10),
            failures: 0.04,
            crashes: 0.02,
            lost_acks: 0.05,
            stalls: 0.02,
            restarts: 0.005,
        }
    }

    /// Nothing goes wrong: the seed decides the order of events alone.
    pub fn calm(seed: u64) -> Self {
        let longest_delay = Duration::from_secs(10);
        let (duplicates, delays, failures, crashes, lost_acks, stalls, restarts) = (0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0);
        Chaos { seed, duplicates, delays, longest_delay, failures, crashes, lost_acks, stalls, restarts }
    }

    shares! {
        /// So many messages come twice, under one id.
        duplicates;
        /// So many messages come late, so that others overtake them. (Messages of one key of an ordered queue never do.)
        delays;
        /// So many operations fail as they do when a connection is lost: the handler is told that the resource is
        /// unavailable, half of the time though the operation took effect.
        failures;
        /// At so many operations the attempt ends as if its process did, before or after the operation took effect. Its
        /// message comes again when its lease is over; a request is answered with 502.
        crashes;
        /// So many attempts come to their end and nobody hears of it: the message comes again.
        lost_acks;
        /// At so many operations a message's attempt stands still until its lease is over, so that another attempt at the
        /// same message overlaps it.
        stalls;
        /// At so many operations the whole process is lost, with every attempt that is under way, and starts again on the
        /// same state.
        restarts;
    }

    /// How late a message comes at most.
    #[must_use]
    pub fn longest_delay(mut self, longest: Duration) -> Self {
        self.longest_delay = longest;
        self
    }

    /// What decides.
    pub fn of_seed(&self) -> u64 {
        self.seed
    }

    /// What befalls a step.
    pub(crate) fn at_step(&self, attempt: &Attempt, number: u32, moment: Moment) -> Option<Strike> {
        let mut dice = Dice::new(self.seed).with(attempt.key()).with(number.into()).with(moment as u64);
        let mut roll = dice.roll();
        let mut falls = |share: f64| {
            let falls = roll < share;
            roll -= share;
            falls
        };
        let strike = match moment {
            Moment::Before if falls(self.failures / 2.0) => Strike::Unavailable,
            Moment::Before if falls(self.crashes / 2.0) => Strike::Crash,
            Moment::Before if falls(self.stalls) => Strike::Stall,
            Moment::Before if falls(self.restarts) => Strike::Restart,
            Moment::After if falls(self.failures / 2.0) => Strike::AnswerLost,
            Moment::After if falls(self.crashes / 2.0) => Strike::CrashAfter,
            Moment::Before | Moment::After => return None,
        };
        (!attempt.is_last()).then_some(strike)
    }

    /// Whether the end of an attempt of this key gets lost.
    pub(crate) fn at_end(&self, key: u64) -> bool {
        Dice::new(self.seed).with(key).with_text("end").roll() < self.lost_acks
    }

    /// How late the message of this key comes, and how much later again.
    pub(crate) fn travel(&self, key: u64) -> Travel {
        let mut dice = Dice::new(self.seed).with(key).with_text("travel");
        let longest = self.longest_delay;
        let mut chance = |share: f64| (dice.roll() < share).then(|| longest.mul_f64(dice.roll()));
        Travel { late: chance(self.delays).unwrap_or_default(), again: chance(self.duplicates) }
    }
}

impl From<u64> for Chaos {
    fn from(seed: u64) -> Self {
        Chaos::seed(seed)
    }
}

/// What decides how a message travels.
pub(crate) fn of_message(channel: Channel, id: &str) -> Dice {
    Dice::new(0).with_text(channel.id()).with_text(id)
}

/// What chaos does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Strike {
    /// An operation fails and did nothing.
    Unavailable,
    /// An operation fails after it took effect.
    AnswerLost,
    /// The attempt is lost before an operation took effect.
    Crash,
    /// The attempt is lost after an operation took effect.
    CrashAfter,
    /// The attempt stands still until its lease is over.
    Stall,
    /// The process is lost.
    Restart,
    /// The attempt came to its end and nobody was told.
    EndLost,
    /// A message comes late.
    Late(Duration),
    /// A message comes again.
    Again(Duration),
}

impl Strike {
    /// Does to an attempt that is at a step what can be done from there: fails the step, or ends the attempt (this never
    /// returns then). Whoever plays chaos does the rest.
    pub(crate) async fn befall(self, attempt: &Attempt) -> EngineResult<()> {
        match self {
            Strike::Unavailable | Strike::AnswerLost => {
                Err(EngineError::Unavailable("the connection was lost (chaos)".to_owned()))
            }
            Strike::Crash | Strike::CrashAfter | Strike::Restart => {
                attempt.crash();
                pending().await
            }
            Strike::Stall | Strike::EndLost | Strike::Late(_) | Strike::Again(_) => Ok(()),
        }
    }

    /// In a column.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Strike::Unavailable => "failed",
            Strike::AnswerLost => "answer lost",
            Strike::Crash | Strike::CrashAfter => "crashed",
            Strike::Stall => "stalled",
            Strike::Restart => "restarted",
            Strike::EndLost => "end lost",
            Strike::Late(_) => "delayed",
            Strike::Again(_) => "duplicated",
        }
    }
}

impl fmt::Display for Strike {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Strike::Unavailable => f.write_str("fails: unavailable"),
            Strike::AnswerLost => f.write_str("took effect, but its answer is lost"),
            Strike::Crash => f.write_str("crashes before this took effect"),
            Strike::CrashAfter => f.write_str("crashes after this took effect"),
            Strike::Stall => f.write_str("stands still until its lease is over"),
            Strike::Restart => f.write_str("the process is lost before this took effect"),
            Strike::EndLost => f.write_str("nobody hears of its end"),
            Strike::Late(late) => write!(f, "comes {:.3} s late", late.as_secs_f64()),
            Strike::Again(later) => write!(f, "comes again {:.3} s later", later.as_secs_f64()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decisions_stand_for_themselves_and_follow_the_seed() {
        let strikes = |seed, last| {
            let chaos = Chaos::seed(seed).failures(0.2);
            let attempt = Attempt::new("a".into(), 7, last);
            (1..200).map(|number| chaos.at_step(&attempt, number, Moment::Before)).collect::<Vec<_>>()
        };
        assert_eq!(strikes(1, false), strikes(1, false));
        assert_ne!(strikes(1, false), strikes(2, false));
        assert!(strikes(1, true).iter().all(Option::is_none), "the last attempt is left alone");
        let failed = strikes(1, false).iter().filter(|strike| **strike == Some(Strike::Unavailable)).count();
        assert!((5..40).contains(&failed), "a tenth of 200: {failed}");
    }

    #[test]
    fn calm_is_calm() {
        let chaos = Chaos::calm(1);
        let attempt = Attempt::new("a".into(), 7, false);
        for number in 1..500 {
            assert_eq!(chaos.at_step(&attempt, number, Moment::Before), None);
            assert_eq!(chaos.at_step(&attempt, number, Moment::After), None);
            assert_eq!(chaos.travel(number.into()), Travel::default());
            assert!(!chaos.at_end(number.into()));
        }
    }
}
