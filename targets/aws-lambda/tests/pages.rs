//! What `explain` shows of this target's codes is so.

#![allow(clippy::unwrap_used, reason = "helpers of tests")]

#[path = "../../fixture/pages.rs"]
mod pages;

use pages::Around;
use updraft_aws_lambda::AwsLambda;

/// Without any handler there is no program.
const UP: &str = "#[http(get, \"/up\")]\nasync fn up() -> Result<()> { todo!() }";

fn many(count: usize, one: impl Fn(usize) -> String) -> String {
    (0..count).map(one).collect()
}

fn routes(count: usize) -> String {
    many(count, |at| format!("#[http(post, \"/r{at}\")]\nasync fn r{at}() -> Result<StatusCode> {{ todo!() }}\n"))
}

/// Handlers, each in a module of its own where the placement asks for modules.
fn functions(count: usize, takes: &str) -> String {
    let all = many(count, |at| format!("#[function]\npub async fn fun{at}({takes}) -> Result<()> {{ todo!() }}\n"));
    format!("mod functions {{\nuse updraft::prelude::*;\nuse super::*;\n{all}}}\n")
}

fn stores(count: usize) -> (String, String) {
    let declared = many(count, |at| format!("#[store(key = String, value = u32)]\npub struct S{at};\n"));
    (declared, many(count, |at| format!("s{at}: Store<S{at}>, ")))
}

/// Subscribers of sales.
fn sold(count: usize) -> String {
    let one = |at| format!("#[subscriber(Sales)]\nasync fn sold{at}(sale: Sale) -> Result<()> {{ todo!() }}\n");
    format!("#[topic(message = Sale)]\npub struct Sales;\n{}", many(count, one))
}

/// The same, each ten in a module.
fn in_modules(count: usize) -> String {
    let one = |at| format!("#[subscriber(Sales)]\nasync fn sold{at}(sale: Sale) -> Result<()> {{ todo!() }}\n");
    let module = |at| format!("mod m{at} {{\nuse super::*;\n{}}}\n", many(10, one));
    format!("#[topic(message = Sale)]\npub struct Sales;\n{}", many(count / 10, module))
}

fn secrets(count: usize) -> String {
    let declared = many(count, |at| format!("#[secret]\npub struct ASecretOfANameThatIsLong{at};\n"));
    let half = |from: usize| {
        let takes = many(count / 2, |at| format!("s{at}: Secret<ASecretOfANameThatIsLong{}>, ", from + at));
        functions(1, &takes).replace("functions", &format!("half{from}"))
    };
    declared + &half(0) + &half(count / 2)
}

/// What is around a page's examples: the wrong one and the right one.
fn around(code: &str) -> (String, String) {
    let both = |text: &str| (text.to_owned(), text.to_owned());
    let uploads = "#[bucket]\npub struct Uploads;\n#[topic(message = Uploaded)]\npub struct Uploaded;\n";
    match code {
        "UW2002" => {
            let user = "#[http(get, \"/l\")]\nasync fn l(ledger: Database<Ledger>) -> Result<()> { todo!() }\n";
            (user.to_owned(), format!("#[database]\npub struct Ledger;\n{user}"))
        }
        "UD2003" => both("#[queue(message = Import)]\npub struct Imports;\n"),
        "UD2006" => both(uploads),
        "UD2007" => both(
            "mod orders {
                use updraft::prelude::*;
                #[http(get, \"/orders\")]
                async fn order(quote: Function<crate::pricing::quote>) -> Result<()> { todo!() }
            }
            mod pricing {
                use updraft::prelude::*;
                #[function]
                pub async fn quote(round: Function<round>) -> Result<()> { todo!() }
                #[function]
                pub async fn round() -> Result<()> { todo!() }
            }
",
        ),
        "UD2008" => (
            format!("{}{}", routes(300), "#[store(key = String, value = u32)]\npub struct Items;\n"),
            "#[store(key = String, value = u32)]\npub struct Items;\n".to_owned(),
        ),
        "UD2009" => both("#[bucket(presign)]\npub struct Films;\n"),
        "UD2011" => (sold(80), in_modules(80)),
        "UW2001" => (sold(63), sold(0)),
        "UD2012" => both(&secrets(30)),
        "UD2013" => {
            let (declared, _) = stores(26);
            let half = |from: usize| {
                let takes = many(13, |at| format!("s{at}: Store<S{}>, ", from + at));
                functions(1, &takes).replace("functions", &format!("half{from}"))
            };
            both(&(declared + &half(0) + &half(13)))
        }
        "UD2015" => {
            let queues =
                |external: &str| many(199, |at| format!("#[queue(message = Order{external})]\npub struct Q{at};\n"));
            let takes = many(199, |at| format!("q{at}: Queue<Q{at}>, "));
            let takes: Vec<&str> = takes.split_inclusive(", ").collect();
            let senders = many(20, |at| {
                let part: String = takes.iter().skip(at * 10).take(10).copied().collect();
                format!("#[function]\nasync fn sender{at}({part}) -> Result<()> {{ todo!() }}\n")
            });
            let api = "#[http(get, \"/x\")]\nasync fn x(orders: Queue<Orders>) -> Result<()> { todo!() }\n";
            let with = |external: &str| format!("{}{senders}{api}", queues(external));
            (with(", external = \"read\""), with(", external = \"read\""))
        }
        "UD2016" => both("#[topic(message = Sale, attributes(a, b, c, d, e, f))]\npub struct Sales;\n"),
        "UD2017" => {
            let others = many(100, |at| {
                format!(
                    "#[object(Uploads, created, prefix = \"in/{}/\")]\nasync fn a{at}(object: Object) -> Result<()> {{ todo!() }}\n",
                    at + 1
                )
            });
            (format!("{uploads}{others}"), uploads.to_owned())
        }
        "UD2018" => both(
            "mod orders {
                use updraft::prelude::*;
                #[http(get, \"/orders\")]
                async fn order() -> Result<()> { todo!() }
            }
",
        ),
        _ => both(""),
    }
}

/// The settings around an example that is none.
fn settings(code: &str) -> &'static str {
    match code {
        // In one unit, so that the stack has room for them.
        "UD2008" | "UD2017" => "[placement]\ndefault = \"app\"\n",
        _ => "",
    }
}

#[test]
fn examples_show_what_they_say() {
    pages::hold(&AwsLambda, "UD2000", "UW20", |code| {
        let (wrong, right) = around(code);
        [wrong, right].map(|source| Around { source: format!("{UP}\n{source}"), settings: settings(code).to_owned() })
    });
}
