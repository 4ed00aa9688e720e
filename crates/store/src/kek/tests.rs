//! Where master keys come from, and all the ways in which their files can be wrong.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use keywheel_engine::ports::{Kek, KekError, KekId, WrappedKey};

use super::{
    CredentialKek, FileKek, FileRotation, KdfCost, KekOpenError, KekSource, PassphraseKek,
    PrivateFileError,
};
use crate::SystemEntropy;

const CONTEXT: &[u8] = b"ring/web-session";
const PASSPHRASE: &[u8] = b"correct horse battery staple";

struct Place(tempfile::TempDir);

impl Place {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn write(&self, name: &str, contents: &[u8], mode: u32) -> PathBuf {
        let path = self.path(name);
        std::fs::write(&path, contents).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
        path
    }

    fn names(&self) -> Vec<String> {
        let entries = std::fs::read_dir(self.0.path()).unwrap();
        let mut names: Vec<String> =
            entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }
}

fn open(path: &Path) -> Result<FileKek, KekOpenError> {
    FileKek::open(path, Arc::new(SystemEntropy))
}

fn open_or_create(path: &Path) -> Result<FileKek, KekOpenError> {
    FileKek::open_or_create(path, Arc::new(SystemEntropy))
}

fn refusal<T>(result: Result<T, KekOpenError>) -> KekOpenError {
    result.err().expect("it is refused")
}

/// A key that is plainly not all the same byte.
fn digits() -> String {
    "00070e151c232a31383f464d545b626970777e858c939aa1a8afb6bdc4cbd2d9".to_owned()
}

#[test]
fn the_first_start_makes_a_private_file_and_nothing_else() {
    let place = Place::new();
    let path = place.path("master.key");
    assert!(matches!(refusal(open(&path)), KekOpenError::File(PrivateFileError::Missing { .. })));
    let made = open_or_create(&path).unwrap();
    let bits = std::fs::metadata(&path).unwrap().permissions().mode() & 0o7777;
    assert_eq!(bits, 0o600);
    assert_eq!(place.names(), ["master.key"]);
    let contents = std::fs::read(&path).unwrap();
    let again = open_or_create(&path).unwrap();
    assert_eq!(made.id(), again.id());
    assert_eq!(std::fs::read(&path).unwrap(), contents, "an existing key was replaced");
    assert!(contents.starts_with(b"keywheel master key v1\n"));
}

#[test]
fn many_first_starts_at_once_make_one_key() {
    let place = Place::new();
    let path = place.path("master.key");
    let ids = std::thread::scope(|scope| {
        let threads: Vec<_> =
            (0..8).map(|_| scope.spawn(|| open_or_create(&path).unwrap().id())).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect::<Vec<_>>()
    });
    assert!(ids.iter().all(|id| *id == ids[0]), "{ids:?}");
    assert_eq!(place.names(), ["master.key"]);
}

#[test]
fn three_spellings_of_one_key_are_one_key() {
    let place = Place::new();
    let raw: Vec<u8> = (0_u8..32).map(|byte| byte.wrapping_mul(7)).collect();
    let spellings = [
        digits().into_bytes(),
        format!("{}\n", digits().to_uppercase()).into_bytes(),
        format!("keywheel master key v1\n{}\n", digits()).into_bytes(),
        format!("keywheel master key v1\r\n{}\r\n", digits()).into_bytes(),
        raw,
    ];
    let ids: Vec<KekId> = spellings
        .iter()
        .enumerate()
        .map(|(n, spelling)| open(&place.write(&n.to_string(), spelling, 0o600)).unwrap().id())
        .collect();
    assert!(ids.iter().all(|id| *id == ids[0]), "{ids:?}");
}

#[test]
fn what_is_no_key_is_refused_with_its_reason() {
    let place = Place::new();
    let same = "ab".repeat(32);
    for (contents, reason) in [
        ("", "it is empty"),
        ("\n", "it is empty"),
        ("keywheel master key v1\n", "it is empty"),
        ("keywheel master key v2\nabc", "it was written by another version of keywheel"),
        ("abcdef", "64 hexadecimal digits or 32 raw bytes are needed"),
        (&digits()[..63], "64 hexadecimal digits or 32 raw bytes are needed"),
        (&digits().replace('7', "g"), "it has a digit that is not 0-9 a-f"),
        (&same, "all its bytes are the same"),
        (
            "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0",
            "all its bytes are the same",
        ),
    ] {
        let path = place.write("master.key", contents.as_bytes(), 0o600);
        for result in [open(&path), open_or_create(&path)] {
            let refused = refusal(result);
            let expected = format!("{} holds no master key: {reason}", path.display());
            assert_eq!(refused.to_string(), expected);
            assert!(refused.remedy().starts_with("put back the copy"), "{}", refused.remedy());
        }
        assert_eq!(std::fs::read(&path).unwrap(), contents.as_bytes(), "it was changed");
    }
    let path = place.write("master.key", &[b'a'; 5_000], 0o600);
    assert!(matches!(refusal(open(&path)), KekOpenError::File(PrivateFileError::TooLarge { .. })));
}

