//! The HTTP client against servers that misbehave, and over TLS.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use keywheel_api::problem::{Kind, Problem};
use keywheel_client::clock::boot_time;
use keywheel_client::http::{Http, HttpError, Next, Wake};
use keywheel_client::{Endpoint, TlsOptions, Token};
use keywheel_core::time::Span;
use serde_json::{Value, json};

/// Serves each connection with `answer`, which gets the stream and the head of the first request.
fn server(answer: impl Fn(TcpStream, String) + Send + Sync + 'static) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let answer = Arc::new(answer);
    std::thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let answer = Arc::clone(&answer);
            std::thread::spawn(move || {
                let mut stream = stream;
                let head = read_head(&mut stream);
                answer(stream, head);
            });
        }
    });
    format!("http://{address}")
}

fn read_head(stream: &mut impl Read) -> String {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") && stream.read(&mut byte).is_ok_and(|count| count == 1) {
        head.push(byte[0]);
    }
    String::from_utf8(head).unwrap()
}

fn client(endpoint: &str) -> Http {
    let token = Token::new("kw_id_secret".to_owned()).unwrap();
    let endpoint = Endpoint::parse(endpoint).unwrap();
    let http = Http::new(endpoint, Some(&token), &TlsOptions::default()).unwrap();
    http.with_timeout(Span::from_secs(60))
}

fn says(text: impl Into<Vec<u8>>) -> String {
    let text = text.into();
    server(move |mut stream, _| {
        let _ = stream.write_all(&text);
    })
}

fn failure(endpoint: &str) -> HttpError {
    client(endpoint).get::<Value>("/v1/rings").unwrap_err()
}

#[test]
fn what_is_no_keywheel_server_is_a_protocol_error_with_a_remedy() {
    let long_head = format!("HTTP/1.1 200 OK\r\nx: {}\r\n\r\n", "y".repeat(40_000));
    for text in [
        "SSH-2.0-OpenSSH_9\r\n",
        "HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nnot json!",
        "HTTP/1.1 301 Moved\r\nlocation: http://127.0.0.1:1/\r\ncontent-length: 0\r\n\r\n",
        "HTTP/1.1 500 Oops\r\ncontent-type: text/html\r\ncontent-length: 2\r\n\r\nhi",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n",
        &long_head,
    ] {
        let error = failure(&says(text));
        assert!(matches!(error, HttpError::Protocol { .. }), "{text:.40}: {error:?}");
        assert!(!error.cause().is_empty() && !error.remedy().is_empty());
    }
}

#[test]
fn a_broken_or_silent_server_is_unreachable() {
    for text in ["", "HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n{\"a\"", "HTTP/1.1 2"] {
        let error = failure(&says(text));
        assert!(matches!(error, HttpError::Unreachable { .. }), "{text}: {error:?}");
    }
    // An address of its own, so that no other test takes the port when it is given back.
    let listener = TcpListener::bind("127.0.7.2:0").unwrap();
    let address = listener.local_addr().unwrap();
    let silent = client(&format!("http://{address}")).with_timeout(Span::from_millis(50));
    let error = silent.get::<Value>("/").unwrap_err();
    assert!(error.to_string().contains("did not answer in time"), "{error}");
    // One that drips is not waited for any longer.
    let drips = server(|mut stream, _| {
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\n");
        while stream.write_all(b"x: y\r\n").is_ok() {
            std::thread::park_timeout(std::time::Duration::from_millis(5));
        }
    });
    let error = client(&drips).with_timeout(Span::from_millis(50)).get::<Value>("/").unwrap_err();
    assert!(matches!(error, HttpError::Unreachable { .. }), "{error}");
    drop(listener);
    let refused = failure(&format!("http://{address}"));
    assert!(refused.remedy().contains("start the server"), "{refused}");
    let missing = failure("unix:/nonexistent/keywheel.sock");
    assert!(missing.remedy().contains("correct the path"), "{missing}");
}

#[test]
fn an_endless_answer_is_cut_off() {
    let endpoint = server(|mut stream, _| {
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n");
        let piece = vec![b' '; 1 << 16];
        while stream.write_all(&piece).is_ok() {}
    });
    let error = client(&endpoint).with_timeout(Span::from_secs(60)).get::<Value>("/").unwrap_err();
    assert!(error.to_string().contains("too long"), "{error}");
}

#[test]
fn a_problem_document_arrives_whole() {
    let problem = Problem::new(Kind::RevisionConflict, "it changed", "read it again");
    let body = serde_json::to_string(&problem).unwrap();
    let answer = format!(
        "HTTP/1.1 412 X\r\ncontent-type: application/problem+json\r\n\
         content-length: {}\r\n\r\n{body}",
        body.len()
    );
    let error = failure(&says(answer));
    assert_eq!(error.problem(), Some(&problem));
    assert_eq!(error.to_string(), "it changed; read it again");
}

