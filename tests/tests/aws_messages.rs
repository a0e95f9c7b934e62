//! Senders of SQS and SNS and readers of Secrets Manager, against an emulator of AWS; and a unit whose binding names them.

use bytes::Bytes;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;
use updraft::deadletter::DeadLetter;
use updraft::engine::{Channel, EngineError, Message, Messaging, SecretEngine};
use updraft::engines::parameter_store::ParameterStore;
use updraft::engines::secrets_manager::SecretsManager;
use updraft::engines::sns::SnsTopics;
use updraft::engines::sqs::SqsQueues;
use updraft_tests::http::Http;
use updraft_tests::process::Setup;
use updraft_tests::servers::MiniStack;
use updraft_wire::aws::{GivenUp, METADATA_ATTRIBUTE, Metadata, REASON};

fn message(number: usize, attributes: &[(&str, &str)]) -> Message {
    Message {
        id: format!("id-{number}"),
        source: "//shop/orders".to_owned(),
        time: "2026-01-02T03:04:05Z".parse().expect("a time"),
        schema: None,
        trace: None,
        attributes: attributes.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect(),
        body: Bytes::from(format!("{{\"number\":{number},\"text\":\"ü&=\"}}")),
    }
}

async fn queue(server: &MiniStack, name: &str) -> String {
    let fifo = if name.ends_with(".fifo") { json!({ "FifoQueue": "true" }) } else { json!({}) };
    let made = server.call("AmazonSQS.CreateQueue", json!({ "QueueName": name, "Attributes": fifo })).await;
    made["QueueUrl"].as_str().expect("a URL").to_owned()
}

/// What a queue holds, until it holds nothing: bodies and attributes.
async fn received(server: &MiniStack, url: &str) -> Vec<(Value, BTreeMap<String, String>)> {
    let mut all = Vec::new();
    loop {
        let asked = json!({ "QueueUrl": url, "MaxNumberOfMessages": 10, "MessageAttributeNames": ["All"] });
        let answer = server.call("AmazonSQS.ReceiveMessage", asked).await;
        let messages = answer["Messages"].as_array().cloned().unwrap_or_default();
        if messages.is_empty() {
            return all;
        }
        for message in messages {
            let gone = json!({ "QueueUrl": url, "ReceiptHandle": message["ReceiptHandle"] });
            server.call("AmazonSQS.DeleteMessage", gone).await;
            let body = serde_json::from_str(message["Body"].as_str().expect("a body")).expect("JSON");
            let attributes = message["MessageAttributes"].as_object().cloned().unwrap_or_default();
            let text = |value: &Value| value["StringValue"].as_str().expect("text").to_owned();
            all.push((body, attributes.iter().map(|(name, value)| (name.clone(), text(value))).collect()));
        }
    }
}

fn metadata(attributes: &BTreeMap<String, String>) -> Metadata {
    serde_json::from_str(&attributes[METADATA_ATTRIBUTE]).expect("metadata")
}

#[tokio::test]
async fn sqs_takes_many_and_keeps_their_metadata() {
    let Some(server) = MiniStack::with("sqs") else { return };
    let url = queue(&server, "orders").await;
    let queues = SqsQueues::new(&server.engine_account()).expect("an engine").queue("orders", &url);
    let send = |messages, delay| queues.publish(Channel::Queue("orders"), messages, delay);
    send((0..25).map(|number| message(number, &[("region", "eu"), ("empty", "")])).collect(), Duration::ZERO)
        .await
        .expect("taken");
    let found = received(&server, &url).await;
    let numbers: BTreeSet<_> = found.iter().map(|(body, _)| body["number"].as_u64().expect("a number")).collect();
    assert_eq!((found.len(), numbers.len()), (25, 25));
    for (body, attributes) in &found {
        let metadata = metadata(attributes);
        assert_eq!(metadata.id, format!("id-{}", body["number"]));
        assert_eq!((&*metadata.source, &*metadata.time), ("//shop/orders", "2026-01-02T03:04:05Z"));
        assert_eq!((&*attributes["region"], metadata.own["empty"].as_str(), attributes.len()), ("eu", "", 2));
        assert_eq!(body["text"], "ü&=");
    }

    send(vec![message(1, &[])], Duration::from_millis(899_500)).await.expect("taken");
    let asked = json!({ "QueueUrl": url, "AttributeNames": ["All"] });
    let state = server.call("AmazonSQS.GetQueueAttributes", asked).await;
    assert_eq!(state["Attributes"]["ApproximateNumberOfMessagesDelayed"], "1", "{state}");

    let late = send(vec![message(1, &[])], Duration::from_secs(901)).await;
    assert!(matches!(&late, Err(EngineError::Misconfigured(text)) if text.contains("15 minutes")), "{late:?}");
    let order = send(vec![message(1, &[("partitionkey", "a")])], Duration::ZERO).await;
    assert!(matches!(order, Err(EngineError::Misconfigured(_))), "{order:?}");
    let topic = queues.publish(Channel::Topic("orders"), vec![message(1, &[])], Duration::ZERO).await;
    assert!(matches!(topic, Err(EngineError::Misconfigured(_))), "{topic:?}");
    let away = SqsQueues::new(&server.engine_account()).expect("an engine").queue("orders", &format!("{url}-away"));
    let error = away.publish(Channel::Queue("orders"), vec![message(1, &[])], Duration::ZERO).await;
    assert!(matches!(&error, Err(EngineError::Misconfigured(text)) if text.contains("`orders`")), "{error:?}");
}

