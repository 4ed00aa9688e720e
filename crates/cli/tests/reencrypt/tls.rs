//! TLS to the database, for `keywheel reencrypt` and `keywheel scan`, against a real PostgreSQL
//! that takes nothing else: who is believed, who is not, and what is said then.

use std::net::TcpListener;

use ::postgres::Client;
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};

use super::postgres::Server;
use super::world::{Ran, World, set_mode, until_or};
use super::{NEW, OLD};

const NAME: &str = "db.example.test";
const PASSWORD: &str = "the password of the mover";

/// An authority, and whom it vouches for.
struct Authority {
    pem: String,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    fn new(name: &str) -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let pem = params.self_signed(&key).unwrap().pem();
        Self { pem, issuer: Issuer::new(params, key) }
    }

    /// A certificate and its key, in PEM.
    fn vouches(&self, name: &str) -> (String, String) {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new([name.to_owned()]).unwrap();
        params.distinguished_name.push(DnType::CommonName, name);
        (params.signed_by(&key, &self.issuer).unwrap().pem(), key.serialize_pem())
    }
}

/// Like `openssl req -x509`, as PostgreSQL's manual makes it: an authority that vouches for itself.
fn self_made() -> (String, String) {
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new([NAME.to_owned()]).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    (params.self_signed(&key).unwrap().pem(), key.serialize_pem())
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// A database that takes only TLS over TCP, and what is needed to call it.
struct Site {
    server: Server,
    client: Client,
    world: World,
    port: u16,
}

impl Site {
    fn new() -> Self {
        let (authority, other) = (Authority::new("an authority"), Authority::new("another"));
        let (certificate, key) = authority.vouches(NAME);
        let port = free_port();
        let (self_made, self_made_key) = self_made();
        let mut server = Server::start_with(false, |server| {
            let file = |name: &str, text: &str| server.put(name, text).display().to_string();
            file("self.crt", &self_made);
            file("self.key", &self_made_key);
            let rules = "local all owner trust\nhostssl all certified 127.0.0.1/32 cert\n\
                         hostssl all mover 127.0.0.1/32 scram-sha-256\n";
            vec![
                format!("port={port}"),
                "listen_addresses=127.0.0.1".to_owned(),
                "ssl=on".to_owned(),
                format!("hba_file={}", file("hba.conf", rules)),
                format!("ssl_ca_file={}", file("ca.crt", &authority.pem)),
                format!("ssl_key_file={}", file("server.key", &key)),
                format!("ssl_cert_file={}", file("server.crt", &certificate)),
            ]
        });
        let mut client = server.client();
        let fill = format!(
            "CREATE ROLE mover SUPERUSER LOGIN PASSWORD '{PASSWORD}'; \
             CREATE ROLE certified SUPERUSER LOGIN; \
             CREATE TABLE people (id int PRIMARY KEY, ssn bytea); \
             INSERT INTO people SELECT n, pgp_sym_encrypt('ssn ' || n, '{OLD}', \
             's2k-count=1024') FROM generate_series(1, 200) n"
        );
        client.batch_execute(&fill).unwrap();
        let world = World::new();
        let (certificate, key) = authority.vouches("certified");
        for (name, text) in [
            ("ca.pem", authority.pem.as_str()),
            ("other.pem", &other.pem),
            ("self.pem", &self_made),
            ("certified.pem", &certificate),
            ("certified.key", &key),
            ("old.key", OLD),
            ("new.key", NEW),
        ] {
            world.write(name, text);
            set_mode(&world.path(name), 0o600);
        }
        Self { server, client, world, port }
    }

    fn run(&self, words: &[&str], user: &str, options: &str) -> Ran {
        let port = self.port;
        let url = format!("postgresql://{user}@/postgres?port={port}{options}");
        let mut command = self.world.command(&[words, &["--database", &url]].concat());
        command.env("HOME", self.world.path("")).env("PGPASSWORD", PASSWORD);
        for name in ["PGSSLMODE", "PGSSLROOTCERT", "PGSSLCERT", "PGSSLKEY", "PGPASSFILE"] {
            command.env_remove(name);
        }
        Ran::of(&mut command)
    }

    /// Looks at the column over TCP, with these options in the URL.
    fn inspect(&self, options: &str) -> Ran {
        let words = ["reencrypt", "inspect", "--table", "people", "--column", "ssn"];
        self.run(&words, "mover", options)
    }

    fn works(&self, options: &str) {
        let ran = self.inspect(options);
        assert_eq!(ran.code, 0, "{options}: {}{}", ran.stdout, ran.stderr);
    }

    fn fails(&self, options: &str, code: i32, words: &[&str]) {
        let ran = self.inspect(options);
        assert_eq!(ran.code, code, "{options}: {}{}", ran.stdout, ran.stderr);
        for word in words {
            assert!(ran.stderr.contains(word), "{options}: {}", ran.stderr);
        }
        assert!(!ran.stderr.contains(PASSWORD));
    }

    /// Gives the running server the certificate that vouches for itself.
    fn turn(&mut self, is_read: impl Fn(&Self) -> bool) {
        for kind in ["crt", "key"] {
            let from = self.server.path(&format!("self.{kind}"));
            std::fs::copy(from, self.server.path(&format!("server.{kind}"))).unwrap();
        }
        self.client.batch_execute("SELECT pg_reload_conf()").unwrap();
        until_or("the certificate is read", || is_read(self), || self.inspect("").stderr);
    }
}

const HERE: &str = "&hostaddr=127.0.0.1&host=";

#[test]
fn only_the_server_that_is_meant_is_believed() {
    let site = Site::new();
    let named = |name: &str, more: &str| format!("{HERE}{name}{more}");
    site.works(&named(NAME, "&sslmode=verify-full&sslrootcert=ca.pem&channel_binding=require"));
    site.works(&named(NAME, "&sslmode=require&channel_binding=require"));
    site.works(&named("other.example.test", "&sslmode=verify-ca&sslrootcert=ca.pem"));
    site.works(&named("localhost", ""));
    site.fails(
        &named("other.example.test", "&sslmode=verify-full&sslrootcert=ca.pem"),
        5,
        &["for another name", "other.example.test", "hostaddr"],
    );
    for mode in ["require", "verify-ca", "verify-full"] {
        let options = format!("&sslmode={mode}&sslrootcert=other.pem");
        site.fails(&named(NAME, &options), 5, &["nobody who is trusted", "sslrootcert=FILE"]);
    }
    let unknown = "&sslmode=verify-full&sslrootcert=system";
    site.fails(&named(NAME, unknown), 5, &["sslrootcert"]);
    site.fails(&named(NAME, "&sslmode=disable"), 5, &["no pg_hba.conf entry"]);
    site.fails(&named(NAME, "&sslmode=verify-full&sslrootcert=no.pem"), 2, &["no.pem"]);
    site.fails(&named(NAME, "&sslmode=sometimes"), 2, &["sslmode", "verify-full"]);
    let far = "&host=db.example.test&sslmode=prefer";
    site.fails(far, 2, &["would not be encrypted", "--allow-plaintext"]);
}

#[test]
fn rows_move_and_a_scan_reads_over_tls() {
    let site = Site::new();
    let full = format!("{HERE}{NAME}&sslmode=verify-full&sslrootcert=ca.pem");
    let words = ["reencrypt", "run", "--table", "people", "--column", "ssn", "--workers", "2"];
    let keys = ["--old-key-file", "old.key", "--new-key-file", "new.key"];
    let ran = site.run(&[words.as_slice(), &keys].concat(), "mover", &full);
    assert_eq!(ran.code, 0, "{}{}", ran.stdout, ran.stderr);
    assert!(ran.stdout.contains("200 rows moved"), "{}", ran.stdout);
    let ran = site.run(&["scan", "."], "mover", &full);
    assert_eq!(ran.code, 0, "{}{}", ran.stdout, ran.stderr);
    let ran = site.run(&["scan", "."], "mover", &full.replace("ca.pem", "other.pem"));
    assert_eq!(ran.code, 5, "{}{}", ran.stdout, ran.stderr);
    assert!(ran.stderr.contains("nobody who is trusted"), "{}", ran.stderr);

    let shown = format!("{full}&sslcert=certified.pem&sslkey=certified.key");
    let words = ["reencrypt", "status", "--table", "people", "--column", "ssn"];
    let ran = site.run(&words, "certified", &shown);
    assert_eq!(ran.code, 0, "{}{}", ran.stdout, ran.stderr);
    let ran = site.run(&words, "certified", &full);
    assert_eq!(ran.code, 5, "{}{}", ran.stdout, ran.stderr);
    set_mode(&site.world.path("certified.key"), 0o644);
    let ran = site.run(&words, "certified", &shown);
    assert_eq!(ran.code, 2, "{}{}", ran.stdout, ran.stderr);
    assert!(ran.stderr.contains("chmod 600"), "{}", ran.stderr);
}

#[test]
fn a_certificate_that_vouches_for_itself_is_believed_where_it_is_named() {
    let mut site = Site::new();
    let named = |name: &str, more: &str| format!("{HERE}{name}&sslmode=verify-full{more}");
    let known = named(NAME, "&sslrootcert=self.pem");
    site.turn(|site| site.inspect(&known).code == 0);
    site.fails(&named("other.example.test", "&sslrootcert=self.pem"), 5, &["another name"]);
    site.fails(&named(NAME, "&sslrootcert=ca.pem"), 5, &["nobody who is trusted"]);
}

#[test]
fn a_server_without_tls_is_no_server_that_encrypts() {
    let port = free_port();
    let mut server = Server::start_with(false, |_| {
        vec![format!("port={port}"), "listen_addresses=127.0.0.1".to_owned()]
    });
    server.client().batch_execute("CREATE TABLE people (id int PRIMARY KEY, ssn bytea)").unwrap();
    let world = World::new();
    let inspect = |options: &str| {
        let url = format!("postgresql://owner@127.0.0.1:{port}/postgres{options}");
        let words = ["reencrypt", "inspect", "--table", "people", "--column", "ssn"];
        world.run(&[words.as_slice(), &["--database", &url]].concat())
    };
    let ran = inspect("");
    assert_eq!(ran.code, 0, "this machine needs none: {}{}", ran.stdout, ran.stderr);
    let ran = inspect("?sslmode=require");
    assert_eq!(ran.code, 5, "{}{}", ran.stdout, ran.stderr);
    assert!(ran.stderr.contains("does not speak TLS"), "{}", ran.stderr);
    assert!(ran.stderr.contains("ssl = on"), "{}", ran.stderr);
}
