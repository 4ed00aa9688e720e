//! Rings to render.

use std::path::Path;
use std::sync::Arc;

use keywheel_core::id::{Incarnation, Kid, Revision, RingName, VersionNumber};
use keywheel_core::kind::{Kind, SecretEncoding, SigningAlgorithm};
use keywheel_deliver::settings::{FileOptions, Form, Order, Several, Take, Which};
use keywheel_deliver::values::{AllValues, Key, Value, Values};
use keywheel_jose::{ImportFormat, Material};
use zeroize::Zeroizing;

pub(crate) fn ring(name: &str) -> RingName {
    name.to_owned().try_into().unwrap()
}

pub(crate) fn secret(bytes: &[u8]) -> Material {
    let kind = Kind::Secret { length: 32, encoding: SecretEncoding::Base64url };
    Material::import(&kind, bytes, ImportFormat::Raw).unwrap().material
}

pub(crate) fn value(number: u32, material: Material) -> Value {
    let salt = Zeroizing::new(vec![u8::try_from(number).unwrap(); 32]);
    let kid = Kid(format!("kid-{number}"));
    Value::new(VersionNumber(number), kid, salt, Key::Whole(Arc::new(material)))
}

/// A ring whose versions hold these secrets, oldest first.
pub(crate) fn values(name: &str, primary: Option<usize>, secrets: &[&str]) -> Values {
    let versions = secrets.iter().zip(1..);
    let versions = versions.map(|(text, number)| value(number, secret(text.as_bytes()))).collect();
    Values::new(ring(name), Incarnation("i".into()), Revision(7), primary, versions)
}

pub(crate) fn one(name: &str, secrets: &[&str], primary: usize) -> AllValues {
    [(ring(name), values(name, Some(primary), secrets))].into()
}

pub(crate) fn signing(name: &str, versions: u32) -> AllValues {
    let kind = Kind::Signing { algorithm: SigningAlgorithm::EdDsa };
    let mut seed = 1_u8;
    let mut fill = move |buffer: &mut [u8]| {
        for byte in buffer {
            seed = seed.wrapping_mul(5).wrapping_add(7);
            *byte = seed;
        }
    };
    let versions = (1..=versions).map(|n| value(n, Material::generate(&kind, &mut fill).unwrap()));
    let versions = versions.collect();
    let values = Values::new(ring(name), Incarnation("i".into()), Revision(1), Some(0), versions);
    [(ring(name), values)].into()
}

pub(crate) fn take(name: &str, which: Which) -> Take {
    Take {
        ring: ring(name),
        which,
        order: Order::PrimaryFirst,
        form: Form::Text,
        several: Several::Join(",".into()),
    }
}

pub(crate) fn options(path: &Path) -> FileOptions {
    FileOptions { path: path.to_owned(), mode: 0o600, owner: None, backups: 0 }
}
