//! Scans: all entries of a prefix in no order, or those of a partition in theirs.

use super::{Store, StoreResource, decode};
use crate::capability::{ReadOnly, ResourceError, check};
use crate::engine::{Entry, Span};
use crate::key::{self, AsKey, Key};
use std::marker::PhantomData;
use std::ops::{Bound, RangeBounds};
use updraft_wire::defaults::STORE_PAGE;

/// A scan on its way: [`Scan::next_page`] until it is `None`, or [`Scan::all`].
pub struct Scan<R> {
    store: Store<R, ReadOnly>,
    prefix: Vec<u8>,
    /// Where the next page starts; `None` at the end.
    next: Option<Option<String>>,
}

type Taken<R> = Store<R, ReadOnly>;

impl<R: StoreResource> Scan<R> {
    pub(super) fn new(store: Taken<R>, prefix: Vec<u8>) -> Self {
        Scan { store, prefix, next: Some(None) }
    }

    /// Some more entries, in no order; `None` when there are no more. An entry that is written meanwhile may come or not.
    ///
    /// # Errors
    /// If the engine can't be reached, or what is there is not of the declared types.
    pub async fn next_page(&mut self) -> Result<Option<Vec<(R::Key, R::Value)>>, ResourceError> {
        let Some(from) = self.next.take() else { return Ok(None) };
        check::<Taken<R>>(&self.store.0, "read", "scan").map_err(ResourceError::engine::<Taken<R>>("scan"))?;
        let page = self.store.engine("scan")?.scan(R::ID, &self.prefix, from, STORE_PAGE).await;
        let page = page.map_err(ResourceError::engine::<Taken<R>>("scan"))?;
        self.next = page.next.map(Some);
        let entries = page.items.into_iter().map(|(key, entry)| {
            let key = key::decode(&key).ok_or_else(|| ResourceError::key::<Taken<R>>("scan"))?;
            Ok((key, decode::<R, ReadOnly>(&entry.value, "scan")?))
        });
        entries.collect::<Result<_, ResourceError>>().map(Some)
    }

    /// All entries, where they are few enough to hold.
    ///
    /// # Errors
    /// As [`Scan::next_page`].
    pub async fn all(mut self) -> Result<Vec<(R::Key, R::Value)>, ResourceError> {
        let mut all = Vec::new();
        while let Some(page) = self.next_page().await? {
            all.extend(page);
        }
        Ok(all)
    }
}

/// A scan of one partition in the order of its keys: [`InOrder::next_page`] until it is `None`, [`InOrder::take`] or
/// [`InOrder::all`].
#[must_use = "`next_page`, `take` or `all` reads"]
pub struct InOrder<R, S> {
    store: Taken<R>,
    span: Span,
    /// Where the next page starts; `None` at the end.
    next: Option<Option<String>>,
    sort: PhantomData<fn() -> S>,
}

// Bounded by what the keys are alone: by `Partitioned`, a store that is none would get a second error here.
impl<R: StoreResource, S: Key> InOrder<R, S> {
    pub(super) fn new(store: Taken<R>, partition: Vec<u8>) -> Self {
        let span = Span { partition, from: Bound::Unbounded, to: Bound::Unbounded, reversed: false };
        InOrder { store, span, next: Some(None), sort: PhantomData }
    }

    /// Only keys in this range: `5..`, `a..=b`.
    pub fn range(mut self, range: impl RangeBounds<S>) -> Self {
        let bound = |bound: Bound<&S>| bound.map(|key| [&self.span.partition[..], &key.part_bytes()].concat());
        (self.span.from, self.span.to) = (bound(range.start_bound()), bound(range.end_bound()));
        self
    }

    /// The last first.
    pub fn reversed(mut self) -> Self {
        self.span.reversed = !self.span.reversed;
        self
    }

    /// Some more entries; `None` when there are no more. An entry that is written meanwhile may come or not.
    ///
    /// # Errors
    /// If the engine can't be reached, or what is there is not of the declared types.
    pub async fn next_page(&mut self) -> Result<Option<Vec<(S, R::Value)>>, ResourceError> {
        self.page(STORE_PAGE).await
    }

    /// The first `count` entries, or as many as there are.
    ///
    /// # Errors
    /// As [`InOrder::next_page`].
    pub async fn take(mut self, count: usize) -> Result<Vec<(S, R::Value)>, ResourceError> {
        let mut taken = Vec::new();
        while taken.len() < count {
            let Some(page) = self.page(STORE_PAGE.min(count - taken.len())).await? else { break };
            taken.extend(page);
        }
        Ok(taken)
    }

    /// All entries, where they are few enough to hold.
    ///
    /// # Errors
    /// As [`InOrder::next_page`].
    pub async fn all(self) -> Result<Vec<(S, R::Value)>, ResourceError> {
        self.take(usize::MAX).await
    }

    async fn page(&mut self, limit: usize) -> Result<Option<Vec<(S, R::Value)>>, ResourceError> {
        let Some(from) = self.next.take() else { return Ok(None) };
        check::<Taken<R>>(&self.store.0, "read", "in_order").map_err(ResourceError::engine::<Taken<R>>("in_order"))?;
        let page = self.store.engine("in_order")?.scan_ordered(R::ID, &self.span, from, limit).await;
        let page = page.map_err(ResourceError::engine::<Taken<R>>("in_order"))?;
        self.next = page.next.map(Some);
        let entry = |(key, entry): (Vec<u8>, Entry)| {
            let rest = key.get(self.span.partition.len()..).unwrap_or_default();
            let key = key::decode_part(rest).ok_or_else(|| ResourceError::key::<Taken<R>>("in_order"))?;
            Ok((key, decode::<R, ReadOnly>(&entry.value, "in_order")?))
        };
        page.items.into_iter().map(entry).collect::<Result<_, _>>().map(Some)
    }
}