#[test]
fn a_key_that_others_can_reach_is_refused() {
    let place = Place::new();
    for mode in [0o640, 0o604, 0o660, 0o644, 0o620, 0o601, 0o777] {
        let path = place.write("master.key", digits().as_bytes(), mode);
        let refused = refusal(open_or_create(&path));
        let expected = format!("{} has mode {mode:04o}", path.display());
        assert!(refused.to_string().starts_with(&expected), "{refused}");
        assert!(refused.remedy().contains("chmod 600"), "{}", refused.remedy());
    }
    for mode in [0o600, 0o400] {
        open(&place.write("master.key", digits().as_bytes(), mode)).unwrap();
    }
}

#[test]
fn a_folder_in_which_anybody_may_rename_is_refused() {
    let place = Place::new();
    let path = place.write("master.key", digits().as_bytes(), 0o600);
    let chmod = |mode| {
        std::fs::set_permissions(place.0.path(), std::fs::Permissions::from_mode(mode)).unwrap();
    };
    chmod(0o777);
    let refused = refusal(open(&path));
    assert!(refused.remedy().contains("chmod o-w"), "{}", refused.remedy());
    chmod(0o1777);
    open(&path).unwrap();
    chmod(0o755);
    open(&path).unwrap();
}

#[test]
fn links_folders_and_pipes_are_refused() {
    let place = Place::new();
    let real = place.write("real.key", digits().as_bytes(), 0o600);
    let link = place.path("link.key");
    std::os::unix::fs::symlink(&real, &link).unwrap();
    let dangling = place.path("dangling.key");
    std::os::unix::fs::symlink(place.path("nowhere"), &dangling).unwrap();
    let folder = place.path("folder.key");
    std::fs::create_dir(&folder).unwrap();
    let pipe = place.path("pipe.key");
    rustix::fs::mkfifoat(rustix::fs::CWD, &pipe, rustix::fs::Mode::RUSR).unwrap();
    for path in [link, dangling, folder, pipe] {
        let refused = refusal(open_or_create(&path));
        let plain = matches!(refused, KekOpenError::File(PrivateFileError::NotPlain { .. }));
        assert!(plain, "{}: {refused}", path.display());
    }
    assert!(!place.path("nowhere").exists(), "a key was made behind a link");
}

#[test]
fn a_key_of_another_user_is_refused() {
    let place = Place::new();
    let path = place.write("master.key", digits().as_bytes(), 0o600);
    if std::os::unix::fs::chown(&path, Some(65_533), None).is_err() {
        eprintln!("skipped: only root can give a file to another user");
        return;
    }
    let refused = refusal(open(&path));
    let wrong =
        matches!(refused, KekOpenError::File(PrivateFileError::Owner { owner: 65_533, .. }));
    assert!(wrong, "{refused}");
    assert!(refused.remedy().starts_with("run: chown "), "{}", refused.remedy());
}

#[test]
fn a_wrap_opens_only_in_its_context_and_unchanged() {
    let place = Place::new();
    let kek = open_or_create(&place.path("master.key")).unwrap();
    let wrapped = kek.wrap(CONTEXT, &[7; 32]).unwrap();
    assert_eq!(*kek.unwrap(CONTEXT, &wrapped).unwrap(), [7; 32]);
    assert!(matches!(kek.unwrap(b"ring/other", &wrapped), Err(KekError::Damaged)));
    for place in 0..wrapped.bytes.len() {
        let mut edited = wrapped.clone();
        edited.bytes[place] ^= 1;
        assert!(matches!(kek.unwrap(CONTEXT, &edited), Err(KekError::Damaged)), "byte {place}");
        let torn = WrappedKey { bytes: wrapped.bytes[..place].to_vec(), ..wrapped.clone() };
        assert!(matches!(kek.unwrap(CONTEXT, &torn), Err(KekError::Damaged)), "cut at {place}");
    }
    assert_ne!(wrapped.bytes, kek.wrap(CONTEXT, &[7; 32]).unwrap().bytes);
}

#[test]
fn the_name_of_a_key_is_stable_and_tells_nothing() {
    let place = Place::new();
    let id = open(&place.write("master.key", digits().as_bytes(), 0o600)).unwrap().id().0;
    // Computed apart from this code, as HMAC-SHA256 by RFC 5869. A change here would make every
    // store of every user unreadable.
    assert_eq!(id, "cfb0382fcd37c199");
    assert!(!digits().contains(&id));
}

