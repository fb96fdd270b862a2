//! The /hash workload in Rust: hyper, tokio, sha2, serde_json.

mod metrics;

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::header::{HeaderValue, CONTENT_TYPE};
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use serde::Serialize;
use sha2::{Digest, Sha256};
use time::format_description::well_known::Rfc3339;
use time::OffsetDateTime;
use tokio::net::TcpListener;
use tokio::signal::unix::{signal, SignalKind};

use metrics::Metrics;

const ROUNDS: usize = 100;

#[derive(Serialize)]
struct Answer<'a> {
    hash: &'a str,
    timestamp: &'a str,
    source: &'static str,
}

/// Hashes `input` and then, ROUNDS - 1 times, the 32 raw bytes of the last round; in lower-case hex.
fn chain(input: &[u8]) -> String {
    let mut sum = Sha256::digest(input);
    for _ in 1..ROUNDS {
        sum = Sha256::digest(sum);
    }
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut text = String::with_capacity(64);
    for byte in sum {
        text.push(DIGITS[usize::from(byte >> 4)] as char);
        text.push(DIGITS[usize::from(byte & 15)] as char);
    }
    text
}

fn hex_digit(digit: u8) -> Option<u8> {
    (digit as char).to_digit(16).map(|value| value as u8)
}

/// The value of `input` in a query, percent-decoded, + as a space; "weir" if it is not there.
fn input_of(query: Option<&str>) -> Vec<u8> {
    let value = query
        .unwrap_or("")
        .split('&')
        .filter_map(|pair| pair.split_once('=').or(Some((pair, ""))))
        .find(|(name, _)| *name == "input");
    let Some((_, value)) = value else {
        return b"weir".to_vec();
    };
    let raw = value.as_bytes();
    let mut decoded = Vec::with_capacity(raw.len());
    let mut at = 0;
    while at < raw.len() {
        let escape = match raw[at..] {
            [b'%', high, low, ..] => hex_digit(high).zip(hex_digit(low)),
            _ => None,
        };
        if let Some((high, low)) = escape {
            decoded.push(high << 4 | low);
            at += 3;
        } else {
            decoded.push(if raw[at] == b'+' { b' ' } else { raw[at] });
            at += 1;
        }
    }
    decoded
}

fn reply(status: StatusCode, kind: &'static str, body: impl Into<Bytes>) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(body.into()));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    response
}

fn hash(request: &Request<Incoming>, metrics: &Metrics) -> Response<Full<Bytes>> {
    let started = Instant::now();
    let sum = chain(&input_of(request.uri().query()));
    let timestamp = OffsetDateTime::now_utc().format(&Rfc3339).unwrap_or_default();
    let answer = Answer { hash: &sum, timestamp: &timestamp, source: "rust" };
    let body = serde_json::to_vec(&answer).unwrap_or_default();
    metrics.observe(started.elapsed());
    reply(StatusCode::OK, "application/json", body)
}

async fn serve(request: Request<Incoming>, metrics: Arc<Metrics>) -> Result<Response<Full<Bytes>>, Infallible> {
    Ok(match request.uri().path() {
        "/hash" => hash(&request, &metrics),
        "/health" => reply(StatusCode::OK, "text/plain", "ok\n"),
        "/metrics" => reply(StatusCode::OK, "text/plain; version=0.0.4", metrics.render()),
        _ => reply(StatusCode::NOT_FOUND, "text/plain", "not found\n"),
    })
}

fn address() -> Result<SocketAddr, String> {
    let mut arguments = std::env::args().skip(1);
    let mut address = "127.0.0.1:8013".to_owned();
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--listen" => address = arguments.next().ok_or("--listen needs an address")?,
            other => return Err(format!("unknown argument {other}; usage: hash-rust [--listen ADDRESS]")),
        }
    }
    address.parse().map_err(|error| format!("{address}: {error}"))
}

async fn accept(listener: TcpListener, metrics: Arc<Metrics>) {
    loop {
        // What failed was one connection, or descriptors ran out for a moment.
        let Ok((stream, _)) = listener.accept().await else {
            tokio::task::yield_now().await;
            continue;
        };
        let _ = stream.set_nodelay(true);
        let metrics = Arc::clone(&metrics);
        tokio::spawn(async move {
            let service = service_fn(move |request| serve(request, Arc::clone(&metrics)));
            let mut server = hyper::server::conn::http1::Builder::new();
            // A broken connection is the client's business.
            let _ = server
                .timer(TokioTimer::new())
                .pipeline_flush(true)
                .serve_connection(TokioIo::new(stream), service)
                .await;
        });
    }
}

#[tokio::main]
async fn main() -> Result<(), String> {
    let address = address()?;
    let listener = TcpListener::bind(address)
        .await
        .map_err(|error| format!("hash-rust: cannot listen on {address}: {error}"))?;
    println!("hash-rust: listening on {address}");
    let mut terminate = signal(SignalKind::terminate()).map_err(|error| error.to_string())?;
    tokio::select! {
        () = accept(listener, Arc::new(Metrics::default())) => {}
        _ = terminate.recv() => {}
        _ = tokio::signal::ctrl_c() => {}
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_input_is_decoded() {
        assert_eq!(input_of(None), b"weir");
        assert_eq!(input_of(Some("x=1")), b"weir");
        assert_eq!(input_of(Some("x=1&input=a%20b+c%")), b"a b c%");
        assert_eq!(input_of(Some("input=")), b"");
        assert_eq!(input_of(Some("input")), b"");
    }

    #[test]
    fn rounds_are_chained_over_raw_bytes() {
        let mut sum = Sha256::digest(b"weir");
        for _ in 0..99 {
            sum = Sha256::digest(sum);
        }
        assert_eq!(chain(b"weir")[..2], format!("{:02x}", sum[0]));
        assert_eq!(chain(b"weir").len(), 64);
        assert_ne!(chain(b"weir"), chain(b""));
    }
}
