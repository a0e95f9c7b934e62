//! A user's own type in place of a capability: it would be bound to everything that the application has.
use updraft::prelude::*;

#[derive(Clone)]
struct Everything(updraft::ctx::Scope);

impl updraft::capability::Capability for Everything { //~ [Everything] `Everything` can't be made a capability
    const KIND: &'static str = "store";
    const RESOURCE: &'static str = "stock";
    const ACCESS: &'static str = "read";

    fn bind(scope: &updraft::ctx::Scope) -> Self {
        Everything(scope.clone())
    }
}

#[http(get, "/")]
async fn index() -> String {
    String::new()
}
