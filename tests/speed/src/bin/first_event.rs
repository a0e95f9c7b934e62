//! Plays Lambda's Runtime API to programs: how long each takes from its start until it asks for an event, for the first event
//! and for those after it, and how much of the processor for one of these.
//!
//! `first_event STARTS EVENTS "METHOD PATH [BODY]" [NAME=VALUE]… PROGRAM…`: variables are set for all programs that follow
//! them, and unset by `NAME=`. Starts alternate, so that a busy machine troubles all alike.
#![expect(clippy::print_stdout, reason = "a tool's output")]

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

const PATIENCE: Duration = Duration::from_secs(60);

/// What the played API sees.
enum Seen {
    /// The program asks for an event.
    Asked(Instant),
    /// It is handed one.
    Handed(Instant),
    /// It has answered.
    Answered(Instant, String),
}

struct Program {
    path: String,
    variables: Vec<(String, String)>,
    starts: Vec<f64>,
    firsts: Vec<f64>,
    others: Vec<f64>,
    processor: Vec<f64>,
    answer: String,
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [starts, events, event, rest @ ..] = &arguments[..] else {
        return println!("first_event STARTS EVENTS \"METHOD PATH [BODY]\" [NAME=VALUE]… PROGRAM…");
    };
    let number = |text: &String| text.parse::<usize>().expect("a number");
    let (starts, events, event) = (number(starts), number(events), payload(event));
    let mut variables = BTreeMap::new();
    let mut programs = Vec::new();
    for argument in rest {
        match argument.split_once('=') {
            Some((name, "")) => drop(variables.remove(name)),
            Some((name, value)) => drop(variables.insert(name.to_owned(), value.to_owned())),
            None => programs.push(Program {
                path: argument.clone(),
                variables: variables.clone().into_iter().collect(),
                starts: Vec::new(),
                firsts: Vec::new(),
                others: Vec::new(),
                processor: Vec::new(),
                answer: String::new(),
            }),
        }
    }
    for _ in 0..starts {
        programs.iter_mut().for_each(|program| program.run(&event, events));
    }
    for Program { path, variables, starts, firsts, others, processor, answer } in &mut programs {
        let name = path.rsplit('/').next().unwrap_or_default();
        let careful = if variables.iter().any(|(name, _)| name == "CAREFUL") { " (careful)" } else { "" };
        let quantile = |of: &mut Vec<f64>, part: f64| {
            of.sort_by(f64::total_cmp);
            of.get(((of.len() as f64 - 1.0) * part) as usize).copied().unwrap_or(f64::NAN)
        };
        println!(
            "{name}{careful}: asks after {:.2} ms, first event {:.2} ms, others {:.3} ms (p99 {:.3}), processor {:.3} ms each; {}",
            quantile(starts, 0.5),
            quantile(firsts, 0.5),
            quantile(others, 0.5),
            quantile(others, 0.99),
            quantile(processor, 0.5),
            answer.chars().take(120).collect::<String>(),
        );
    }
}

/// A request as an HTTP API puts it (payload format 2.0).
fn payload(event: &str) -> String {
    let mut parts = event.splitn(3, ' ');
    let (method, path) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
    let body = parts.next().map_or(String::new(), |body| format!("{body:?}"));
    let body = if body.is_empty() { body } else { format!(",\"body\":{body}") };
    format!(
        "{{\"version\":\"2.0\",\"routeKey\":\"$default\",\"rawPath\":\"{path}\",\"rawQueryString\":\"\",\"headers\":{{\
         \"accept\":\"*/*\",\"content-type\":\"application/json\",\"host\":\"api.example.org\",\"user-agent\":\"curl\",\
         \"x-forwarded-for\":\"203.0.113.7\",\"x-forwarded-port\":\"443\",\"x-forwarded-proto\":\"https\"}},\
         \"requestContext\":{{\"accountId\":\"1\",\"apiId\":\"a\",\"domainName\":\"a.execute-api.eu-central-1.amazonaws.com\",\
         \"http\":{{\"method\":\"{method}\",\"path\":\"{path}\",\"protocol\":\"HTTP/1.1\",\"sourceIp\":\"203.0.113.7\",\
         \"userAgent\":\"curl\"}},\"requestId\":\"r\",\"routeKey\":\"$default\",\"stage\":\"$default\",\
         \"time\":\"25/Nov/2026:00:00:00 +0000\",\"timeEpoch\":1764000000000}},\"isBase64Encoded\":false{body}}}"
    )
}

