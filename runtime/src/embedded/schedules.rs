//! Schedules: which runs are due. A run is a message in its schedule's own lane, so it is durable, retried and given up
//! like any other.

use super::Embedded;
use super::lanes::enqueue;
use super::record::Record;
use super::topology::Lane;
use crate::engine::{EngineResult, Message};
use crate::registry::Dispatch;
use bytes::Bytes;
use croner::Cron;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use std::collections::BTreeMap;
use updraft_wire::ids::event_source;

/// A run that starts later than this after its time was missed (the program was down, the laptop asleep).
const LATE: SignedDuration = SignedDuration::from_secs(60);

/// The schedules of an application, with when each is due next.
pub struct Schedules {
    app: String,
    all: Vec<Schedule>,
}

struct Schedule {
    lane: Lane,
    times: Times,
    overlap: bool,
    run_missed: bool,
    /// Until when its runs have been looked at; read from the state at first.
    seen: Option<Timestamp>,
}

/// The times of a cron expression in a time zone.
pub struct Times {
    cron: Cron,
    zone: TimeZone,
}

impl Times {
    /// What the expression and the zone's name mean.
    ///
    /// # Errors
    /// If one of them means nothing.
    pub fn new(cron: &str, timezone: &str) -> Result<Self, String> {
        let zone = TimeZone::get(timezone).map_err(|error| format!("the time zone `{timezone}`: {error}"))?;
        let cron = cron.parse().map_err(|error| format!("the schedule `{cron}`: {error}"))?;
        Ok(Times { cron, zone })
    }

    /// The first time after `after`, if there is one.
    pub fn after(&self, after: Timestamp) -> Option<Timestamp> {
        let next = self.cron.find_next_occurrence(&after.to_zoned(self.zone.clone()), false).ok()?;
        Some(next.timestamp())
    }

    /// The last time up to and including `until`.
    pub fn until(&self, until: Timestamp) -> Option<Timestamp> {
        let last = self.cron.find_previous_occurrence(&until.to_zoned(self.zone.clone()), true).ok()?;
        Some(last.timestamp())
    }
}

/// What became of a schedule whose time has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fired {
    /// Its run waits in its lane.
    Due,
    /// Its last run still goes on, and it does not overlap.
    StillRunning,
    /// Its time passed while nobody was there, and it does not make up for that.
    Missed,
}

impl Schedules {
    /// The schedules of an engine's handlers.
    ///
    /// # Errors
    /// A cron expression or a time zone that means nothing: whose.
    pub fn of(app: &str, engine: &Embedded) -> Result<Self, String> {
        let mut all = Vec::new();
        for lane in engine.topology().lanes() {
            let Dispatch::Schedule { cron, timezone, overlap, run_missed, .. } = &lane.handler.dispatch else {
                continue;
            };
            let times = Times::new(cron, timezone).map_err(|error| format!("`{}`: {error}", lane.handler.id))?;
            all.push(Schedule { lane: lane.clone(), times, overlap: *overlap, run_missed: *run_missed, seen: None });
        }
        Ok(Schedules { app: app.to_owned(), all })
    }

    /// When the next run of any schedule is due.
    pub fn next(&self) -> Option<Timestamp> {
        self.all.iter().filter_map(|schedule| schedule.times.after(schedule.seen?)).min()
    }

    /// When each schedule runs next, by handler.
    pub fn upcoming(&self, now: Timestamp) -> BTreeMap<&'static str, Timestamp> {
        let next = |schedule: &Schedule| Some((schedule.lane.handler.id, schedule.times.after(now)?));
        self.all.iter().filter_map(next).collect()
    }

    /// Puts what is due into its lane; of several missed runs, one.
    ///
    /// # Errors
    /// If the state can't be written.
    pub async fn fire(&mut self, engine: &Embedded) -> EngineResult<Vec<(&'static str, Fired)>> {
        let now = engine.now();
        let mut fired = Vec::new();
        for schedule in &mut self.all {
            let seen = match schedule.seen {
                Some(seen) => seen,
                None => engine.first_seen(schedule.lane.handler.id, now).await?,
            };
            schedule.seen = Some(seen);
            let Some(due) = schedule.times.until(now).filter(|due| *due > seen) else { continue };
            let missed = now.duration_since(due) > LATE && !schedule.run_missed;
            let outcome = engine.fire(&self.app, schedule, due, now, missed).await?;
            schedule.seen = Some(now.max(due));
            fired.push((schedule.lane.handler.id, outcome));
        }
        Ok(fired)
    }
}

