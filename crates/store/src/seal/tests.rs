//! What sealing promises: only the right bytes, in the right place, under the right master key,
//! open.

use std::sync::Arc;

use keywheel_engine::ports::{Entropy, Kek, KekError, KekId, WrappedKey};
use proptest::prelude::*;
use zeroize::Zeroizing;

use super::{DataKeys, GENERATION_KEYS_MAX, SealError, Sealer, Subject};
use crate::envelope::{Envelope, EnvelopeError, USES_MAX};
use crate::{FileKek, KekRing, SystemEntropy};

const SUBJECT: Subject<'static> =
    Subject { key: "ring/web-session", incarnation: "b1f09a", revision: 7 };
const DOCUMENT: &[u8] = b"{\"primary\": 3, \"material\": \"the secret\"}";

struct Keys {
    folder: tempfile::TempDir,
}

impl Keys {
    fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap() }
    }

    fn key(&self, name: &str) -> Arc<FileKek> {
        let path = self.folder.path().join(name);
        Arc::new(FileKek::open_or_create(&path, Arc::new(SystemEntropy)).unwrap())
    }

    fn sealer(&self, name: &str) -> Sealer {
        sealer(self.key(name))
    }
}

fn sealer(kek: Arc<dyn Kek>) -> Sealer {
    Sealer::new(kek, Arc::new(SystemEntropy))
}

fn refusal<T>(result: Result<T, SealError>) -> SealError {
    result.err().expect("it is refused")
}

fn data_key_of(row: &[u8]) -> WrappedKey {
    Envelope::parse(row).ok().unwrap().wrapped
}

#[test]
fn what_was_sealed_opens_and_shows_nothing() {
    let keys = Keys::new();
    let row = keys.sealer("k").seal(&SUBJECT, DOCUMENT).unwrap();
    assert!(!row.windows(10).any(|window| window == b"the secret"));
    // A sealer that never saw the data key before.
    let fresh = keys.sealer("k");
    assert_eq!(fresh.open(&SUBJECT, &row).unwrap().as_slice(), DOCUMENT);
    let unsealed = fresh.unseal(SUBJECT.key, &row).unwrap();
    assert_eq!((unsealed.incarnation.as_str(), unsealed.revision), ("b1f09a", 7));
    assert_eq!(unsealed.plaintext.as_slice(), DOCUMENT);
}

#[test]
fn the_header_is_readable_without_a_key() {
    let keys = Keys::new();
    let row = keys.sealer("k").seal(&SUBJECT, DOCUMENT).unwrap();
    let envelope = Envelope::parse(&row).ok().unwrap();
    assert_eq!(*envelope.kek(), keys.key("k").id());
    assert_eq!((envelope.incarnation(), envelope.revision()), ("b1f09a", 7));
    assert_eq!(envelope.encode().unwrap(), row);
}

#[test]
fn every_changed_byte_is_noticed() {
    let keys = Keys::new();
    let row = keys.sealer("k").seal(&SUBJECT, DOCUMENT).unwrap();
    // One with a cold and one with a warm cache of data keys.
    let (cold, warm) = (keys.sealer("k"), keys.sealer("k"));
    warm.open(&SUBJECT, &row).unwrap();
    for place in 0..row.len() {
        for flip in [0x01, 0x80, 0xff] {
            let mut edited = row.clone();
            edited[place] ^= flip;
            for sealer in [&cold, &warm] {
                assert!(sealer.open(&SUBJECT, &edited).is_err(), "byte {place} ^ {flip:#x}");
                let unsealed = sealer.unseal(SUBJECT.key, &edited);
                assert!(unsealed.is_err(), "byte {place} ^ {flip:#x} unseals");
                let successor = sealer.seal_after(&SUBJECT, DOCUMENT, &edited);
                let reuses = successor.is_ok_and(|next| data_key_of(&next) == data_key_of(&row));
                assert!(!reuses, "byte {place} ^ {flip:#x} lends its data key");
            }
        }
    }
}

#[test]
fn every_torn_value_is_noticed() {
    let keys = Keys::new();
    let sealer = keys.sealer("k");
    let row = sealer.seal(&SUBJECT, DOCUMENT).unwrap();
    for cut in 0..row.len() {
        let refused = refusal(sealer.open(&SUBJECT, &row[..cut]));
        assert!(matches!(refused, SealError::Damaged { .. }), "cut at {cut}: {refused}");
        let mut zeroed = row.clone();
        zeroed[cut..].fill(0);
        assert!(sealer.open(&SUBJECT, &zeroed).is_err() || zeroed == row, "zeroed from {cut}");
    }
    let mut longer = row.clone();
    longer.push(0);
    assert!(sealer.open(&SUBJECT, &longer).is_err());
}

