//! Sockets: TLS, unix sockets and who is at their other end, and what is refused at the start.

use std::io::Write as _;
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use keywheel_engine::{NewToken, Peer, RingScope, Role};
use keywheel_server::{Listen, Running, Server, Settings, StartError, Tls};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, Issuer, KeyPair};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};

use crate::support::http::{exchange_unix, read_answer};
use crate::support::{Answer, Request, World};

fn start(world: &World, settings: Settings) -> Result<Running, StartError> {
    world.runtime.block_on(Server::start(world.engine.clone(), settings))
}

fn listening(listen: &str) -> Settings {
    Settings { listen: vec![Listen::parse(listen).unwrap()], ..Settings::default() }
}

fn at_socket(path: &Path) -> Settings {
    Settings { listen: vec![Listen::Unix(path.into())], ..Settings::default() }
}

#[test]
fn plain_http_stays_on_loopback() {
    let world = World::new();
    for listen in ["0.0.0.0:0", "[::]:0", "192.0.2.1:7117"] {
        let error = start(&world, listening(listen)).err().expect("refused");
        assert!(matches!(error, StartError::PlainHttp(_)), "{error}");
        assert!(error.remedy().contains("tls"), "{}", error.remedy());
    }
    let error = start(&world, Settings::default()).err().expect("refused");
    assert!(matches!(error, StartError::NowhereToListen), "{error}");
    let taken = listening(&world.address.to_string());
    let error = start(&world, taken).err().expect("refused");
    assert!(matches!(error, StartError::Bind { .. }), "{error}");
    assert!(!error.remedy().is_empty());
}

#[test]
fn a_unix_socket_is_private_and_has_one_server() {
    let world = World::new();
    let mode = std::fs::metadata(&world.socket).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o660);
    assert_eq!(exchange_unix(&world.socket, &Request::new("GET", "/healthz")).status, 200);
    let error = start(&world, at_socket(&world.socket)).err().expect("refused");
    assert!(matches!(error, StartError::SocketInUse(_)), "{error}");
    assert_eq!(exchange_unix(&world.socket, &Request::new("GET", "/healthz")).status, 200);
}

#[test]
fn a_stale_socket_is_replaced_and_nothing_else() {
    let world = World::new();
    let folder = world.folder.path();

    let stale = folder.join("stale.sock");
    drop(UnixListener::bind(&stale).unwrap());
    assert!(stale.exists());
    let running = start(&world, at_socket(&stale)).unwrap();
    assert_eq!(exchange_unix(&stale, &Request::new("GET", "/healthz")).status, 200);
    world.runtime.block_on(running.stop(Duration::from_secs(5)));
    assert!(!stale.exists());

    let foreign = folder.join("foreign.sock");
    let _listens = UnixListener::bind(&foreign).unwrap();
    let error = start(&world, at_socket(&foreign)).err().expect("refused");
    assert!(matches!(error, StartError::SocketInUse(_)), "{error}");

    let file = folder.join("file");
    std::fs::write(&file, "precious").unwrap();
    let error = start(&world, at_socket(&file)).err().expect("refused");
    assert!(matches!(error, StartError::NotASocket(_)), "{error}");
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "precious");

    let nowhere = at_socket(&folder.join("none/keywheel.sock"));
    assert!(matches!(start(&world, nowhere).err(), Some(StartError::Bind { .. })));
}

fn bound_token(world: &World, uid: Option<u32>, cidr: Option<&str>) -> String {
    world.make_token(NewToken {
        name: "bound".into(),
        role: Role::Auditor,
        rings: RingScope::All,
        consumer: None,
        cidr: cidr.map(|cidr| cidr.to_owned().try_into().unwrap()),
        uid,
        expires_in: None,
    })
}

#[test]
fn a_token_works_where_it_is_bound_to() {
    let world = World::new();
    let own = rustix::process::getuid().as_raw();
    let here = |token: &str| {
        let request = Request::new("GET", "/v1/rings/web").token(token);
        (exchange_unix(&world.socket, &request).status, world.send(&request).status)
    };
    assert_eq!(here(&bound_token(&world, Some(own), None)), (200, 401));
    assert_eq!(here(&bound_token(&world, Some(own + 1), None)), (401, 401));
    assert_eq!(here(&bound_token(&world, None, Some("127.0.0.0/8"))), (401, 200));
    assert_eq!(here(&bound_token(&world, None, Some("10.0.0.0/8"))), (401, 401));
    assert_eq!(here(&bound_token(&world, None, None)), (200, 200));
    // The engine and the socket mean the same user.
    let bound = bound_token(&world, Some(own), None);
    assert!(world.engine.authenticate(&bound, &Peer { ip: None, uid: Some(own) }).is_ok());
}

#[test]
fn metrics_are_open_on_loopback_only_where_the_settings_say_so() {
    let closed = World::new();
    assert_eq!(closed.send(&Request::new("GET", "/metrics")).problem(), "unauthenticated");
    let open = World::with(|settings, _| settings.open_metrics_on_loopback = true);
    assert_eq!(open.send(&Request::new("GET", "/metrics")).status, 200);
    assert_eq!(exchange_unix(&open.socket, &Request::new("GET", "/metrics")).status, 200);
    // A token that is shown is checked all the same.
    assert_eq!(open.ask("consumer", "GET", "/metrics").problem(), "forbidden");
}

