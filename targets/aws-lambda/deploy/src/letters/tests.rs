//! What becomes of letters, with queues that are played.

use super::boxes::{Letterbox, boxes};
use super::letter::Letter;
use super::*;
use crate::client::played::{said, serve, target};
use crate::cloudformation::StackResource;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use updraft_wire::aws::Metadata;

fn held(kind: &str, fifo: bool) -> Letterbox {
    Letterbox {
        handler: "shop::ship".into(),
        kind: kind.into(),
        resource: "orders".into(),
        letters_url: "https://sqs/1/letters".into(),
        queue_url: Some("https://sqs/1/orders".into()),
        fifo,
    }
}

fn text(value: &str) -> Value {
    json!({ "DataType": "String", "StringValue": value })
}

/// What the runtime keeps.
fn kept() -> Value {
    let told = json!({ "reason": "no stock: ü", "kind": "permanent", "attempts": 3,
        "first": "2026-11-26T00:00:01.000000Z", "last": "2026-11-26T00:00:02.000000Z" });
    let metadata = json!({ "id": "m1", "source": "//shop/a", "time": "2026-11-26T00:00:00Z", "schema": "blake3:0",
        "traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", "tracestate": "a=1",
        "own": { "partitionkey": "ann", "tried": "2", "skewuntil": "2026-11-26T00:01:00Z", "givenup": told.to_string() } });
    json!({
        "MessageId": "sqs-1", "ReceiptHandle": "r1", "Body": "{\"a\": \"ü\"}",
        "Attributes": { "SentTimestamp": "1764115202000", "MessageGroupId": "ann" },
        "MessageAttributes": { "updraft": text(&metadata.to_string()), "region": text("eu"), "x-updraft": text("odd") },
    })
}

fn metadata(message: &Value) -> Metadata {
    serde_json::from_str(message["MessageAttributes"]["updraft"]["StringValue"].as_str().unwrap()).unwrap()
}

#[test]
fn a_letter_shows_what_programs_and_clusters_show() {
    let whole = Letter::of(&kept()).whole(&held("queue", true), "shop");
    assert_eq!(
        whole,
        json!({
            "id": "m1", "resource": "orders", "handler": "shop::ship", "reason": "no stock: ü", "kind": "permanent",
            "attempts": 3, "first": "2026-11-26T00:00:01.000000Z", "last": "2026-11-26T00:00:02.000000Z",
            "headers": {
                "ce-specversion": "1.0", "ce-id": "m1", "ce-type": "shop.queue.orders", "ce-source": "//shop/a",
                "ce-time": "2026-11-26T00:00:00Z", "ce-dataschema": "blake3:0", "ce-region": "eu", "ce-updraft": "odd",
                "ce-partitionkey": "ann", "ce-skewuntil": "2026-11-26T00:01:00Z",
                "traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", "tracestate": "a=1",
            },
            "body": "eyJhIjogIsO8In0=",
        })
    );
}

#[test]
fn a_message_goes_back_as_it_was_sent() {
    let letter = Letter::of(&kept());
    let again = letter.again(&held("queue", false));
    assert_eq!(again["MessageBody"], "{\"a\": \"ü\"}");
    assert!(again["MessageGroupId"].is_null());
    let attributes = again["MessageAttributes"].as_object().unwrap();
    assert_eq!((&attributes["region"], &attributes["x-updraft"]), (&text("eu"), &text("odd")));
    let Metadata { id, source, time, schema, traceparent, tracestate, own } = metadata(&again);
    assert_eq!((&*id, &*source, &*time), ("m1", "//shop/a", "2026-11-26T00:00:00Z"));
    assert_eq!(
        (schema.as_deref(), tracestate.as_deref(), traceparent.is_some()),
        (Some("blake3:0"), Some("a=1"), true)
    );
    assert_eq!(
        own.into_iter().collect::<Vec<_>>(),
        [("partitionkey".to_owned(), "ann".to_owned())],
        "attempts begin anew"
    );
    let fifo = letter.again(&held("queue", true));
    assert_eq!((&fifo["MessageGroupId"], &fifo["MessageDeduplicationId"]), (&json!("ann"), &json!("redriven-sqs-1")));
    let tick = letter.again(&held("schedule", true));
    assert_eq!(tick["MessageGroupId"], "ticks", "beside no other run");
}

#[test]
fn what_came_from_outside_keeps_the_id_that_it_had() {
    let names: Vec<String> = (0..10).map(|number| format!("n{number}")).collect();
    let mut message = kept();
    message["MessageAttributes"] = names.iter().map(|name| (name.clone(), text("1"))).collect();
    message["Attributes"]["DeadLetterQueueSourceArn"] = "arn".into();
    let letter = Letter::of(&message);
    let summary = letter.summary(&held("queue", false));
    assert!(summary["reason"].as_str().unwrap().contains("SQS gave it up"), "{summary}");
    assert_eq!((&summary["id"], &summary["attempts"], &summary["bytes"]), (&json!("sqs-1"), &Value::Null, &json!(11)));
    let again = letter.again(&held("queue", false));
    assert_eq!(again["MessageAttributes"].as_object().unwrap().len(), 10);
    assert_eq!((&*metadata(&again).id, metadata(&again).own.len()), ("sqs-1", 1), "nothing is lost");
    message["MessageAttributes"] = json!({ "updraft": text("what?") });
    let again = Letter::of(&message).again(&held("queue", false));
    assert_eq!(again["MessageAttributes"], message["MessageAttributes"], "who could read it then?");
}