#[test]
fn a_row_moved_to_another_key_does_not_open() {
    let keys = Keys::new();
    let sealer = keys.sealer("k");
    let row = sealer.seal(&SUBJECT, DOCUMENT).unwrap();
    let elsewhere = Subject { key: "ring/other", ..SUBJECT };
    let refused = refusal(sealer.open(&elsewhere, &row));
    assert!(matches!(refused, SealError::Damaged { .. }), "{refused}");
    assert!(refused.to_string().starts_with("ring/other is damaged: "), "{refused}");
    assert!(sealer.unseal("ring/other", &row).is_err());
    assert!(sealer.rewrap("ring/other", &row).is_ok_and(|same| same == row));

    // Not even with the wrapped data key of the row that belongs there.
    let own = sealer.seal(&elsewhere, b"own").unwrap();
    let mut mixed = Envelope::parse(&row).ok().unwrap();
    mixed.wrapped = data_key_of(&own);
    assert!(sealer.open(&elsewhere, &mixed.encode().unwrap()).is_err());
}

#[test]
fn a_replayed_revision_is_told_apart() {
    let keys = Keys::new();
    let sealer = keys.sealer("k");
    let old = sealer.seal(&SUBJECT, b"old").unwrap();
    let newer = Subject { revision: 8, ..SUBJECT };
    let new = sealer.seal_after(&newer, b"new", &old).unwrap();
    assert_eq!(sealer.open(&newer, &new).unwrap().as_slice(), b"new");
    // The old row, put back whole, is genuine, but its revision gives it away.
    assert_eq!(sealer.unseal(SUBJECT.key, &old).unwrap().revision, 7);
    let refused = refusal(sealer.open(&newer, &old));
    assert!(refused.to_string().contains("revision 7"), "{refused}");
    let reborn = Subject { incarnation: "other", ..SUBJECT };
    assert!(sealer.open(&reborn, &old).is_err());
    // A header that lies about it does not open.
    let mut lie = Envelope::parse(&old).ok().unwrap();
    lie.revision = 8;
    assert!(sealer.unseal(SUBJECT.key, &lie.encode().unwrap()).is_err());
}

#[test]
fn another_master_key_is_named_and_nothing_else_said() {
    let keys = Keys::new();
    let row = keys.sealer("right").seal(&SUBJECT, DOCUMENT).unwrap();
    let refused = refusal(keys.sealer("wrong").open(&SUBJECT, &row));
    let (right, wrong) = (keys.key("right").id(), keys.key("wrong").id());
    match &refused {
        SealError::WrongKek { needed, given, .. } => assert_eq!((needed, given), (&right, &wrong)),
        other => panic!("{other}"),
    }
    assert_eq!(
        refused.to_string(),
        format!(
            "ring/web-session was sealed under master key {}, but the server was given {}",
            right.0, wrong.0
        )
    );
    assert!(refused.remedy().contains(&right.0));
}

#[test]
fn a_successor_reuses_the_data_key_and_nothing_else() {
    let keys = Keys::new();
    let sealer = keys.sealer("k");
    let first = sealer.seal(&SUBJECT, DOCUMENT).unwrap();
    let second = sealer.seal_after(&SUBJECT, DOCUMENT, &first).unwrap();
    let (a, b) = (Envelope::parse(&first).ok().unwrap(), Envelope::parse(&second).ok().unwrap());
    assert!(a.wrapped == b.wrapped);
    assert_eq!((a.uses, b.uses), (1, 2));
    assert_ne!(a.nonce, b.nonce);
    assert_ne!(a.ciphertext, b.ciphertext);
}

#[test]
fn a_data_key_is_replaced_with_the_incarnation_and_the_master_key() {
    let keys = Keys::new();
    let first = keys.sealer("k").seal(&SUBJECT, DOCUMENT).unwrap();
    let reborn = Subject { incarnation: "other", revision: 1, ..SUBJECT };
    let second = keys.sealer("k").seal_after(&reborn, DOCUMENT, &first).unwrap();
    assert!(data_key_of(&first) != data_key_of(&second));

    let ring = KekRing::new(keys.key("k"), Vec::new());
    ring.promote(keys.key("next"));
    let third = sealer(Arc::new(ring)).seal_after(&SUBJECT, DOCUMENT, &first).unwrap();
    assert_eq!(data_key_of(&third).kek, keys.key("next").id());
    assert_eq!(keys.sealer("next").open(&SUBJECT, &third).unwrap().as_slice(), DOCUMENT);
}

