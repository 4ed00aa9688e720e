//! [`Sealer`] as the engine's sealing port; it only translates.

use keywheel_engine::ports::{Opened, Seal, SealFault};

use super::{SealError, Sealer, Subject};

impl Seal for Sealer {
    fn seal(
        &self,
        key: &str,
        incarnation: &str,
        revision: u64,
        plaintext: &[u8],
        former: Option<&[u8]>,
    ) -> Result<Vec<u8>, SealFault> {
        let subject = Subject { key, incarnation, revision };
        match former {
            Some(former) => self.seal_after(&subject, plaintext, former),
            None => Self::seal(self, &subject, plaintext),
        }
        .map_err(fault)
    }

    fn open(&self, key: &str, sealed: &[u8]) -> Result<Opened, SealFault> {
        let opened = self.unseal(key, sealed).map_err(fault)?;
        Ok(Opened {
            incarnation: opened.incarnation,
            revision: opened.revision,
            plaintext: opened.plaintext,
        })
    }

    fn rewrap(&self, key: &str, sealed: &[u8]) -> Result<Vec<u8>, SealFault> {
        Self::rewrap(self, key, sealed).map_err(fault)
    }
}

fn fault(error: SealError) -> SealFault {
    match error {
        SealError::WrongKek { needed, given, .. } => SealFault::WrongKey { needed, given },
        SealError::Damaged { detail, .. } => SealFault::Damaged(detail),
        other => SealFault::Provider(other.to_string()),
    }
}