/// A small authority, and what it signed.
struct Authority {
    folder: PathBuf,
    issuer: CertifiedIssuer<'static, KeyPair>,
}

impl Authority {
    fn new(folder: &Path) -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        std::fs::write(folder.join("ca.pem"), issuer.pem()).unwrap();
        Self { folder: folder.into(), issuer }
    }

    fn sign(&self, name: &str, subject: &str) -> (PathBuf, PathBuf) {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new([subject.to_owned()]).unwrap();
        let issuer: &Issuer<'_, KeyPair> = &self.issuer;
        let certificate = params.signed_by(&key, issuer).unwrap();
        let files =
            (self.folder.join(format!("{name}.pem")), self.folder.join(format!("{name}.key")));
        std::fs::write(&files.0, certificate.pem()).unwrap();
        std::fs::write(&files.1, key.serialize_pem()).unwrap();
        files
    }

    fn client(&self, own: Option<&(PathBuf, PathBuf)>) -> Arc<ClientConfig> {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_file(self.folder.join("ca.pem")).unwrap()).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let builder = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots);
        Arc::new(match own {
            None => builder.with_no_client_auth(),
            Some((certificate, key)) => builder
                .with_client_auth_cert(
                    vec![CertificateDer::from_pem_file(certificate).unwrap()],
                    PrivateKeyDer::from_pem_file(key).unwrap(),
                )
                .unwrap(),
        })
    }
}

fn over_tls(
    running: &Running,
    config: &Arc<ClientConfig>,
    request: &Request,
) -> Result<Answer, String> {
    let Listen::Tcp(address) = running.addresses()[0] else { unreachable!() };
    let name = ServerName::try_from("localhost").unwrap();
    let connection = ClientConnection::new(Arc::clone(config), name).unwrap();
    let mut stream = StreamOwned::new(connection, TcpStream::connect(address).unwrap());
    stream.sock.set_read_timeout(Some(Duration::from_mins(2))).unwrap();
    stream.write_all(&request.bytes(true)).map_err(|error| error.to_string())?;
    let mut heard = Vec::new();
    // A server that refuses the certificate says so with the first read.
    std::io::Read::read_to_end(&mut stream, &mut heard).map_err(|error| error.to_string())?;
    Ok(read_answer(&mut heard.as_slice()))
}

#[test]
fn tls_serves_those_who_trust_it() {
    let world = World::new();
    let authority = Authority::new(world.folder.path());
    let (cert_file, key_file) = authority.sign("server", "localhost");
    let tls = Tls { cert_file, key_file, client_ca_file: None };
    let settings = Settings { tls: Some(tls), ..listening("127.0.0.1:0") };
    let running = start(&world, settings).unwrap();
    let request = Request::new("GET", "/v1/rings/web").token(world.token("auditor"));
    let answer = over_tls(&running, &authority.client(None), &request).unwrap();
    assert_eq!(answer.status, 200, "{answer:?}");

    // Whoever speaks plain HTTP is not understood.
    let Listen::Tcp(address) = running.addresses()[0] else { unreachable!() };
    let mut plain = TcpStream::connect(address).unwrap();
    plain.write_all(&request.bytes(true)).unwrap();
    let mut heard = Vec::new();
    let _ = std::io::Read::read_to_end(&mut plain, &mut heard);
    assert!(!heard.starts_with(b"HTTP"));
    world.runtime.block_on(running.stop(Duration::from_secs(5)));
}

#[test]
fn with_an_authority_for_callers_each_shows_a_certificate() {
    let world = World::new();
    let authority = Authority::new(world.folder.path());
    let (cert_file, key_file) = authority.sign("server", "localhost");
    let client_ca_file = Some(world.folder.path().join("ca.pem"));
    let tls = Tls { cert_file, key_file, client_ca_file };
    let settings = Settings { tls: Some(tls), ..listening("127.0.0.1:0") };
    let running = start(&world, settings).unwrap();
    let request = Request::new("GET", "/healthz");
    let known = authority.client(Some(&authority.sign("client", "client")));
    assert_eq!(over_tls(&running, &known, &request).unwrap().status, 200);
    assert!(over_tls(&running, &authority.client(None), &request).is_err());
    world.runtime.block_on(running.stop(Duration::from_secs(5)));
}

#[test]
fn tls_files_that_cannot_be_used_are_named() {
    let world = World::new();
    let folder = world.folder.path();
    let authority = Authority::new(folder);
    let (certificate, key) = authority.sign("one", "localhost");
    let (_, other_key) = authority.sign("two", "localhost");
    let nonsense = folder.join("nonsense");
    std::fs::write(&nonsense, "nothing of the kind").unwrap();
    let missing = folder.join("missing");
    for (cert_file, key_file, named) in [
        (&missing, &key, "missing"),
        (&certificate, &missing, "missing"),
        (&nonsense, &key, "nonsense"),
        (&certificate, &nonsense, "nonsense"),
        (&certificate, &other_key, "TLS"),
    ] {
        let (cert_file, key_file) = (cert_file.clone(), key_file.clone());
        let tls = Some(Tls { cert_file, key_file, client_ca_file: None });
        let error = start(&world, Settings { tls, ..listening("127.0.0.1:0") });
        let error = error.err().expect("refused");
        assert!(error.to_string().contains(named), "{error}");
        assert!(!error.remedy().is_empty());
    }
}
