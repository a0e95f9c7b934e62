//! Every page's examples; and declarations as the macros and the source view get them.

use crate::{Attribute, Declaration, Diagnostic, Item, OptionValue, Role, capabilities, codes, parse};
use proc_macro2::TokenStream;
use std::collections::BTreeSet;
use syn::spanned::Spanned;

/// All declarations and findings of some source text.
fn check(source: &str) -> (Vec<Declaration>, Vec<Diagnostic>) {
    let (mut declarations, mut diagnostics) = (Vec::new(), Vec::new());
    for item in syn::parse_file(source).expect("the test's source parses").items {
        let attributes = match &item {
            syn::Item::Fn(item) => &item.attrs,
            syn::Item::Struct(item) => &item.attrs,
            syn::Item::Enum(item) => &item.attrs,
            syn::Item::Trait(item) => &item.attrs,
            _ => continue,
        };
        for (at, attribute) in attributes.iter().enumerate() {
            let name = attribute.path().segments.last().unwrap().ident.to_string();
            if name == "derive" {
                diagnostics.extend(capabilities(Item::of(&item, at)).1);
            }
            let Some(kind) = Attribute::from_name(&name) else { continue };
            let arguments = match &attribute.meta {
                syn::Meta::List(list) => list.tokens.clone(),
                _ => TokenStream::new(),
            };
            let (declaration, found) = parse(kind, attribute.span(), arguments, Item::of(&item, at));
            assert!(declaration.is_some() || !found.is_empty(), "nothing, and no reason: {source}");
            declarations.extend(declaration);
            diagnostics.extend(found);
        }
    }
    (declarations, diagnostics)
}

fn handler(source: &str) -> crate::Handler {
    let (declarations, diagnostics) = check(source);
    assert!(diagnostics.is_empty(), "{diagnostics:?}");
    match declarations.into_iter().next() {
        Some(Declaration::Handler(handler)) => handler,
        other => panic!("no handler: {other:?}"),
    }
}

/// `name=value` of each option, and `name=<path>` for what names resolve.
fn options(options: Vec<(String, OptionValue)>) -> String {
    let texts = options.into_iter().map(|(name, value)| match value {
        OptionValue::Text(text) => format!("{name}={text}"),
        OptionValue::Resource(path) => format!("{name}=<{}>", crate::option::canonical(path)),
    });
    texts.collect::<Vec<_>>().join(" ")
}

#[test]
fn pages() {
    let mut seen = BTreeSet::new();
    for page in codes::PAGES {
        assert!(seen.insert(page.code), "{} is there twice", page.code);
        let found: Vec<_> = check(page.wrong).1.into_iter().map(|diagnostic| diagnostic.code).collect();
        assert_eq!(found, [page.code], "the wrong example of {}", page.code);
        let found = check(page.right).1;
        assert!(found.is_empty(), "the right example of {}: {found:?}", page.code);
    }
    assert!(codes::PAGES.is_sorted_by_key(|page| page.code));
}

#[test]
fn every_finding_has_words_a_label_and_a_way_out() {
    for page in codes::PAGES {
        for diagnostic in check(page.wrong).1 {
            assert!(!diagnostic.label.is_empty() && diagnostic.help.is_some(), "{diagnostic:?}");
            let range = diagnostic.byte_range();
            assert!(range.end > range.start && range.end <= page.wrong.len(), "{diagnostic:?}");
        }
    }
}

#[test]
fn findings_point_at_their_tokens() {
    for (source, place) in [
        ("#[consumer(Orders, retires = 5)] async fn f(m: M) -> R {}", "retires"),
        ("#[http(get, \"/a/:id\")] async fn f() {}", ":id"),
        ("#[schedule(\"0 25 * * *\")] async fn f() -> R {}", "25"),
        ("#[object(Uploads, create)] async fn f(o: Object) -> R {}", "create"),
        ("#[object(Uploads, created)] async fn f(b: Bucket<Uploads>) -> R {}", "Bucket<Uploads>"),
        ("#[http(get, \"/\")] fn f() {}", "fn"),
        ("#[http(get, \"/\")] async fn f(k: Option<Secret<K>>) {}", "Option<Secret<K>>"),
        ("#[http(get, \"/\")] async fn f(k: Store<K, ReadOnl>) {}", "ReadOnl"),
        ("#[queue] struct Q;", "#[queue]"),
    ] {
        let (_, diagnostics) = check(source);
        assert_eq!(diagnostics.len(), 1, "{diagnostics:?}");
        assert_eq!(&source[diagnostics[0].byte_range()], place);
    }
}

