//! Capabilities inside other types; the second through an alias, where syntax can't see it.
use updraft::prelude::*;

#[secret]
struct TokenKey;

#[http(get, "/syntax")]
async fn syntax(_key: Option<Secret<TokenKey>>) -> String { //~ [Option<Secret<TokenKey>>] a capability stands by itself, not inside another type: `Secret`; a secret that may be absent is declared so: `#[secret(optional)]`
    String::new()
}

type Key = Secret<TokenKey>;

#[http(get, "/alias")]
async fn alias(_key: Option<Key>) -> String { //~ [Option<Key>] `Option<updraft::Secret<TokenKey>>` can't be the last parameter of an `#[http]` handler
    String::new()
}
