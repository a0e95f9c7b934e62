//! One service account per unit, without a token: no unit speaks to the cluster's API.

use super::meta;
use crate::lower::Context;
use std::collections::BTreeSet;
use updraft_kubernetes::resources::ServiceAccount;
use updraft_kubernetes::resources::meta::Map;
use updraft_kubernetes::{Document, yaml};

pub(crate) fn lower(context: &Context<'_>) -> Result<Vec<Document>, yaml::Error> {
    let units: BTreeSet<&str> = context.services.iter().map(|service| service.unit).collect();
    let account = |unit: &str| {
        let name = context.names.object(unit);
        let account = ServiceAccount::without_token(meta(context, name.clone(), Some(&name), Map::new()));
        Document::new(
            vec![format!("The unit {unit}: it never speaks to the cluster's API, so it has no token.")],
            &account,
        )
    };
    units.into_iter().map(account).collect()
}
