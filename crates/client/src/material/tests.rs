//! Material that contradicts itself is refused whole.

use keywheel_api::material::VersionMaterial;
use keywheel_core::kind::{Kind, SecretEncoding, SigningAlgorithm};
use keywheel_jose::{DangerDelivery, Delivery, DeliveryFormat};

use super::*;

pub(crate) const KIND: Kind = Kind::Secret { length: 16, encoding: SecretEncoding::Raw };

fn version(number: u32) -> VersionMaterial {
    let value = Zeroizing::new(URL_SAFE_NO_PAD.encode([u8::try_from(number).unwrap(); 16]));
    VersionMaterial {
        number,
        kid: format!("kid-{number}"),
        kind: KIND,
        salt: "c2FsdA".into(),
        delivery: DangerDelivery(Delivery::new(DeliveryFormat::Base64url, value)),
    }
}

pub(crate) fn wire(revision: u64, primary: Option<u32>, versions: &[u32]) -> Wire {
    Wire {
        ring: "r".into(),
        incarnation: "life".into(),
        revision,
        primary,
        versions: versions.iter().map(|number| version(*number)).collect(),
        longest_lifetime_millis: 1_000,
        offline_max_millis: 3_600_000,
        skew_millis: 1_000,
        lease_ttl_millis: 30_000,
        revocations_stale_after_millis: None,
        revocations: Some(0),
        fresh_for_millis: None,
        ledger: false,
        cacheable: true,
    }
}

fn refusal(change: impl FnOnce(&mut Wire)) -> Option<MaterialError> {
    let mut wire = wire(3, Some(1), &[1, 2]);
    change(&mut wire);
    parse(wire, &"r".parse().unwrap(), |_, _| Arc::default()).err()
}

#[test]
fn what_cannot_be_is_refused() {
    assert_eq!(refusal(|_| ()), None);
    let impossible =
        |found: Option<MaterialError>| matches!(found, Some(MaterialError::Impossible(_)));
    assert!(impossible(refusal(|wire| wire.primary = Some(3))));
    assert!(impossible(refusal(|wire| wire.versions[1].number = 1)));
    assert!(impossible(refusal(|wire| wire.versions[1].kid = "kid-1".into())));
    assert!(impossible(refusal(|wire| wire.versions[0].salt = "#".into())));
    assert!(impossible(refusal(|wire| wire.lease_ttl_millis = 0)));
    assert!(impossible(refusal(|wire| wire.incarnation.clear())));
    assert!(impossible(refusal(
        |wire| wire.versions = (0..300).map(|n| version(n % 200)).collect()
    )));
    assert_eq!(refusal(|wire| wire.ring = "s".into()), Some(MaterialError::OtherRing));
    let other = Kind::Signing { algorithm: SigningAlgorithm::EdDsa };
    let unusable = refusal(|wire| wire.versions[1].kind = other);
    assert!(matches!(unusable, Some(MaterialError::Version { version: VersionNumber(2), .. })));
}