#[tokio::test]
async fn sqs_keeps_order_and_knows_ids_again() {
    let Some(server) = MiniStack::with("sqs") else { return };
    let url = queue(&server, "orders.fifo").await;
    let queues = SqsQueues::new(&server.engine_account()).expect("an engine").queue("orders", &url);
    let send = |messages| queues.publish(Channel::Queue("orders"), messages, Duration::ZERO);
    let keyed = |number, key| message(number, &[("partitionkey", key)]);
    send(vec![keyed(0, "a"), keyed(1, "b"), keyed(2, "a"), keyed(3, "a"), keyed(4, "b c")]).await.expect("taken");
    // Sent again after a lost answer, and again under an id of the sender's own.
    send(vec![keyed(2, "a")]).await.expect("taken");
    for number in [5, 6] {
        send(vec![message(number, &[("partitionkey", "a"), ("dedupid", "order 7")])]).await.expect("taken");
    }
    let found = received(&server, &url).await;
    let of = |key: &str| {
        let of_key = found.iter().filter(|(_, attributes)| metadata(attributes).own["partitionkey"] == key);
        of_key.map(|(body, _)| body["number"].as_u64().expect("a number")).collect::<Vec<_>>()
    };
    assert_eq!((of("a"), of("b"), of("b c")), (vec![0, 2, 3, 5], vec![1], vec![4]));
    let late = queues.publish(Channel::Queue("orders"), vec![keyed(9, "a")], Duration::from_secs(1)).await;
    assert!(matches!(late, Err(EngineError::Misconfigured(_))), "{late:?}");
}

#[tokio::test]
async fn sqs_keeps_what_is_given_up() {
    let Some(server) = MiniStack::with("sqs") else { return };
    let url = queue(&server, "dead").await;
    let queues = SqsQueues::new(&server.engine_account()).expect("an engine").dead_letters("shop::ship", &url);
    let letter = json!({
        "id": "id-1", "resource": "orders", "handler": "shop::ship", "reason": "no stock", "kind": "error", "attempts": 3,
        "first": "2026-01-02T03:04:05.000000Z", "last": "2026-01-02T03:05:05Z", "body": "eyJudW1iZXIiOjF9",
        "headers": { "ce-specversion": "1.0", "ce-id": "id-1", "ce-type": "shop.queue.orders", "ce-source": "//shop/web",
            "ce-time": "2026-01-02T03:04:05Z", "ce-partitionkey": "a", "ce-region": "eu" },
    });
    let letter: DeadLetter = serde_json::from_value(letter).expect("a letter");
    assert!(queues.give_up(letter.clone()).await.expect("kept"));
    let found = received(&server, &url).await;
    let [(body, attributes)] = &found[..] else { panic!("{found:?}") };
    let metadata = metadata(attributes);
    assert_eq!((&body["number"], &*metadata.id, &*attributes["region"]), (&json!(1), "id-1", "eu"));
    let given_up: GivenUp = serde_json::from_str(&metadata.own[REASON]).expect("a reason");
    assert_eq!((&*given_up.reason, given_up.attempts), ("no stock", Some(3)));
    let other = queues.give_up(DeadLetter { handler: "shop::other".to_owned(), ..letter }).await;
    assert!(matches!(other, Err(EngineError::Misconfigured(_))), "{other:?}");
}

