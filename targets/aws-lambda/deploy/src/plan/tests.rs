//! Plans as they are read: what CloudFormation says, and what people see of it, together.

use super::{Danger, Plan, lines};
use crate::client::Element;
use crate::cloudformation::{Action, Change, change};
use serde_json::{Value, json};
use updraft_model::App;

/// What `DescribeChangeSet` answers, as AWS writes it.
const ANSWER: &str = r#"
<Changes>
  <member><Type>Resource</Type><ResourceChange>
    <Action>Add</Action><LogicalResourceId>CupboardTable</LogicalResourceId><ResourceType>AWS::DynamoDB::Table</ResourceType><Scope/><Details/>
  </ResourceChange></member>
  <member><Type>Resource</Type><ResourceChange>
    <Action>Remove</Action><PolicyAction>Retain</PolicyAction><LogicalResourceId>ShelfTable</LogicalResourceId>
    <PhysicalResourceId>shop-ShelfTable-1ABC</PhysicalResourceId><ResourceType>AWS::DynamoDB::Table</ResourceType><Scope/><Details/>
  </ResourceChange></member>
  <member><Type>Resource</Type><ResourceChange>
    <Action>Remove</Action><PolicyAction>Delete</PolicyAction><LogicalResourceId>KeptTopic</LogicalResourceId>
    <PhysicalResourceId>arn:aws:sns:eu-central-1:123456789012:shop-KeptTopic-1ABC</PhysicalResourceId>
    <ResourceType>AWS::SNS::Topic</ResourceType><Scope/><Details/>
  </ResourceChange></member>
  <member><Type>Resource</Type><ResourceChange>
    <Action>Modify</Action><PolicyAction>ReplaceAndRetain</PolicyAction><LogicalResourceId>OrdersQueue</LogicalResourceId>
    <PhysicalResourceId>https://sqs.eu-central-1.amazonaws.com/123456789012/shop-OrdersQueue-1ABC</PhysicalResourceId>
    <ResourceType>AWS::SQS::Queue</ResourceType><Replacement>True</Replacement><Scope><member>Properties</member></Scope>
    <Details><member><Target><Attribute>Properties</Attribute><Name>FifoQueue</Name><RequiresRecreation>Always</RequiresRecreation></Target>
    <Evaluation>Static</Evaluation><ChangeSource>DirectModification</ChangeSource></member></Details>
  </ResourceChange></member>
  <member><Type>Resource</Type><ResourceChange>
    <Action>Modify</Action><LogicalResourceId>ShopShipFunction</LogicalResourceId>
    <PhysicalResourceId>shop-ShopShipFunction-1ABC</PhysicalResourceId><ResourceType>AWS::Lambda::Function</ResourceType>
    <Replacement>False</Replacement><Scope><member>Properties</member></Scope>
    <Details>
      <member><Target><Attribute>Properties</Attribute><Name>Timeout</Name><RequiresRecreation>Never</RequiresRecreation></Target></member>
      <member><Target><Attribute>Properties</Attribute><Name>Code</Name><RequiresRecreation>Never</RequiresRecreation></Target></member>
      <member><Target><Attribute>Properties</Attribute><Name>Code</Name><RequiresRecreation>Never</RequiresRecreation></Target></member>
    </Details>
  </ResourceChange></member>
  <member><Type>Resource</Type><ResourceChange>
    <Action>Add</Action><LogicalResourceId>ShopShipVersion1</LogicalResourceId><ResourceType>AWS::Lambda::Version</ResourceType><Scope/><Details/>
  </ResourceChange></member>
  <member><Type>Resource</Type><ResourceChange>
    <Action>Remove</Action><PolicyAction>Retain</PolicyAction><LogicalResourceId>ShopShipVersion0</LogicalResourceId>
    <PhysicalResourceId>arn:aws:lambda:eu-central-1:123456789012:function:shop-ShopShipFunction-1ABC:1</PhysicalResourceId>
    <ResourceType>AWS::Lambda::Version</ResourceType><Scope/><Details/>
  </ResourceChange></member>
  <member><Type>Resource</Type><ResourceChange>
    <Action>Modify</Action><LogicalResourceId>ShopShipAlias</LogicalResourceId>
    <PhysicalResourceId>arn:aws:lambda:eu-central-1:123456789012:function:shop-ShopShipFunction-1ABC:live</PhysicalResourceId>
    <ResourceType>AWS::Lambda::Alias</ResourceType><Replacement>Conditional</Replacement><Scope><member>Properties</member></Scope>
    <Details><member><Target><Attribute>Properties</Attribute><Name>FunctionVersion</Name></Target></member></Details>
  </ResourceChange></member>