#[test]
fn requests_carry_the_token_and_connections_are_kept() {
    let connections = Arc::new(AtomicUsize::new(0));
    let seen = Arc::clone(&connections);
    let endpoint = server(move |mut stream, mut head| {
        seen.fetch_add(1, Ordering::SeqCst);
        for served in 0.. {
            if head.is_empty() {
                break;
            }
            assert!(head.contains("authorization: Bearer kw_id_secret\r\n"));
            let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
            let mut body = vec![0; length.map_or(0, |length| length.parse().unwrap())];
            stream.read_exact(&mut body).unwrap();
            let echo =
                if body.is_empty() { "null".into() } else { String::from_utf8(body).unwrap() };
            let answer = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{echo}", echo.len());
            stream.write_all(answer.as_bytes()).unwrap();
            if served == 2 {
                break;
            }
            head = read_head(&mut stream);
        }
    });
    let http = client(&endpoint);
    let body = json!({ "a": "ä".repeat(30_000) });
    let echoed: Value = http.post("/v1/x", Some(&body), &[("if-match", "7")]).unwrap();
    assert_eq!(echoed, body);
    assert_eq!(http.get::<Value>("/v1/x?y=z").unwrap(), Value::Null);
    assert_eq!(http.get::<Value>("/").unwrap(), Value::Null);
    assert_eq!(connections.load(Ordering::SeqCst), 1);
    // The server has closed by now; the next call opens another connection.
    assert_eq!(http.get::<Value>("/").unwrap(), Value::Null);
    assert_eq!(connections.load(Ordering::SeqCst), 2);
    let error = http.post::<Value>("/", Some(&1), &[("x", "a\r\nb: c")]).unwrap_err();
    assert!(matches!(error, HttpError::Setup { .. }));
}

#[test]
fn a_stream_can_be_waited_for_again_and_again() {
    let (go, gone) = std::sync::mpsc::channel::<()>();
    let gone = std::sync::Mutex::new(gone);
    let endpoint = server(move |mut stream, head| {
        assert!(head.contains("accept: text/event-stream\r\n"));
        let start = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\
                     transfer-encoding: chunked\r\n\r\nc\r\nid: 4\n\ndata:\r\n";
        stream.write_all(start.as_bytes()).unwrap();
        gone.lock().unwrap().recv().unwrap();
        stream.write_all(b"6\r\n one\n\n\r\n0\r\n\r\n").unwrap();
    });
    let http = client(&endpoint);
    let wake = Wake::new().unwrap();
    let mut events = http.sse("/v1/watch", &[], Some(&wake)).unwrap();
    let soon = || boot_time().after(Span::from_millis(30));
    assert_eq!(events.wait(soon(), Some(&wake)).unwrap(), Next::Deadline);
    assert_eq!((events.last_id(), events.is_mute()), (Some("4"), false));
    wake.ring();
    let late = || boot_time().after(Span::from_secs(120));
    assert_eq!(events.wait(late(), Some(&wake)).unwrap(), Next::Woken);
    wake.silence();
    go.send(()).unwrap();
    let Next::Event(event) = events.wait(late(), Some(&wake)).unwrap() else { panic!() };
    assert_eq!((event.name.as_str(), event.data.as_str()), ("message", "one"));
    assert_eq!(events.wait(late(), None).unwrap(), Next::Ended);
    assert!(events.next().is_none());
}

#[test]
fn tls_trusts_whom_it_was_told_to_and_nobody_else() {
    let folder = tempfile::tempdir().unwrap();
    let made = rcgen::generate_simple_self_signed(vec!["localhost".into()]).unwrap();
    let other = rcgen::generate_simple_self_signed(vec!["localhost".into()]).unwrap();
    let write = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    };
    let good = write("good.pem", &made.cert.pem());
    let wrong = write("wrong.pem", &other.cert.pem());
    let none = write("none.pem", "nothing here");
    let key = rustls_pki_types::PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key)
        .unwrap();
    let config = Arc::new(config);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let session = rustls::ServerConnection::new(Arc::clone(&config)).unwrap();
            std::thread::spawn(move || {
                let mut stream = rustls::StreamOwned::new(session, stream);
                while !read_head(&mut stream).is_empty() {
                    let body = format!("\"{}\"", "x".repeat(200_000));
                    let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", body.len());
                    if stream.write_all((head + &body).as_bytes()).is_err() {
                        break;
                    }
                }
            });
        }
    });
    let endpoint = |host: &str| Endpoint::parse(&format!("https://{host}:{port}")).unwrap();
    let trusting = |host: &str, ca_file: &std::path::Path| {
        Http::new(endpoint(host), None, &TlsOptions { ca_file: Some(ca_file.to_owned()) })
    };
    let http = trusting("localhost", &good).unwrap();
    for _ in 0..3 {
        assert_eq!(http.get::<String>("/").unwrap().len(), 200_000);
    }
    for refused in [trusting("localhost", &wrong).unwrap(), trusting("127.0.0.1", &good).unwrap()] {
        let error = refused.get::<String>("/").unwrap_err();
        assert!(error.remedy().contains("certificate"), "{error}");
    }
    let error = trusting("localhost", &none).err().unwrap();
    assert!(matches!(error, HttpError::Setup { .. }), "{error}");
}