/// What an outbox can't send is the handler's that would have got it; else nobody's, and not its sender's.
#[tokio::test]
async fn sqs_keeps_what_no_handler_would_have_got() {
    let Some(server) = MiniStack::with("sqs") else { return };
    let (own, unsent) = (queue(&server, "dead").await, queue(&server, "unsent").await);
    let queues =
        SqsQueues::new(&server.engine_account()).expect("an engine").dead_letters("updraft_tests::depot::work", &own);
    let queues = queues.unsent(Some(&unsent));
    for (id, resource) in [("1", "jobs"), ("2", "reviews")] {
        let letter = json!({
            "id": id, "resource": resource, "handler": "updraft_tests::depot::work", "reason": "refused", "kind": "error",
            "first": "2026-01-02T03:04:05Z", "last": "2026-01-02T03:05:05Z", "body": "MQ==", "headers": {},
        });
        assert!(queues.give_up(serde_json::from_value(letter).expect("a letter")).await.expect("kept"));
    }
    for (url, id) in [(own, "1"), (unsent, "2")] {
        let found = received(&server, &url).await;
        assert_eq!(found.iter().map(|(_, one)| metadata(one).id).collect::<Vec<_>>(), [id]);
    }
}

async fn sns(server: &MiniStack, form: String) {
    let scope = "AWS4-HMAC-SHA256 Credential=test/20260101/us-east-1/sns/aws4_request";
    let headers = [("content-type", "application/x-www-form-urlencoded"), ("authorization", scope)];
    let answer = Http::one().send("POST", &format!("{}/", server.endpoint()), &headers, form.clone()).await;
    assert!(answer.as_ref().is_ok_and(|answer| answer.status == 200), "{form}: {answer:?}");
}

#[tokio::test]
async fn sns_tells_its_subscribers() {
    let Some(server) = MiniStack::with("sns,sqs") else { return };
    for suffix in ["", ".fifo"] {
        let url = queue(&server, &format!("subscriber{suffix}")).await;
        let asked = json!({ "QueueUrl": url, "AttributeNames": ["QueueArn"] });
        let state = server.call("AmazonSQS.GetQueueAttributes", asked).await;
        let queue = state["Attributes"]["QueueArn"].as_str().expect("an ARN").to_owned();
        let topic = format!("arn:aws:sns:us-east-1:000000000000:news{suffix}");
        let fifo =
            if suffix.is_empty() { "" } else { "&Attributes.entry.1.key=FifoTopic&Attributes.entry.1.value=true" };
        let subscribe = format!("Action=Subscribe&TopicArn={topic}&Protocol=sqs&Endpoint={queue}");
        for form in [
            format!("Action=CreateTopic&Name=news{suffix}{fifo}"),
            format!("{subscribe}&Attributes.entry.1.key=RawMessageDelivery&Attributes.entry.1.value=true"),
        ] {
            sns(&server, form).await;
        }
        let topics = SnsTopics::new(&server.engine_account()).expect("an engine").topic("news", &topic);
        let key = |number: usize| if number.is_multiple_of(2) { "even" } else { "odd" };
        let messages = (0..12).map(|number| match suffix {
            "" => message(number, &[("region", "eu & us")]),
            _ => message(number, &[("region", "eu & us"), ("partitionkey", key(number))]),
        });
        topics.publish(Channel::Topic("news"), messages.collect(), Duration::ZERO).await.expect("taken");
        let found = received(&server, &url).await;
        let numbers: Vec<_> = found.iter().map(|(body, _)| body["number"].as_u64().expect("a number")).collect();
        assert_eq!(BTreeSet::from_iter(&numbers).len(), 12, "{numbers:?}");
        if !suffix.is_empty() {
            let odd = numbers.iter().filter(|number| *number % 2 == 1).collect::<Vec<_>>();
            assert!(odd.is_sorted() && numbers.len() == 12, "{numbers:?}");
        }
        for (body, attributes) in &found {
            assert_eq!(metadata(attributes).id, format!("id-{}", body["number"]));
            assert_eq!((&*attributes["region"], &body["text"]), ("eu & us", &json!("ü&=")));
        }
        let late = topics.publish(Channel::Topic("news"), vec![message(1, &[])], Duration::from_secs(1)).await;
        assert!(matches!(late, Err(EngineError::Misconfigured(_))), "{late:?}");
    }
    let away = SnsTopics::new(&server.engine_account()).expect("an engine");
    let away = away.topic("news", "arn:aws:sns:us-east-1:000000000000:away");
    let error = away.publish(Channel::Topic("news"), vec![message(1, &[])], Duration::ZERO).await;
    assert!(matches!(&error, Err(EngineError::Misconfigured(text)) if text.contains("`news`")), "{error:?}");
}

