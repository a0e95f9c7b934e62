//! Requests of an HTTP API (payload format 2.0) and of function URLs, which have the same shape, as axum has them; and back.

use crate::problem::{problem, problem_id};
use crate::server::client::chain;
use crate::telemetry::TraceContext;
use axum::body::Body;
use axum::extract::{ConnectInfo, Request};
use axum::response::Response;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::response::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri, Version, header};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use jiff::{SignedDuration, Timestamp};
use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};
use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use updraft_wire::aws::events::{HttpAnswer, HttpContext, HttpEvent, HttpHead};
use updraft_wire::envelope::{TRACE_PARENT, TRACE_STATE};

/// What Lambda takes as an answer at most.
pub(super) const ANSWER_LIMIT_BYTES: usize = 6 * 1024 * 1024;

/// The longest that a request waits for its function: Lambda gives a start no more.
const COLD_START: SignedDuration = SignedDuration::from_secs(10);

/// What does not stand in a path as it is sent (RFC 3986, section 3.3), but for `%`.
const PATH: &AsciiSet = &QUERY.add(b'?');
/// The same in a path that was decoded.
const DECODED: &AsciiSet = &PATH.add(b'%');
/// The same for a query (section 3.4).
const QUERY: &AsciiSet = &CONTROLS
    .add(b' ')
    .add(b'"')
    .add(b'#')
    .add(b'<')
    .add(b'>')
    .add(b'[')
    .add(b'\\')
    .add(b']')
    .add(b'^')
    .add(b'`')
    .add(b'{')
    .add(b'|')
    .add(b'}');

/// A path or a query as it is sent. An HTTP API decodes a path before it tells of it, a function URL does not; where only
/// the domain's owner knows which of them it is, what can't have been sent is encoded again, and the rest left as it is.
fn encoded(text: &str, odd: &'static AsciiSet) -> String {
    let mut parts = text.split('%');
    let mut out: String = utf8_percent_encode(parts.next().unwrap_or_default(), odd).to_string();
    for part in parts {
        let code = part.as_bytes().get(..2).is_some_and(|code| code.iter().all(u8::is_ascii_hexdigit));
        out.push_str(if code { "%" } else { "%25" });
        out.extend(utf8_percent_encode(part, odd));
    }
    out
}

/// The request that an event stands for. `trace` is what caused it where the client says nothing.
///
/// # Errors
/// If it is no request: why.
pub(super) fn request(event: HttpEvent, trace: Option<&TraceContext>) -> Result<Request, String> {
    let HttpEvent { raw_path, raw_query_string, cookies, headers, request_context, body, is_base64_encoded, .. } =
        event;
    let path = without_stage(&raw_path, request_context.stage.as_deref());
    let decoded = is_by_an_api(&request_context);
    let mut target = if decoded { utf8_percent_encode(path, DECODED).to_string() } else { encoded(path, PATH) };
    if !raw_query_string.is_empty() {
        target = format!("{target}?{}", encoded(&raw_query_string, QUERY));
    }
    let line = request_context.http;
    let body = match (body, is_base64_encoded) {
        (None, _) => Vec::new(),
        (Some(text), false) => text.into_bytes(),
        (Some(text), true) => STANDARD.decode(text).map_err(|error| format!("its body is no base64: {error}"))?,
    };
    let mut request = Request::new(Body::empty());
    *request.method_mut() = Method::from_bytes(line.method.as_bytes()).map_err(|error| error.to_string())?;
    *request.uri_mut() = target.parse::<Uri>().map_err(|error| format!("its target `{target}`: {error}"))?;
    *request.version_mut() = match line.protocol.as_deref() {
        Some("HTTP/2.0" | "HTTP/2") => Version::HTTP_2,
        Some("HTTP/1.0") => Version::HTTP_10,
        _ => Version::HTTP_11,
    };
    let all = request.headers_mut();
    for (name, value) in headers {
        // What a client sent came through a gateway, which lets through more than HTTP has.
        let (Ok(name), Ok(value)) = (HeaderName::try_from(&name), HeaderValue::try_from(&value)) else { continue };
        all.insert(name, value);
    }
    if !cookies.is_empty()
        && let Ok(cookies) = HeaderValue::try_from(cookies.join("; "))
    {
        all.insert(header::COOKIE, cookies);
    }
    // The gateway has put it together.
    all.remove(header::TRANSFER_ENCODING);
    if !body.is_empty() || all.contains_key(header::CONTENT_LENGTH) {
        all.insert(header::CONTENT_LENGTH, body.len().into());
    }
    if let Some(trace) = trace.filter(|_| !all.contains_key(TRACE_PARENT)) {
        all.extend(HeaderValue::try_from(trace.parent()).map(|it| (HeaderName::from_static(TRACE_PARENT), it)));
        let state = trace.state.as_deref().and_then(|state| HeaderValue::from_str(state).ok());
        all.extend(state.map(|state| (HeaderName::from_static(TRACE_STATE), state)));
    }
    let peer = line.source_ip.and_then(|ip| ip.parse().ok()).unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED));
    request.extensions_mut().insert(ConnectInfo(SocketAddr::new(peer, 0)));
    *request.body_mut() = Body::from(body);
    Ok(request)
}