#[test]
fn boxes_are_where_the_template_says() {
    let template = json!({ "Resources": {
        "ADeadLetters": { "Metadata": { "updraft": { "from": ["consumer shop::a", "queue orders"] } } },
        "OrdersQueue": { "Metadata": { "updraft": { "from": ["queue orders", "consumer shop::a"] } } },
        "BDeadLetters": { "Metadata": { "updraft": { "from": ["schedule shop::b"] } } },
        "BInbox": { "Metadata": { "updraft": { "from": ["schedule shop::b"] } } },
        "UndeliveredTicks": { "Metadata": { "updraft": { "from": ["schedules whose ticks can't be sent"] } } },
    } });
    let queue = |logical: &str, physical: &str| StackResource {
        logical: logical.into(),
        physical: physical.into(),
        kind: "AWS::SQS::Queue".into(),
        status: "CREATE_COMPLETE".into(),
    };
    let resources = [
        queue("ADeadLetters", "u/a"),
        queue("BDeadLetters", "u/b.fifo"),
        queue("BInbox", "u/inbox.fifo"),
        queue("OrdersQueue", "u/orders"),
        queue("UndeliveredTicks", "u/lost"),
        queue("UnsentMessages", "u/unsent"),
    ];
    let found = boxes(&template.to_string(), &resources);
    let said: Vec<_> = found
        .iter()
        .map(|one| (&*one.handler, &*one.kind, &*one.resource, one.queue_url.as_deref(), one.fifo))
        .collect();
    assert_eq!(
        said,
        [
            ("shop::a", "queue", "orders", Some("u/orders"), false),
            ("shop::b", "schedule", "shop::b", Some("u/inbox.fifo"), true),
            ("", "outbox", "outbox", None, false),
        ]
    );
}

#[test]
fn what_nobody_would_have_got_is_its_senders() {
    let (letter, mut unsent) = (Letter::of(&kept()), held("outbox", false));
    (unsent.handler, unsent.resource) = (String::new(), "outbox".into());
    assert_eq!(letter.whole(&unsent, "shop")["handler"], "a");
    assert!(letter.whole(&unsent, "shop")["headers"]["ce-type"].is_null());
    let of = |handler: &str| Selection { handler: Some(handler.into()), ..Selection::default() };
    assert!(of("a").opens(&unsent) && of("a").wants(&unsent, &letter, Timestamp::now()));
    assert!(!of("b").wants(&unsent, &letter, Timestamp::now()));
}

fn found<'a>(held: &'a Letterbox, ids: &[&str]) -> Found<'a> {
    let letter = |id: &&str| {
        let mut message = kept();
        message["MessageId"] = format!("sqs-{id}").into();
        message["MessageAttributes"] = json!({});
        Letter::of(&message)
    };
    Found { letters: ids.iter().map(letter).collect(), ..Found::of(held) }
}

#[test]
fn pages_are_in_order_and_meet() {
    let held = held("queue", false);
    let all = [found(&held, &["3", "1", "2"])];
    let (mut ids, mut selection) = (Vec::new(), Selection { limit: Some(2), ..Selection::default() });
    loop {
        let page = page(&all, &selection);
        ids.extend(page["letters"].as_array().unwrap().iter().map(|letter| letter["id"].clone()));
        match page["next"].as_str() {
            Some(next) => selection.from = Some(next.to_owned()),
            None => break,
        }
    }
    assert_eq!(ids, ["sqs-1", "sqs-2", "sqs-3"]);
}

#[test]
fn an_id_means_one_letter() {
    let (a, mut b) = (held("queue", false), held("topic", false));
    b.handler = "shop::mail".into();
    assert!(one(&[found(&a, &[])]).unwrap_err().contains("no such dead letter"));
    assert_eq!(one(&[found(&a, &["1"]), found(&b, &[])]).unwrap().1.id, "sqs-1");
    let both = [found(&a, &["1"]), found(&b, &["1"])];
    assert!(one(&both).unwrap_err().contains("--handler, shop::ship or shop::mail"));
}

#[test]
fn age_is_since_it_was_given_up() {
    let letter = Letter::of(&kept());
    let now: Timestamp = "2026-11-26T01:00:02Z".parse().unwrap();
    let wants = |older_than, newer_than| {
        Selection { older_than, newer_than, ..Selection::default() }.wants(&held("queue", false), &letter, now)
    };
    assert!(wants(Some(3_600), None) && !wants(Some(3_601), None));
    assert!(wants(None, Some(3_600)) && !wants(None, Some(3_599)));
    assert!(!wants(Some(u64::MAX), None) && wants(None, Some(u64::MAX)));
}

