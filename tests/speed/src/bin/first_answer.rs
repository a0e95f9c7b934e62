//! Measures the time from starting a program to its first 200 at `/hello/you`: `first_answer PROGRAM [TIMES]` prints the
//! median.
#![expect(clippy::print_stdout, reason = "a tool's output")]

use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match &arguments[..] {
        [program, times @ ..] => {
            let times = times.first().and_then(|times| times.parse().ok()).unwrap_or(20);
            let mut took: Vec<Duration> = (0..times).map(|_| first_answer(program)).collect();
            took.sort_unstable();
            println!("{program}: median {:.2} ms to the first 200", took[took.len() / 2].as_secs_f64() * 1e3);
        }
        [] => println!("first_answer PROGRAM [TIMES]"),
    }
}

fn first_answer(program: &str) -> Duration {
    let free = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).and_then(|listener| listener.local_addr());
    let port = free.expect("a free port").port();
    let mut command = Command::new(program);
    command.env("PORT", port.to_string()).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let started = Instant::now();
    let mut child = command.spawn().expect("a process");
    let took = loop {
        if let Ok(mut stream) = TcpStream::connect(("127.0.0.1", port)) {
            let request = b"GET /hello/you HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";
            let mut answer = [0; 12];
            let exchanged = stream.write_all(request).and_then(|()| stream.read_exact(&mut answer));
            if exchanged.is_ok() && &answer == b"HTTP/1.1 200" {
                break started.elapsed();
            }
        }
        assert!(started.elapsed() < Duration::from_secs(10), "{program} does not answer");
        std::thread::sleep(Duration::from_micros(50));
    };
    let _ = child.kill();
    let _ = child.wait();
    took
}
