//! The keys of a ring for one command: a client that says goodbye when the command ends.

use keywheel_client::{BuildError, Client, ClientError, RingHandle, TlsOptions, TokenSource};
use keywheel_core::id::{ConsumerName, RingName};

use crate::exit::Exit;
use crate::failure::{Failure, chain};
use crate::invocation::Invocation;
use crate::remote;

/// A ring and the client that follows it.
pub struct OpenRing {
    client: Client,
    handle: RingHandle,
}

impl OpenRing {
    /// Connects as a consumer, and waits until the keys have arrived.
    ///
    /// # Errors
    /// When it is not known who asks whom, or the keys do not arrive.
    pub fn open(
        invocation: &Invocation,
        ring: &RingName,
        consumer: Option<&ConsumerName>,
    ) -> Result<Self, Failure> {
        let consumer = consumer.ok_or_else(|| {
            Failure::new(
                Exit::Usage,
                "it is not known as which consumer the keys are asked for",
                "name it with --consumer, as the ring's policy declares it",
            )
        })?;
        let (endpoint, token_file) = remote::of_consumer(invocation)?;
        let client = Client::builder(endpoint, TokenSource::File(token_file))
            .consumer(consumer.as_str())
            .ring(ring.as_str())
            .tls(TlsOptions { ca_file: invocation.global.ca_file.clone() })
            .build()
            .map_err(|error| unusable(&error))?;
        let handle = client.ring(ring.as_str()).map_err(|error| unusable(&error))?;
        client.start().map_err(|error| unreached(&error))?;
        Ok(Self { client, handle })
    }

    /// The ring.
    pub const fn handle(&self) -> &RingHandle {
        &self.handle
    }
}

impl Drop for OpenRing {
    /// No rotation waits for a command that has ended.
    fn drop(&mut self) {
        self.client.shutdown();
    }
}

fn unusable(error: &BuildError) -> Failure {
    Failure::new(Exit::Usage, error.to_string(), "correct the argument")
}

/// What is said when the keys of a ring are not there.
pub fn unreached(error: &ClientError) -> Failure {
    let text = chain(error);
    let (cause, remedy) = text.rsplit_once("; ").unwrap_or((&text, "check the server"));
    Failure::new(Exit::Unreachable, cause, remedy)
}
