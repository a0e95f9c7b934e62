//! A server that stands in for AWS's, in tests: it answers as it is told to.

use super::{Account, Client};
use crate::stack::Target;
use aws_config::SdkConfig;
use aws_credential_types::Credentials;
use aws_credential_types::provider::SharedCredentialsProvider;
use aws_types::region::Region;
use serde_json::Value;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;

/// A request, as it came.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    pub(crate) method: String,
    pub(crate) path: String,
    /// `AmazonSQS.SendMessage`, of services that take JSON.
    pub(crate) action: String,
    pub(crate) body: Vec<u8>,
}

impl Asked {
    /// Its body, if it is JSON.
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }
}

/// What is answered: a status, more lines of the head, a body.
pub(crate) type Answered = (u16, String, String);

/// An answer of a service that speaks JSON.
pub(crate) fn said(value: &Value) -> Answered {
    (200, String::new(), value.to_string())
}

/// Answers one request after another for as long as the process runs; where.
pub(crate) fn serve(mut answer: impl FnMut(&Asked) -> Answered + Send + 'static) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let asked = read(&stream);
            let (status, head, body) = answer(&asked);
            let length = body.len();
            let head = format!("HTTP/1.1 {status} .\r\ncontent-length: {length}\r\nconnection: close\r\n{head}\r\n");
            (&stream).write_all(&[head.as_bytes(), body.as_bytes()].concat()).unwrap();
        }
    });
    url
}

fn read(stream: &TcpStream) -> Asked {
    let mut reader = BufReader::new(stream);
    let mut lines = Vec::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).unwrap();
        match line.trim_end() {
            "" => break,
            line => lines.push(line.to_owned()),
        }
    }
    let header = |name: &str| {
        let named = lines.iter().filter_map(|line| line.split_once(": "));
        named.into_iter().find_map(|(header, value)| header.eq_ignore_ascii_case(name).then(|| value.to_owned()))
    };
    let length = header("content-length").and_then(|length| length.parse().ok()).unwrap_or(0);
    let mut body = vec![0; length];
    reader.read_exact(&mut body).unwrap();
    let mut first = lines.first().unwrap().split(' ').map(str::to_owned);
    let (method, path) = (first.next().unwrap(), first.next().unwrap());
    Asked { method, path, action: header("x-amz-target").unwrap_or_default(), body }
}

/// What finds all services there.
pub(crate) fn config(url: &str) -> aws_types::sdk_config::Builder {
    let key = SharedCredentialsProvider::new(Credentials::new("test", "test", None, None, "test"));
    let config = SdkConfig::builder().region(Region::new("eu-central-1")).credentials_provider(key);
    config.endpoint_url(url)
}

/// A client of it.
pub(crate) fn client(url: &str) -> Client {
    Client::of(config(url).build()).unwrap()
}

/// The shop's stack there.
pub(crate) fn target(url: &str) -> Target {
    let account = Account { id: "1".into(), arn: "arn:aws:iam::1:user/ann".into() };
    let (app, stack, bucket) = ("shop".into(), "shop".into(), "code".into());
    Target { account, app, stack, bucket, main: None, client: Arc::new(client(url)) }
}
