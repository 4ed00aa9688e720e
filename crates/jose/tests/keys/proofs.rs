//! Proofs and challenges: that they mean one thing only.

use crate::support::{base64url, from_base64url, kinds, signing, stream};
use keywheel_core::id::{Incarnation, InstanceId, Kid, Revision, RingName, VersionNumber};
use keywheel_core::kind::SigningAlgorithm;
use keywheel_jose::Material;
use keywheel_jose::challenge::Challenge;
use keywheel_jose::proof::{
    AcceptedSetDigest, AcceptedVersion, Proof, Statement, accepted_set_digest, check, prove,
};
use proptest::prelude::*;

/// A statement that owns its fields.
#[derive(Clone, Debug, PartialEq)]
struct Owned {
    ring: RingName,
    incarnation: Incarnation,
    revision: u64,
    accepted_set: AcceptedSetDigest,
    version: u32,
    instance: InstanceId,
    sequence: u64,
    nonce: Vec<u8>,
    instance_secret: Vec<u8>,
}

impl Owned {
    fn statement(&self) -> Statement<'_> {
        Statement {
            ring: &self.ring,
            incarnation: &self.incarnation,
            revision: Revision(self.revision),
            accepted_set: &self.accepted_set,
            version: VersionNumber(self.version),
            instance: &self.instance,
            sequence: self.sequence,
            nonce: &self.nonce,
            instance_secret: &self.instance_secret,
        }
    }

    /// This statement with one field taken from another one.
    fn with(&self, field: usize, other: &Self) -> Self {
        let mut mixed = self.clone();
        match field {
            0 => mixed.ring = other.ring.clone(),
            1 => mixed.incarnation = other.incarnation.clone(),
            2 => mixed.revision = other.revision,
            3 => mixed.accepted_set = other.accepted_set,
            4 => mixed.version = other.version,
            5 => mixed.instance = other.instance.clone(),
            6 => mixed.sequence = other.sequence,
            7 => mixed.nonce.clone_from(&other.nonce),
            _ => mixed.instance_secret.clone_from(&other.instance_secret),
        }
        mixed
    }
}

prop_compose! {
    // Short values from few characters, so that bytes could wander between fields if they were
    // not framed.
    fn statements()(
        ring in "[ab]{1,3}", incarnation in "[ab]{0,3}", revision in 0_u64..3, set in 0_u64..2,
        version in 0_u32..3, instance in "[ab]{1,3}", sequence in 0_u64..3,
        nonce in proptest::collection::vec(0x61_u8..0x63, 0..3),
        instance_secret in proptest::collection::vec(0x61_u8..0x63, 0..3),
    ) -> Owned {
        let accepted_set = accepted_set_digest(&Incarnation("i".into()), Revision(set), &[]);
        Owned {
            ring: ring.parse().unwrap(), incarnation: Incarnation(incarnation), revision, accepted_set,
            version, instance: instance.parse().unwrap(), sequence, nonce, instance_secret,
        }
    }
}

fn example() -> Owned {
    Owned {
        ring: "web-session".parse().unwrap(),
        incarnation: Incarnation("inc-1".into()),
        revision: 42,
        accepted_set: accepted_set_digest(
            &Incarnation("inc-1".into()),
            Revision(42),
            &[
                AcceptedVersion { version: VersionNumber(6), kid: &Kid("six".into()), usage: 2 },
                AcceptedVersion { version: VersionNumber(7), kid: &Kid("seven".into()), usage: 1 },
            ],
        ),
        version: 7,
        instance: "web-1".parse().unwrap(),
        sequence: 3,
        nonce: b"nonce".to_vec(),
        instance_secret: b"instance secret".to_vec(),
    }
}

/// The figures come from an implementation in Python's standard library, so that clients in other
/// languages can rely on the encoding.
#[test]
fn the_encoding_is_fixed() {
    assert_eq!(example().accepted_set.to_string(), "b5rCNI8PVkV5QLYp57oIWStcaRKRnqubpcJ52q_d1K4");
    let proof = prove(b"material", b"salt", &example().statement());
    assert_eq!(proof.to_string(), "28fO0cp_L49bHTKdr-Mfl5SX59W8JlThjx56EuJIJU0");
}

#[test]
fn other_keys_and_salts_give_other_proofs() {
    let owned = example();
    let proof = prove(b"material", b"salt", &owned.statement());
    assert!(check(b"material", b"salt", &owned.statement(), &proof));
    assert!(!check(b"materiel", b"salt", &owned.statement(), &proof));
    assert!(!check(b"material", b"sold", &owned.statement(), &proof));
}

#[test]
fn proofs_travel_as_text() {
    let owned = example();
    let proof = prove(b"material", b"salt", &owned.statement());
    let json = serde_json::to_string(&proof).unwrap();
    let arrived: Proof = serde_json::from_str(&json).unwrap();
    assert!(check(b"material", b"salt", &owned.statement(), &arrived));
    for wrong in ["", "AA", &format!("{proof}A"), &format!("{proof}="), "!"] {
        assert!(wrong.parse::<Proof>().is_err());
    }
}