#[tokio::test]
async fn secrets_are_kept_for_a_while() {
    let Some(server) = MiniStack::with("secretsmanager") else { return };
    let made = server.call("secretsmanager.CreateSecret", json!({ "Name": "mailer", "SecretString": "one" })).await;
    let arn = made["ARN"].as_str().expect("an ARN");
    let secrets = |kept| {
        let secrets = SecretsManager::new(&server.engine_account()).expect("an engine").kept(kept);
        secrets.secret("mailer", arn).secret("absent", &format!("{arn}-absent")).secret("bytes", "bytes")
    };
    let (kept, anew) = (secrets(Duration::from_secs(3_600)), secrets(Duration::ZERO));
    assert_eq!(kept.get("mailer").await.expect("a value").as_deref(), Some("one"));
    let put = json!({ "SecretId": arn, "SecretString": "two" });
    server.call("secretsmanager.PutSecretValue", put).await;
    assert_eq!(kept.get("mailer").await.expect("a value").as_deref(), Some("one"));
    assert_eq!(anew.get("mailer").await.expect("a value").as_deref(), Some("two"));
    assert_eq!(anew.get("absent").await.expect("no value"), None);
    assert_eq!(anew.get("unknown").await.expect("no value"), None);
    server.call("secretsmanager.CreateSecret", json!({ "Name": "bytes", "SecretBinary": "w7w=" })).await;
    assert_eq!(anew.get("bytes").await.expect("a value").as_deref(), Some("ü"));
    assert!(anew.how_to_provide("mailer").contains(arn));

    // Who can't be asked has not said that it changed.
    drop(server);
    assert_eq!(anew.get("mailer").await.expect("a value").as_deref(), Some("two"));
    assert!(matches!(anew.get("absent").await, Err(EngineError::Unavailable(_))));
}

#[tokio::test]
async fn secrets_may_be_parameters() {
    let Some(server) = MiniStack::with("ssm") else { return };
    let put =
        |value: &str| json!({ "Name": "/updraft/a/mailer", "Value": value, "Type": "SecureString", "Overwrite": true });
    let put = |value| server.call_as("ssm", "AmazonSSM.PutParameter", put(value));
    put("one").await;
    let secrets = |kept| {
        let secrets = ParameterStore::new(&server.engine_account()).expect("an engine").kept(kept);
        secrets.secret("mailer", "/updraft/a/mailer").secret("absent", "/updraft/a/absent")
    };
    let (kept, anew) = (secrets(Duration::from_secs(3_600)), secrets(Duration::ZERO));
    assert_eq!(kept.get("mailer").await.expect("a value").as_deref(), Some("one"), "decrypted");
    put("two").await;
    assert_eq!(kept.get("mailer").await.expect("a value").as_deref(), Some("one"));
    assert_eq!(anew.get("mailer").await.expect("a value").as_deref(), Some("two"));
    assert_eq!(anew.get("absent").await.expect("no value"), None);
    assert_eq!(anew.get("unknown").await.expect("no value"), None);
    assert!(anew.how_to_provide("mailer").contains("--type SecureString --overwrite --name /updraft/a/mailer"));

    drop(server);
    assert_eq!(anew.get("mailer").await.expect("a value").as_deref(), Some("two"));
    assert!(matches!(anew.get("absent").await, Err(EngineError::Unavailable(_))));
}