#[test]
fn a_data_key_retires_after_its_last_use() {
    let keys = Keys::new();
    let sealer = keys.sealer("k");
    let mut data_key = super::DataKey::new(Zeroizing::new([0; 32]));
    SystemEntropy.fill(Arc::get_mut(&mut data_key).unwrap().as_mut_slice());
    let wrapped = sealer.wrap(SUBJECT.key, &data_key).unwrap();
    let used =
        |uses| sealer.seal_with(&SUBJECT, DOCUMENT, &data_key, wrapped.clone(), uses).unwrap();
    let last = sealer.seal_after(&SUBJECT, DOCUMENT, &used(USES_MAX - 1)).unwrap();
    assert!(data_key_of(&last) == wrapped);
    assert_eq!(Envelope::parse(&last).ok().unwrap().uses, USES_MAX);
    let fresh = sealer.seal_after(&SUBJECT, DOCUMENT, &last).unwrap();
    assert!(data_key_of(&fresh) != wrapped);
    assert_eq!(Envelope::parse(&fresh).ok().unwrap().uses, 1);
    // A count that somebody set back in the store is not believed.
    let mut set_back = Envelope::parse(&last).ok().unwrap();
    set_back.uses = 5;
    assert!(sealer.seal_after(&SUBJECT, DOCUMENT, &set_back.encode().unwrap()).is_err());
}

#[test]
fn rewrapping_moves_the_data_key_and_leaves_the_ciphertext() {
    let keys = Keys::new();
    let row = keys.sealer("old").seal(&SUBJECT, DOCUMENT).unwrap();
    let ring = Arc::new(KekRing::new(keys.key("old"), Vec::new()));
    ring.promote(keys.key("new"));
    let rewrapped = sealer(ring.clone()).rewrap(SUBJECT.key, &row).unwrap();
    let (a, b) = (Envelope::parse(&row).ok().unwrap(), Envelope::parse(&rewrapped).ok().unwrap());
    assert_eq!((a.nonce, a.ciphertext, a.uses), (b.nonce, b.ciphertext, b.uses));
    assert_eq!(keys.sealer("new").open(&SUBJECT, &rewrapped).unwrap().as_slice(), DOCUMENT);
    assert!(matches!(
        refusal(keys.sealer("old").open(&SUBJECT, &rewrapped)),
        SealError::WrongKek { .. }
    ));
    // Twice changes nothing; to another key, or without the former one, it does not work.
    assert_eq!(sealer(ring.clone()).rewrap(SUBJECT.key, &rewrapped).unwrap(), rewrapped);
    assert!(sealer(ring.clone()).rewrap("ring/other", &row).is_err());
    ring.forget_former();
    let refused = refusal(sealer(ring).rewrap(SUBJECT.key, &row));
    assert!(matches!(refused, SealError::WrongKek { .. }), "{refused}");
}

#[test]
fn what_cannot_be_sealed_is_refused() {
    let keys = Keys::new();
    let sealer = keys.sealer("k");
    for incarnation in ["", "with space", "ünïcode", &"x".repeat(65)] {
        let refused = refusal(sealer.seal(&Subject { incarnation, ..SUBJECT }, DOCUMENT));
        assert!(matches!(refused, SealError::Refused { .. }), "{refused}");
    }
    assert!(sealer.seal(&SUBJECT, &vec![0; (16 << 20) + 1]).is_err());
    let large = sealer.seal(&SUBJECT, &vec![9; 16 << 20]).unwrap();
    assert_eq!(sealer.open(&SUBJECT, &large).unwrap().len(), 16 << 20);
    let nothing = sealer.seal(&SUBJECT, b"").unwrap();
    assert!(sealer.open(&SUBJECT, &nothing).unwrap().is_empty());
}

/// A provider that is gone, as a hardware token that was pulled out.
struct Gone;

impl Kek for Gone {
    fn id(&self) -> KekId {
        KekId("token".to_owned())
    }

    fn wrap(&self, _: &[u8], _: &[u8; 32]) -> Result<WrappedKey, KekError> {
        Err(KekError::Provider("no token".to_owned()))
    }

    fn unwrap(&self, _: &[u8], _: &WrappedKey) -> Result<Zeroizing<[u8; 32]>, KekError> {
        Err(KekError::Provider("no token".to_owned()))
    }
}

#[test]
fn a_provider_that_fails_is_no_damage() {
    let keys = Keys::new();
    let row = keys.sealer("k").seal(&SUBJECT, DOCUMENT).unwrap();
    let gone = sealer(Arc::new(Gone));
    for refused in [
        refusal(gone.seal(&SUBJECT, DOCUMENT)),
        refusal(gone.open(&SUBJECT, &row)),
        refusal(gone.rewrap(SUBJECT.key, &row)),
    ] {
        assert!(matches!(refused, SealError::Kek { .. }), "{refused}");
        assert_eq!(refused.remedy(), "check the master key provider, then try again");
    }
}

/// Counts how often it is asked.
struct Counting {
    inner: Arc<FileKek>,
    unwraps: std::sync::atomic::AtomicU32,
}

impl Kek for Counting {
    fn id(&self) -> KekId {
        self.inner.id()
    }