#[test]
fn all_mistakes_at_once() {
    let source = "#[http(gte, \"orders\", timeout = \"x\", retries = 1)] fn f<T>(a: &str, b: Json<T>, c: impl X) {}";
    let found: Vec<_> = check(source).1.into_iter().map(|diagnostic| diagnostic.code).collect();
    assert_eq!(
        found,
        [
            codes::UNKNOWN_OPTION,
            codes::METHOD_NAME,
            codes::ROUTE,
            codes::DURATION,
            codes::SYNC,
            codes::GENERIC,
            codes::BORROWED,
            codes::GENERIC,
            codes::BODY_LAST
        ]
    );
}

#[test]
fn suggestions_and_going_on_with_them() {
    let (declarations, diagnostics) = check("#[queue(mesage = Order)] struct Orders;");
    assert_eq!(diagnostics.len(), 1);
    assert_eq!(diagnostics[0].help.as_deref(), Some("did you mean `message`?"));
    assert_eq!(declarations.len(), 1, "the macro goes on with what was meant");
    let (_, diagnostics) = check("#[queue(payload = Order)] struct Orders;");
    assert_eq!(diagnostics.len(), 1, "no second error for the message that is missing");
}

#[test]
fn canonical_options_with_defaults() {
    for (source, expected) in [
        ("#[http(get, \"/a/{id}\")] async fn f() {}", "method=get path=/a/{id} timeout=30"),
        ("#[consumer(shop::Orders)] async fn f(m: M) -> R {}", "queue=<shop::Orders> retries=5 skew=900 timeout=60"),
        (
            "#[object(a::Uploads, created, suffix = \".png\", prefix = \"in/\")] async fn f(o: Object) -> R {}",
            "bucket=<a::Uploads> event=created prefix=in/ suffix=.png retries=5 timeout=60",
        ),
        (
            "#[object(Uploads, removed)] async fn f(o: Object) -> R {}",
            "bucket=<Uploads> event=removed retries=5 timeout=60",
        ),
        (
            "#[subscriber(Shipped, when(region = \"eu\"), retries = 2, skew = \"1h\", timeout = \"5m\")] async fn f(m: M) -> R {}",
            "topic=<Shipped> when.region=eu retries=2 skew=3600 timeout=300",
        ),
        (
            "#[consumer(Orders, once)] async fn f(m: M) -> R {}",
            "queue=<Orders> retries=5 skew=900 once=604800 timeout=60",
        ),
        (
            "#[subscriber(News, once = \"30d\")] async fn f(m: M) -> R {}",
            "topic=<News> retries=5 skew=900 once=2592000 timeout=60",
        ),
        (
            "#[schedule(\"0 3 * * MON\", timezone = \"Europe/Berlin\", missed = \"run\")] async fn f() -> R {}",
            "cron=0 3 * * 1 timezone=Europe/Berlin overlap=false missed=run retries=5 timeout=300",
        ),
        (
            "#[consumer(Orders)] async fn f(b: Batch<Order>) -> R {}",
            "queue=<Orders> batch=10 window=0 retries=5 skew=900 timeout=60",
        ),
        (
            "#[consumer(Orders, batch = 11)] async fn f(b: updraft::Batch<Order>, s: Store<S>) -> R {}",
            "queue=<Orders> batch=11 window=1 retries=5 skew=900 timeout=60",
        ),
        (
            "#[consumer(Orders, batch = 1000, window = \"5m\")] async fn f(b: Batch<Order>) -> R {}",
            "queue=<Orders> batch=1000 window=300 retries=5 skew=900 timeout=60",
        ),
        (
            "#[function(idempotent)] async fn f(sku: String, r#type: u8, s: Store<S>, w: With<D>) -> R {}",
            "arguments=sku,type idempotent=true timeout=10",
        ),
    ] {
        assert_eq!(options(handler(source).options()), expected, "{source}");
    }
    for (source, id, expected) in [
        (
            "#[queue(message = Order, ordered = \"r#type\", dedup = \"10m\")] struct Parcels;",
            "parcels",
            "message=Order ordered=type dedup=600",
        ),
        (
            "#[queue(message = a :: Order, delay, external = \"write\")] struct NewOrders;",
            "new-orders",
            "message=a::Order delay=true external=write",
        ),
        ("#[queue(message = V3, accepts = [a :: V2, V1<u8>])] struct Q;", "q", "message=V3 accepts=a::V2, V1<u8>"),
        (
            "#[store(key = (String, u8), value = HashMap<String, u8>, ttl = \"1h\")] struct S;",
            "s",
            "key=(String, u8) value=HashMap<String, u8> ttl=3600",
        ),
        ("#[topic(message = M, attributes(region, tier))] struct T;", "t", "message=M attributes=region,tier"),
        ("#[secret(optional, name = \"key-2\")] struct Key;", "key-2", "optional=true"),
        ("#[bucket] struct B;", "b", ""),
        ("#[config] struct C { #[default(3)] a: u8 }", "c", ""),
        ("#[external(hosts = [\"a.b:80\", \"c\"])] struct X;", "x", "hosts=a.b:80,c"),
    ] {
        let (declarations, diagnostics) = check(source);
        assert!(diagnostics.is_empty(), "{source}: {diagnostics:?}");
        let [Declaration::Resource(resource)] = &declarations[..] else { panic!("{declarations:?}") };
        assert_eq!((resource.id().as_str(), options(resource.options()).as_str()), (id, expected));
    }
}

