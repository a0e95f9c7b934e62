//! `Shared<T>`: what a `#[shared]` function makes once, before the application is ready, for every handler that takes it.

use crate::capability::Sealed;
use crate::ctx::{Ctx, Invocation, Scope};
use crate::dispatch::panic_message;
use crate::engine::BoxFuture;
use crate::error::Error;
use crate::grants::{Argument, Declares};
use crate::registry::{Dispatch, HANDLERS, Handler};
use axum::extract::State;
use futures_util::FutureExt;
use std::any::{Any, TypeId};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::ops::Deref;
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use updraft_wire::Grants;

/// A value that all handlers share, made by a function with `#[shared]`. Clones are the same value.
///
/// With it a handler has the grants of that function: what was put into the value, it reaches.
pub struct Shared<T>(Arc<T>);

impl<T> Shared<T> {
    /// A value of a test's own, to call a handler with.
    pub fn new(value: T) -> Self {
        Shared(Arc::new(value))
    }
}

impl<T> Clone for Shared<T> {
    fn clone(&self) -> Self {
        Shared(self.0.clone())
    }
}

impl<T> Deref for Shared<T> {
    type Target = T;
    fn deref(&self) -> &T {
        &self.0
    }
}

impl<T: fmt::Debug> fmt::Debug for Shared<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Implemented beside a `#[shared]` function, for what it makes.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no shared value",
    label = "made by no function with `#[shared]`",
    note = "a function of the same crate makes it: `#[shared] async fn make(…) -> Result<{Self}>`"
)]
pub trait SharedValue: Send + Sync + 'static {
    /// The function's id.
    const ID: &'static str;
    /// What the function's parameters grant.
    const GRANTS: Grants;
}

impl<T: SharedValue> Declares for Shared<T> {
    const GRANTS: Grants =
        Grants::All(&[Grants::One { kind: KIND, resource: T::ID, access: "read" }, <T as SharedValue>::GRANTS]);
}

/// `State<T>` in a handler is `Shared<T>` by axum's name: a copy of the value.
impl<T: SharedValue> Declares for State<T> {
    const GRANTS: Grants = Shared::<T>::GRANTS;
}

impl<T: SharedValue> Sealed for Shared<T> {}

impl<T: SharedValue> Argument for Shared<T> {
    fn bind(scope: &Scope) -> Self {
        Shared(scope.ctx().shared().get())
    }
}

/// The kind of the grant.
const KIND: &str = "shared";

/// A value of any type, shared.
pub type AnyShared = Arc<dyn Any + Send + Sync>;

/// How a `#[shared]` function is called.
pub type Build = fn(Scope) -> BoxFuture<'static, Result<AnyShared, Error>>;

/// For expansions: calls the function, whose parameters are bound by `make`.
pub fn build<T, E, F>(
    scope: Scope,
    make: impl FnOnce(&Scope) -> F + Send + 'static,
) -> BoxFuture<'static, Result<AnyShared, Error>>
where
    T: SharedValue,
    E: Into<crate::error::Boxed>,
    F: Future<Output = Result<T, E>> + Send,
{
    Box::pin(async move {
        let value = make(&scope).await.map_err(Error::new)?;
        Ok(Arc::new(value) as AnyShared)
    })
}

/// `Clone`, in a form that a `where` clause may ask of a concrete type which has it not.
pub trait Cloned<'a>: Sized {
    /// A clone.
    fn cloned(&self) -> Self;
}

impl<T: Clone> Cloned<'_> for T {
    fn cloned(&self) -> Self {
        self.clone()
    }
}

/// The values of one application: a place for each that this program can make.
pub(crate) struct Values(BTreeMap<TypeId, OnceLock<AnyShared>>);

impl Default for Values {
    fn default() -> Self {
        let made = HANDLERS.iter().filter_map(|handler| match handler.dispatch {
            Dispatch::Shared { value, .. } => Some((value, OnceLock::new())),
            _ => None,
        });
        Values(made.collect())
    }
}

impl Values {
    /// The value of this type.
    ///
    /// # Panics
    /// If it was not built. What takes it runs only after it was.
    pub(crate) fn get<T: SharedValue>(&self) -> Arc<T> {
        let value = self.0.get(&TypeId::of::<T>()).and_then(OnceLock::get);
        let value = value.cloned().and_then(|value| value.downcast::<T>().ok());
        value.unwrap_or_else(|| panic!("`{}` has not made its value yet", T::ID))
    }

    fn set(&self, of: TypeId, value: AnyShared) {
        if let Some(place) = self.0.get(&of) {
            let _ = place.set(value);
        }
    }
}

