//! The examples' templates, made by MiniStack's CloudFormation.

use std::time::Duration;
use updraft_tests::aws::{Account, Stack, deploy};
use updraft_tests::cargo::workspace;

/// Makes an example's stack. Nobody runs its functions here.
async fn create(account: &Account, example: &str) -> Stack {
    let file = workspace().join("examples").join(example).join("expected/aws-lambda/template.json");
    let template = std::fs::read_to_string(&file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    deploy(account, example, template.parse().expect("JSON"), b"no program".to_vec()).await
}

#[tokio::test]
async fn the_library_is_made() {
    let Some(account) = Account::open() else { return };
    let stack = create(&account, "library").await;
    assert!(stack.outputs.contains_key("ApiUrl"), "{stack:?}");
}

/// Its database is not the stack's: the stack has a place for its URL.
#[tokio::test]
async fn the_ledger_is_made() {
    let Some(account) = Account::open() else { return };
    let stack = create(&account, "ledger").await;
    for name in ["LedgerDatabaseUrl", "LedgerOutboxTick"] {
        assert!(stack.resources.contains_key(name), "{stack:?}");
    }
}

/// A stack that is deleted leaves what it kept; a new one is another, and does not meet it.
#[tokio::test]
async fn what_the_shop_keeps_stays() {
    let Some(account) = Account::open() else { return };
    let bucket = |stack: &Stack| stack.outputs["ReportsBucket"].clone();
    let first = bucket(&create(&account, "shop").await);
    account.put(&first, "kept", "it").await;
    account.formation("DeleteStack", "shop", &[]).await;
    while account.formation("ListStacks", "shop", &[]).await.contains("_IN_PROGRESS") {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(account.get(&first, "kept").await.as_deref(), Some(&b"it"[..]));
    let second = bucket(&create(&account, "shop").await);
    assert_ne!(first, second);
}
