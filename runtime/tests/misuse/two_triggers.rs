//! A handler has triggers of one kind.
use updraft::prelude::*;

#[http(post, "/report")]
#[schedule("0 3 * * *")] //~ [schedule] a function has triggers of one kind
async fn report() -> Result<()> {
    Ok(())
}

#[http(get, "/")]
#[http(get, "/index.html")] //~ [http] of several triggers, each but one needs a `name`
async fn index() -> String {
    String::new()
}
