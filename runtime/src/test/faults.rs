//! Making things fail, at the call that a test chooses.

use super::TESTER;
use crate::capability::Resource;
use crate::ctx::Operation;
use crate::engine::{EngineError, EngineResult};
use crate::error::Error;
use std::sync::{Mutex, PoisonError};

/// Something that shall fail: `Fault::on::<Stock>("put").nth(2)`, `Fault::in_handler("orders::ship").times(3)`. It strikes
/// once, at the next chance, unless it says otherwise.
#[derive(Clone, Debug)]
#[must_use = "hand it to `App::fail`"]
pub struct Fault {
    place: Place,
    /// Chances to pass over.
    pass: u32,
    /// How often it strikes; `None` is always.
    times: Option<u32>,
    reason: String,
    permanent: bool,
}

#[derive(Clone, Debug)]
enum Place {
    /// Before an attempt of this handler.
    Attempt(String),
    /// An operation on this resource, by this handler if it is named.
    Operation { resource: &'static str, method: String, handler: Option<String> },
}

impl Fault {
    fn new(place: Place) -> Self {
        Fault { place, pass: 0, times: Some(1), reason: "a test made this fail".to_owned(), permanent: false }
    }

    /// An operation on a resource: `Fault::on::<Stock>("put")`. The handler sees that the resource is unavailable.
    pub fn on<R: Resource>(method: &str) -> Self {
        Fault::new(Place::Operation { resource: R::ID, method: method.to_owned(), handler: None })
    }

    /// An attempt of a consumer, subscriber or schedule, before it begins: its id or the end of it.
    pub fn in_handler(handler: &str) -> Self {
        Fault::new(Place::Attempt(handler.to_owned()))
    }

    /// Only where this handler does it.
    pub fn by(mut self, name: &str) -> Self {
        match &mut self.place {
            Place::Attempt(handler) => *handler = name.to_owned(),
            Place::Operation { handler, .. } => *handler = Some(name.to_owned()),
        }
        self
    }

    /// Strikes at the `nth` chance from now, counted from 1.
    pub fn nth(mut self, nth: u32) -> Self {
        self.pass = nth.saturating_sub(1);
        self
    }

    /// Strikes so often in a row.
    pub fn times(mut self, times: u32) -> Self {
        self.times = Some(times);
        self
    }

    /// Never stops.
    pub fn always(mut self) -> Self {
        self.times = None;
        self
    }

    /// In these words.
    pub fn saying(mut self, reason: &str) -> Self {
        self.reason = reason.to_owned();
        self
    }

    /// For an attempt: trying again is no use.
    pub fn permanent(mut self) -> Self {
        self.permanent = true;
        self
    }

    /// With handlers' full ids.
    pub(super) fn resolve(mut self, id: impl Fn(&str) -> &'static str) -> Self {
        match &mut self.place {
            Place::Attempt(handler) => *handler = id(handler).to_owned(),
            Place::Operation { handler: Some(handler), .. } => *handler = id(handler).to_owned(),
            Place::Operation { handler: None, .. } => {}
        }
        self
    }

    /// Whether it strikes at this chance.
    fn strikes(&mut self) -> bool {
        if self.pass > 0 {
            self.pass -= 1;
            return false;
        }
        match &mut self.times {
            None => true,
            Some(0) => false,
            Some(left) => {
                *left -= 1;
                true
            }
        }
    }
}

/// The faults of one application.
#[derive(Default)]
pub(super) struct Injected(Mutex<Vec<Fault>>);

impl Injected {
    pub(super) fn add(&self, fault: Fault) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(fault);
    }

    /// The first that is at this place and strikes. All that are there count the chance.
    fn strike(&self, is_there: impl Fn(&Place) -> bool) -> Option<Fault> {
        let mut faults = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut struck = None;
        for fault in faults.iter_mut().filter(|fault| is_there(&fault.place)) {
            if fault.strikes() && struck.is_none() {
                struck = Some(fault.clone());
            }
        }
        struck
    }
}

impl Injected {
    pub(super) fn before(&self, by: &str, operation: Operation) -> EngineResult<()> {
        // What the test itself does is no chance; an `update` is one, though it reads and writes.
        if by == TESTER || (operation.method, operation.access) == ("update", "write") {
            return Ok(());
        }
        let is_there = |place: &Place| match place {
            Place::Attempt(_) => false,
            Place::Operation { resource, method, handler } => {
                *resource == operation.resource
                    && method == operation.method
                    && handler.as_deref().is_none_or(|handler| handler == by)
            }
        };
        match self.strike(is_there) {
            Some(fault) => Err(EngineError::Unavailable(fault.reason)),
            None => Ok(()),
        }
    }

    pub(super) fn attempt(&self, by: &str) -> Result<(), Error> {
        let is_there = |place: &Place| matches!(place, Place::Attempt(handler) if handler == by);
        match self.strike(is_there) {
            Some(fault) if fault.permanent => Err(Error::permanent(fault.reason)),
            Some(fault) => Err(Error::new(fault.reason)),
            None => Ok(()),
        }
    }
}
