//! `Batch<T>`: several messages of a queue in one invocation, each with an outcome of its own.

use crate::error::{Boxed, Error};
use crate::message::Delivery;
use std::fmt;
use std::ops::Deref;
use std::sync::{Arc, Mutex, PoisonError};

/// What a consumer takes first to get several messages at once: `batch: Batch<Order>`.
///
/// Each item is reported by itself, and what was reported stands even if the handler then fails, panics or takes too long:
///
/// - [`Item::done`]: it is acknowledged.
/// - [`Item::fail`]: it is tried again, or given up, as if a handler of its own had failed so.
/// - Not at all: it shares the handler's fate; a handler that ends well without reporting an item has failed at that one.
///
/// ```
/// # use updraft::prelude::*;
/// # #[updraft::data] pub struct Order { id: String, quantity: u32 }
/// # #[queue(message = Order)] pub struct Orders;
/// # #[store(key = String, value = u32)] pub struct Stock;
/// #[consumer(Orders, batch = 100, window = "1s")]
/// async fn ship(batch: Batch<Order>, stock: Store<Stock>) -> Result<()> {
///     for order in &batch {
///         match stock.put(&order.id, &order.quantity).await {
///             Ok(()) => order.done(),
///             Err(error) => order.fail(error),
///         }
///     }
///     Ok(())
/// }
/// ```
pub struct Batch<T> {
    items: Vec<Item<T>>,
    report: Report,
}

/// One message of a [`Batch`].
pub struct Item<T> {
    message: T,
    delivery: Delivery,
    place: usize,
    report: Report,
}

/// What is known of each message that an invocation was given, by its place. Outlives the invocation.
#[derive(Clone, Default)]
pub struct Report(Arc<Mutex<Vec<Option<Result<(), Error>>>>>);

impl Report {
    /// Of so many messages, none of them reported.
    pub(crate) fn of(messages: usize) -> Self {
        Report(Arc::new(Mutex::new((0..messages).map(|_| None).collect())))
    }

    /// The first report of a message stands.
    pub(crate) fn set(&self, place: usize, outcome: Result<(), Error>) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(held @ None) = all.get_mut(place) {
            *held = Some(outcome);
        }
    }

    /// What was reported so far, and nothing more from now on.
    pub(crate) fn take(&self) -> Vec<Option<Result<(), Error>>> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Whether each message was reported done, by its place.
    pub fn done(&self) -> Vec<bool> {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.iter().map(|outcome| matches!(outcome, Some(Ok(())))).collect()
    }
}

impl<T> Batch<T> {
    /// Of these messages: for unit tests that call handlers directly. [`Batch::report`] tells afterwards what became of them.
    pub fn of(messages: impl IntoIterator<Item = (T, Delivery)>) -> Self {
        let messages: Vec<_> = messages.into_iter().collect();
        let report = Report::of(messages.len());
        Batch::new(
            messages.into_iter().enumerate().map(|(place, (message, delivery))| (place, message, delivery)),
            report,
        )
    }

    pub(crate) fn new(messages: impl IntoIterator<Item = (usize, T, Delivery)>, report: Report) -> Self {
        let item = |(place, message, delivery)| Item { message, delivery, place, report: report.clone() };
        Batch { items: messages.into_iter().map(item).collect(), report: report.clone() }
    }

    /// How many messages there are: at least one.
    pub fn len(&self) -> usize {
        self.items.len()
    }

    /// Whether there is none: never, but in a test.
    pub fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    /// The items.
    pub fn iter(&self) -> std::slice::Iter<'_, Item<T>> {
        self.items.iter()
    }

    /// The messages, for work on all of them at once; [`Batch::done`] afterwards.
    pub fn messages(&self) -> impl Iterator<Item = &T> {
        self.items.iter().map(|item| &item.message)
    }

    /// All that were not reported yet are done.
    pub fn done(&self) {
        self.iter().for_each(Item::done);
    }

    /// Works one message after another, and reports each as it went.
    pub async fn each<F, E>(self, mut work: impl FnMut(T) -> F)
    where
        F: Future<Output = Result<(), E>>,
        E: Into<Boxed>,
    {
        for Item { message, place, report, .. } in self.items {
            report.set(place, work(message).await.map_err(Error::new));
        }
    }

    /// What was reported so far, and what will be.
    pub fn report(&self) -> Report {
        self.report.clone()
    }
}

impl<T> Item<T> {
    /// The message.
    pub fn message(&self) -> &T {
        &self.message
    }

    /// Its id, attempt, and so on.
    pub fn delivery(&self) -> &Delivery {
        &self.delivery
    }

    /// It is done, and not delivered again. What was reported before of it stands.
    pub fn done(&self) {
        self.report.set(self.place, Ok(()));
    }

    /// It failed: it alone is tried again, or given up. What was reported before of it stands.
    pub fn fail(&self, error: impl Into<Boxed>) {
        self.report.set(self.place, Err(Error::new(error)));
    }
}

impl<T> Deref for Item<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.message
    }
}

impl<T> IntoIterator for Batch<T> {
    type Item = Item<T>;
    type IntoIter = std::vec::IntoIter<Item<T>>;

    fn into_iter(self) -> Self::IntoIter {
        self.items.into_iter()
    }
}

impl<'a, T> IntoIterator for &'a Batch<T> {
    type Item = &'a Item<T>;
    type IntoIter = std::slice::Iter<'a, Item<T>>;

    fn into_iter(self) -> Self::IntoIter {
        self.items.iter()
    }
}

impl<T: fmt::Debug> fmt::Debug for Batch<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(&self.items).finish()
    }
}

impl<T: fmt::Debug> fmt::Debug for Item<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Item").field("message", &self.message).field("delivery", &self.delivery).finish()
    }
}

impl fmt::Debug for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Report").field(&self.done()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::Timestamp;

    fn batch(messages: usize) -> Batch<usize> {
        let delivery = |at: usize| Delivery::of(at.to_string(), Some(1), Timestamp::UNIX_EPOCH, Timestamp::MAX);
        Batch::of((0..messages).map(|at| (at, delivery(at))))
    }

    #[tokio::test]
    async fn the_first_report_of_an_item_stands() {
        let all = batch(3);
        let report = all.report();
        for item in &all {
            match **item {
                0 => item.done(),
                1 => item.fail("no"),
                _ => {}
            }
        }
        assert_eq!(report.done(), [true, false, false]);
        all.iter().for_each(|item| item.fail("too late for the first"));
        all.done();
        assert_eq!(report.done(), [true, false, false]);
        assert_eq!((all.len(), all.messages().sum::<usize>()), (3, 3));

        let each = batch(3);
        let report = each.report();
        each.each(|number| async move { if number == 1 { Err("odd") } else { Ok(()) } }).await;
        assert_eq!(report.done(), [true, false, true]);
        assert_eq!(report.take().len(), 3);
        assert!(report.done().is_empty(), "nothing is reported after the end");
    }
}