#[test]
fn accepted_forms_are_types_each_once() {
    for (list, place) in
        [("[]", "[]"), ("V1", "V1"), ("[\"V1\"]", "[\"V1\"]"), ("[V1, Message]", "Message"), ("[V1, V0, V1]", "V1")]
    {
        for kind in ["queue", "topic"] {
            let source = format!("#[{kind}(message = Message, accepts = {list})] struct Q;");
            let (_, found) = check(&source);
            assert_eq!(found.len(), 1, "{source}: {found:?}");
            assert_eq!((found[0].code, &source[found[0].byte_range()]), (codes::VALUE, place), "{source}");
        }
    }
}

#[test]
fn once_is_a_flag_or_a_time() {
    for (option, code, place) in [
        ("once = 7", codes::VALUE, "7"),
        ("once = \"0s\"", codes::DURATION, "\"0s\""),
        ("once = \"2y\"", codes::DURATION, "\"2y\""),
        ("once(7)", codes::VALUE, "once"),
        ("once, once = \"7d\"", codes::TWICE, "once"),
    ] {
        let source = format!("#[consumer(Orders, {option})] async fn f(m: M) -> R {{}}");
        let (_, found) = check(&source);
        assert_eq!(found.len(), 1, "{source}: {found:?}");
        assert_eq!((found[0].code, &source[found[0].byte_range()]), (code, place), "{source}");
    }
    let (_, found) = check("#[consumer(Orders, once)] async fn f(b: Batch<M>) -> R {}");
    assert_eq!(found.iter().map(|found| found.code).collect::<Vec<_>>(), [codes::BATCH]);
    let (_, found) = check("#[schedule(\"0 3 * * *\", once)] async fn f() -> R {}");
    assert_eq!(found[0].code, codes::UNKNOWN_OPTION, "nothing tells one tick from another");
}

#[test]
fn roles_of_parameters() {
    let roles = |source| handler(source).parameters.into_iter().map(|p| p.role).collect::<Vec<_>>();
    assert_eq!(
        roles("#[consumer(Q)] async fn f(m: M, d: Delivery, s: Store<S>) -> R {}"),
        [Role::Message, Role::Given, Role::Given]
    );
    assert_eq!(roles("#[function] async fn f(a: Config, s: updraft::Store<S>) -> R {}"), [Role::Argument, Role::Given]);
    assert_eq!(roles("#[schedule(\"* * * * *\")] async fn f(t: Tick) -> R {}"), [Role::Given]);
}

#[test]
fn ids() {
    let one = handler("#[http(get, \"/\")] async fn r#type() {}");
    assert_eq!(one.id("shop::orders"), "shop::orders::type");
    let pinned = handler("#[http(get, \"/\", name = \"shop::old\")] async fn new() {}");
    assert_eq!(pinned.id("shop::orders"), "shop::old");
}

#[test]
fn a_users_own_types_are_no_capabilities() {
    handler(
        "#[http(post, \"/\")] async fn f(a: Json<Config>, b: Json<Vec<Queue>>) {}"
            .replace("a: Json<Config>, ", "")
            .as_str(),
    );
    handler("#[http(get, \"/\")] async fn f(a: State<Config>, b: With<Deps>) {}");
}

#[test]
fn routes() {
    for (route, message) in [
        ("orders", "a route starts with `/`"),
        ("/a//b", "a route has no empty segment"),
        ("/{a}/{a}", "`{a}` stands twice in this route"),
        ("/{*a}/b", "`{*a}` takes all that is left, so it comes last"),
        ("/a{b}", "a part in braces is a whole segment"),
        ("/{}", "`` can't name a part of a route"),
        ("/*rest", "parts of a route are written in braces"),
        ("/a b", "a path can't have ' ' in it"),
        ("/ä", "a path can't have 'ä' in it"),
        ("/_updraft/x", "paths under `/_updraft` are the runtime's own"),
    ] {
        let (_, diagnostics) = check(&format!("#[http(get, {route:?})] async fn f() {{}}"));
        assert_eq!(diagnostics.len(), 1, "{route}: {diagnostics:?}");
        assert_eq!(diagnostics[0].message, message);
    }
    for route in ["/", "/a", "/a/", "/{id}", "/a/{*rest}", "/~a.b-c_d/%20"] {
        let (_, diagnostics) = check(&format!("#[http(get, {route:?})] async fn f() {{}}"));
        assert!(diagnostics.is_empty(), "{route}: {diagnostics:?}");
    }
}
