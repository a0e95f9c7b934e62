//! What `explain` shows of this target's codes is so.

#![allow(clippy::unwrap_used, reason = "helpers of tests")]

#[path = "../../fixture/pages.rs"]
mod pages;

use pages::Around;
use updraft_knative::Knative;

/// What each kind is kept by, and the letters.
const SETTINGS: &str = r#"[bindings]
store = { engine = "redis", url_secret = "redis-url" }
bucket = { engine = "s3", endpoint = "https://s3.example.com", bucket = "shop", region = "eu-1" }

[target.knative.broker]
class = "Kafka"

[target.knative.dead_letters]
engine = "redis"
url_secret = "redis-url"

"#;

const ORDERS: &str = r#"
#[queue(message = Mail)]
pub struct Mails;
mod orders {
    use updraft::prelude::*;
    #[http(post, "/orders")]
    async fn place_order(mails: Queue<super::Mails>) -> Result<()> { todo!() }
    #[http(get, "/orders")]
    async fn get_order() -> Result<()> { todo!() }
}
"#;

/// A function, and who calls it.
const PRICING: &str = r#"
mod pricing {
    use updraft::prelude::*;
    #[function]
    pub async fn quote() -> Result<()> { todo!() }
    #[http(get, "/quotes")]
    async fn get_quote(quote: Function<quote>) -> Result<()> { todo!() }
}
"#;

const MAIL: &str = r#"
mod mail {
    use updraft::prelude::*;
    #[consumer(super::Mails)]
    async fn send(mail: Mail) -> Result<()> { todo!() }
}
"#;

/// What is around a page's examples: the wrong one and the right one.
fn sources(code: &str) -> [String; 2] {
    let both = |text: &str| [text.to_owned(), text.to_owned()];
    let stock = "#[http(get, \"/stock\")]\nasync fn stock(stock: Store<Stock>) -> Result<()> { todo!() }\n";
    let declared = "#[store(key = String, value = u32)]\npub struct Stock;\n";
    let remind = "#[http(post, \"/due\")]\nasync fn later(reminders: Queue<Reminders>) -> Result<()> { todo!() }\n\
                  #[consumer(Reminders)]\nasync fn act(reminder: Reminder) -> Result<()> { todo!() }\n";
    match code {
        "UD1002" => both(&format!("{ORDERS}{MAIL}")),
        "UD1003" => [stock.to_owned(), format!("{declared}{stock}")],
        "UD1004" => both(&format!("{declared}{stock}")),
        "UD1005" => both("#[topic(message = Order)]\npub struct Shipped;\n"),
        "UD1007" => [String::new(), "#[queue(message = Part)]\npub struct Parts;\n".to_owned()],
        "UD1008" => both("#[queue(message = Order)]\npub struct Orders;\n"),
        "UD1010" => [remind.to_owned(), format!("{remind}#[store(key = String, value = u32)]\npub struct Due;\n")],
        "UW1003" => both(
            "#[database]\npub struct Ledger;\n\
             #[http(get, \"/l\")]\nasync fn l(ledger: Database<Ledger>) -> Result<()> { todo!() }\n",
        ),
        _ => both(&format!("{ORDERS}{PRICING}{MAIL}")),
    }
}

#[test]
fn examples_show_what_they_say() {
    pages::hold(&Knative, "UD1000", "UW10", |code| {
        let mut around = sources(code).map(|source| Around { source, settings: SETTINGS.to_owned() });
        if code == "UD1003" {
            around[0].settings.clear();
        }
        around
    });
}
