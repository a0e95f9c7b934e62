//! What the outbox's relay promises, tried with a broker and a keeper of dead letters that a seed makes fail, and with processes
//! that end in the middle: what is committed is taken or has a letter, which takes refusals and no outages, and what has one
//! key is first taken in its order.

use crate::copied::Postgres;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::Notify;
use updraft::capability::Capability;
use updraft::ctx::{Ctx, Engines, Invocation, Options};
use updraft::deadletter::DeadLetter;
use updraft::engine::{BoxFuture, Channel, EngineError, EngineResult, Message, Messaging};
use updraft::prelude::*;
use updraft::registry::{Dispatch, Handler};
use updraft::sqlx;
use updraft_wire::Grants;

/// Orders that a seed commits.
const ORDERS: u64 = 12;
/// So many refusals give a message up.
const REFUSALS: u32 = 6;
/// So often a relay begins at most until nothing is left.
const LIVES: usize = 400;

/// Orders.
#[database(migrations = "relay/migrations")]
pub struct Books;

/// An order.
#[updraft::data]
pub struct Order {
    /// Its id.
    pub id: String,
    /// Whose it is.
    pub customer: String,
}

/// One after the other for each customer.
#[queue(message = Order, ordered = "customer")]
pub struct Checks;

#[consumer(Checks)]
async fn check(_order: Order) -> Result<()> {
    Ok(())
}

static WRITER: Handler = Handler {
    id: "relay::write",
    descriptor: &[],
    grants: Grants::All(&[
        Grants::One { kind: "database", resource: "books", access: "read-write" },
        Grants::One { kind: "queue", resource: "checks", access: "write" },
    ]),
    timeout_millis: 60_000,
    dispatch: Dispatch::Function { call: |_, body| Box::pin(async { Ok(body) }) },
};

struct Broker {
    random: Mutex<u64>,
    /// Away most of the time.
    flaky: bool,
    /// How often an order was refused; those that can't be sent as often as it takes.
    refused: Mutex<BTreeMap<String, u32>>,
    /// A letter that should not be.
    unfounded: Mutex<Option<String>>,
    taken: Mutex<Vec<Order>>,
    letters: Mutex<BTreeSet<String>>,
    /// The process ends here.
    end: Notify,
}

impl Broker {
    fn draw(&self, most: u64) -> u64 {
        let mut random = self.random.lock().expect("unpoisoned");
        *random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (*random >> 33) % most
    }

    /// The process ends: nobody goes on from here.
    async fn ends(&self) {
        self.end.notify_one();
        std::future::pending::<()>().await;
    }
}

fn read(body: &[u8]) -> Order {
    serde_json::from_slice(body).expect("an order")
}

impl Messaging for Broker {
    fn publish(&self, _: Channel, messages: Vec<Message>, _: Duration) -> BoxFuture<'_, EngineResult<()>> {
        Box::pin(async move {
            for message in messages {
                let refuse = |times| {
                    *self.refused.lock().expect("unpoisoned").entry(read(&message.body).id).or_default() += times
                };
                match self.draw(10) {
                    0 => self.ends().await,
                    1 => return Err(EngineError::Unavailable("away".into())),
                    4..=7 if self.flaky => return Err(EngineError::Unavailable("away".into())),
                    2 => {
                        refuse(1);
                        return Err(EngineError::Other("400".into()));
                    }
                    3 if self.draw(3) == 0 => {
                        refuse(REFUSALS);
                        return Err(EngineError::TooLarge { bytes: 2, limit: 1 });
                    }
                    _ => {}
                }
                self.taken.lock().expect("unpoisoned").push(read(&message.body));
                if self.draw(10) == 0 {
                    self.ends().await;
                }
            }
            Ok(())
        })
    }

    fn give_up(&self, letter: DeadLetter) -> BoxFuture<'_, EngineResult<bool>> {
        Box::pin(async move {
            if self.draw(2) == 0 {
                return Err(EngineError::Unavailable("the keeper is away".into()));
            }
            let order = read(&letter.body).id;
            let refused = self.refused.lock().expect("unpoisoned").get(&order).copied().unwrap_or_default();
            if refused < REFUSALS {
                let unfounded = format!("order {order} is given up after {refused} refusals");
                self.unfounded.lock().expect("unpoisoned").get_or_insert(unfounded);
            }
            self.letters.lock().expect("unpoisoned").insert(order);
            Ok(true)
        })
    }
}

