//! Every message of this crate that an operator can meet: the cause, its source, the remedy.

#![expect(clippy::unwrap_used, reason = "a helper of a test fails by panicking")]

use std::error::Error;
use std::fmt::Write as _;
use std::io;
use std::path::PathBuf;

use keywheel_engine::ports::{KekError, KekId, StoreError};
use keywheel_store::kek::PrivateFileError;
use keywheel_store::{BackupError, KekOpenError, OpenError, SealError};

fn render(messages: Vec<(Box<dyn Error>, String)>) -> String {
    let mut out = String::new();
    for (error, remedy) in messages {
        writeln!(out, "{error}").unwrap();
        let mut source = error.source();
        while let Some(cause) = source {
            writeln!(out, "  because: {cause}").unwrap();
            source = cause.source();
        }
        writeln!(out, "  remedy: {remedy}\n").unwrap();
    }
    out
}

macro_rules! messages {
    ($($error:expr),+ $(,)?) => {
        render(vec![$({
            let error = $error;
            let remedy = error.remedy();
            (Box::new(error) as Box<dyn Error>, remedy)
        }),+])
    };
}

fn denied() -> io::Error {
    io::ErrorKind::PermissionDenied.into()
}

fn id(text: &str) -> KekId {
    KekId(text.to_owned())
}

#[test]
fn opening_a_store() {
    let what = "store";
    let path = PathBuf::from("/var/lib/keywheel/keywheel.db");
    let store = |source| OpenError::Store { what, path: path.clone(), source };
    let text = messages![
        OpenError::Io { what, path: path.clone(), source: denied() },
        OpenError::Exposed { what, path: path.clone(), mode: 0o644 },
        OpenError::Foreign { what, path: path.clone(), detail: "it is no database".to_owned() },
        OpenError::Newer { what, path: path.clone(), found: 3, known: 1 },
        store(StoreError::Full("database or disk is full".to_owned())),
        store(StoreError::Corrupt("database disk image is malformed".to_owned())),
        store(StoreError::Unavailable("database is locked".to_owned())),
    ];
    insta::assert_snapshot!(text);
}

#[test]
fn making_a_backup() {
    let path = PathBuf::from("/backup/keywheel.db");
    let store = |source| BackupError::Store { path: path.clone(), source };
    let text = messages![
        BackupError::Exists(path.clone()),
        BackupError::Io { path: path.clone(), source: denied() },
        store(StoreError::Full("database or disk is full".to_owned())),
        store(StoreError::Corrupt("database disk image is malformed".to_owned())),
    ];
    insta::assert_snapshot!(text);
}

#[test]
fn opening_a_sealed_value() {
    let subject = || "ring/web-session".to_owned();
    let text = messages![
        SealError::WrongKek {
            subject: subject(),
            needed: id("c0ffee0000000001"),
            given: id("c0ffee0000000002"),
        },
        SealError::Damaged { subject: subject(), detail: "it ends before its nonce".to_owned() },
        SealError::Refused { subject: subject(), detail: "it is larger than 16 MiB".to_owned() },
        SealError::Kek {
            subject: subject(),
            source: KekError::Provider("the token was removed".to_owned()),
        },
    ];
    insta::assert_snapshot!(text);
}

#[test]
fn opening_a_master_key() {
    let path = || PathBuf::from("/etc/keywheel/master.key");
    let kdf = || PathBuf::from("/etc/keywheel/passphrase.kdf");
    let text = messages![
        KekOpenError::from(PrivateFileError::Missing { path: path() }),
        KekOpenError::from(PrivateFileError::Exposed { path: path(), mode: 0o644 }),
        KekOpenError::from(PrivateFileError::Owner { path: path(), owner: 1000, expected: 0 }),
        KekOpenError::from(PrivateFileError::NotPlain { path: path(), kind: "symbolic link" }),
        KekOpenError::from(PrivateFileError::TooLarge { path: path(), limit_bytes: 256 }),
        KekOpenError::from(PrivateFileError::Io {
            path: path(),
            action: "written",
            source: denied(),
        }),
        KekOpenError::Content { path: path(), detail: "it is empty" },
        KekOpenError::NoCredentials { name: "keywheel".to_owned() },
        KekOpenError::CredentialName { name: "../keywheel".to_owned() },
        KekOpenError::ShortPassphrase { found_bytes: 9, least_bytes: 16 },
        KekOpenError::WrongPassphrase {
            path: kdf(),
            needed: id("c0ffee0000000001"),
            given: id("c0ffee0000000002"),
        },
        KekOpenError::Derivation {
            path: kdf(),
            detail: "its cost is outside the bounds".to_owned()
        },
        KekOpenError::Derive("memory allocation failed".to_owned()),
    ];
    insta::assert_snapshot!(text);
}