/// What a handler's letters are, as SQS hands them out: each once, and hidden from then on.
#[derive(Default)]
struct Kept {
    letters: VecDeque<Value>,
    /// What was sent to the handler, by the messages' own ids.
    sent: Vec<String>,
    deleted: usize,
    shown_again: usize,
}

/// A queue of letters whose handler gives up all that it is sent, at once.
fn in_vain(letters: &[Value]) -> (Target, Arc<Mutex<Kept>>) {
    let kept = Arc::new(Mutex::new(Kept { letters: letters.iter().cloned().collect(), ..Kept::default() }));
    let queue = Arc::clone(&kept);
    let url = serve(move |asked| {
        let (mut kept, content) = (queue.lock().unwrap(), asked.json());
        said(&match asked.action.as_str() {
            "AmazonSQS.ReceiveMessage" => {
                let many = kept.letters.len().min(10);
                json!({ "Messages": kept.letters.drain(..many).collect::<Vec<_>>() })
            }
            "AmazonSQS.SendMessage" => {
                let number = kept.sent.len();
                assert!(number < 100, "nobody stops it");
                kept.sent.push(metadata(&content).id);
                kept.letters.push_back(json!({
                    "MessageId": format!("again-{number}"), "ReceiptHandle": "r", "Body": content["MessageBody"],
                    "Attributes": { "SentTimestamp": "1764115202000", "MessageGroupId": content["MessageGroupId"] },
                    "MessageAttributes": content["MessageAttributes"],
                }));
                json!({ "MessageId": "m" })
            }
            "AmazonSQS.DeleteMessage" => {
                kept.deleted += 1;
                json!({})
            }
            "AmazonSQS.ChangeMessageVisibilityBatch" => {
                kept.shown_again += content["Entries"].as_array().map_or(0, Vec::len);
                json!({ "Successful": [] })
            }
            "AmazonSQS.GetQueueAttributes" => json!({ "Attributes": { "ApproximateNumberOfMessages": "0" } }),
            other => panic!("{other}"),
        })
    });
    (target(&url), kept)
}

/// So many letters, each of a message and a group of its own.
fn letters(many: usize) -> Vec<Value> {
    let letter = |number: usize| {
        let mut message = kept();
        let mut metadata = metadata(&message);
        metadata.id = format!("m{number}");
        message["MessageId"] = format!("sqs-{number}").into();
        message["Attributes"]["MessageGroupId"] = format!("g{number}").into();
        message["MessageAttributes"]["updraft"] = text(&serde_json::to_string(&metadata).unwrap());
        message
    };
    (0..many).map(letter).collect()
}

/// What is given up again at once is another message of SQS's, and no other letter.
#[tokio::test]
async fn what_is_redriven_in_vain_is_redriven_once() {
    for fifo in [false, true] {
        let (target, queue) = in_vain(&letters(12));
        let held = held("queue", fifo);
        let found = target.look(&held, &Selection::default(), Some(Act::Redrive)).await.unwrap();
        assert_eq!(done(&[found]), json!({ "done": 12, "failed": [], "passed": 12 }));
        let kept = queue.lock().unwrap();
        let ids: BTreeSet<&String> = kept.sent.iter().collect();
        assert_eq!((kept.sent.len(), ids.len(), kept.deleted), (12, 12, 12));
        assert_eq!(kept.shown_again, 12, "they are for others to see");
    }
}

/// Of one message there may be several letters: each is there before the run, and goes.
#[tokio::test]
async fn letters_of_one_message_are_each_redriven() {
    let mut twice = letters(1);
    twice.extend(letters(1));
    twice[1]["MessageId"] = "sqs-other".into();
    let (target, queue) = in_vain(&twice);
    let held = held("queue", false);
    let found = target.look(&held, &Selection::default(), Some(Act::Redrive)).await.unwrap();
    assert_eq!(done(&[found]), json!({ "done": 2, "failed": [], "passed": 2 }));
    assert_eq!(queue.lock().unwrap().sent, ["m0", "m0"]);
}

/// None of a group overtakes the one that failed again, though it is there anew itself.
#[tokio::test]
async fn what_is_passed_over_keeps_its_place() {
    let mut late = letters(2);
    late[1]["Attributes"]["MessageGroupId"] = "g0".into();
    let held = held("queue", true);
    let mut found = Found { redriven: BTreeSet::from(["m0".to_owned()]), ..Found::of(&held) };
    let (target, queue) = in_vain(&[]);
    let letters = late.iter().map(Letter::of).collect();
    assert_eq!(target.each(&mut found, letters, Act::Redrive).await.len(), 2);
    assert_eq!((found.done, found.passed, found.failed.len()), (0, 1, 1));
    assert_eq!(found.failed[0]["reason"], "one before it in its group stays");
    assert!(queue.lock().unwrap().sent.is_empty());
}
