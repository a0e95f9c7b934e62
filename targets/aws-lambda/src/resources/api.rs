//! The HTTP API: one for the application, a route for each of its handlers.

use super::lambda::Alias;
use super::logs::LogGroup;
use crate::capabilities::LONGEST_INTEGRATION_SECONDS;
use crate::intrinsics::Text;
use crate::template::{Id, Properties};
use serde::Serialize;
use updraft_model::settings::Throttle;

/// Requests a second, and how many more at once, unless the settings say otherwise: what AWS allows an account.
const RATE: u32 = 10_000;
const BURST: u32 = 5_000;

/// `AWS::ApiGatewayV2::Api`.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct Api {
    name: Text,
    description: String,
    protocol_type: &'static str,
}

impl Properties for Api {
    const TYPE: &'static str = "AWS::ApiGatewayV2::Api";
}

impl Api {
    pub(crate) fn new(app: &str) -> Self {
        Api {
            name: Text::reference("AWS::StackName"),
            description: format!("The routes of {app}"),
            protocol_type: "HTTP",
        }
    }
}

impl Id<Api> {
    /// `https://abc123.execute-api.eu-central-1.amazonaws.com`.
    pub(crate) fn url(&self) -> Text {
        self.attribute("ApiEndpoint")
    }

    /// What all its requests come from.
    pub(crate) fn requests(&self) -> Text {
        let parts = ["arn:".into(), Text::partition(), ":execute-api:".into(), Text::region(), ":".into()];
        Text::of(parts.into_iter().chain([Text::account(), ":".into(), self.reference(), "/*".into()]))
    }
}

/// `AWS::ApiGatewayV2::Stage`.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct Stage {
    api_id: Text,
    stage_name: &'static str,
    auto_deploy: bool,
    access_log_settings: AccessLog,
    default_route_settings: RouteSettings,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct AccessLog {
    destination_arn: Text,
    format: String,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct RouteSettings {
    throttling_rate_limit: u32,
    throttling_burst_limit: u32,
    detailed_metrics_enabled: bool,
}

impl Properties for Stage {
    const TYPE: &'static str = "AWS::ApiGatewayV2::Stage";
}

/// What is logged of a request.
const LOGGED: [(&str, &str); 10] = [
    ("requestId", "$context.requestId"),
    ("ip", "$context.identity.sourceIp"),
    ("time", "$context.requestTime"),
    ("method", "$context.httpMethod"),
    ("route", "$context.routeKey"),
    ("protocol", "$context.protocol"),
    ("status", "$context.status"),
    ("length", "$context.responseLength"),
    ("latency", "$context.responseLatency"),
    ("error", "$context.integrationErrorMessage"),
];

impl Stage {
    pub(crate) fn new(api: &Id<Api>, logs: &Id<LogGroup>, throttle: Throttle) -> Self {
        let fields: Vec<String> = LOGGED.iter().map(|(name, value)| format!("\"{name}\":\"{value}\"")).collect();
        Stage {
            api_id: api.reference(),
            stage_name: "$default",
            auto_deploy: true,
            access_log_settings: AccessLog { destination_arn: logs.arn(), format: format!("{{{}}}", fields.join(",")) },
            default_route_settings: RouteSettings {
                throttling_rate_limit: throttle.rate.unwrap_or(RATE),
                throttling_burst_limit: throttle.burst.unwrap_or(BURST),
                detailed_metrics_enabled: true,
            },
        }
    }
}

/// `AWS::ApiGatewayV2::Integration`.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct Integration {
    api_id: Text,
    integration_type: &'static str,
    integration_uri: Text,
    payload_format_version: &'static str,
    timeout_in_millis: u32,
}

impl Properties for Integration {
    const TYPE: &'static str = "AWS::ApiGatewayV2::Integration";
}

impl Integration {
    pub(crate) fn new(api: &Id<Api>, alias: &Id<Alias>) -> Self {
        Integration {
            api_id: api.reference(),
            integration_type: "AWS_PROXY",
            integration_uri: alias.arn(),
            payload_format_version: "2.0",
            timeout_in_millis: LONGEST_INTEGRATION_SECONDS * 1_000,
        }
    }
}

/// `AWS::ApiGatewayV2::Route`.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct Route {
    api_id: Text,
    route_key: String,
    authorization_type: &'static str,
    target: Text,
}

impl Properties for Route {
    const TYPE: &'static str = "AWS::ApiGatewayV2::Route";
}

impl Route {
    pub(crate) fn new(api: &Id<Api>, route_key: String, integration: &Id<Integration>) -> Self {
        let target = Text::plain("integrations/").then(integration.reference());
        Route { api_id: api.reference(), route_key, authorization_type: "NONE", target }
    }
}

/// The keys of a handler's route: `GET /files/{rest+}`, and `HEAD …` where axum answers that too.
pub(crate) fn keys(method: &str, path: &str) -> (String, Option<String>) {
    let path = path.split('/').map(segment).collect::<Vec<_>>().join("/");
    let method = method.to_ascii_uppercase();
    let head = (method == "GET").then(|| format!("HEAD {path}"));
    (format!("{method} {path}"), head)
}

fn segment(segment: &str) -> String {
    let rest = segment.strip_prefix("{*").and_then(|rest| rest.strip_suffix('}'));
    rest.map_or_else(|| segment.to_owned(), |rest| format!("{{{rest}+}}"))
}

/// The key of all requests that have no other.
pub(crate) const UNMATCHED: &str = "$default";

/// The keys of an adopted router's requests: its path, and all below it.
pub(crate) fn router_keys(prefix: &str) -> (String, Option<String>) {
    match prefix {
        "/" => (UNMATCHED.to_owned(), None),
        prefix => (format!("ANY {prefix}"), Some(format!("ANY {prefix}/{{below+}}"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_of_routes() {
        let both = |one: &str, other: &str| (one.to_owned(), Some(other.to_owned()));
        assert_eq!(keys("get", "/orders/{id}"), both("GET /orders/{id}", "HEAD /orders/{id}"));
        assert_eq!(keys("post", "/files/{*rest}"), ("POST /files/{rest+}".to_owned(), None));
        assert_eq!(keys("get", "/"), both("GET /", "HEAD /"));
        assert_eq!(router_keys("/legacy"), both("ANY /legacy", "ANY /legacy/{below+}"));
        assert_eq!(router_keys("/"), ("$default".to_owned(), None));
    }
}
