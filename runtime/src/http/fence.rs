//! The fence: axum's extractors, each of which reaches only what the handler declares.
//!
//! A handler reaches only what its signature declares, though extractors are arbitrary code. So each parameter of type `P`
//! is extracted under an axum state of its own, [`Tag<P>`], which opens exactly `P`. Whatever `P`'s code asks of it beyond
//! that — another capability, another extractor's secret — has no impl, and that is the compile error.

use super::rejection::rejected;
use crate::capability::{
    AccessMode, Bucket, BucketResource, Config, ConfigResource, Database, DatabaseAccess, DatabaseResource, External,
    ExternalResource, Queue, QueueResource, Secret, SecretResource, Store, StoreResource, Topic, TopicResource,
};
use crate::ctx::Scope;
use crate::engine::BoxFuture;
use crate::function::{Function, FunctionResource};
use crate::grants::{Argument, Declares, Group, Probe, With};
use crate::shared::{Shared, SharedValue};
use axum::body::Body;
use axum::extract::{FromRequest, FromRequestParts, Request, State};
use axum::http::request::Parts;
use axum::response::{IntoResponse, Response};
use std::convert::Infallible;
use std::future::{Ready, ready};
use std::marker::PhantomData;

/// The axum state under which a parameter of type `P` is extracted. Users see it as an opaque `S`.
pub struct Tag<P>(Scope, PhantomData<fn() -> P>);

/// An axum state that opens `P`.
#[diagnostic::on_unimplemented(
    message = "`{P}` is reached here, but no handler's parameter declares it",
    label = "reaches `{P}`",
    note = "a handler reaches the outside through its own parameters: take `{P}` as one and hand it on, or make the extractor that needs it an `#[extractor]`"
)]
pub trait Opens<P>: Send + Sync {
    #[doc(hidden)]
    fn scope(&self, seal: Seal) -> &Scope;
}

/// Only this module can make one, so only this module gets scopes out of tags.
pub struct Seal(());

#[diagnostic::do_not_recommend]
impl<P> Opens<P> for Tag<P> {
    fn scope(&self, _: Seal) -> &Scope {
        &self.0
    }
}

#[diagnostic::do_not_recommend]
impl<P> Opens<P> for Tag<Option<P>> {
    fn scope(&self, _: Seal) -> &Scope {
        &self.0
    }
}

#[diagnostic::do_not_recommend]
impl<P, E> Opens<P> for Tag<Result<P, E>> {
    fn scope(&self, _: Seal) -> &Scope {
        &self.0
    }
}

/// For the expansion of `#[extractor]`, whose type declares what the extractor takes.
pub fn scope_within<P: Declares, S: Opens<P>>(state: &S) -> &Scope {
    state.scope(Seal(()))
}

macro_rules! http_parameter {
    ($([$($generics:tt)*] $parameter:ty;)*) => {$(
        impl<$($generics)*, S: Opens<$parameter>> FromRequestParts<S> for $parameter {
            type Rejection = Infallible;

            // A named future and not `async fn`: with an opaque one rustc repeats the error of an undeclared reach.
            #[allow(refining_impl_trait)]
            fn from_request_parts(_: &mut Parts, state: &S) -> Ready<Result<Self, Infallible>> {
                ready(Ok(Argument::bind(state.scope(Seal(())))))
            }
        }
    )*};
}
http_parameter! {
    [R: QueueResource] Queue<R>;
    [R: TopicResource] Topic<R>;
    [R: StoreResource, A: AccessMode] Store<R, A>;
    [R: BucketResource, A: AccessMode] Bucket<R, A>;
    [R: DatabaseResource, A: DatabaseAccess] Database<R, A>;
    [R: SecretResource] Secret<R>;
    [C: ConfigResource] Config<C>;
    [R: ExternalResource] External<R>;
    [F: FunctionResource] Function<F>;
    [G: Group] With<G>;
    [T: SharedValue] Shared<T>;
}

/// For the expansion of `#[shared]`: the value that axum's `State<T>` takes a copy of. No other state gives one.
pub fn state<T: SharedValue>(tag: &Tag<State<T>>) -> Shared<T> {
    Argument::bind(&tag.0)
}

// The expansion extracts through these two traits and not through axum's, for the words of the errors. The blanket impls
// are *not* `do_not_recommend`: rustc then names the innermost reason (a secret reached, a store taken as a queue) and
// still uses these words where the parameter itself is at fault.

/// A parameter that leaves the body alone.
#[diagnostic::on_unimplemented(
    message = "`{Self}` can't be a parameter of an `#[http]` handler here",
    label = "no capability, and no extractor that leaves the body to the last parameter"
)]
pub trait Part: Sized {
    /// Extracts it.
    fn extract(parts: &mut Parts, tag: &Tag<Self>) -> impl Future<Output = Result<Self, Response>> + Send;
}

impl<T: FromRequestParts<Tag<T>>> Part for T {
    async fn extract(parts: &mut Parts, tag: &Tag<T>) -> Result<T, Response> {
        T::from_request_parts(parts, tag).await.map_err(rejected)
    }
}

/// The last parameter, which may take the body.
#[diagnostic::on_unimplemented(
    message = "`{Self}` can't be the last parameter of an `#[http]` handler",
    label = "no capability and no extractor"
)]
pub trait Last<Via>: Sized {
    /// Extracts it.
    fn extract(request: Request, tag: &Tag<Self>) -> impl Future<Output = Result<Self, Response>> + Send;
}

