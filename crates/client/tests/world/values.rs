//! Sealed values through rotations, and what they say to the server.

use std::sync::Arc;

use keywheel_client::{Client, OpenError, SealError, StillKeys};
use keywheel_codec::{Format, Header, pgp};
use keywheel_core::id::{Kid, VersionNumber};
use keywheel_core::kind::{EncryptionAlgorithm, Kind};
use keywheel_core::time::Span;
use keywheel_jose::{ImportFormat, Material};
use serde_json::json;

use crate::support::{World, eventually, spec, with};

const ALGORITHMS: [EncryptionAlgorithm; 4] = [
    EncryptionAlgorithm::Aes256Gcm,
    EncryptionAlgorithm::ChaCha20Poly1305,
    EncryptionAlgorithm::Fernet,
    EncryptionAlgorithm::Passphrase,
];

/// The key of a version, other in each version.
fn material(algorithm: EncryptionAlgorithm, number: u32) -> Arc<Material> {
    let mut state = u8::try_from(number).unwrap();
    let mut fill = |buffer: &mut [u8]| {
        for byte in buffer {
            state = state.wrapping_mul(37).wrapping_add(101);
            *byte = state;
        }
    };
    Arc::new(Material::generate(&Kind::Encryption { algorithm }, &mut fill).unwrap())
}

fn keys(algorithm: EncryptionAlgorithm, versions: &[u32], primary: u32) -> StillKeys {
    let version = |number: &u32| {
        let kid = Kid(format!("kid {number}"));
        (VersionNumber(*number), kid, material(algorithm, *number))
    };
    let lifetime = Span::from_secs(60);
    StillKeys::new(versions.iter().map(version), VersionNumber(primary), lifetime).unwrap()
}

fn still(algorithm: EncryptionAlgorithm) -> Client {
    Client::still([("pii".to_owned(), keys(algorithm, &[1], 1))]).unwrap()
}

#[test]
fn a_value_opens_until_its_version_is_gone() {
    for algorithm in ALGORITHMS {
        let client = still(algorithm);
        let ring = client.ring("pii").unwrap();
        let open = |value: &[u8]| {
            ring.open(value, b"").map(|opened| (opened.version.number().0, opened.plain.to_vec()))
        };
        let old = ring.seal_text("Zürich", b"").unwrap();
        assert_ne!(old, ring.seal_text("Zürich", b"").unwrap(), "{algorithm:?}");
        client.put("pii", keys(algorithm, &[1, 2], 2)).unwrap();
        let new = ring.seal(b"\0\xff", b"").unwrap();
        assert_eq!(open(&old).unwrap(), (1, "Zürich".as_bytes().to_vec()), "{algorithm:?}");
        assert_eq!(open(&new).unwrap(), (2, b"\0\xff".to_vec()), "{algorithm:?}");
        client.put("pii", keys(algorithm, &[2], 2)).unwrap();
        assert!(matches!(open(&old), Err(OpenError::NoKey)), "{algorithm:?}");
        assert_eq!(open(&new).unwrap().0, 2, "{algorithm:?}");
        assert!(matches!(open(b"no value"), Err(OpenError::Format(_))), "{algorithm:?}");
    }
}

/// How many bytes are hashed for the key of a message that the ring seals.
fn stretched(material: Material) -> u32 {
    let version = (VersionNumber(1), Kid("imported".to_owned()), Arc::new(material));
    let keys = StillKeys::new([version], VersionNumber(1), Span::from_secs(60)).unwrap();
    let client = Client::still([("pii".to_owned(), keys)]).unwrap();
    let sealed = client.ring("pii").unwrap().seal_text("Zürich", b"").unwrap();
    match Format::Pgp.census(&sealed).unwrap() {
        Header::Pgp(pgp::Header { stretch: pgp::Stretch::Iterated { count }, .. }) => count,
        _ => panic!("the message says of no stretching"),
    }
}

#[test]
fn a_passphrase_that_may_be_guessed_stays_stretched() {
    let kind = Kind::Encryption { algorithm: EncryptionAlgorithm::Passphrase };
    let import = |text: &str| Material::import(&kind, text.as_bytes(), ImportFormat::Text).unwrap();
    assert!(stretched(import("correct horse").material) >= 65_536);
    let generated = material(EncryptionAlgorithm::Passphrase, 1);
    assert_eq!(stretched(import(str::from_utf8(generated.expose()).unwrap()).material), 1_024);
}

#[test]
fn many_values_open_as_each_would_by_itself() {
    for algorithm in ALGORITHMS {
        let client = still(algorithm);
        let ring = client.ring("pii").unwrap();
        let mut values: Vec<_> =
            (0..9).map(|n| ring.seal_text(&format!("old {n}"), b"").unwrap()).collect();
        client.put("pii", keys(algorithm, &[1, 2], 2)).unwrap();
        values.push(b"no value".to_vec());
        values.extend((0..9).map(|n| ring.seal(format!("new {n}").as_bytes(), b"").unwrap()));
        if let Ok(armored) = ring.seal_text_armored("in armor") {
            assert!(armored.is_ascii(), "{algorithm:?}");
            values.push(armored);
        }
        client.put("pii", keys(algorithm, &[2, 3], 3)).unwrap();
        client.put("pii", keys(algorithm, &[1, 2, 3], 3)).unwrap();
        let said = |opened: Result<keywheel_client::OpenedValue, OpenError>| {
            opened
                .map(|one| (one.version.number().0, one.plain.to_vec()))
                .map_err(|error| error.to_string())
        };
        let given: Vec<&[u8]> = values.iter().map(Vec::as_slice).collect();
        let many: Vec<_> = ring.open_many(&given, b"").unwrap().into_iter().map(said).collect();
        let each: Vec<_> = given.iter().map(|value| said(ring.open(value, b""))).collect();
        assert_eq!(many, each, "{algorithm:?}");
        assert_eq!(many[8], Ok((1, b"old 8".to_vec())), "{algorithm:?}");
        assert!(many[9].is_err(), "{algorithm:?}");
        assert_eq!(many[10], Ok((2, b"new 0".to_vec())), "{algorithm:?}");
        client.put("pii", keys(algorithm, &[2, 3], 3)).unwrap();
        let few = ring.open_many(&given[..1], b"").unwrap();
        assert!(matches!(few[..], [Err(OpenError::NoKey)]), "{algorithm:?}");
    }
}

