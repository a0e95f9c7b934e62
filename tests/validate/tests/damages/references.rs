//! References to the wrong thing.

use crate::{By, Damage, get, named};
use serde_json::json;

pub(crate) fn damages() -> Vec<Damage> {
    let role = "ShopOrdersShipRole";
    vec![
        ("a role's name for its ARN", "ShopOrdersShipFunction/Role", Some(named(role)), By::Us("arn")),
        (
            "a queue's address for its ARN",
            "OrdersQueueMapping/EventSourceArn",
            Some(named("OrdersQueue")),
            By::Us("arn"),
        ),
        ("a topic for a queue", "OrdersQueueMapping/EventSourceArn", Some(named("ShippedTopic")), By::Us("arn")),
        ("a queue for a topic", "{MAIL}Subscription/TopicArn", Some(get("OrdersQueue", "Arn")), By::Us("arn")),
        (
            "a role's name for the scheduler",
            "{NIGHT}Schedule/Target/RoleArn",
            Some(named("ShopReportsNightlyReportRole")),
            By::Us("arn"),
        ),
        (
            "ticks to a function",
            "{NIGHT}Schedule/Target/Arn",
            Some(get("ShopReportsNightlyReportFunction", "Arn")),
            By::Us("arn"),
        ),
        (
            "letters to a table",
            "OrdersQueue/RedrivePolicy/deadLetterTargetArn",
            Some(get("StockTable", "Arn")),
            By::Us("arn"),
        ),
        ("no table", "/Resources/StockTable", None, By::Us("cloudformation/reference")),
        (
            "an attribute that there is not",
            "OrdersQueueMapping/EventSourceArn",
            Some(get("OrdersQueue", "ARN")),
            By::Us("cloudformation/reference"),
        ),
        (
            "after itself",
            "/Resources/OrdersQueue/DependsOn",
            Some(json!("OrdersQueue")),
            By::Us("cloudformation/circle"),
        ),
        (
            "a poller past the alias",
            "OrdersQueueMapping/FunctionName",
            Some(named("ShopOrdersShipFunction")),
            By::Us("grants/alias"),
        ),
        (
            "an API past the alias",
            "ShopOrdersPlaceOrderIntegration/IntegrationUri",
            Some(get("ShopOrdersPlaceOrderFunction", "Arn")),
            By::Us("grants/alias"),
        ),
        (
            "an alias of what comes",
            "ShopOrdersShipAlias/FunctionVersion",
            Some(json!("$LATEST")),
            By::Us("grants/alias"),
        ),
        (
            "a route to nowhere",
            "PostOrdersXba02d310Route/Target",
            Some(json!("integrations/x")),
            By::Us("grants/route"),
        ),
        ("an API that is never deployed", "HttpStage/AutoDeploy", Some(json!(false)), By::Us("grants/route")),
    ]
}
