//! The host cache against damage, foreigners and wrong clocks.

use std::os::unix::fs::PermissionsExt as _;

use super::*;

fn token(secret: &str) -> Token {
    Token::new(format!("kw_id_{secret}")).unwrap()
}

fn ring() -> RingName {
    "r".parse().unwrap()
}

fn cache(directory: &Path) -> HostCache {
    HostCache::new(directory, &token("secret"), "web")
}

fn entry() -> Entry {
    Entry {
        contact_wall_millis: 1_000_000,
        contact: BootTime(500_000),
        instance: "i1".into(),
        may_protect: true,
        body: Zeroizing::new(b"{\"key\":\"very-secret-material\"}".to_vec()),
    }
}

#[test]
fn what_was_kept_comes_back_sealed_in_between() {
    let home = tempfile::tempdir().unwrap();
    let directory = home.path().join("cache");
    let cache = cache(&directory);
    assert!(cache.load(&ring()).unwrap().is_none());
    cache.store(&ring(), &entry()).unwrap();
    let found = cache.load(&ring()).unwrap().unwrap();
    assert!(found.may_protect && *found.body == *entry().body);
    let raw = fs::read(cache.path(&ring())).unwrap();
    assert!(!raw.windows(11).any(|window| window == b"very-secret"));
    assert_eq!(fs::metadata(cache.path(&ring())).unwrap().mode() & 0o777, 0o600);
    assert_eq!(fs::metadata(&directory).unwrap().mode() & 0o777, 0o700);
    assert_eq!(fs::read_dir(&directory).unwrap().count(), 1, "no leftovers");
}

#[test]
fn every_flipped_bit_and_every_cut_is_noticed() {
    let home = tempfile::tempdir().unwrap();
    let cache = cache(&home.path().join("cache"));
    cache.store(&ring(), &entry()).unwrap();
    let whole = fs::read(cache.path(&ring())).unwrap();
    for index in 0..whole.len() {
        let mut edited = whole.clone();
        edited[index] ^= 1;
        fs::write(cache.path(&ring()), &edited).unwrap();
        assert!(matches!(cache.load(&ring()), Err(CacheError::Damaged { .. })), "byte {index}");
        fs::write(cache.path(&ring()), &whole[..index]).unwrap();
        assert!(matches!(cache.load(&ring()), Err(CacheError::Damaged { .. })), "cut at {index}");
    }
    // Nor does the file of one ring pass for another's, or open under another token.
    fs::write(cache.path(&"s".parse().unwrap()), &whole).unwrap();
    fs::set_permissions(cache.path(&"s".parse().unwrap()), fs::Permissions::from_mode(0o600))
        .unwrap();
    assert!(matches!(cache.load(&"s".parse().unwrap()), Err(CacheError::Damaged { .. })));
    fs::write(cache.path(&ring()), &whole).unwrap();
    let directory = home.path().join("cache");
    let other = HostCache::new(&directory, &token("other"), "web");
    assert!(matches!(other.load(&ring()), Err(CacheError::Damaged { .. })));
    assert!(cache.load(&ring()).unwrap().is_some());
}

#[test]
fn what_is_not_private_is_not_believed() {
    let home = tempfile::tempdir().unwrap();
    let directory = home.path().join("cache");
    let cache = cache(&directory);
    cache.store(&ring(), &entry()).unwrap();
    let path = cache.path(&ring());
    let mode = |path: &Path, mode| {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    };
    let refused =
        |cache: &HostCache| matches!(cache.load(&ring()), Err(CacheError::NotPrivate { .. }));
    mode(&path, 0o640);
    assert!(refused(&cache));
    mode(&path, 0o600);
    mode(&directory, 0o750);
    assert!(refused(&cache));
    mode(&directory, 0o700);
    fs::hard_link(&path, home.path().join("other-name")).unwrap();
    assert!(refused(&cache));
    fs::rename(&path, home.path().join("moved")).unwrap();
    std::os::unix::fs::symlink(home.path().join("moved"), &path).unwrap();
    assert!(matches!(cache.load(&ring()), Err(CacheError::Io { .. })));
}

#[test]
fn a_goodbye_takes_back_only_its_own_word() {
    let home = tempfile::tempdir().unwrap();
    let cache = cache(&home.path().join("cache"));
    cache.store(&ring(), &entry()).unwrap();
    cache.withdraw(&ring(), "i2");
    assert!(cache.load(&ring()).unwrap().unwrap().may_protect);
    cache.withdraw(&ring(), "i1");
    let found = cache.load(&ring()).unwrap().unwrap();
    assert!(!found.may_protect && *found.body == *entry().body);
}

#[test]
fn the_longer_age_of_both_clocks_counts() {
    let mut found = Recalled {
        may_protect: true,
        body: Zeroizing::default(),
        instance: String::new(),
        contact_wall_millis: 1_000_000,
        contact: BootTime(500_000),
        same_boot: true,
    };
    let age = |found: &Recalled, boot, wall| found.age(BootTime(boot), wall).map(Span::as_millis);
    assert_eq!(age(&found, 600_000, 1_050_000), Some(100_000));
    assert_eq!(age(&found, 600_000, 1_250_000), Some(250_000));
    assert_eq!(age(&found, 600_000, 0), Some(100_000), "a wall clock set back gains nothing");
    found.same_boot = false;
    assert_eq!(age(&found, 600_000, 1_250_000), Some(250_000));
    assert_eq!(age(&found, 600_000, 0), None);
}