/// The depot's unit that uses something of each kind.
#[tokio::test]
async fn a_unit_finds_what_its_binding_leaves_to_aws() {
    let Some(server) = MiniStack::with("dynamodb,s3,secretsmanager,sns,sqs,ssm") else { return };
    let jobs = queue(&server, "jobs").await;
    sns(&server, "Action=CreateTopic&Name=news".to_owned()).await;
    let key = json!([{ "AttributeName": "p", "AttributeType": "B" }]);
    let table = json!({ "TableName": "depot-done", "AttributeDefinitions": key, "BillingMode": "PAY_PER_REQUEST",
        "KeySchema": [{ "AttributeName": "p", "KeyType": "HASH" }] });
    server.call("DynamoDB_20120810.CreateTable", table).await;
    let made = Http::one().send("PUT", &format!("{}/depot-papers", server.endpoint()), &[], "").await;
    assert!(made.as_ref().is_ok_and(|answer| answer.status == 200), "{made:?}");
    server.call("secretsmanager.CreateSecret", json!({ "Name": "password", "SecretString": "12345" })).await;

    let mut resources = json!({
        "queue/jobs": jobs, "topic/news": "arn:aws:sns:us-east-1:000000000000:news", "store/done": "depot-done",
        "bucket/papers": "depot-papers", "secret/password": "password", "secret/nickname": "nickname",
    });
    let setup = |resources: &Value| {
        Setup::depot()
            .bind("resources/queue/jobs", json!({ "engine": "sqs" }))
            .bind("resources/topic/news", json!({ "engine": "sns" }))
            .bind("resources/store/done", json!({ "engine": "dynamodb" }))
            .bind("resources/bucket/papers", json!({ "engine": "aws-s3" }))
            .bind("resources/secret/password", json!({ "engine": "secrets-manager" }))
            .bind("resources/secret/nickname", json!({ "engine": "secrets-manager" }))
            .variable("UPDRAFT_RESOURCES", &resources.to_string())
            .variable("AWS_ENDPOINT_URL", &server.endpoint())
            .variable("AWS_REGION", "us-east-1")
            .variable("AWS_ACCESS_KEY_ID", "test")
            .variable("AWS_SECRET_ACCESS_KEY", "test")
    };
    let depot = env!("CARGO_BIN_EXE_depot");
    let unit = setup(&resources).start(depot, "web", "public").ready().await;
    let http = Http::one();
    let sent = http.post(&unit.url("/jobs"), &json!({ "name": "a", "act": "ok", "region": "eu" })).await;
    assert_eq!(sent.status, 202, "{}", sent.text());
    let found = received(&server, &jobs).await;
    assert_eq!((found.len(), &found[0].0["name"]), (1, &json!("a")));
    assert_eq!(metadata(&found[0].1).source, "//depot/updraft_tests::depot::send");
    for times in ["1", "2"] {
        assert_eq!(http.send("PUT", &unit.url("/done/a"), &[], "").await.expect("an answer").text(), times);
    }
    assert_eq!(http.get(&unit.url("/done/a")).await.text(), "2");
    let kept = http.send("PUT", &unit.url("/papers/one"), &[], "a paper").await.expect("an answer");
    assert_eq!(kept.text(), "a paper");
    assert_eq!(http.get(&unit.url("/secrets")).await.text(), "5 0");

    // The same of parameters; and not of both.
    server
        .call_as(
            "ssm",
            "AmazonSSM.PutParameter",
            json!({ "Name": "/password", "Value": "1234567", "Type": "SecureString" }),
        )
        .await;
    let parameters = |engine: &str, resources: &Value| {
        let mut resources = resources.clone();
        resources["secret/password"] = "/password".into();
        resources["secret/nickname"] = "/nickname".into();
        let setup = setup(&resources).bind("resources/secret/password", json!({ "engine": "parameter-store" }));
        setup.bind("resources/secret/nickname", json!({ "engine": engine }))
    };
    let unit = parameters("parameter-store", &resources).start(depot, "web", "public").ready().await;
    assert_eq!(http.get(&unit.url("/secrets")).await.text(), "7 0");
    let mut process = parameters("secrets-manager", &resources).start(depot, "web", "public");
    assert_eq!(process.ended().await.code(), Some(3));
    assert!(process.log().contains("some are kept by Secrets Manager, others by Parameter Store"), "{}", process.log());

    // What nobody names is said at once, all of it.
    for gone in ["queue/jobs", "store/done", "bucket/papers"] {
        resources.as_object_mut().expect("an object").remove(gone);
    }
    let mut process = setup(&resources).start(depot, "web", "public");
    assert_eq!(process.ended().await.code(), Some(3));
    for gone in ["queue `jobs`", "store `done`", "bucket `papers`"] {
        assert!(process.log().contains(&format!("{gone}: UPDRAFT_RESOURCES does not name")), "{}", process.log());
    }
}
