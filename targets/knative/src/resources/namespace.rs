//! The namespace, unless it is shared with others.

use crate::lower::Context;
use updraft_kubernetes::resources::{Namespace, meta};
use updraft_kubernetes::{Document, yaml};

pub(crate) fn lower(context: &Context<'_>) -> Result<Vec<Document>, yaml::Error> {
    if !context.names.owns_namespace() {
        return Ok(Vec::new());
    }
    let comment =
        format!("The app {}: its namespace admits only pods of the standard \"restricted\".", context.plan.app.name);
    let namespace = Namespace::restricted(&context.names.namespace, meta::labels(&context.names.app, None));
    Ok(vec![Document::new(vec![comment], &namespace)?])
}
