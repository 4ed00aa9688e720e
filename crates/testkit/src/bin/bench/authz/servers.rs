//! The servers that nginx asks: the edge as the server and the agent run it, over an authority in
//! memory, and a bare one that reads a request and says yes.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard};

use keywheel_core::id::{Kid, RingName, VersionNumber};
use keywheel_core::kind::{Kind, SigningAlgorithm};
use keywheel_core::revocation::{Facts, Revocation, RevocationSet, Revoked};
use keywheel_jose::Material;
use keywheel_jose::token::{Signer, TokenKey};
use keywheel_server::edge::{
    Accepted, Authority, Edge, EdgeListener, EdgeSettings, Profile, Route, Stale, Tally, Version,
};
use keywheel_server::{Listen, SocketMode};
use keywheel_store::SystemClock;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::others::folder;
use crate::{Fallible, child};

/// The rings, which are the kids and the first segments of paths too.
pub(super) const RINGS: [(&str, SigningAlgorithm); 2] =
    [("hs", SigningAlgorithm::Hs256), ("ed", SigningAlgorithm::EdDsa)];

/// The kid of the version before the one that signs.
const OLDER: &str = "older";

/// The key with a kid: always the same, so that every process has it.
pub(super) fn material(ring: &str, algorithm: SigningAlgorithm) -> Fallible<Material> {
    let mut seed = ring.bytes().next().unwrap_or(1);
    let mut fill = move |buffer: &mut [u8]| {
        for byte in buffer {
            seed = seed.wrapping_mul(29).wrapping_add(17);
            *byte = seed;
        }
    };
    if algorithm == SigningAlgorithm::Hs256 {
        return Ok(Material::generate(&Kind::Signing { algorithm }, &mut fill)?);
    }
    let kept = folder("authz")?.join(format!("{ring}.key"));
    let kind = Kind::Signing { algorithm };
    if let Ok(stored) = std::fs::read(&kept) {
        return Ok(Material::from_stored(&kind, &stored)?);
    }
    // The provider draws asymmetric keys by itself.
    let material = Material::generate(&kind, &mut fill)?;
    std::fs::write(&kept, &*material.to_stored())?;
    Ok(material)
}

/// Distinct tokens of a ring, one a line.
pub(super) fn tokens(ring: &str, algorithm: SigningAlgorithm, count: usize) -> Fallible<String> {
    let signer = Signer::of_material(&material(ring, algorithm)?, &Kid(ring.into()))?;
    let expires = super::wall_secs() + 24 * 3_600;
    let mut lines = String::new();
    for number in 0..count {
        let claims = format!(
            r#"{{"sub":"user-{number}","jti":"token-{number}","iss":"us","exp":{expires}}}"#
        );
        lines.push_str(&signer.sign(claims.as_bytes())?);
        lines.push('\n');
    }
    Ok(lines)
}

/// What is accepted and revoked, behind a lock like that of a server, whose rings come and go.
struct Fixed {
    rings: RwLock<HashMap<RingName, Arc<OneRing>>>,
}

struct OneRing {
    accepted: Arc<Accepted>,
    revoked: Arc<RevocationSet>,
}

impl Fixed {
    fn rings(&self) -> RwLockReadGuard<'_, HashMap<RingName, Arc<OneRing>>> {
        self.rings.read().unwrap_or_else(PoisonError::into_inner)
    }
}

#[derive(Default)]
struct Counter(std::sync::atomic::AtomicU64);

impl Tally for Counter {
    fn processed(&self) {
        self.0.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
    }

    fn rejected(&self) {}
}

impl Authority for Fixed {
    fn accepted(&self, ring: &RingName) -> Option<Arc<Accepted>> {
        Some(Arc::clone(&self.rings().get(ring)?.accepted))
    }

    fn revoked(&self, ring: &RingName, facts: &Facts<'_>) -> Result<Option<Revoked>, Stale> {
        Ok(self.rings().get(ring).ok_or(Stale)?.revoked.check(facts))
    }
}

fn version(number: u32, kid: &str, algorithm: SigningAlgorithm) -> Fallible<Version> {
    let material = material(kid, algorithm)?;
    let kid = Kid(kid.into());
    Ok(Version {
        number: VersionNumber(number),
        key: TokenKey::of_material(&material, &kid)?,
        kid,
        is_asymmetric: material.public_key().is_some(),
        tally: Arc::new(Counter::default()),
    })
}

/// Is the edge, with so many revoked tokens.
pub(crate) fn serve_edge(listen: &str, revoked: &str) -> Fallible<()> {
    let set = RevocationSet::new([9; 16]);
    let expires = super::wall_secs() + 24 * 3_600;
    for number in 0..revoked.parse::<u32>()? {
        set.apply(&Revocation::jti(format!("revoked-{number}"), expires)?);
    }
    let set = Arc::new(set);
    let mut rings = HashMap::new();
    let mut routes = Vec::new();
    for (name, algorithm) in RINGS {
        // The primary, and the one before it.
        let versions = vec![version(2, name, algorithm)?, version(1, OLDER, algorithm)?];
        let ring: RingName = name.parse()?;
        let accepted = Arc::new(Accepted::new(1, versions));
        rings.insert(ring.clone(), Arc::new(OneRing { accepted, revoked: Arc::clone(&set) }));
        let mut route = Route::new(format!("/{name}"), ring);
        route.issuers = vec!["us".into()];
        route.require = vec!["sub".into(), "jti".into()];
        routes.push(route);
    }
    let authority = Arc::new(Fixed { rings: RwLock::new(rings) });
    let settings = EdgeSettings { profile: Profile::Nginx, routes };
    let edge = Arc::new(Edge::new(settings, authority, Arc::new(SystemClock)));
    let listener = EdgeListener::start(edge, vec![Listen::parse(listen)?], SocketMode(0o666))?;
    child::obey(0, |words| Err(format!("{words:?} means nothing to the edge").into()))?;
    listener.stop();
    Ok(())
}

/// Is the bare server.
pub(crate) fn serve_null(listen: &str) -> Fallible<()> {
    let path = PathBuf::from(listen.strip_prefix("unix:").ok_or("it listens on a unix socket")?);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let listener = {
        let _inside = runtime.enter();
        tokio::net::UnixListener::bind(&path)?
    };
    open_to_all(&path)?;
    std::thread::spawn(move || {
        runtime.block_on(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(answer(stream));
            }
        });
    });
    child::obey(0, |words| Err(format!("{words:?} means nothing to the bare server").into()))
}

async fn answer(mut stream: tokio::net::UnixStream) -> std::io::Result<()> {
    let mut buffer = vec![0_u8; 16 * 1024];
    let mut filled = 0;
    loop {
        let room = buffer.get_mut(filled..).unwrap_or_default();
        let read = stream.read(room).await?;
        if read == 0 {
            return Ok(());
        }
        filled += read;
        if buffer.get(..filled).is_some_and(|head| head.ends_with(b"\r\n\r\n")) {
            stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").await?;
            filled = 0;
        }
    }
}

/// nginx's workers are other users where it is started by root.
fn open_to_all(path: &Path) -> std::io::Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o666))
}