proptest! {
    #[test]
    fn one_proof_proves_one_statement(one in statements(), two in statements()) {
        let proof = prove(b"material", b"salt", &one.statement());
        prop_assert_eq!(check(b"material", b"salt", &two.statement(), &proof), one == two);
        for field in 0..9 {
            let mixed = one.with(field, &two);
            let proves = check(b"material", b"salt", &mixed.statement(), &proof);
            prop_assert_eq!(proves, mixed == one, "field {}", field);
        }
    }

    #[test]
    fn a_changed_proof_proves_nothing(one in statements(), bit in 0_usize..256) {
        let proof = prove(b"material", b"salt", &one.statement());
        let mut bytes = from_base64url(&proof.to_string());
        bytes[bit / 8] ^= 1 << (bit % 8);
        let changed: Proof = base64url(&bytes).parse().unwrap();
        prop_assert!(!check(b"material", b"salt", &one.statement(), &changed));
    }

    #[test]
    fn accepted_sets_differ_when_anything_differs(
        one in proptest::collection::vec((0_u32..3, "[ab]{0,2}", 0_u8..2), 0..4),
        two in proptest::collection::vec((0_u32..3, "[ab]{0,2}", 0_u8..2), 0..4),
    ) {
        let digest = |set: &[(u32, String, u8)], life: &str, revision| {
            let kids: Vec<_> = set.iter().map(|(_, kid, _)| Kid(kid.clone())).collect();
            let versions: Vec<_> = set
                .iter()
                .zip(&kids)
                .map(|((version, _, usage), kid)| AcceptedVersion {
                    version: VersionNumber(*version), kid, usage: *usage,
                })
                .collect();
            accepted_set_digest(&Incarnation(life.into()), Revision(revision), &versions)
        };
        let sorted = |set: &[(u32, String, u8)]| { let mut set = set.to_vec(); set.sort(); set };
        prop_assert_eq!(digest(&one, "i", 1) == digest(&two, "i", 1), sorted(&one) == sorted(&two));
        let reversed: Vec<_> = one.iter().rev().cloned().collect();
        prop_assert_eq!(digest(&one, "i", 1), digest(&reversed, "i", 1));
        prop_assert_ne!(digest(&one, "i", 1), digest(&one, "j", 1));
        prop_assert_ne!(digest(&one, "i", 1), digest(&one, "i", 2));
    }
}

#[test]
fn only_the_challenged_version_answers_a_challenge() {
    let (ring, other_ring): (RingName, RingName) = ("a".parse().unwrap(), "b".parse().unwrap());
    let (life, other_life) = (Incarnation("i".into()), Incarnation("j".into()));
    let (one, two): (InstanceId, InstanceId) = ("x".parse().unwrap(), "y".parse().unwrap());
    let challenge = Challenge {
        ring: &ring,
        incarnation: &life,
        revision: Revision(5),
        version: VersionNumber(2),
        instance: &one,
        nonce: b"nonce",
    };
    let others = [
        Challenge { ring: &other_ring, ..challenge },
        Challenge { incarnation: &other_life, ..challenge },
        Challenge { revision: Revision(6), ..challenge },
        Challenge { version: VersionNumber(3), ..challenge },
        Challenge { instance: &two, ..challenge },
        Challenge { nonce: b"ounce", ..challenge },
    ];
    for kind in kinds() {
        let material = Material::generate(&kind, &mut stream(1)).ok().unwrap();
        let stale = Material::generate(&kind, &mut stream(2)).ok().unwrap();
        let answer = challenge.answer(&material, &mut stream(3)).unwrap();
        challenge.check(&material, &answer).unwrap();
        assert!(challenge.check(&stale, &answer).is_err(), "{kind:?}");
        assert!(challenge.check(&material, &[]).is_err());
        for other in &others {
            assert!(other.check(&material, &answer).is_err(), "{kind:?}");
        }
        if kind.is_encryption() {
            let more = material.seal(&challenge.message(), b"more", &mut stream(3)).unwrap();
            assert!(challenge.check(&material, &more).is_err());
        }
    }
}

#[test]
fn a_challenge_is_never_the_signing_input_of_a_token() {
    let material =
        Material::generate(&signing(SigningAlgorithm::Hs256), &mut stream(1)).ok().unwrap();
    let ring: RingName = "a".parse().unwrap();
    let challenge = Challenge {
        ring: &ring,
        incarnation: &Incarnation(String::new()),
        revision: Revision(0),
        version: VersionNumber(0),
        instance: &"x".parse().unwrap(),
        nonce: b"",
    };
    let message = challenge.message();
    // The signing input of a token is ASCII; a challenge begins with the length of its label.
    assert_eq!(message[0], 0);
    assert_eq!(material.sign(&message), challenge.answer(&material, &mut stream(1)));
}
