//! Keys from a ring of keywheel, by the client library: this is all that an application writes.

use std::path::Path;

use keywheel_client::{Client, RingHandle, TokenSource};

use super::keys::{Keys, Signed};

/// A ring of keywheel.
pub(super) struct RingKeys {
    client: Client,
    ring: RingHandle,
}

impl RingKeys {
    /// Connects, and waits for the keys.
    pub(super) fn open(
        service: &str,
        ring: &str,
        server: &str,
        token_file: &Path,
    ) -> Result<Self, String> {
        let client = Client::builder(server, TokenSource::File(token_file.into()))
            .consumer(service)
            .ring(ring)
            .build()
            .map_err(|error| error.to_string())?;
        client.start().map_err(|error| error.to_string())?;
        let ring = client.ring(ring).map_err(|error| error.to_string())?;
        Ok(Self { client, ring })
    }
}

impl Keys for RingKeys {
    fn sign(&self, bytes: &dyn Fn(&str) -> Vec<u8>) -> Result<Signed, String> {
        // As long as the guard lives, this process does not say that it has left this version.
        let guard = self.ring.guard().map_err(|error| error.to_string())?;
        let kid = guard.kid().to_string();
        let signature = guard.material().sign(&bytes(&kid)).map_err(|error| error.to_string())?;
        Ok(Signed { version: guard.number().0, kid, signature })
    }

    fn verify(&self, kid: &str, bytes: &[u8], signature: &[u8]) -> Result<u32, String> {
        let version = self.ring.version(kid).map_err(|error| error.to_string())?;
        version.verify(bytes, signature).map_err(|error| error.to_string())?;
        Ok(version.number().0)
    }

    fn signs_with(&self) -> Option<u32> {
        let keyset = self.ring.current().ok()?;
        keyset.primary_number().map(|number| number.0)
    }

    fn reload(&self) -> Result<(), String> {
        // The client follows its ring by itself.
        Ok(())
    }

    fn leave(&self) {
        self.client.shutdown();
    }
}
