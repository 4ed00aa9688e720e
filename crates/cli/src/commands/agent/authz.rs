//! The edge in an agent: the same service as the server's, over a client of its own. It goes on
//! when the server is down, with the keys and revocations that it has; a ring's
//! `revocations_stale_after` says whether there is an end to that.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, PoisonError, RwLock};

use keywheel_client::{Client, Keyset, RingHandle, TlsOptions, TokenSource};
use keywheel_core::id::RingName;
use keywheel_core::revocation::{Facts, Revoked};
use keywheel_jose::token::TokenKey;
use keywheel_server::edge::{
    Accepted, Authority, Edge, EdgeListener, Stale, Tally, Version as EdgeVersion,
};
use keywheel_store::SystemClock;

use crate::config::agent::{AgentAuthz, AgentConfig};
use crate::exit::Exit;
use crate::failure::{Failure, chain};
use crate::private;

/// The file, in the agent's folder, with who the edge is at the server.
const IDENTITY: &str = "authz.identity";

/// The edge of an agent. It is a consumer like any other, and says goodbye when it ends.
pub(super) struct AgentEdge {
    listener: EdgeListener,
    client: Client,
}

impl AgentEdge {
    /// Waits for the keys of every ring, and then listens: a proxy finds either no socket, or one
    /// that knows its keys.
    ///
    /// # Errors
    /// When the keys do not come, or an address cannot be used.
    pub(super) fn start(
        config: &AgentConfig,
        endpoint: &str,
        authz: &AgentAuthz,
        token_file: PathBuf,
    ) -> Result<Self, Failure> {
        private::make_folder(&config.server.state_dir)?;
        let token = TokenSource::File(token_file);
        let mut builder = Client::builder(endpoint, token)
            .consumer(authz.consumer.as_str())
            .tls(TlsOptions { ca_file: config.server.ca_file.clone() })
            .identity_file(config.server.state_dir.join(IDENTITY));
        let rings = authz.edge.rings();
        for ring in &rings {
            builder = builder.ring(ring.as_str());
        }
        let client = builder.build().map_err(|error| {
            Failure::new(Exit::Usage, chain(&error), "correct [authz] in the agent's file")
        })?;
        let keys = Keys::take(&client, &rings)?;
        let edge = Edge::new(authz.edge.clone(), Arc::new(keys), Arc::new(SystemClock));
        let listener = EdgeListener::start(Arc::new(edge), authz.listen.clone(), authz.socket_mode)
            .map_err(|error| Failure::new(Exit::Failed, chain(&error), error.remedy()))?;
        Ok(Self { listener, client })
    }

    /// Answers what is under way, and says goodbye, so that no rotation waits for this edge.
    pub(super) fn stop(self) {
        self.listener.stop();
        if !self.client.shutdown() {
            tracing::warn!(
                "the edge could not say goodbye; the server counts it until its lease ends"
            );
        }
    }
}

/// What the edge judges by.
struct Keys {
    rings: HashMap<RingName, OneRing>,
}

struct OneRing {
    handle: RingHandle,
    /// The keys of the keyset that was seen last, made ready.
    ready: RwLock<Option<Ready>>,
}

struct Ready {
    of: Arc<Keyset>,
    accepted: Arc<Accepted>,
}

impl Keys {
    fn take(client: &Client, names: &[RingName]) -> Result<Self, Failure> {
        let mut rings = HashMap::new();
        for name in names {
            let handle = client.ring(name.as_str()).map_err(|error| unreachable(&error))?;
            let keyset = handle.current().map_err(|error| unreachable(&error))?;
            if accepted(&keyset).is_none() {
                return Err(Failure::new(
                    Exit::Usage,
                    format!("the ring {name} does not sign tokens"),
                    "name a ring of kind signing in [[authz.route]]",
                ));
            }
            // What was revoked is waited for here, and never while a request waits.
            drop(handle.is_revoked(&Facts::default()));
            rings.insert(name.clone(), OneRing { handle, ready: RwLock::default() });
        }
        Ok(Self { rings })
    }
}

fn unreachable(error: &(dyn std::error::Error + 'static)) -> Failure {
    Failure::new(
        Exit::Unreachable,
        chain(error),
        "start the server first, and check that the consumer of [authz] is declared in the \
         policies of its rings",
    )
}

impl Authority for Keys {
    fn accepted(&self, ring: &RingName) -> Option<Arc<Accepted>> {
        let ring = self.rings.get(ring)?;
        // The keyset that is shown is the one that is proved: from then on it is the one that
        // judges.
        let present = ring.handle.current().ok()?;
        let known = ring.ready.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = known.as_ref().filter(|known| Arc::ptr_eq(&known.of, &present)) {
            return Some(Arc::clone(&known.accepted));
        }
        drop(known);
        let accepted = Arc::new(accepted(&present)?);
        let ready = Ready { of: present, accepted: Arc::clone(&accepted) };
        *ring.ready.write().unwrap_or_else(PoisonError::into_inner) = Some(ready);
        Some(accepted)
    }

    fn revoked(&self, ring: &RingName, facts: &Facts<'_>) -> Result<Option<Revoked>, Stale> {
        let ring = self.rings.get(ring).ok_or(Stale)?;
        ring.handle.is_revoked(facts).map_err(|_| Stale)
    }

    fn unknown_kid(&self, ring: &RingName, kid: &str) {
        if let Some(ring) = self.rings.get(ring) {
            // A client that was shut down counts no more.
            let _ = ring.handle.refused_unknown(kid);
        }
    }
}

/// The keys of a keyset; nothing when they do not sign.
fn accepted(keyset: &Keyset) -> Option<Accepted> {
    let mut ready = Vec::with_capacity(keyset.versions().len());
    for version in keyset.in_order_of_trial() {
        let key = match (version.material(), version.public_key()) {
            (Some(material), _) => TokenKey::of_material(material, version.kid()).ok()?,
            (None, Some(public)) => TokenKey::of_public(public, version.kid()),
            (None, None) => return None,
        };
        ready.push(EdgeVersion {
            number: version.number(),
            kid: version.kid().clone(),
            key,
            is_asymmetric: version.public_key().is_some(),
            tally: Arc::new(Counting(Arc::clone(version))),
        });
    }
    Some(Accepted::new(keyset.revision().0, ready))
}

/// Counts for the reports of the client.
struct Counting(Arc<keywheel_client::Version>);

impl Tally for Counting {
    fn processed(&self) {
        self.0.processed(1);
    }

    fn rejected(&self) {
        self.0.rejected(1);
    }
}