</Changes>
"#;

fn template(resources: &[(&str, &str)]) -> Value {
    let one = |&(logical, from): &(&str, &str)| {
        let origins: Vec<&str> = from.split(", ").collect();
        (logical.to_owned(), json!({ "Metadata": { "updraft": { "from": origins } } }))
    };
    json!({ "Resources": resources.iter().map(one).collect::<serde_json::Map<_, _>>() })
}

fn app(handlers: Value, resources: &[(&str, &str, Value)]) -> App {
    let place = json!({ "file": "src/lib.rs", "line": 1, "column": 1, "start": 0, "end": 1 });
    let mut handlers = handlers;
    for handler in handlers.as_array_mut().unwrap() {
        let map = handler.as_object_mut().unwrap();
        map.extend([
            ("krate".to_owned(), "shop".into()),
            ("module".to_owned(), "".into()),
            ("place".to_owned(), place.clone()),
        ]);
        map.entry("options").or_insert_with(|| json!({}));
    }
    let resources: Vec<Value> = resources
        .iter()
        .map(|(kind, id, options)| json!({ "id": id, "kind": kind, "path": id, "options": options, "place": place }))
        .collect();
    let app = json!({
        "format": 1, "name": "shop", "package": "shop", "crates": ["shop"], "handlers": handlers, "resources": resources,
    });
    serde_json::from_value(app).unwrap()
}

fn before() -> App {
    let ship = json!({
        "id": "shop::ship", "trigger": { "kind": "consumer", "queue": "orders" }, "timeout": 30, "retries": 5,
        "grants": [
            { "kind": "store", "resource": "shelf", "access": "read-write" },
            { "kind": "topic", "resource": "kept", "access": "write" },
        ],
    });
    let old = json!({
        "id": "shop::old", "trigger": { "kind": "http", "method": "get", "path": "/old" }, "timeout": 30, "retries": 0, "grants": [],
    });
    let shelf = json!({ "key": "String" });
    app(json!([old, ship]), &[("queue", "orders", json!({})), ("store", "shelf", shelf), ("topic", "kept", json!({}))])
}

fn after() -> App {
    let ship = json!({
        "id": "shop::ship", "trigger": { "kind": "consumer", "queue": "orders" }, "timeout": 60, "retries": 5,
        "grants": [{ "kind": "store", "resource": "cupboard", "access": "write" }],
    });
    let shelf = json!({ "key": "String" });
    app(json!([ship]), &[("queue", "orders", json!({ "ordered": "customer" })), ("store", "cupboard", shelf)])
}

fn plan() -> Plan {
    let old =
        template(&[("ShelfTable", "store shelf"), ("KeptTopic", "topic kept"), ("ShopShipVersion0", "unit shop-ship")]);
    let new = template(&[
        ("CupboardTable", "store cupboard"),
        ("OrdersQueue", "queue orders, consumer shop::ship"),
        ("ShopShipFunction", "consumer shop::ship"),
        ("ShopShipVersion1", "unit shop-ship"),
        ("ShopShipAlias", "unit shop-ship"),
    ]);
    let root = Element::read(ANSWER.trim().as_bytes()).unwrap();
    let changes: Vec<_> = root.children.iter().filter_map(|member| member.find("ResourceChange")).map(change).collect();
    Plan::new(&changes, Some(&old), &new, (Some(&before()), &after()))
}

fn seen(plan: &Plan, all: bool) -> String {
    lines(plan, all).into_iter().map(|line| format!("{:<8} {}\n", format!("{:?}", line.tone), line.text)).collect()
}

#[test]
fn a_plan_with_something_of_everything() {
    insta::assert_snapshot!(format!("{ANSWER}\n{}", seen(&plan(), false)));
    let all = seen(&plan(), true);
    assert!(all.contains("ShopShipVersion1") && all.contains("ShopShipVersion0"), "{all}");
}

