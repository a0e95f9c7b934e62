//! `dev --chaos SEED`: what a cloud may do, done to the application that runs on this machine, and said in its log. Time
//! and the order of events are real, so no two runs are alike; but each decision follows from the seed and from what it
//! is about, so the same message meets the same faults at the same steps of the same attempt.

use super::log::short;
use crate::chaos::{Chaos, Dice, Strike, of_message};
use crate::ctx::{Event, Faults, Observer, Operation};
use crate::engine::{BoxFuture, Channel, EngineResult, Message};
use crate::faults::{Attempt, Moment, Occasion, Step, Travel};
use std::future::ready;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// How late a message comes at most. (The test harness has a clock that it can turn; here a person waits.)
const LONGEST_DELAY: Duration = Duration::from_secs(3);

/// The faults of a laptop. Stalls and restarts are the tests' alone, for the same reason.
pub struct LocalChaos {
    chaos: Chaos,
    observer: Arc<dyn Observer>,
    /// Requests so far: they have no ids.
    requests: AtomicU64,
}

impl LocalChaos {
    /// Chaos by this seed, which `observer` is told of.
    pub fn new(seed: u64, observer: Arc<dyn Observer>) -> Self {
        let chaos = Chaos::seed(seed).longest_delay(LONGEST_DELAY).stalls(0.0).restarts(0.0);
        LocalChaos { chaos, observer, requests: AtomicU64::new(0) }
    }

    fn say(&self, who: &str, what: &str, strike: Strike) {
        let detail = format!("{what}: {strike}");
        self.observer.observe(&Event::Injected { who, fault: strike.word(), detail: &detail });
    }

    /// What tells one attempt at a message from another, in each run of the program.
    fn key(occasion: &Occasion<'_>) -> Dice {
        let key = Dice::new(0).with_text(occasion.handler).with_text(occasion.message.unwrap_or_default());
        key.with(occasion.number.into())
    }
}

fn message(id: &str) -> String {
    format!("message {}", short(id))
}

impl Faults for LocalChaos {
    fn before(&self, _: &str, _: Operation) -> EngineResult<()> {
        Ok(())
    }

    fn begin(&self, occasion: &Occasion<'_>) -> Option<Arc<Attempt>> {
        let (key, work) = match occasion.message {
            Some(id) => (Self::key(occasion), message(id)),
            None => {
                let number = self.requests.fetch_add(1, Ordering::Relaxed) + 1;
                (Self::key(occasion).with(number), format!("request {number}"))
            }
        };
        // No handler's id has a space in it.
        Some(Attempt::new(format!("{} {work}", occasion.handler).into(), key.value(), occasion.last))
    }

    fn step<'a>(&'a self, by: &'a Arc<Attempt>, step: Step<'a>, moment: Moment) -> BoxFuture<'a, EngineResult<()>> {
        let Some(strike) = self.chaos.at_step(by, step.number, moment) else { return Box::pin(ready(Ok(()))) };
        let (who, work) = by.name().split_once(' ').unwrap_or((by.name(), ""));
        self.say(who, &format!("{work}, {} {}", step.method, step.resource), strike);
        Box::pin(strike.befall(by))
    }

    fn told<'a>(&'a self, occasion: Occasion<'a>) -> BoxFuture<'a, bool> {
        let lost = !occasion.last && self.chaos.at_end(Self::key(&occasion).value());
        if lost {
            self.say(occasion.handler, &message(occasion.message.unwrap_or_default()), Strike::EndLost);
        }
        Box::pin(ready(!lost))
    }

    fn travel(&self, channel: Channel, sent: &Message) -> Travel {
        let travel = self.chaos.travel(of_message(channel, &sent.id).value());
        if !travel.late.is_zero() {
            self.say(channel.id(), &message(&sent.id), Strike::Late(travel.late));
        }
        if let Some(later) = travel.again {
            self.say(channel.id(), &message(&sent.id), Strike::Again(later));
        }
        travel
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;
    use futures_util::FutureExt;
    use jiff::Timestamp;
    use std::sync::Mutex;

    #[derive(Default)]
    struct Said(Mutex<Vec<String>>);

    impl Observer for Said {
        fn observe(&self, event: &Event<'_>) {
            if let Event::Injected { who, fault, detail } = event {
                self.0.lock().unwrap().push(format!("{who} {fault}, {detail}"));
            }
        }
    }

    /// What befalls 200 messages, each sent and worked at once, and what is said of it.
    fn life(seed: u64, last: bool) -> (Vec<(Travel, usize, bool, bool)>, Vec<String>) {
        let said = Arc::new(Said::default());
        let chaos = LocalChaos::new(seed, said.clone());
        let befalls = |at: u32| {
            let id = format!("0192f3a4-0000-7000-8000-{at:012}");
            let sent = Message {
                id: id.clone(),
                source: String::new(),
                time: Timestamp::UNIX_EPOCH,
                schema: None,
                trace: None,
                attributes: std::collections::BTreeMap::new(),
                body: Bytes::new(),
            };
            let occasion = Occasion { handler: "shop::ship", message: Some(&id), number: 1, last };
            let travel = chaos.travel(Channel::Queue("orders"), &sent);
            let attempt = chaos.begin(&occasion).unwrap();
            let mut failures = 0;
            for number in 1..5 {
                let step = Step { number, method: "put", resource: "stock", key: b"tea" };
                for moment in [Moment::Before, Moment::After] {
                    let answer = chaos.step(&attempt, step, moment).now_or_never();
                    failures += usize::from(answer.is_some_and(|answer| answer.is_err()));
                }
            }
            (travel, failures, attempt.crashed(), chaos.told(occasion).now_or_never().unwrap())
        };
        let befallen = (0..200).map(befalls).collect();
        let said = said.0.lock().unwrap().clone();
        (befallen, said)
    }

    #[test]
    fn the_same_message_meets_the_same_faults() {
        assert_eq!(life(7, false), life(7, false));
        assert_ne!(life(7, false), life(8, false));
    }

    #[test]
    fn each_fault_is_said() {
        let (befallen, said) = life(7, false);
        let count = |fault: &str| said.iter().filter(|line| line.split(' ').nth(1) == Some(fault)).count();
        let late = befallen.iter().filter(|(travel, ..)| !travel.late.is_zero()).count();
        let again = befallen.iter().filter(|(travel, ..)| travel.again.is_some()).count();
        assert_eq!((count("delayed,"), count("duplicated,")), (late, again));
        let (failures, lost): (usize, usize) =
            befallen.iter().fold((0, 0), |(all, lost), one| (all + one.1, lost + usize::from(!one.3)));
        assert_eq!((count("failed,") + count("answer"), count("end")), (failures, lost));
        assert!(befallen.iter().any(|(.., crashed, _)| *crashed) && late > 0 && again > 0 && failures > 0 && lost > 0);
        assert!(befallen.iter().all(|(travel, ..)| travel.late <= LONGEST_DELAY));
        let failed = said.iter().find(|line| line.starts_with("shop::ship failed")).unwrap();
        assert!(
            failed.contains("failed, message 00000") && failed.ends_with(", put stock: fails: unavailable"),
            "{failed}"
        );
    }

    #[test]
    fn the_last_attempt_is_left_alone() {
        let (befallen, said) = life(7, true);
        assert!(befallen.iter().all(|(_, failures, crashed, told)| *failures == 0 && !crashed && *told));
        assert!(said.iter().all(|line| line.starts_with("orders ")), "messages may be late and come twice: {said:?}");
    }
}