impl Embedded {
    async fn first_seen(&self, handler: &'static str, now: Timestamp) -> EngineResult<Timestamp> {
        let micros = self
            .write(move |tables| {
                let seen = tables.schedules.get(handler)?.map(|seen| seen.value());
                if seen.is_none() {
                    tables.schedules.insert(handler, now.as_microsecond())?;
                }
                Ok(seen.unwrap_or(now.as_microsecond()))
            })
            .await?;
        Ok(Timestamp::from_microsecond(micros).unwrap_or(now))
    }

    async fn fire(
        &self,
        app: &str,
        schedule: &Schedule,
        due: Timestamp,
        now: Timestamp,
        missed: bool,
    ) -> EngineResult<Fired> {
        let (lane, overlap, handler) = (schedule.lane.id.clone(), schedule.overlap, schedule.lane.handler.id);
        let record = Record::fresh(&tick(app, handler, due));
        let outcome = self
            .write(move |tables| {
                tables.schedules.insert(handler, now.max(due).as_microsecond())?;
                if missed {
                    return Ok(Fired::Missed);
                }
                let busy = tables.messages.range((&*lane, 0)..=(&*lane, u64::MAX))?.next().is_some();
                if busy && !overlap {
                    return Ok(Fired::StillRunning);
                }
                enqueue(tables, &lane, now.as_microsecond(), None, &record)?;
                Ok(Fired::Due)
            })
            .await?;
        self.woken();
        Ok(outcome)
    }

    /// A run outside the schedule's times, now. The message's id.
    ///
    /// # Errors
    /// If the state can't be written.
    pub async fn run_now(&self, app: &str, lane: &Lane) -> EngineResult<String> {
        let now = self.now();
        let message = tick(app, lane.handler.id, now);
        let (record, lane) = (Record::fresh(&message), lane.id.clone());
        self.write(move |tables| enqueue(tables, &lane, now.as_microsecond(), None, &record)).await?;
        self.woken();
        Ok(message.id)
    }
}

/// A run as a message: its time is when the run was due.
fn tick(app: &str, handler: &str, due: Timestamp) -> Message {
    Message {
        id: format!("{handler}@{due}"),
        source: event_source(app, "schedule"),
        time: due,
        schema: None,
        trace: None,
        attributes: BTreeMap::new(),
        body: Bytes::from_static(b"{}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_follow_the_zones_clock() {
        let times = Times::new("30 2 * * *", "Europe/Berlin").unwrap();
        let at = |text: &str| text.parse::<Timestamp>().unwrap();
        assert_eq!(times.after(at("2026-01-10T00:00:00Z")), Some(at("2026-01-10T01:30:00Z")));
        assert_eq!(times.after(at("2026-07-10T00:00:00Z")), Some(at("2026-07-10T00:30:00Z")));
        // The night on which 02:30 doesn't exist, and the one on which it comes twice: one run each.
        let spring = times.after(at("2026-03-28T12:00:00Z")).unwrap();
        assert!(spring < at("2026-03-29T02:00:00Z"), "{spring}");
        let autumn = times.after(at("2026-10-24T12:00:00Z")).unwrap();
        assert_eq!(times.after(autumn), Some(at("2026-10-26T01:30:00Z")));
        let due = at("2026-01-10T01:30:00Z");
        for until in ["2026-01-10T01:30:00Z", "2026-01-10T01:30:00.5Z", "2026-01-10T14:00:00.123456Z"] {
            assert_eq!(times.until(at(until)), Some(due), "{until}");
        }
    }

    #[test]
    fn nonsense_is_an_error_and_an_impossible_date_never_comes() {
        assert!(Times::new("x", "UTC").is_err());
        assert!(Times::new("* * * * *", "Mars/Olympus").is_err_and(|error| error.contains("Mars/Olympus")));
        let never = Times::new("0 0 30 2 *", "UTC").map(|times| times.after(Timestamp::UNIX_EPOCH));
        assert!(!matches!(never, Ok(Some(_))));
    }
}
