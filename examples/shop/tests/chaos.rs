//! The shop under chaos: whatever a cloud may do to it, what it promises its customers holds. 200 seeds;
//! `UPDRAFT_SEEDS=5000` tries more, `UPDRAFT_SEED=17` one.

mod promises;

use ::shop;
use updraft::test::{Chaos, for_seeds, replay};

#[test]
fn promises_hold_whatever_happens() {
    for_seeds(200, |seed| promises::hold(updraft::test::app!(shop, audit).chaos(seed)));
}

/// Deliveries that overlap are rare in a cloud, and here they are not.
#[test]
fn promises_hold_when_almost_everything_comes_twice() {
    let often = |seed| Chaos::seed(seed).duplicates(0.9).delays(0.0).stalls(0.1);
    for_seeds(50, |seed| promises::hold(updraft::test::app!(shop, audit).chaos(often(seed))));
}

#[test]
fn a_seed_plays_the_same_events_again() {
    let play = |seed| replay(seed, |seed| promises::hold(updraft::test::app!(shop, audit).chaos(seed))).unwrap();
    for seed in 0..5 {
        let (first, second) = (play(seed), play(seed));
        assert!(first.len() > 100, "{first}");
        assert_eq!(first.to_string(), second.to_string());
        assert_eq!(first, second);
    }
    assert_ne!(play(0), play(1));
    assert!((0..10).any(|seed| !play(seed).faults().is_empty()));
}