    fn wrap(&self, context: &[u8], data_key: &[u8; 32]) -> Result<WrappedKey, KekError> {
        self.inner.wrap(context, data_key)
    }

    fn unwrap(
        &self,
        context: &[u8],
        wrapped: &WrappedKey,
    ) -> Result<Zeroizing<[u8; 32]>, KekError> {
        self.unwraps.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        self.inner.unwrap(context, wrapped)
    }
}

#[test]
fn the_master_key_is_asked_once_for_each_data_key() {
    let keys = Keys::new();
    let row = keys.sealer("k").seal(&SUBJECT, DOCUMENT).unwrap();
    let counting = Arc::new(Counting { inner: keys.key("k"), unwraps: 0.into() });
    let sealer = sealer(counting.clone());
    for _ in 0..5 {
        sealer.open(&SUBJECT, &row).unwrap();
    }
    assert_eq!(counting.unwraps.load(std::sync::atomic::Ordering::Relaxed), 1);
}

#[test]
fn the_cache_of_data_keys_is_bounded_and_keeps_what_is_used() {
    let cache = DataKeys::default();
    let name = |n: usize| {
        let mut name = [0; 32];
        name[..8].copy_from_slice(&n.to_be_bytes());
        name
    };
    let data_key = super::DataKey::new(Zeroizing::new([1; 32]));
    for n in 0..GENERATION_KEYS_MAX * 3 {
        cache.put(name(n), &data_key);
        assert!(cache.find(&name(0)).is_some(), "the key in use was dropped at {n}");
    }
    let generations = cache.generations.lock().unwrap();
    assert!(generations.young.len() + generations.old.len() <= GENERATION_KEYS_MAX * 2);
    assert!(!generations.young.contains_key(&name(1)) && !generations.old.contains_key(&name(1)));
}

fn name_text() -> impl Strategy<Value = String> {
    "[!-~]{1,64}"
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn parse_is_total(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        if let Ok(envelope) = Envelope::parse(&bytes) {
            prop_assert_eq!(envelope.encode().unwrap(), bytes);
        }
    }

    #[test]
    fn parse_is_total_behind_a_plausible_start(
        kek in name_text(),
        tail in proptest::collection::vec(any::<u8>(), 0..300),
    ) {
        let mut bytes = vec![1, u8::try_from(kek.len()).unwrap()];
        bytes.extend_from_slice(kek.as_bytes());
        bytes.extend_from_slice(&[0, 2, 7, 7, 0, 0, 0, 1]);
        bytes.extend_from_slice(&tail);
        if let Ok(envelope) = Envelope::parse(&bytes) {
            prop_assert_eq!(envelope.encode().unwrap(), bytes);
        }
    }

    #[test]
    fn every_envelope_reads_back(
        kek in name_text(),
        wrapped in proptest::collection::vec(any::<u8>(), 1..200),
        uses in 1..=USES_MAX,
        incarnation in name_text(),
        revision: u64,
        nonce: [u8; 12],
        ciphertext in proptest::collection::vec(any::<u8>(), 16..300),
        more in proptest::collection::vec(any::<u8>(), 1..9),
    ) {
        let envelope = Envelope {
            wrapped: WrappedKey { kek: KekId(kek), bytes: wrapped },
            uses,
            incarnation: &incarnation,
            revision,
            nonce,
            ciphertext: &ciphertext,
        };
        let mut bytes = envelope.encode().unwrap();
        prop_assert!(Envelope::parse(&bytes) == Ok(envelope));
        bytes.extend_from_slice(&more);
        prop_assert_eq!(Envelope::parse(&bytes).err(), Some(EnvelopeError::Trailing(more.len())));
    }

    #[test]
    fn a_value_opens_only_where_it_belongs(
        key in "[a-z/]{1,20}", other_key in "[a-z/]{1,20}",
        incarnation in name_text(), other_incarnation in name_text(),
        revision: u64, other_revision: u64,
        document in proptest::collection::vec(any::<u8>(), 0..200),
    ) {
        let sealer = sealer(Arc::new(KekRing::new(shared_key(), Vec::new())));
        let here = Subject { key: &key, incarnation: &incarnation, revision };
        let there =
            Subject { key: &other_key, incarnation: &other_incarnation, revision: other_revision };
        let row = sealer.seal(&here, &document).unwrap();
        prop_assert_eq!(sealer.open(&here, &row).unwrap().to_vec(), document);
        prop_assert_eq!(sealer.open(&there, &row).is_ok(), here == there);
    }
}

/// One key for all cases of a property, made in memory of a folder that is gone again.
fn shared_key() -> Arc<FileKek> {
    static KEY: std::sync::OnceLock<Arc<FileKek>> = std::sync::OnceLock::new();
    Arc::clone(KEY.get_or_init(|| Keys::new().key("shared")))
}