#[test]
fn nothing_is_nothing() {
    assert!(Plan::default().is_empty());
    assert_eq!(seen(&Plan::default(), true), "");
    let same = Plan::new(&[], Some(&json!({})), &json!({}), (Some(&before()), &before()));
    assert_eq!((same.graph.len(), same.dangers.len()), (0, 0));
}

/// A stack whose application nobody wrote down is not said to be all new.
#[test]
fn without_a_record_there_is_nothing_to_compare() {
    let unknown = Plan::new(&[], Some(&json!({})), &json!({}), (None, &after()));
    assert!(unknown.graph.is_empty() && seen(&unknown, true).contains("no record"));
    assert_eq!(Plan::of_new(&json!({}), &after()).graph.len(), 3);
}

fn changes(of: &[(Action, &str, &str, &str)]) -> Vec<Change> {
    let one = |&(action, logical, kind, policy): &(Action, &str, &str, &str)| Change {
        action,
        logical: logical.to_owned(),
        physical: String::new(),
        kind: kind.to_owned(),
        replacement: if action == Action::Modify { "True".to_owned() } else { String::new() },
        policy: policy.to_owned(),
        changed: Vec::new(),
    };
    of.iter().map(one).collect()
}

/// A store that is renamed is a table that leaves the stack and one that comes, whether anybody wrote down what it was or not.
#[test]
fn a_rename_without_a_record_is_in_danger() {
    let table = "AWS::DynamoDB::Table";
    let old = template(&[("ShelfTable", "store shelf")]);
    let new = template(&[("CupboardTable", "store cupboard")]);
    let both = changes(&[(Action::Add, "CupboardTable", table, ""), (Action::Remove, "ShelfTable", table, "Retain")]);
    let plan = Plan::new(&both, Some(&old), &new, (None, &after()));
    let said: Vec<String> = plan.dangers.iter().map(Danger::text).collect();
    assert_eq!(said.len(), 1, "{said:?}");
    assert!(said[0].contains("store shelf") && said[0].contains("store cupboard"), "{said:?}");
    // One that only leaves stays in the account, and another type is not it by another name.
    let queue = changes(&[
        (Action::Add, "CupboardTable", "AWS::SQS::Queue", ""),
        (Action::Remove, "ShelfTable", table, "Retain"),
    ]);
    assert_eq!(Plan::new(&queue, Some(&old), &new, (None, &after())).dangers, Vec::new());
    // With a record the application tells, and once.
    let known = Plan::new(&both, Some(&old), &new, (Some(&before()), &after()));
    assert!(matches!(known.dangers[..], [Danger::Lost { .. }]), "{:?}", known.dangers);
}

/// Of several stacks it may come in another than it leaves.
#[test]
fn a_rename_without_a_record_is_in_danger_across_stacks() {
    let table = "AWS::DynamoDB::Table";
    let typed = |names: &[(&str, &str)]| {
        let mut template = template(names);
        let resources = template["Resources"].as_object_mut().unwrap();
        resources.values_mut().for_each(|resource| resource["Type"] = table.into());
        template
    };
    let old = typed(&[("ShelfTable", "store shelf"), ("StockTable", "store stock")]);
    let part = typed(&[("CupboardTable", "store cupboard"), ("StockTable", "store stock")]);
    let gone =
        changes(&[(Action::Remove, "ShelfTable", table, "Retain"), (Action::Remove, "StockTable", table, "Retain")]);
    let said = |apps: (Option<&App>, &App)| {
        let mut plan = Plan::new(&gone, Some(&old), &json!({}), apps);
        plan.add_part("shop--data", None, Some(&part), false);
        plan.look_for_moves();
        plan.dangers.iter().map(Danger::text).collect::<Vec<String>>()
    };
    let without = said((None, &after()));
    assert_eq!(without.len(), 2, "{without:?}");
    assert!(without.iter().any(|one| one.contains("ShelfTable") && one.contains("store cupboard")), "{without:?}");
    let moved = "store stock would be made anew, empty, in the part shop--data (StockTable): what it keeps would stay behind, which \
                 is in the main stack";
    assert!(without.iter().any(|one| one == moved), "{without:?}");
    let with = said((Some(&before()), &after()));
    assert_eq!(with.len(), 2, "{with:?}");
    assert!(with.iter().any(|one| one.contains("`shelf` is gone and `cupboard` is new")), "{with:?}");
}

