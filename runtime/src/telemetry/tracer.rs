//! Makes spans, decides which traces are recorded, and hands finished ones on.

use super::context::TraceContext;
use super::span::{Finished, Kind, Span};
use std::borrow::Cow;
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Takes finished spans. Must neither wait nor fail: it drops what it can't take.
pub trait Sink: Send + Sync + 'static {
    /// A span has ended.
    fn take(&self, span: Finished);
}

/// What makes spans. Clones share it.
#[derive(Clone)]
pub struct Tracer(Arc<Inner>);

struct Inner {
    sampler: Sampler,
    sink: Arc<dyn Sink>,
    ids: Ids,
}

/// Which traces are recorded: the choices of `OTEL_TRACES_SAMPLER`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sampler {
    /// Follows what the caller decided, where there is one.
    pub parent_based: bool,
    /// Share of the others, 0 to 1.
    pub ratio: f64,
}

impl Default for Sampler {
    /// `parentbased_always_on`, the specification's default.
    fn default() -> Self {
        Sampler { parent_based: true, ratio: 1.0 }
    }
}

impl Sampler {
    fn records(self, trace_id: [u8; 16], parent: Option<&TraceContext>) -> bool {
        match parent {
            Some(parent) if self.parent_based => parent.is_sampled(),
            Some(_) | None if self.ratio >= 1.0 => true,
            Some(_) | None => {
                let [.., a, b, c, d, e, f, g, h] = trace_id;
                let random = u64::from_be_bytes([a, b, c, d, e, f, g, h]) >> 1;
                random < (self.ratio.max(0.0) * (1_u64 << 63) as f64) as u64
            }
        }
    }
}

impl Tracer {
    /// Spans that `sampler` keeps go to `sink`.
    pub fn new(sampler: Sampler, sink: Arc<dyn Sink>) -> Self {
        Tracer(Arc::new(Inner { sampler, sink, ids: Ids::random() }))
    }

    /// Begins a span: its context, for what it causes, and the span itself, which records nothing if the trace isn't
    /// sampled.
    pub(crate) fn begin(
        &self,
        parent: Option<&TraceContext>,
        kind: Kind,
        name: impl FnOnce() -> Cow<'static, str>,
    ) -> (TraceContext, Span) {
        let Inner { sampler, ids, .. } = &*self.0;
        let span_id = ids.span();
        let trace_id = parent.map_or_else(|| ids.trace(), |parent| parent.trace_id);
        let sampled = sampler.records(trace_id, parent);
        let context = match parent {
            Some(parent) => parent.child(span_id, sampled),
            None => TraceContext::root(trace_id, span_id, sampled),
        };
        let parent = parent.map(|parent| parent.span_id);
        let span = if sampled { Span::open(self.0.sink.clone(), &context, parent, kind, name()) } else { Span::none() };
        (context, span)
    }
}

/// Random ids without a lock: two sequences, each begun at a random place of the process's own.
struct Ids {
    next: AtomicU64,
    keys: [u64; 2],
}

impl Ids {
    fn random() -> Self {
        // The standard library's hasher is seeded by the system's random numbers.
        let key = || RandomState::new().hash_one(std::time::SystemTime::now());
        Ids { next: AtomicU64::new(key()), keys: [key(), key()] }
    }

    fn span(&self) -> [u8; 8] {
        loop {
            let number = mix(self.keys[0] ^ self.next.fetch_add(0x9e37_79b9_7f4a_7c15, Ordering::Relaxed));
            if number != 0 {
                return number.to_be_bytes();
            }
        }
    }

    fn trace(&self) -> [u8; 16] {
        let step = self.next.fetch_add(0x9e37_79b9_7f4a_7c15, Ordering::Relaxed);
        let halves = u128::from(mix(self.keys[0] ^ step)) << 64 | u128::from(mix(self.keys[1].wrapping_add(step)));
        halves.max(1).to_be_bytes()
    }
}

/// SplitMix64's last step: every input gives another output, and near ones give far ones.
fn mix(mut bits: u64) -> u64 {
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^ (bits >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn ids_differ_and_a_ratio_keeps_its_share() {
        let ids = Ids::random();
        let traces: BTreeSet<_> = (0..10_000).map(|_| ids.trace()).collect();
        let spans: BTreeSet<_> = (0..10_000).map(|_| ids.span()).collect();
        assert_eq!((traces.len(), spans.len()), (10_000, 10_000));
        let kept = |ratio| {
            let sampler = Sampler { parent_based: true, ratio };
            traces.iter().filter(|trace| sampler.records(**trace, None)).count()
        };
        assert_eq!((kept(0.0), kept(1.0)), (0, 10_000));
        // Ten standard deviations of a fair coin of this many throws.
        assert!((2_567..3_433).contains(&kept(0.3)), "{}", kept(0.3));
    }

    #[test]
    fn a_parents_decision_is_followed_only_where_that_is_asked_for() {
        let unsampled = TraceContext::root([7; 16], [7; 8], false);
        let sampled = TraceContext::root([7; 16], [7; 8], true);
        let follows = Sampler { parent_based: true, ratio: 0.0 };
        assert!(follows.records([7; 16], Some(&sampled)) && !Sampler::default().records([7; 16], Some(&unsampled)));
        let own = Sampler { parent_based: false, ratio: 1.0 };
        assert!(own.records([7; 16], Some(&unsampled)));
        assert!(!Sampler { parent_based: false, ratio: 0.0 }.records([7; 16], Some(&sampled)));
    }
}