/// Whether a request came through an API, by the name that AWS gave it.
pub(super) fn is_by_an_api(context: &HttpContext) -> bool {
    context.domain_name.as_deref().is_some_and(|name| name.contains(".execute-api."))
}

/// When a request came to a gateway that waits only so long; `None` of a function's URL, which waits for the function. A cold
/// start lies between then and `now`; what is no such time is an emulator's.
pub(super) fn came(event: &HttpEvent, now: Timestamp) -> Option<Timestamp> {
    let context = &event.request_context;
    if context.domain_name.as_deref().is_some_and(|name| name.contains(".lambda-url.")) {
        return None;
    }
    let told = context.time_epoch.and_then(|millis| Timestamp::from_millisecond(millis).ok());
    let likely = |told: &Timestamp| *told <= now && now.duration_since(*told) < COLD_START;
    Some(told.filter(likely).unwrap_or(now))
}

/// The path as it was declared: a stage that has a name stands before it.
fn without_stage<'a>(path: &'a str, stage: Option<&str>) -> &'a str {
    let rest = stage.filter(|stage| *stage != "$default").and_then(|stage| path.strip_prefix('/')?.strip_prefix(stage));
    match rest {
        Some("") => "/",
        Some(rest) if rest.starts_with('/') => rest,
        Some(_) | None if path.is_empty() => "/",
        Some(_) | None => path,
    }
}

/// The event's answer: JSON. What is too large, or ends early, is a problem of its own.
pub(super) async fn answer(response: Response) -> Vec<u8> {
    let reason = match whole(response).await {
        Ok(answer) => match serde_json::to_vec(&answer) {
            Ok(json) if json.len() <= ANSWER_LIMIT_BYTES => return json,
            Ok(_) => Cut::TooLong,
            Err(error) => Cut::Broken(error.to_string()),
        },
        Err(cut) => cut,
    };
    let id = problem_id();
    let title = match reason {
        Cut::TooLong => {
            tracing::error!(id, limit = ANSWER_LIMIT_BYTES, "an answer is larger than Lambda takes");
            "The answer is larger than a function may give"
        }
        Cut::Broken(reason) => {
            tracing::error!(id, reason, "an answer broke off");
            "The answer broke off"
        }
    };
    let problem = whole(problem(StatusCode::INTERNAL_SERVER_ERROR, title, Some(&id))).await;
    problem.ok().and_then(|problem| serde_json::to_vec(&problem).ok()).unwrap_or_default()
}

/// Why an answer can't be given.
enum Cut {
    TooLong,
    Broken(String),
}

async fn whole(response: Response) -> Result<HttpAnswer, Cut> {
    let (parts, body) = response.into_parts();
    let body = match Limited::new(body, ANSWER_LIMIT_BYTES).collect().await {
        Ok(body) => body.to_bytes(),
        Err(error) if error.is::<LengthLimitError>() => return Err(Cut::TooLong),
        Err(error) => return Err(Cut::Broken(chain(&*error))),
    };
    let text = if is_text(&parts.headers) { std::str::from_utf8(&body).ok() } else { None };
    let text = text.or(if body.is_empty() { Some("") } else { None });
    let HttpHead { status_code, headers, cookies } = head(&parts);
    Ok(HttpAnswer {
        status_code,
        headers,
        cookies,
        is_base64_encoded: text.is_none(),
        body: text.map_or_else(|| STANDARD.encode(&body), str::to_owned),
    })
}

/// All but the body, as Lambda has it.
pub(super) fn head(parts: &Parts) -> HttpHead {
    let mut headers: BTreeMap<String, String> = BTreeMap::new();
    let mut cookies = Vec::new();
    for (name, value) in &parts.headers {
        let value = String::from_utf8_lossy(value.as_bytes());
        if name == header::SET_COOKIE {
            cookies.push(value.into_owned());
            continue;
        }
        let all = headers.entry(name.as_str().to_owned()).or_default();
        if !all.is_empty() {
            all.push_str(", ");
        }
        all.push_str(&value);
    }
    HttpHead { status_code: parts.status.as_u16(), headers, cookies }
}