#[test]
fn a_value_for_a_column_of_text_is_in_armor_or_a_token() {
    for algorithm in ALGORITHMS {
        let client = still(algorithm);
        let ring = client.ring("pii").unwrap();
        let sealed = ring.seal_armored(b"\0\xff");
        match algorithm {
            EncryptionAlgorithm::Aes256Gcm | EncryptionAlgorithm::ChaCha20Poly1305 => {
                assert!(matches!(sealed, Err(SealError::NoText)));
            }
            EncryptionAlgorithm::Fernet | EncryptionAlgorithm::Passphrase => {
                let value = sealed.unwrap();
                assert!(value.is_ascii());
                assert_eq!(ring.open(&value, b"").ok().unwrap().plain.as_slice(), b"\0\xff");
            }
        }
    }
}

#[test]
fn a_value_names_its_version_and_opens_where_that_is_wrong() {
    let algorithm = EncryptionAlgorithm::Aes256Gcm;
    let client = still(algorithm);
    let ring = client.ring("pii").unwrap();
    let value = ring.seal(b"salary", b"").unwrap();
    assert_eq!(value[4..8], 1_u32.to_be_bytes());
    // A ring that was restored may give an old key another number.
    let renumbered = [(3, 1), (4, 4)].map(|(number, key)| {
        (VersionNumber(number), Kid(format!("kid {number}")), material(algorithm, key))
    });
    let lifetime = Span::from_secs(60);
    let renumbered = StillKeys::new(renumbered, VersionNumber(4), lifetime).unwrap();
    client.put("pii", renumbered).unwrap();
    assert_eq!(ring.open(&value, b"").ok().unwrap().version.number(), VersionNumber(3));
}

#[test]
fn a_context_is_demanded_again_and_has_no_place_in_other_formats() {
    for algorithm in ALGORITHMS {
        let client = still(algorithm);
        let ring = client.ring("pii").unwrap();
        let sealed = ring.seal(b"salary", b"people.salary");
        match algorithm {
            EncryptionAlgorithm::Aes256Gcm | EncryptionAlgorithm::ChaCha20Poly1305 => {
                let value = sealed.unwrap();
                assert!(ring.open(&value, b"people.salary").is_ok());
                assert!(matches!(ring.open(&value, b""), Err(OpenError::NoKey)));
            }
            EncryptionAlgorithm::Fernet | EncryptionAlgorithm::Passphrase => {
                assert!(matches!(sealed, Err(SealError::Context)));
                let value = ring.seal(b"salary", b"").unwrap();
                assert!(matches!(ring.open(&value, b"people.salary"), Err(OpenError::Context)));
            }
        }
    }
}

#[test]
fn a_ring_of_another_kind_seals_and_opens_nothing() {
    let world = World::new();
    world.put("s", &spec("secret"));
    let api = world.client("api", "s");
    let ring = api.ring("s").unwrap();
    assert!(matches!(ring.seal(b"salary", b""), Err(SealError::WrongKind)));
    assert!(matches!(ring.open(b"salary", b""), Err(OpenError::WrongKind)));
}

#[test]
fn what_is_opened_and_refused_is_counted_and_every_reader_follows() {
    let world = World::new();
    let changes = json!({ "algorithm": "AES-256-GCM" });
    world.put("pii", &with(spec("encryption"), &changes));
    let (api, edge) = (world.client("api", "pii"), world.client("edge", "pii"));
    let (writer, reader) = (api.ring("pii").unwrap(), edge.ring("pii").unwrap());
    let old = writer.seal_text("salary", b"").unwrap();
    assert_eq!(reader.open(&old, b"").ok().unwrap().plain.as_slice(), b"salary");
    let mut damaged = old.clone();
    *damaged.last_mut().unwrap() ^= 1;
    for _ in 0..2 {
        assert!(matches!(reader.open(&damaged, b""), Err(OpenError::NoKey)));
    }
    eventually("one is counted as processed and two as rejected", || {
        let snapshot = world.snapshot("pii");
        let first = snapshot.view.instances.iter().filter_map(|instance| {
            let counts = instance.counts.get(&VersionNumber(1))?;
            Some((counts.processed, counts.rejected))
        });
        let (processed, rejected) = first.fold((0, 0), |sum, one| (sum.0 + one.0, sum.1 + one.1));
        ((processed, rejected) == (1, 2)).then_some(())
    });
    eventually("both prove", || (world.proved("pii").len() == 2).then_some(()));
    world.rotate("pii");
    let new = eventually("the writer switches", || {
        let value = writer.seal_text("salary", b"").unwrap();
        (value[4..8] == 2_u32.to_be_bytes()).then_some(value)
    });
    for (value, number) in [(&old, 1), (&new, 2)] {
        let opened = reader.open(value, b"").ok().unwrap();
        assert_eq!(opened.version.number(), VersionNumber(number));
    }
}