/// How each of forty seeds breaks the promises that does. Nothing at all if there is no PostgreSQL.
pub async fn broken() -> Option<Vec<String>> {
    let books = updraft::test::database::<Books>().await?;
    let mut broken = Vec::new();
    for seed in 0..40 {
        let held = hold(&books, seed).await;
        broken.extend(held.err().inspect(|problem| println!("seed {seed}: {problem}")));
        // What a mistake left there is no other seed's.
        sqlx::query("DELETE FROM _updraft_outbox").execute(books.pool()).await.expect("emptied");
    }
    Some(broken)
}

async fn hold(books: &Database<Books>, seed: u64) -> Result<(), String> {
    let broker = Arc::new(Broker {
        random: Mutex::new(seed << 20),
        flaky: seed % 4 == 3,
        refused: Mutex::default(),
        unfounded: Mutex::default(),
        taken: Mutex::default(),
        letters: Mutex::default(),
        end: Notify::new(),
    });
    let ctx = Ctx::new("relay", Engines::only(broker.clone()), Options::default());
    let scope = ctx.scope(&WRITER, Invocation { deadline: jiff::Timestamp::MAX, trace: None });
    let checks = Queue::<Checks>::bind(&scope);
    let relay = Postgres::new("books", books.pool().clone());
    for nth in 0..ORDERS {
        let customer = ["ada", "bob", "eve"][broker.draw(3) as usize].to_owned();
        let order = Order { id: format!("{nth:02}"), customer };
        let mut tx = books.begin().await.expect("a transaction");
        checks.send_in(&mut tx, &order).await.expect("sent");
        tx.commit().await.expect("committed");
    }
    let mut lives = 0;
    while relay.waiting().await.expect("a count") > 0 {
        lives += 1;
        if lives > LIVES {
            return Err("the relay stands still".to_owned());
        }
        let due = "UPDATE _updraft_outbox SET due = '-infinity'";
        sqlx::query(due).execute(books.pool()).await.expect("updated");
        tokio::select! {
            turn = relay.turn(&ctx) => drop(turn.expect("a turn")),
            () = broker.end.notified() => {
                // With a process end its sessions, which here would hold their locks on.
                let others = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
                              WHERE datname = current_database() AND pid <> pg_backend_pid()";
                sqlx::query(others).execute(books.pool()).await.expect("ended");
            }
        }
    }
    if let Some(unfounded) = broker.unfounded.lock().expect("unpoisoned").take() {
        return Err(unfounded);
    }
    let (taken, letters) = (broker.taken.lock().expect("unpoisoned"), broker.letters.lock().expect("unpoisoned"));
    let taken_or_kept = |id: &String| taken.iter().any(|order| order.id == *id) || letters.contains(id);
    if let Some(lost) = (0..ORDERS).map(|nth| format!("{nth:02}")).find(|id| !taken_or_kept(id)) {
        return Err(format!("order {lost} is lost"));
    }
    let mut first = BTreeSet::new();
    let mut last: BTreeMap<&str, &str> = BTreeMap::new();
    for order in taken.iter().filter(|order| first.insert(order.id.as_str())) {
        if let Some(before) = last.insert(&order.customer, &order.id)
            && before > order.id.as_str()
        {
            return Err(format!("{}'s order {} comes after {before}", order.customer, order.id));
        }
    }
    Ok(())
}
