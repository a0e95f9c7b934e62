//! UD2002: what SQS can't promise together, or for so long.

use super::Subject;
use crate::capabilities::{DEDUP_SECONDS, LONGEST_DELAY_SECONDS};
use crate::resources::sqs::Order;
use updraft_model::{Diagnostic, Explain, Kind, Sink};

pub(crate) const EXPLAIN: Explain = Explain {
    code: "UD2002",
    title: "a guarantee that SQS can't give",
    text: "\
A queue with `ordered` or `dedup` is a FIFO queue of SQS, and such a queue knows an id again for five minutes, no more and no
less, and can't hold single messages back until a time (`delay`).

```rust
#[queue(message = Payment, dedup = \"1h\")]
pub struct Payments;

#[queue(message = Reminder, dedup = \"5m\", delay)]
pub struct Reminders;
```

Five minutes of `dedup` cover a sender that tries again. Less can't be had: what is sent under the same id after two minutes
would be dropped, though the declaration says that it is another message. For longer, let the consumer insert the id into a store first:
`insert_new` says whether it was there.

```rust
#[queue(message = Payment, dedup = \"5m\")]
pub struct Payments;
```

Messages that are to be held back and known again need two queues: one with `delay`, whose consumer sends what is due to
the other.
",
};

pub(crate) fn check(subject: &Subject<'_>, sink: &mut Sink) {
    for queue in subject.resources(Kind::Queue) {
        let window = queue.options.get("dedup").and_then(|seconds| seconds.parse::<u32>().ok());
        if let Some(seconds) = window.filter(|seconds| *seconds != DEDUP_SECONDS) {
            let message = format!(
                "queue {} is to know a message again for {seconds} s, and SQS always does for {DEDUP_SECONDS} s",
                queue.id
            );
            sink.push(
                Diagnostic::error("UD2002", message)
                    .label(&queue.place, format!("dedup = \"{seconds}s\""))
                    .help("`dedup = \"5m\"`; for longer, let the consumer insert the id into a store first"),
            );
        }
        if Order::of(queue).is_fifo() && queue.options.get("delay").is_some_and(|value| value != "false") {
            let message =
                format!("queue {} is to keep an order and hold messages back, and SQS does one or the other", queue.id);
            sink.push(
                Diagnostic::error("UD2002", message).label(&queue.place, "both are declared here").help(format!(
                    "use two queues: one with `delay` (of {LONGEST_DELAY_SECONDS} s at a time on SQS), whose consumer sends what is due to the ordered one"
                )),
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::checks::{
        fixture,
        tests::{codes, resource},
    };

    #[test]
    fn what_fifo_queues_can_do() {
        for (options, refused) in [
            (&[("ordered", "customer")][..], false),
            (&[("dedup", "300")], false),
            (&[("dedup", "301")], true),
            (&[("dedup", "60")], true),
            (&[("delay", "true")], false),
            (&[("delay", "true"), ("ordered", "customer")], true),
            (&[("delay", "true"), ("dedup", "300")], true),
        ] {
            let mut plan = fixture::shop();
            let options = options.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
            resource(&mut plan, "orders").options.extend(options);
            assert_eq!(
                codes(&plan),
                if refused { vec!["UD2002"] } else { vec![] },
                "{:?}",
                resource(&mut plan, "orders").options
            );
        }
    }
}