#[test]
fn a_rotation_can_be_interrupted_at_each_step() {
    let place = Place::new();
    let path = place.path("master.key");
    let source = KekSource::File { path: path.clone() };
    let entropy = || Arc::new(SystemEntropy);
    let former = source.open_or_create(entropy()).unwrap();
    let wrapped = former.wrap(CONTEXT, &[7; 32]).unwrap();
    assert!(FileRotation::pending(&path, entropy()).unwrap().is_none());

    let begun = FileRotation::begin(&path, entropy()).unwrap().next().id();
    assert_ne!(begun, former.id());
    // Interrupted here: whoever starts now has both keys, and a second attempt makes no third.
    let both = source.open(entropy()).unwrap();
    assert_eq!((both.id(), both.former_ids()), (begun.clone(), vec![former.id()]));
    assert_eq!(*both.unwrap(CONTEXT, &wrapped).unwrap(), [7; 32]);
    assert_eq!(FileRotation::begin(&path, entropy()).unwrap().next().id(), begun);

    let pending = FileRotation::pending(&path, entropy()).unwrap().unwrap();
    // Interrupted between the link and the rename.
    let kept = place.path(&format!("master.key.{}", former.id().0));
    std::fs::hard_link(&path, &kept).unwrap();
    assert_eq!(pending.finish().unwrap(), kept);
    let after = source.open(entropy()).unwrap();
    assert_eq!((after.id(), after.former_ids()), (begun.clone(), Vec::new()));
    assert!(matches!(after.unwrap(CONTEXT, &wrapped), Err(KekError::WrongKey { .. })));
    // Older backups still open with the key that was kept.
    assert_eq!(*open(&kept).unwrap().unwrap(CONTEXT, &wrapped).unwrap(), [7; 32]);
    assert_eq!(place.names(), ["master.key", &format!("master.key.{}", former.id().0)]);
}

#[test]
fn a_missing_key_beside_a_store_is_named_and_not_replaced() {
    let place = Place::new();
    let source = KekSource::File { path: place.path("master.key") };
    let refused = refusal(source.open(Arc::new(SystemEntropy)));
    assert!(refused.to_string().ends_with("master.key does not exist"), "{refused}");
    assert!(place.names().is_empty());
}

#[test]
fn a_credential_is_read_from_the_folder_that_systemd_named() {
    let place = Place::new();
    let open_credential = |folder: Option<&Path>, name: &str| {
        CredentialKek::open(folder, name, Arc::new(SystemEntropy))
    };
    for mode in [0o400, 0o440, 0o600] {
        place.write("kek", digits().as_bytes(), mode);
        let kek = open_credential(Some(place.0.path()), "kek").unwrap();
        assert_eq!(kek.id(), open(&place.write("f", digits().as_bytes(), 0o600)).unwrap().id());
    }
    let refused = refusal(open_credential(None, "kek"));
    assert!(matches!(refused, KekOpenError::NoCredentials { .. }), "{refused}");
    assert!(refused.remedy().contains("LoadCredential=kek:"), "{}", refused.remedy());
    for name in ["", ".", "..", "../kek", "/etc/passwd"] {
        let refused = refusal(open_credential(Some(place.0.path()), name));
        assert!(matches!(refused, KekOpenError::CredentialName { .. }), "{name}: {refused}");
    }
    let refused = refusal(open_credential(Some(place.0.path()), "absent"));
    assert!(matches!(refused, KekOpenError::File(PrivateFileError::Missing { .. })), "{refused}");
    place.write("kek", digits().as_bytes(), 0o444);
    assert!(open_credential(Some(place.0.path()), "kek").is_err());
}

#[test]
fn a_passphrase_gives_the_same_key_again_and_another_gives_none() {
    let place = Place::new();
    let side = place.path("master.kdf");
    let entropy = || Arc::new(SystemEntropy);
    let made = PassphraseKek::open_or_create(
        PASSPHRASE,
        &side,
        KdfCost::new(64 * 1024, 1, 1).unwrap(),
        entropy(),
    )
    .unwrap();
    let contents = std::fs::read_to_string(&side).unwrap();
    assert!(contents.contains(&made.id().0));
    let again = PassphraseKek::open(PASSPHRASE, &side, entropy()).unwrap();
    let wrapped = made.wrap(CONTEXT, &[7; 32]).unwrap();
    assert_eq!(*again.unwrap(CONTEXT, &wrapped).unwrap(), [7; 32]);

    for result in [
        PassphraseKek::open(b"incorrect horse battery", &side, entropy()),
        PassphraseKek::open_or_create(
            b"incorrect horse battery",
            &side,
            KdfCost::default(),
            entropy(),
        ),
    ] {
        let refused = refusal(result);
        match &refused {
            KekOpenError::WrongPassphrase { needed, .. } => assert_eq!(*needed, made.id()),
            other => panic!("{other}"),
        }
    }
    assert_eq!(std::fs::read_to_string(&side).unwrap(), contents);
    let refused = refusal(PassphraseKek::open(b"too short", &side, entropy()));
    let short =
        matches!(refused, KekOpenError::ShortPassphrase { found_bytes: 9, least_bytes: 16 });
    assert!(short, "{refused}");
}

