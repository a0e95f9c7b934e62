//! From parameter types to grants: at compile time for the descriptor, at run time for the handler's arguments.

use crate::capability::{Capability, Sealed};
use crate::ctx::Scope;
use std::marker::PhantomData;
use updraft_wire::Grants;

/// A parameter type that grants something: a capability, a group of them, an `#[extractor]`'s type.
pub trait Declares {
    /// What it grants.
    const GRANTS: Grants;
}

impl<C: Capability> Declares for C {
    const GRANTS: Grants = Grants::One { kind: C::KIND, resource: C::RESOURCE, access: C::ACCESS };
}

impl<T: Declares> Declares for Option<T> {
    const GRANTS: Grants = T::GRANTS;
}

impl<T: Declares, E> Declares for Result<T, E> {
    const GRANTS: Grants = T::GRANTS;
}

/// `Probe::<T>::GRANTS` for any `T`, grants or none: the inherent constant exists for `T: Declares` only and shadows the
/// trait's. It decides by the resolved type, so aliases and re-exports need no help. For concrete types only.
pub struct Probe<T: ?Sized>(PhantomData<T>);

impl<T: Declares> Probe<T> {
    /// What `T` grants.
    pub const GRANTS: Grants = T::GRANTS;
}

/// See [`Probe`].
pub trait Undeclared {
    /// Nothing.
    const GRANTS: Grants = Grants::None;
}

impl<T: ?Sized> Undeclared for Probe<T> {}

/// What a handler takes besides its message or its own arguments.
#[diagnostic::on_unimplemented(
    message = "`{Self}` can't be a parameter here",
    label = "no capability and no `With<…>`",
    note = "axum's extractors and the types of `#[extractor]`s work in `#[http]` handlers only"
)]
pub trait Argument: Sealed + Declares + Sized {
    #[doc(hidden)]
    fn bind(scope: &Scope) -> Self;
}

impl<C: Capability> Argument for C {
    fn bind(scope: &Scope) -> Self {
        Capability::bind(scope)
    }
}

/// One argument of a function, schedule or group, for expansions.
pub fn argument<A: Argument>(scope: &Scope) -> A {
    A::bind(scope)
}

/// A struct of capabilities (`#[derive(Capabilities)]`), taken as one parameter: `With(deps): With<Deps>`.
#[derive(Clone, Debug)]
pub struct With<G>(pub G);

/// The derive states the members' types and how to put them together. What they grant is computed here, so the expansion
/// can't get it wrong.
#[diagnostic::on_unimplemented(message = "`{Self}` is no group", label = "needs `#[derive(Capabilities)]`")]
pub trait Group: Send + 'static {
    /// Nested pairs.
    type Members: Members;
    /// From the members.
    fn assemble(members: Self::Members) -> Self;
}

impl<G: Group> Declares for With<G> {
    const GRANTS: Grants = G::Members::GRANTS;
}

impl<G: Group> Sealed for With<G> {}

impl<G: Group> Argument for With<G> {
    fn bind(scope: &Scope) -> Self {
        With(G::assemble(G::Members::bind(scope)))
    }
}

/// Nested pairs, `(A, (B, ()))`: any number of members.
pub trait Members: Sized {
    /// What they grant together.
    const GRANTS: Grants;
    #[doc(hidden)]
    fn bind(scope: &Scope) -> Self;
}

impl Members for () {
    const GRANTS: Grants = Grants::None;
    fn bind(_: &Scope) -> Self {}
}

impl<First: Argument, Rest: Members> Members for (First, Rest) {
    const GRANTS: Grants = Grants::All(&[First::GRANTS, Rest::GRANTS]);
    fn bind(scope: &Scope) -> Self {
        (First::bind(scope), Rest::bind(scope))
    }
}