impl<T: FromRequest<Tag<T>, Via>, Via> Last<Via> for T {
    async fn extract(request: Request, tag: &Tag<T>) -> Result<T, Response> {
        T::from_request(request, tag).await.map_err(rejected)
    }
}

/// How to extract one parameter. A value of this type is the proof that `T` can be one, so what takes it needs no bound of
/// its own, and the error of a bad parameter comes once, from [`part`], at that parameter.
#[derive(Clone, Copy)]
pub enum PartOf<T> {
    /// Given by the runtime: nothing of the request is asked, and nothing waited for.
    Given(fn(&Scope) -> T),
    /// Extracted, which may take a while.
    Extracted(for<'a> fn(&'a mut Parts, &'a Scope) -> BoxFuture<'a, Result<T, Response>>),
}

/// [`PartOf`], for the last parameter.
#[derive(Clone, Copy)]
pub enum LastOf<T> {
    /// Given by the runtime.
    Given(fn(&Scope) -> T),
    /// Extracted, with the body.
    Extracted(for<'a> fn(Request, &'a Scope) -> BoxFuture<'a, Result<T, Response>>),
}

impl<T> PartOf<T> {
    /// Extracts it.
    ///
    /// # Errors
    /// The rejection.
    pub async fn extract(self, parts: &mut Parts, scope: &Scope) -> Result<T, Response> {
        match self {
            PartOf::Given(bind) => Ok(bind(scope)),
            PartOf::Extracted(extract) => extract(parts, scope).await,
        }
    }
}

/// How to extract `T` from a request's head.
pub fn part<T: Part>() -> PartOf<T> {
    PartOf::Extracted(|parts, scope| Box::pin(async move { T::extract(parts, &Tag(scope.clone(), PhantomData)).await }))
}

/// How to extract `T` from a whole request.
pub fn last<T: Last<Via>, Via>() -> LastOf<T> {
    LastOf::Extracted(|request, scope| {
        Box::pin(async move { T::extract(request, &Tag(scope.clone(), PhantomData)).await })
    })
}

/// For expansions, `Probe::<T>::part::<T>()` and `Probe::<T>::last::<T>()` decide by the resolved type: what the runtime
/// gives anyway is spared the future that an extraction needs. For every other type those of [`ExtractsPart`] and
/// [`ExtractsLast`] are meant. (The type is said twice so that an error is told at its tokens.)
impl<T: Argument> Probe<T> {
    /// [`part`], for what the runtime gives.
    pub fn part<Same>() -> PartOf<T> {
        PartOf::Given(T::bind)
    }

    /// [`last`], for what the runtime gives.
    pub fn last<Same>() -> LastOf<T> {
        LastOf::Given(T::bind)
    }
}

/// See [`Probe::part`].
pub trait ExtractsPart {
    /// [`part`].
    fn part<Same: Part>() -> PartOf<Same> {
        part()
    }
}

impl<T> ExtractsPart for Probe<T> {}

/// See [`Probe::last`].
pub trait ExtractsLast<Via> {
    /// [`last`].
    fn last<Same: Last<Via>>() -> LastOf<Same> {
        last()
    }
}

impl<T, Via> ExtractsLast<Via> for Probe<T> {}

/// A request whose parts are taken one by one: by reference, so that it is moved as seldom as may be.
pub struct Taken {
    parts: Parts,
    body: Option<Body>,
}

impl Taken {
    /// The whole of it, for the parameter that comes last.
    fn request(&mut self) -> Request {
        let nothing = Request::new(()).into_parts().0;
        Request::from_parts(std::mem::replace(&mut self.parts, nothing), self.body.take().unwrap_or_default())
    }
}

/// A handler's parameters: `()` or nested pairs, `(part(), (part(), last()))`.
pub trait Parameters<Values> {
    /// Extracts them, in order.
    fn extract(self, from: &mut Taken, scope: &Scope) -> impl Future<Output = Result<Values, Response>> + Send;
}

impl Parameters<()> for () {
    async fn extract(self, _: &mut Taken, _: &Scope) -> Result<(), Response> {
        Ok(())
    }
}

impl<T: Send, Rest: Parameters<Values> + Send, Values> Parameters<(T, Values)> for (PartOf<T>, Rest) {
    async fn extract(self, from: &mut Taken, scope: &Scope) -> Result<(T, Values), Response> {
        let (first, rest) = self;
        let first = first.extract(&mut from.parts, scope).await?;
        Ok((first, rest.extract(from, scope).await?))
    }
}

impl<T> Parameters<T> for LastOf<T> {
    async fn extract(self, from: &mut Taken, scope: &Scope) -> Result<T, Response> {
        match self {
            LastOf::Given(bind) => Ok(bind(scope)),
            LastOf::Extracted(extract) => extract(from.request(), scope).await,
        }
    }
}

/// Everything between a request and a response, so that a handler's expansion is one expression and no `async` block:
/// rustc type checks and borrow checks this once, here.
pub fn serve<P, Values, H, F>(scope: Scope, request: Request, parameters: P, handler: H) -> BoxFuture<'static, Response>
where
    P: Parameters<Values> + Send + 'static,
    Values: Send + 'static,
    H: FnOnce(Values) -> F + Send + 'static,
    F: Future<Output: IntoResponse> + Send,
{
    let (parts, body) = request.into_parts();
    let mut from = Taken { parts, body: Some(body) };
    Box::pin(async move {
        let extracted = parameters.extract(&mut from, &scope).await;
        drop(from); // a body that nobody takes is not kept from the connection
        match extracted {
            Ok(values) => handler(values).await.into_response(),
            Err(rejection) => rejection,
        }
    })
}