/// Whether a body goes as it is, if it is UTF-8. Base64 is always right, but a third longer.
fn is_text(headers: &HeaderMap) -> bool {
    if headers.contains_key(header::CONTENT_ENCODING) {
        return false;
    }
    let kind = headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    let kind = kind.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    kind.starts_with("text/")
        || ["+json", "+xml"].iter().any(|end| kind.ends_with(end))
        || ["application/json", "application/xml", "application/javascript", "application/x-www-form-urlencoded"]
            .contains(&kind.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn event(over: Value) -> HttpEvent {
        let mut event = json!({
            "version": "2.0", "rawPath": "/orders/a%20b", "rawQueryString": "x=1&y=%C3%A9", "cookies": ["a=1", "b=2"],
            "headers": { "host": "api.example.org", "x-many": "1,2", "not ok": "gone" },
            "requestContext": { "stage": "$default", "http": {
                "method": "POST", "path": "/orders/a b", "protocol": "HTTP/1.1", "sourceIp": "2001:db8::1" } }
        });
        for (name, value) in over.as_object().expect("an object") {
            event[name] = value.clone();
        }
        serde_json::from_value(event).expect("an event")
    }

    async fn body(request: Request) -> Vec<u8> {
        request.into_body().collect().await.expect("a body").to_bytes().to_vec()
    }

    #[test]
    fn a_gateways_time_runs_from_when_it_had_the_request() {
        let now = Timestamp::from_millisecond(1_764_000_008_000).unwrap();
        let at = |context: Value| {
            let mut told = event(json!({}));
            told.request_context.time_epoch = context["time"].as_i64();
            told.request_context.domain_name = context["name"].as_str().map(str::to_owned);
            came(&told, now)
        };
        let earlier = Timestamp::from_millisecond(1_764_000_003_000).unwrap();
        assert_eq!(at(json!({ "time": 1_764_000_003_000_i64 })), Some(earlier), "a cold start of 5 s");
        for odd in [json!(null), json!(1_583_348_638_390_i64), json!(1_764_000_009_000_i64)] {
            assert_eq!(at(json!({ "time": odd, "name": "a.execute-api.eu-1.amazonaws.com" })), Some(now), "{odd}");
        }
        assert_eq!(at(json!({ "name": "abc.lambda-url.eu-1.on.aws" })), None);
    }

    #[tokio::test]
    async fn a_request_is_what_the_client_sent() {
        let got = request(event(json!({ "body": "{}" })), None).unwrap();
        assert_eq!((got.method(), got.uri().to_string().as_str()), (&Method::POST, "/orders/a%20b?x=1&y=%C3%A9"));
        assert_eq!(got.headers()["cookie"], "a=1; b=2");
        assert_eq!((&got.headers()["x-many"], &got.headers()["content-length"]), (&"1,2".parse().unwrap(), &2.into()));
        let ConnectInfo(peer) = got.extensions().get::<ConnectInfo<SocketAddr>>().unwrap();
        assert_eq!(peer.ip().to_string(), "2001:db8::1");
        assert_eq!(body(got).await, b"{}");

        let binary = request(event(json!({ "body": "AP8=", "isBase64Encoded": true })), None).unwrap();
        assert_eq!(body(binary).await, [0, 255]);
        for (wrong, said) in [
            (json!({ "body": "?", "isBase64Encoded": true }), "no base64"),
            (json!({ "rawPath": "a" }), "its target `a?"),
        ] {
            assert!(request(event(wrong), None).unwrap_err().contains(said));
        }
    }

    #[test]
    fn a_path_that_the_gateway_decoded_is_encoded_again() {
        for (path, sent) in [
            ("/quotes/earl grey", "/quotes/earl%20grey"),
            ("/a%20b", "/a%20b"),
            ("/100%", "/100%25"),
            ("/5%é%4", "/5%25%C3%A9%254"),
            ("/what?/#1", "/what%3F/%231"),
            ("/straße/\u{1F375}", "/stra%C3%9Fe/%F0%9F%8D%B5"),
            ("/{a}|[b]", "/%7Ba%7D%7C%5Bb%5D"),
            ("/~a-b_c.d!$&'()*+,;=:@", "/~a-b_c.d!$&'()*+,;=:@"),
        ] {
            let got = request(event(json!({ "rawPath": path, "rawQueryString": "" })), None).unwrap();
            assert_eq!(got.uri().to_string(), sent, "{path}");
        }
        // Where it is known, a `%` is one, whatever follows it.
        for (domain, sent) in [("a.execute-api.eu-1.amazonaws.com", "/50%2541"), ("a.lambda-url.eu-1.on.aws", "/50%41")]
        {
            let mut told = event(json!({ "rawPath": "/50%41", "rawQueryString": "" }));
            told.request_context.domain_name = Some(domain.to_owned());
            assert_eq!(request(told, None).unwrap().uri().to_string(), sent, "{domain}");
        }
        let got = request(event(json!({ "rawPath": "/", "rawQueryString": "a=b c&d=?/%20" })), None).unwrap();
        assert_eq!(got.uri().to_string(), "/?a=b%20c&d=?/%20");
    }

    #[test]
    fn a_named_stage_is_no_part_of_the_path() {
        for (path, stage, expected) in [
            ("/a", Some("$default"), "/a"),
            ("/prod/a", Some("prod"), "/a"),
            ("/prod", Some("prod"), "/"),
            ("/production", Some("prod"), "/production"),
            ("/a", Some("prod"), "/a"),
            ("/a", None, "/a"),
            ("", None, "/"),
        ] {
            assert_eq!(without_stage(path, stage), expected, "{path} {stage:?}");
        }
    }

    #[test]
    fn the_clients_own_trace_wins() {
        let lambda = TraceContext::parse("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", Some("a=1"));
        let got = request(event(json!({})), lambda.as_ref()).unwrap();
        assert_eq!(TraceContext::of_headers(got.headers()), lambda);
        let own = "00-11111111111111111111111111111111-2222222222222222-01";
        let got = request(event(json!({ "headers": { "traceparent": own } })), lambda.as_ref()).unwrap();
        assert_eq!(TraceContext::of_headers(got.headers()), TraceContext::parse(own, None));
    }

    async fn answered(response: Response) -> HttpAnswer {
        serde_json::from_slice(&answer(response).await).expect("an answer")
    }

    #[tokio::test]
    async fn an_answer_is_text_or_base64() {
        let build = |kind: &str, body: &'static [u8]| {
            Response::builder().header("content-type", kind).body(Body::from(body)).expect("a response")
        };
        for (kind, body, expected) in [
            ("text/plain; charset=utf-8", "é".as_bytes(), (false, "é")),
            ("application/problem+json", b"{}", (false, "{}")),
            ("text/plain", &[0xff, 0xfe], (true, "//4=")),
            ("image/png", b"png", (true, "cG5n")),
            ("image/png", b"", (false, "")),
        ] {
            let answer = answered(build(kind, body)).await;
            assert_eq!((answer.is_base64_encoded, answer.body.as_str()), expected, "{kind}");
        }
        let response = Response::builder()
            .status(201)
            .header("content-type", "text/css")
            .header("content-encoding", "gzip")
            .header("set-cookie", "a=1; Path=/")
            .header("set-cookie", "b=2")
            .header("vary", "accept")
            .header("vary", "origin");
        let answer = answered(response.body(Body::from("x")).expect("a response")).await;
        assert_eq!((answer.status_code, answer.is_base64_encoded), (201, true));
        assert_eq!(answer.cookies, ["a=1; Path=/", "b=2"]);
        assert_eq!((answer.headers["vary"].as_str(), answer.headers.len()), ("accept, origin", 3));
    }

    #[tokio::test]
    async fn what_is_too_large_or_breaks_off_is_a_problem() {
        let broken = futures_util::stream::iter([Ok("begun"), Err(std::io::Error::other("cut"))]);
        for (body, title) in [
            (Body::from(vec![0_u8; ANSWER_LIMIT_BYTES + 1]), "larger"),
            // Six million bytes fit, eight million of base64 don't.
            (Body::from(vec![0_u8; 6_000_000]), "larger"),
            (Body::from_stream(broken), "broke off"),
        ] {
            let answer = answered(Response::new(body)).await;
            assert_eq!(
                (answer.status_code, answer.headers["content-type"].as_str()),
                (500, "application/problem+json")
            );
            assert!(answer.body.contains(title) && answer.body.contains("urn:uuid:"), "{}", answer.body);
        }
        let full = Response::builder().header("content-type", "text/plain").body(Body::from("x".repeat(6_000_000)));
        assert_eq!(answered(full.expect("a response")).await.status_code, 200);
    }
}
