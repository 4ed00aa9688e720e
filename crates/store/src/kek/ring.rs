//! The present master key and those it replaced, as one: new data keys are wrapped by the present
//! one, old ones are opened by whichever wrapped them.

use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard};

use keywheel_engine::ports::{Kek, KekError, KekId, WrappedKey};
use zeroize::Zeroizing;

/// A master key with its predecessors. The server keeps one, so that `keywheel kek rotate` changes
/// it while the server runs: [`KekRing::promote`], rewrap everything, [`KekRing::forget_former`].
///
/// ```
/// use std::sync::Arc;
/// use keywheel_engine::ports::Kek;
/// use keywheel_store::{FileKek, KekRing, SystemEntropy};
///
/// # let folder = tempfile::tempdir()?;
/// let key = |name| FileKek::open_or_create(&folder.path().join(name), Arc::new(SystemEntropy));
/// let ring = KekRing::new(Arc::new(key("old")?), Vec::new());
/// let wrapped = ring.wrap(b"ring/web-session", &[7; 32])?;
/// ring.promote(Arc::new(key("new")?));
/// assert_ne!(ring.id(), wrapped.kek);
/// assert_eq!(*ring.unwrap(b"ring/web-session", &wrapped)?, [7; 32]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct KekRing {
    keys: RwLock<Keys>,
}

struct Keys {
    present: Arc<dyn Kek>,
    former: Vec<Arc<dyn Kek>>,
}

impl KekRing {
    /// The present key, and former ones that may still be needed.
    pub fn new(present: Arc<dyn Kek>, former: Vec<Arc<dyn Kek>>) -> Self {
        Self { keys: RwLock::new(Keys { present, former }) }
    }

    /// Makes another key the present one. The one it replaces still opens what it wrapped.
    pub fn promote(&self, next: Arc<dyn Kek>) {
        let mut keys = self.keys.write().unwrap_or_else(PoisonError::into_inner);
        if keys.present.id() != next.id() {
            let former = std::mem::replace(&mut keys.present, next);
            keys.former.push(former);
        }
    }

    /// Drops the former keys. To be called when nothing needs them any more.
    pub fn forget_former(&self) {
        self.keys.write().unwrap_or_else(PoisonError::into_inner).former.clear();
    }

    /// The names of the former keys, which a rotation has not finished with.
    pub fn former_ids(&self) -> Vec<KekId> {
        self.read().former.iter().map(|key| key.id()).collect()
    }

    fn read(&self) -> RwLockReadGuard<'_, Keys> {
        self.keys.read().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Kek for KekRing {
    fn id(&self) -> KekId {
        self.read().present.id()
    }

    fn wrap(&self, context: &[u8], data_key: &[u8; 32]) -> Result<WrappedKey, KekError> {
        self.read().present.wrap(context, data_key)
    }

    fn unwrap(
        &self,
        context: &[u8],
        wrapped: &WrappedKey,
    ) -> Result<Zeroizing<[u8; 32]>, KekError> {
        let keys = self.read();
        let key = keys.former.iter().find(|key| key.id() == wrapped.kek).unwrap_or(&keys.present);
        key.unwrap(context, wrapped)
    }
}
