//! Whose work a task is doing just now, so that what is logged there can say so. Two moves of a pointer each time the task is
//! polled; nothing is written anywhere unless a line is.
//!
//! A task that a handler spawns itself is nobody's.

use super::context::Hex;
use crate::ctx::Scope;
use std::cell::RefCell;
use std::fmt::{self, Write};
use std::future::poll_fn;
use std::pin::pin;

thread_local! {
    static CURRENT: RefCell<Option<Current>> = const { RefCell::new(None) };
}

/// Whose work.
pub(crate) struct Current {
    scope: Scope,
    message: Option<String>,
}

impl Current {
    /// That of `scope`, at `message`.
    pub(crate) fn of(scope: Scope, message: Option<String>) -> Self {
        Current { scope, message }
    }

    /// Its scope.
    pub(crate) fn scope(&self) -> &Scope {
        &self.scope
    }
}

/// Does something as `current`'s work; what was current before is so again afterwards, even after a panic.
pub(crate) fn during<T>(current: &mut Option<Current>, work: impl FnOnce() -> T) -> T {
    struct Restore<'a>(&'a mut Option<Current>);

    impl Restore<'_> {
        fn swap(&mut self) {
            CURRENT.with(|current| std::mem::swap(&mut *current.borrow_mut(), self.0));
        }
    }

    impl Drop for Restore<'_> {
        fn drop(&mut self) {
            self.swap();
        }
    }

    let mut restore = Restore(current);
    restore.swap();
    work()
}

/// The handler's work as that of `scope`, at `message`.
pub(crate) async fn within<F: Future>(scope: Scope, message: Option<String>, work: F) -> F::Output {
    let (mut current, mut work) = (Some(Current::of(scope, message)), pin!(work));
    poll_fn(|context| during(&mut current, || work.as_mut().poll(context))).await
}

/// `,"handler":"…","trace_id":"…"`: members for a JSON object that has others.
pub(super) fn members(out: &mut String) -> fmt::Result {
    let write = |current: &Current| {
        let (handler, invocation) = (current.scope.handler().id, current.scope.invocation());
        if !out.contains("\"handler\":") {
            write!(out, ",\"handler\":{}", serde_json::Value::from(handler))?;
        }
        if let Some(id) = &current.message {
            write!(out, ",\"message_id\":{}", serde_json::Value::from(id.as_str()))?;
        }
        if let Some(trace) = &invocation.trace {
            write!(out, ",\"trace_id\":\"{}\",\"span_id\":\"{}\"", Hex(&trace.trace_id), Hex(&trace.span_id))?;
        }
        Ok(())
    };
    CURRENT.with(|current| current.borrow().as_ref().map_or(Ok(()), write))
}
