//! What happened in a simulation, event by event.

use jiff::Timestamp;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

/// Every event of a simulated application in its order: two runs of one seed have equal ones. Shown, it is a line an event,
/// and what chaos did is marked with `!`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Trace(Vec<Entry>);

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    at: Timestamp,
    who: Arc<str>,
    what: String,
    /// For what chaos did: which of all faults this is.
    fault: Option<u64>,
}

impl Trace {
    /// What chaos did, without the rest.
    #[must_use]
    pub fn faults(&self) -> Trace {
        Trace(self.0.iter().filter(|entry| entry.fault.is_some()).cloned().collect())
    }

    /// How many events it has.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether nothing happened.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn fault_ids(&self) -> Vec<u64> {
        self.0.iter().filter_map(|entry| entry.fault).collect()
    }
}

impl fmt::Display for Trace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for Entry { at, who, what, fault } in &self.0 {
            let (time, mark) = (at.strftime("%H:%M:%S%.3f"), if fault.is_some() { '!' } else { ' ' });
            writeln!(f, "  {time}  {who:<38} {mark} {what}")?;
        }
        Ok(())
    }
}

/// A trace that is being written. Clones share it.
#[derive(Clone, Debug, Default)]
pub(super) struct Log(Arc<Mutex<Vec<Entry>>>);

impl Log {
    pub(super) fn write(&self, at: Timestamp, who: &Arc<str>, what: String, fault: Option<u64>) {
        let entry = Entry { at, who: who.clone(), what, fault };
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(entry);
    }

    pub(super) fn read(&self) -> Trace {
        Trace(self.0.lock().unwrap_or_else(PoisonError::into_inner).clone())
    }
}

impl FromIterator<Trace> for Trace {
    fn from_iter<T: IntoIterator<Item = Trace>>(traces: T) -> Self {
        Trace(traces.into_iter().flat_map(|trace| trace.0).collect())
    }
}
