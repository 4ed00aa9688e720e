//! New key material: drawn from the entropy port, or taken over from a team.

use keywheel_core::id::{Kid, RingName};
use keywheel_core::kind::Kind;
use keywheel_core::ring::Origin;
use keywheel_core::rotation::Minted;
use keywheel_jose::{ImportFormat, Material};
use subtle::ConstantTimeEq as _;
use zeroize::Zeroizing;

use crate::engine::Engine;
use crate::error::EngineError;

/// Key material that a team already uses.
pub struct ImportedKey {
    /// How the bytes are to be read.
    pub format: ImportFormat,
    /// The bytes.
    pub bytes: Zeroizing<Vec<u8>>,
}

/// A key that no document has yet.
pub(crate) struct NewKey {
    pub(crate) minted: Minted,
    pub(crate) material: Material,
    pub(crate) salt: [u8; 32],
}

impl Engine {
    /// Makes a key, or takes one over.
    pub(crate) fn mint(
        &self,
        ring: &RingName,
        kind: &Kind,
        import: Option<&ImportedKey>,
    ) -> Result<NewKey, EngineError> {
        let mut fill = |buffer: &mut [u8]| self.fill(buffer);
        let (material, own_kid, origin) = match (import, kind) {
            (Some(key), _) => Self::take_over(kind, key)?,
            (None, Kind::External) => {
                return Err(EngineError::Invalid {
                    field: "import".into(),
                    cause: "a ring of kind `external` cannot make its own keys".into(),
                    remedy: "Give the key with the request".into(),
                });
            }
            (None, _) => {
                let material = Material::generate(kind, &mut fill).map_err(EngineError::defect)?;
                (material, None, Origin::Generated)
            }
        };
        let named = own_kid.unwrap_or_else(|| material.kid(&mut fill));
        let fingerprint_key = self.fingerprint_key()?;
        let mut salt = [0u8; 32];
        self.fill(&mut salt);
        let minted = Minted {
            kid: named,
            kind: kind.clone(),
            fingerprint: material.fingerprint(&fingerprint_key).to_string(),
            origin,
            recovery_tested: self.test_recovery(ring, &material)?,
        };
        Ok(NewKey { minted, material, salt })
    }

    fn take_over(
        kind: &Kind,
        key: &ImportedKey,
    ) -> Result<(Material, Option<Kid>, Origin), EngineError> {
        let imported = Material::import(kind, &key.bytes, key.format).map_err(|error| {
            EngineError::Invalid {
                field: "import".into(),
                cause: error.to_string(),
                remedy: "Give exactly the bytes that your application uses, and their format"
                    .into(),
            }
        })?;
        let weaknesses = imported.weaknesses.iter().map(ToString::to_string).collect();
        Ok((imported.material, imported.kid, Origin::Imported { weaknesses }))
    }

    /// Wraps the material a second time, opens that, and compares: what protects data for years
    /// must be known to be recoverable before it is used.
    fn test_recovery(&self, ring: &RingName, material: &Material) -> Result<bool, EngineError> {
        let subject = format!("recovery/{ring}");
        let stored = material.to_stored();
        let fault = |fault| EngineError::sealing(&subject, &fault);
        let sealed = self.records.seal.seal(&subject, "-", 0, &stored, None).map_err(fault)?;
        let opened = self.records.seal.open(&subject, &sealed).map_err(fault)?;
        Ok(opened.plaintext.as_slice().ct_eq(stored.as_slice()).into())
    }

    fn fingerprint_key(&self) -> Result<Zeroizing<[u8; 32]>, EngineError> {
        let bytes = self.secrets.fingerprint.decode();
        let bytes = bytes.ok_or_else(|| EngineError::defect("cluster secrets cannot be read"))?;
        let mut key = Zeroizing::new([0u8; 32]);
        if bytes.len() != key.len() {
            return Err(EngineError::defect("cluster secrets have a wrong length"));
        }
        key.copy_from_slice(&bytes);
        Ok(key)
    }

    /// A random name of 128 bits in hexadecimal.
    pub(crate) fn random_name(&self) -> String {
        let mut bytes = [0u8; 16];
        self.fill(&mut bytes);
        crate::audit::hex(&bytes)
    }
}
