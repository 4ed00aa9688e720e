//! Against GnuPG: what `gpg --symmetric` writes opens here, and gpg reads what is sealed here.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a helper of a test fails by panicking"
)]

#[path = "support/random.rs"]
mod random;

use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Stdio};

use keywheel_codec::pgp::{self, Compression};
use keywheel_codec::{Format, Header, Key, Limits, OpenError, Opened, Shape, WriteOptions};
use random::Random;
use zeroize::Zeroizing;

const PASSPHRASE: &str = "a passphrase with spaces";

/// A folder for gpg, whose agent ends with the test.
struct Gpg(tempfile::TempDir);

impl Gpg {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mode = std::fs::Permissions::from_mode(0o700);
        std::fs::set_permissions(folder.path(), mode).unwrap();
        std::fs::write(folder.path().join("passphrase"), PASSPHRASE).unwrap();
        Self(folder)
    }

    fn folder(&self) -> &Path {
        self.0.path()
    }

    /// What gpg makes of some input.
    fn run(&self, words: &[&str], input: &[u8]) -> Vec<u8> {
        let mut child = Command::new("gpg")
            .args(["--batch", "--quiet", "--no-options", "--pinentry-mode=loopback", "--yes"])
            .arg("--passphrase-file")
            .arg(self.folder().join("passphrase"))
            .args(words)
            .env("GNUPGHOME", self.folder())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("apt-get install gnupg");
        let mut to = child.stdin.take().unwrap();
        let input = input.to_vec();
        let writer = std::thread::spawn(move || to.write_all(&input));
        let output = child.wait_with_output().unwrap();
        writer.join().unwrap().unwrap();
        assert!(output.status.success(), "{words:?}: {}", String::from_utf8_lossy(&output.stderr));
        output.stdout
    }
}

impl Drop for Gpg {
    fn drop(&mut self) {
        let mut command = Command::new("gpgconf");
        let _ = command.args(["--kill", "all"]).env("GNUPGHOME", self.folder()).output();
    }
}

#[test]
fn what_gpg_writes_opens() {
    let gpg = Gpg::new();
    let mut random = Random::new(1);
    let key = Key::passphrase(PASSPHRASE.as_bytes().to_vec());
    let ciphers = ["AES", "AES192", "AES256", "BLOWFISH", "3DES", "CAST5"];
    let digests = ["SHA1", "SHA224", "SHA256", "SHA384", "SHA512"];
    let compressions = ["none", "zip", "zlib"];
    let modes = ["0", "1", "3"];
    let sizes = [0, 1, 17, 8192, 100_000];
    for number in 0..60 {
        let cipher = ciphers[number % 6];
        let size = sizes[number % 5];
        let words = [
            "--symmetric",
            "--rfc4880",
            "--force-mdc",
            "--s2k-count=65536",
            "--cipher-algo",
            cipher,
            "--s2k-cipher-algo",
            cipher,
            "--s2k-digest-algo",
            digests[number % 5],
            "--compress-algo",
            compressions[(number / 2) % 3],
            "--s2k-mode",
            modes[random.below(3)],
            if number % 2 == 0 || size > 10_000 { "--no-textmode" } else { "--textmode" },
        ];
        let plain: Vec<u8> = random.bytes(size).iter().map(|byte| byte & 63 | 64).collect();
        let value = gpg.run(&words, &plain);
        let opened = Format::Pgp.open(&value, &key, Limits::default());
        let opened = opened.unwrap_or_else(|err| panic!("{words:?}: {err}"));
        assert!(**opened.plain == plain, "{words:?}");
        let Header::Pgp(header) = Format::Pgp.census(&value).unwrap() else { panic!() };
        assert!(header.checked && !header.exposed, "{words:?}: {header}");
    }
    let armored = gpg.run(&["--symmetric", "--rfc4880", "--armor"], b"in armor");
    let opened = Format::PgpArmored.open(&armored, &key, Limits::default()).unwrap();
    assert_eq!(&**opened.plain, b"in armor");
    let twofish = gpg.run(&["--symmetric", "--cipher-algo", "TWOFISH"], b"a value");
    let refused = Format::Pgp.open(&twofish, &key, Limits::default()).unwrap_err();
    assert_eq!(refused, OpenError::Unsupported { what: "the cipher Twofish" });
    let bzip2 = gpg.run(&["--symmetric", "--compress-algo", "bzip2"], b"a value");
    let refused = Format::Pgp.open(&bzip2, &key, Limits::default()).unwrap_err();
    assert_eq!(refused, OpenError::Unsupported { what: "compression with bzip2" });
}

#[test]
fn gpg_reads_what_is_sealed() {
    let gpg = Gpg::new();
    let mut random = Random::new(2);
    for number in 0..24 {
        let key = Key::passphrase(PASSPHRASE.as_bytes().to_vec());
        let write = pgp::Write::for_key(&key).stretched([1024, 65_536, 100_000][number % 3]);
        let write = if number % 2 == 0 { write } else { write.aes128() };
        let write = WriteOptions { pgp: write, version: 1 };
        let compressions = [Compression::None, Compression::Zip, Compression::Zlib];
        let shape = pgp::Shape::bytes().compressed(compressions[(number / 2) % 3]);
        let plain = random.bytes([0, 1, 17, 8192, 100_000, 17 << 20][number % 6]);
        let plain = Zeroizing::new(plain);
        let opened = Opened { plain, shape: Shape::Pgp(shape) };
        let format = if number % 4 == 3 { Format::PgpArmored } else { Format::Pgp };
        let sealed = format.seal(&opened, &key, &write, &mut |to| random.fill(to)).unwrap();
        assert!(gpg.run(&["--decrypt"], &sealed) == **opened.plain, "{number}");
    }
}
