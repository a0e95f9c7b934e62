//! What each test asks for.

use updraft::test::{replay, try_seeds};

/// Chaos breaks the promises within 200 seeds, says with which, and that seed breaks them again in the same way.
pub fn within_200_seeds<F: Future<Output = ()>>(hold: impl Fn(u64) -> F + Sync) {
    let broken = try_seeds(0..200, &hold).expect_err("the mistake is found");
    println!("{broken}");
    let said = broken.to_string();
    assert!(said.contains(&format!("UPDRAFT_SEED={} cargo test -p updraft-planted", broken.seed)), "{said}");
    assert!(broken.reason.contains("examples/shop/tests/promises/mod.rs"), "a promise is broken: {}", broken.reason);
    assert!(broken.needed.len() <= broken.trace.faults().len());

    let again = replay(broken.seed, &hold).expect_err("it fails again");
    assert_eq!(again.reason, broken.reason);
    assert_eq!(again.trace, broken.trace);
}