/// A stack that is taken over has types in it that no template of ours has.
#[test]
fn what_nobody_knows_keeps_something() {
    let none = json!({});
    for kind in ["AWS::RDS::DBInstance", "AWS::EFS::FileSystem", "AWS::Cognito::UserPool", "Custom::Data"] {
        let deleted = changes(&[(Action::Remove, "It", kind, "Delete")]);
        let plan = Plan::new(&deleted, Some(&none), &none, (None, &after()));
        assert!(matches!(plan.dangers[..], [Danger::Deleted { .. }]), "{kind}: {:?}", plan.dangers);
    }
    let function = changes(&[(Action::Remove, "It", "AWS::Lambda::Function", "Delete")]);
    assert_eq!(Plan::new(&function, Some(&none), &none, (None, &after())).dangers, Vec::new());
}

/// Whether the old one stays is AWS's to say, and the template's where a server leaves it out.
#[test]
fn what_is_replaced_is_deleted_or_stays() {
    let retains = json!({ "Resources": { "It": { "UpdateReplacePolicy": "Retain" } } });
    let cases = [("ReplaceAndDelete", &retains, true), ("ReplaceAndRetain", &json!({}), false), ("", &retains, false)];
    for (policy, new, gone) in cases.into_iter().chain([("", &json!({}), true)]) {
        let replaced = changes(&[(Action::Modify, "It", "AWS::DynamoDB::Table", policy)]);
        let plan = Plan::new(&replaced, Some(new), new, (None, &after()));
        assert!(
            matches!(plan.dangers[..], [Danger::Replaced { deleted, .. }] if deleted == gone),
            "{:?}",
            plan.dangers
        );
        assert_eq!(plan.dangers[0].text().contains("would be deleted"), gone);
    }
}

/// A function's URL is another if its function is, and nobody is told. As long as that stays, AWS only says that it may be.
#[test]
fn an_address_that_changes_is_in_danger() {
    let (function, url) = ("AWS::Lambda::Function", "AWS::Lambda::Url");
    let template = json!({ "Resources": { "AppFunctionUrl": {
        "Type": url,
        "Metadata": { "updraft": { "from": ["unit app"] } },
        "Properties": { "TargetFunctionArn": { "Fn::GetAtt": ["AppFunction", "Arn"] } },
    } } });
    let said = |of: &[(&str, &str, &str)]| {
        let mut all: Vec<Change> = Vec::new();
        for (logical, kind, replacement) in of {
            let action = match *replacement {
                "Add" => Action::Add,
                "Remove" => Action::Remove,
                _ => Action::Modify,
            };
            let mut one = changes(&[(action, logical, kind, "")]);
            one[0].replacement = (*replacement).to_owned();
            all.extend(one);
        }
        let plan = Plan::new(&all, Some(&template), &template, (Some(&before()), &before()));
        plan.dangers.iter().map(Danger::text).collect::<Vec<String>>()
    };
    let expected =
        ["the address of unit app would be another (AppFunctionUrl): who knows the old one would reach nobody"];
    assert_eq!(said(&[("AppFunction", function, "True"), ("AppFunctionUrl", url, "Conditional")]), expected);
    assert_eq!(said(&[("AppFunctionUrl", url, "True")]), expected);
    assert_eq!(said(&[("AppFunctionUrl", url, "Remove"), ("MainFunctionUrl", url, "Add")]), expected);
    let none: [&str; 0] = [];
    assert_eq!(said(&[("AppFunction", function, "False"), ("AppFunctionUrl", url, "Conditional")]), none);
    assert_eq!(said(&[("OtherFunction", function, "True"), ("AppFunctionUrl", url, "Conditional")]), none);
    // An API in its place is asked for by a setting.
    assert_eq!(said(&[("AppFunctionUrl", url, "Remove"), ("HttpApi", "AWS::ApiGatewayV2::Api", "Add")]), none);
}
