//! Probes over TLS: they pass where the certificate bears the name and is signed by whom they were
//! told to trust, and nowhere else.

use std::path::{Path, PathBuf};

use super::*;
use crate::settings::Tls;

const NAME: &str = "front.example";

/// A server that answers 204 to every request, one connection after the other.
struct TlsServer {
    address: String,
    is_over: Arc<AtomicBool>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl TlsServer {
    fn start(config: rustls::ServerConfig) -> Self {
        let config = Arc::new(config);
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let is_over = Arc::new(AtomicBool::new(false));
        let over = Arc::clone(&is_over);
        let thread = std::thread::spawn(move || {
            for stream in listener.incoming() {
                if over.load(Ordering::SeqCst) {
                    return;
                }
                let session = rustls::ServerConnection::new(Arc::clone(&config)).unwrap();
                answer(&mut rustls::StreamOwned::new(session, stream.unwrap()));
            }
        });
        Self { address, is_over, thread: Some(thread) }
    }
}

impl Drop for TlsServer {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::SeqCst);
        let _ = std::net::TcpStream::connect(&self.address);
        let _ = self.thread.take().map(std::thread::JoinHandle::join);
    }
}

/// Whoever does not trust us, or only wanted to see us, goes away in the middle.
fn answer(stream: &mut (impl std::io::Read + std::io::Write)) {
    let mut reader = BufReader::new(stream);
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        match reader.read_line(&mut head) {
            Ok(read) if read > 0 => {}
            _ => return,
        }
    }
    let _ = reader.get_mut().write_all(b"HTTP/1.1 204 X\r\ncontent-length: 0\r\n\r\n");
}

/// A certificate for [`NAME`] by itself, as a server has it and as a file for whoever trusts it.
fn certificate(folder: &Path, file: &str) -> (rustls::ServerConfig, PathBuf) {
    let made = rcgen::generate_simple_self_signed(vec![NAME.into()]).unwrap();
    let path = folder.join(file);
    std::fs::write(&path, made.cert.pem()).unwrap();
    let key = rustls::pki_types::PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key)
        .unwrap();
    (config, path)
}

#[test]
fn a_certificate_counts_only_with_its_name_and_its_signer() {
    let folder = tempfile::tempdir().unwrap();
    let (config, good) = certificate(folder.path(), "good.pem");
    let (_, wrong) = certificate(folder.path(), "wrong.pem");
    let server = TlsServer::start(config);
    let port = server.address.rsplit_once(':').unwrap().1;
    let tls = |name: &str, ca: &Path| Some(Tls { name: name.into(), ca_file: Some(ca.into()) });
    let tcp = |tls| Attempt::Tcp { address: server.address.clone(), tls };
    let https = |tls| {
        Attempt::Http(HttpAttempt {
            url: format!("https://127.0.0.1:{port}/"),
            tls,
            method: "GET".into(),
            headers: Vec::new(),
            artefact: None,
            fresh: 3,
            accepted: Vec::new(),
            refused: Vec::new(),
            fingerprint: None,
            workers: None,
        })
    };
    let values = all(ring(vec![key(&secret_kind(), 1)]));
    let try_it = |attempt, within_millis| {
        crate::probe::probe(&named(attempt, within_millis), &values, &Redactor::none(), &never)
    };
    assert_eq!(try_it(tcp(tls(NAME, &good)), 20_000).unwrap().tries, 1);
    assert_eq!(try_it(https(tls(NAME, &good)), 20_000).unwrap().tries, 3);
    for (name, ca) in [(NAME, &wrong), ("other.example", &good)] {
        for attempt in [tcp(tls(name, ca)), https(tls(name, ca))] {
            let error = try_it(attempt, 1).unwrap_err();
            let text = format!("{error}: {}", error.remedy());
            assert!(matches!(error, ProbeError::NotInTime { .. }), "{text}");
        }
    }
    let missing = folder.path().join("none.pem");
    let error = try_it(tcp(tls(NAME, &missing)), 20_000).unwrap_err();
    assert!(matches!(error, ProbeError::Never { .. }), "{error}");
}