/// Builds what `handlers` take, in the order of need. Those that no handler takes are not built.
///
/// # Errors
/// The first that could not be built, and why.
pub(crate) async fn build_all(ctx: &Ctx, handlers: &[&'static Handler]) -> Result<(), String> {
    for handler in in_order(handlers, HANDLERS)? {
        let Dispatch::Shared { value, build } = handler.dispatch else { continue };
        let timeout = Duration::from_millis(handler.timeout_millis);
        // Its capabilities are used for as long as the application runs.
        let scope = ctx.scope(handler, Invocation { deadline: jiff::Timestamp::MAX, trace: None });
        let work = AssertUnwindSafe(async move { build(scope).await }).catch_unwind();
        let reason = match tokio::time::timeout(timeout, work).await {
            Ok(Ok(Ok(made))) => {
                ctx.shared().set(value, made);
                continue;
            }
            Ok(Ok(Err(error))) => error.chain(),
            Ok(Err(panic)) => format!("it panicked: {}", panic_message(&*panic)),
            Err(_) => format!("it took longer than {} s", timeout.as_secs_f64()),
        };
        return Err(format!("the shared value of `{}` could not be made: {reason}", handler.id));
    }
    Ok(())
}

/// Whether any of these has to be built first.
pub(crate) fn any_taken(handlers: &[&'static Handler]) -> bool {
    handlers.iter().any(|handler| !taken(&handler.grants).is_empty())
}

/// The functions whose values are taken, each after those whose values it takes itself.
fn in_order<'a>(takers: &[&Handler], all: impl IntoIterator<Item = &'a Handler>) -> Result<Vec<&'a Handler>, String> {
    let makers: BTreeMap<&str, &Handler> = all
        .into_iter()
        .filter(|handler| matches!(handler.dispatch, Dispatch::Shared { .. }))
        .map(|handler| (handler.id, handler))
        .collect();
    let (mut ordered, mut done, mut open) = (Vec::new(), BTreeSet::new(), Vec::new());
    let mut wanted: Vec<&str> = takers.iter().flat_map(|handler| taken(&handler.grants)).collect();
    wanted.sort_unstable();
    for id in wanted {
        visit(id, &makers, &mut open, &mut done, &mut ordered)?;
    }
    Ok(ordered)
}

fn visit<'a>(
    id: &'a str,
    makers: &BTreeMap<&'a str, &'a Handler>,
    open: &mut Vec<&'a str>,
    done: &mut BTreeSet<&'a str>,
    ordered: &mut Vec<&'a Handler>,
) -> Result<(), String> {
    if done.contains(id) {
        return Ok(());
    }
    if open.contains(&id) {
        return Err(format!("shared values are made of each other: {}", open.join(", ")));
    }
    let maker = makers.get(id).ok_or_else(|| format!("this program can't make the shared value of `{id}`"))?;
    open.push(id);
    for other in taken(&maker.grants) {
        visit(other, makers, open, done, ordered)?;
    }
    open.pop();
    done.insert(id);
    ordered.push(maker);
    Ok(())
}

/// The ids of the shared values among grants.
pub(crate) fn taken(grants: &Grants) -> Vec<&'static str> {
    match grants {
        Grants::None => Vec::new(),
        Grants::One { kind, resource, .. } => {
            if *kind == KIND {
                vec![*resource]
            } else {
                Vec::new()
            }
        }
        Grants::All(all) => all.iter().flat_map(taken).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn maker(id: &'static str, grants: Grants) -> Handler {
        let build: Build = |_| Box::pin(async { Err(Error::new("never called")) });
        let dispatch = Dispatch::Shared { value: TypeId::of::<()>(), build };
        Handler { id, descriptor: &[], grants, timeout_millis: 1, dispatch }
    }

    const fn of(id: &'static str) -> Grants {
        Grants::One { kind: KIND, resource: id, access: "read" }
    }

    #[test]
    fn each_is_built_after_what_it_is_made_of_and_nothing_that_nobody_takes() {
        const OF_BOTH: Grants = Grants::All(&[of("c"), of("b")]);
        const OF_ONE: Grants = Grants::All(&[Grants::None, of("c")]);
        let all = [maker("a", OF_BOTH), maker("b", OF_ONE), maker("c", Grants::None), maker("unused", of("a"))];
        let order = |takers: &[&Handler]| -> Result<Vec<&str>, String> {
            Ok(in_order(takers, &all)?.iter().map(|handler| handler.id).collect())
        };
        assert_eq!(order(&[&maker("x", of("a"))]), Ok(vec!["c", "b", "a"]));
        assert_eq!(order(&[&maker("x", of("b")), &maker("y", of("c"))]), Ok(vec!["c", "b"]));
        assert_eq!(order(&[&maker("x", Grants::None)]), Ok(vec![]));
        assert!(order(&[&maker("x", of("nowhere"))]).is_err());
    }

    #[test]
    fn a_circle_is_an_error() {
        let all = [maker("a", of("b")), maker("b", of("a"))];
        let error = in_order(&[&maker("x", of("a"))], &all).err();
        assert_eq!(error.as_deref(), Some("shared values are made of each other: a, b"));
    }
}