#[test]
fn a_derivation_file_out_of_bounds_is_refused_before_any_work() {
    let place = Place::new();
    let good = concat!(
        r#"{"format":"keywheel/argon2id/v1","memory_kib":65536,"passes":1,"lanes":1,"#,
        r#""salt":"000102030405060708090a0b0c0d0e0f","kek_id":"0000000000000000"}"#
    );
    for (from, to) in [
        ("65536", "1024"),
        ("65536", "4000000000"),
        (r#""passes":1"#, r#""passes":0"#),
        (r#""passes":1"#, r#""passes":1000000"#),
        (r#""lanes":1"#, r#""lanes":900"#),
        ("0e0f", "0e"),
        ("0e0f", "0eZZ"),
        ("v1", "v2"),
        (r#""lanes":1"#, r#""lanes":1,"color":"red""#),
        (r#""lanes":1,"#, ""),
        ("{", ""),
    ] {
        let contents = good.replacen(from, to, 1);
        assert_ne!(contents, good);
        let side = place.write("master.kdf", contents.as_bytes(), 0o600);
        let refused = refusal(PassphraseKek::open(PASSPHRASE, &side, Arc::new(SystemEntropy)));
        assert!(matches!(refused, KekOpenError::Derivation { .. }), "{from} → {to}: {refused}");
    }
    let side = place.write("master.kdf", good.as_bytes(), 0o644);
    let refused = refusal(PassphraseKek::open(PASSPHRASE, &side, Arc::new(SystemEntropy)));
    assert!(matches!(refused, KekOpenError::File(PrivateFileError::Exposed { .. })), "{refused}");
}

#[test]
fn a_passphrase_file_loses_only_its_line_end() {
    let place = Place::new();
    for (contents, expected) in [
        ("correct horse battery staple\n", "correct horse battery staple"),
        ("correct horse battery staple\r\n", "correct horse battery staple"),
        (" spaces count \n\n", " spaces count \n"),
    ] {
        let path = place.write("passphrase", contents.as_bytes(), 0o600);
        let passphrase = PassphraseKek::read_passphrase(&path).unwrap();
        assert_eq!(passphrase.as_slice(), expected.as_bytes());
    }
}

#[test]
fn a_source_is_one_form_and_nothing_more() {
    let parse = |text: &str| serde_json::from_str::<KekSource>(text);
    assert_eq!(
        parse(r#"{"passphrase_file": "p"}"#).unwrap(),
        KekSource::Passphrase { path: "p".into(), derivation_path: "p.kdf".into() }
    );
    assert_eq!(
        parse(r#"{"credential": "kek"}"#).unwrap(),
        KekSource::Credential { name: "kek".into() }
    );
    for text in [
        "{}",
        r#"{"file": "a", "passphrase_file": "b"}"#,
        r#"{"file": "a", "kdf_file": "b"}"#,
        r#"{"kdf_file": "b"}"#,
        r#"{"file": "a", "mode": "0600"}"#,
        r#""master.key""#,
    ] {
        assert!(parse(text).is_err(), "{text}");
    }
    for text in
        [r#"{"file":"a"}"#, r#"{"credential":"c"}"#, r#"{"passphrase_file":"p","kdf_file":"k"}"#]
    {
        assert_eq!(serde_json::to_string(&parse(text).unwrap()).unwrap(), text);
    }
    let source =
        parse(r#"{"file": "master.key"}"#).unwrap().relative_to(Path::new("/etc/keywheel"));
    assert_eq!(source, KekSource::File { path: "/etc/keywheel/master.key".into() });
}

#[test]
fn a_passphrase_source_makes_its_derivation_file_once() {
    let place = Place::new();
    let path = place.write("passphrase", PASSPHRASE, 0o600);
    let source = KekSource::Passphrase { path, derivation_path: place.path("passphrase.kdf") };
    assert!(source.open(Arc::new(SystemEntropy)).is_err());
    let made = source.open_or_create(Arc::new(SystemEntropy)).unwrap().id();
    assert_eq!(source.open(Arc::new(SystemEntropy)).unwrap().id(), made);
    assert_eq!(place.names(), ["passphrase", "passphrase.kdf"]);
}
