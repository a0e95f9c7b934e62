//! UD2004: attributes that a message of SNS can't carry.

use super::Subject;
use updraft_model::{Diagnostic, Explain, Kind, Sink};
use updraft_wire::aws::DECLARED_ATTRIBUTES_MOST;

pub(crate) const EXPLAIN: Explain = Explain {
    code: "UD2004",
    title: "more attributes than a message of SNS can have",
    text: "\
A message gets from SNS to a queue of SQS with ten attributes at most. One of them holds the message's id, time and trace, so
that a topic can declare nine.

```rust
#[topic(message = Sale, attributes(a, b, c, d, e, f, g, h, i, j))]
pub struct Sales;
```

Declare those that subscribers filter on (`when(region = \"eu\")`), and leave the others in the message itself:

```rust
#[topic(message = Sale, attributes(region))]
pub struct Sales;
```
",
};

pub(crate) fn check(subject: &Subject<'_>, sink: &mut Sink) {
    for topic in subject.resources(Kind::Topic) {
        let declared = topic.options.get("attributes").map_or(0, |attributes| attributes.split(',').count());
        if declared > DECLARED_ATTRIBUTES_MOST {
            let message = format!(
                "topic {} declares {declared} attributes, and a message of SNS has room for {DECLARED_ATTRIBUTES_MOST}",
                topic.id
            );
            sink.push(
                Diagnostic::error("UD2004", message)
                    .label(&topic.place, "declared here")
                    .help("declare only those that subscribers filter on; the others fit into the message"),
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
    fn nine_and_ten() {
        let mut plan = fixture::shop();
        resource(&mut plan, "shipped").options.insert("attributes".into(), "a,b,c,d,e,f,g,h,i".into());
        assert_eq!(codes(&plan), Vec::<&str>::new());
        resource(&mut plan, "shipped").options.insert("attributes".into(), "a,b,c,d,e,f,g,h,i,j".into());
        assert_eq!(codes(&plan), ["UD2004"]);
    }
}