impl Program {
    fn run(&mut self, event: &str, events: usize) {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
        let address = listener.local_addr().expect("an address").to_string();
        let (seen, saw) = channel();
        let (hand, handed) = channel::<String>();
        let handed = Arc::new(Mutex::new(handed));
        std::thread::spawn(move || {
            for connection in listener.incoming().flatten() {
                let (seen, handed) = (seen.clone(), handed.clone());
                std::thread::spawn(move || serve(&connection, &seen, &handed));
            }
        });
        let mut command = Command::new(&self.path);
        command.envs(self.variables.iter().cloned()).env("AWS_LAMBDA_RUNTIME_API", address);
        command.env("AWS_LAMBDA_FUNCTION_NAME", "f").env("AWS_LAMBDA_FUNCTION_VERSION", "1");
        command.env("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "1769").env("AWS_LAMBDA_LOG_STREAM_NAME", "s");
        command.env("AWS_LAMBDA_LOG_GROUP_NAME", "g").env("AWS_REGION", "us-east-1");
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let started = Instant::now();
        let mut child = command.spawn().expect("a process");
        let mut asked = wait(&saw, &self.path);
        self.starts.push(millis(asked.0 - started));
        for number in 0..=events {
            let before = processor(&child);
            hand.send(event.to_owned()).expect("the API");
            asked = wait(&saw, &self.path);
            let took = millis(asked.1);
            if number == 0 {
                self.firsts.push(took);
            } else {
                self.others.push(took);
            }
            if number > 0 && events < 100 {
                self.processor.push(processor(&child) - before);
            }
            self.answer = asked.2;
        }
        let _ = child.kill();
        let _ = child.wait();
    }
}

fn millis(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e3
}

/// Waits until the program asks: when; how long the event before it took, and its answer.
fn wait(saw: &Receiver<Seen>, path: &str) -> (Instant, Duration, String) {
    let (mut handed, mut took, mut answer) = (Instant::now(), Duration::ZERO, String::new());
    loop {
        match saw.recv_timeout(PATIENCE).unwrap_or_else(|_| panic!("{path} asks for nothing")) {
            Seen::Handed(at) => handed = at,
            Seen::Answered(at, text) => (took, answer) = (at.saturating_duration_since(handed), text),
            Seen::Asked(at) => return (at, took, answer),
        }
    }
}

/// What a process has had of the processor, in milliseconds: the kernel counts in hundredths of a second.
fn processor(child: &Child) -> f64 {
    let text = std::fs::read_to_string(format!("/proc/{}/stat", child.id())).unwrap_or_default();
    let fields: Vec<&str> = text.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
    let ticks = |field: usize| fields.get(field).and_then(|ticks| ticks.parse::<f64>().ok()).unwrap_or_default();
    (ticks(11) + ticks(12)) * 10.0
}

fn serve(connection: &TcpStream, seen: &Sender<Seen>, handed: &Mutex<Receiver<String>>) {
    let _ = connection.set_nodelay(true);
    let mut reader = BufReader::new(connection);
    loop {
        let (mut line, mut length, mut chunked) = (String::new(), 0, false);
        if reader.read_line(&mut line).unwrap_or_default() == 0 {
            return;
        }
        let mut header = String::new();
        while reader.read_line(&mut header).is_ok_and(|read| read > 2) {
            let (name, value) = header.split_once(':').unwrap_or_default();
            if name.eq_ignore_ascii_case("content-length") {
                length = value.trim().parse().unwrap_or_default();
            }
            chunked |= name.eq_ignore_ascii_case("transfer-encoding");
            header.clear();
        }
        let mut body = vec![0; length];
        if reader.read_exact(&mut body).is_err() {
            return;
        }
        while chunked {
            let mut size = String::new();
            let _ = reader.read_line(&mut size);
            let size = usize::from_str_radix(size.trim(), 16).unwrap_or_default();
            let mut chunk = vec![0; size + 2];
            if reader.read_exact(&mut chunk).is_err() {
                return;
            }
            body.extend_from_slice(&chunk[..size]);
            chunked = size > 0;
        }
        let at = Instant::now();
        let answer = |status: &str, headers: &str, body: &str| {
            let head = format!(
                "HTTP/1.1 {status}\r\n{headers}content-type: application/json\r\ncontent-length: {}\r\n\r\n",
                body.len()
            );
            (&mut &*connection).write_all(format!("{head}{body}").as_bytes())
        };
        let path = line.split(' ').nth(1).unwrap_or_default();
        let done = match path.rsplit('/').next() {
            Some("next") if path.contains("/extension/") => loop {
                std::thread::park();
            },
            Some("next") => {
                let _ = seen.send(Seen::Asked(at));
                let handed = handed.lock().unwrap_or_else(PoisonError::into_inner);
                let Ok(event) = handed.recv() else { return };
                let headers = "lambda-runtime-aws-request-id: 8476a536-e9f4-11e8-9739-2dfe598c3fcd\r\n\
                    lambda-runtime-deadline-ms: 4102444800000\r\n\
                    lambda-runtime-invoked-function-arn: arn:aws:lambda:us-east-1:1:function:f\r\n\
                    lambda-runtime-trace-id: Root=1-5bef4de7-ad49b0e87f6ef6c87fc2e700;Parent=9a9197af755a6419;Sampled=0\r\n";
                let _ = seen.send(Seen::Handed(Instant::now()));
                answer("200 OK", headers, &event)
            }
            Some("response" | "error") => {
                let _ = seen.send(Seen::Answered(at, String::from_utf8_lossy(&body).into_owned()));
                answer("202 Accepted", "", "{\"status\":\"OK\"}")
            }
            _ => {
                let registered = "{\"functionName\":\"f\",\"functionVersion\":\"1\",\"handler\":\"h\"}";
                answer("200 OK", "lambda-extension-identifier: e\r\n", registered)
            }
        };
        if done.is_err() {
            return;
        }
    }
}
