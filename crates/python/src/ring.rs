//! A ring as Python code holds it. Making one does nothing; its first use binds it to the client of
//! its registry and waits until the keys have arrived.

use std::sync::Arc;

use arc_swap::{ArcSwapOption, Guard as Loaded};
use keywheel_client::clock::{BootTime, boot_time};
use keywheel_client::{Keyset, ProtectError, RingHandle};
use keywheel_core::time::Span;
use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyList, PyString};

use crate::error::{OrRaise as _, raise};
use crate::expect::Kept;
use crate::guard::Guard;
use crate::notify::{self, Subscription};
use crate::registry::Shared;
use crate::revoke::{self, Wanted};
use crate::seal;
use crate::secret::Secret;
use crate::shape::Shapes;
use crate::snapshot::Snapshot;

/// A ring: the versions of one key.
#[pyclass(frozen, module = "keywheel")]
pub(crate) struct Ring {
    name: String,
    registry: Arc<Shared>,
    bound: ArcSwapOption<RingHandle>,
    shown: ArcSwapOption<Py<Snapshot>>,
    /// What was expected of a token last.
    pub(crate) expected: ArcSwapOption<Kept>,
    /// The names of the claims of its tokens.
    pub(crate) shapes: Shapes,
}

impl Ring {
    pub(crate) fn new(name: String, registry: Arc<Shared>) -> Self {
        Self {
            name,
            registry,
            bound: ArcSwapOption::empty(),
            shown: ArcSwapOption::empty(),
            expected: ArcSwapOption::empty(),
            shapes: Shapes::default(),
        }
    }

    /// A ring of a client that stands outside of any registry.
    pub(crate) fn bound(name: String, handle: RingHandle) -> Self {
        let ring = Self::new(name, Arc::new(Shared::empty()));
        ring.bound.store(Some(Arc::new(handle)));
        ring
    }

    /// The handle of the client, where it was asked for before.
    pub(crate) fn bound_handle(&self) -> Loaded<Option<Arc<RingHandle>>> {
        self.bound.load()
    }

    /// The handle of the client.
    pub(crate) fn handle(&self, py: Python<'_>) -> PyResult<Arc<RingHandle>> {
        if let Some(handle) = self.bound.load_full() {
            return Ok(handle);
        }
        let handle = self.registry.bind(py, &self.name).map_err(|error| error.raise(py))?;
        let handle = Arc::new(handle);
        self.bound.store(Some(Arc::clone(&handle)));
        Ok(handle)
    }

    /// What is held. Only the first call in a process waits, and lets other threads run meanwhile.
    pub(crate) fn keyset(&self, py: Python<'_>) -> PyResult<Arc<Keyset>> {
        let handle = self.handle(py)?;
        match handle.held() {
            Some(keyset) => Ok(keyset),
            None => first(py, &handle),
        }
    }

    /// The snapshot of a keyset, the same one for as long as the keyset is.
    pub(crate) fn show(&self, py: Python<'_>, keyset: Arc<Keyset>) -> PyResult<Py<Snapshot>> {
        if let Some(shown) = self.shown.load().as_ref()
            && shown.get().is_of(&keyset)
        {
            return Ok(shown.clone_ref(py));
        }
        let snapshot = Py::new(py, Snapshot::new(py, keyset)?)?;
        self.shown.store(Some(Arc::new(snapshot.clone_ref(py))));
        Ok(snapshot)
    }

    /// Takes a guard.
    pub(crate) fn take_guard(
        &self,
        py: Python<'_>,
    ) -> PyResult<Result<keywheel_client::Guard, ProtectError>> {
        let handle = self.handle(py)?;
        if handle.held().is_none() {
            first(py, &handle)?;
        }
        Ok(handle.guard())
    }
}

/// How long a wait does not look at signals.
const SLICE: Span = Span::from_millis(200);

fn deadline(seconds: f64) -> PyResult<BootTime> {
    let span = std::time::Duration::try_from_secs_f64(seconds)
        .map_err(|_| PyValueError::new_err("timeout is in seconds, 0 or more"))?;
    let millis = u64::try_from(span.as_millis()).unwrap_or(u64::MAX);
    Ok(boot_time().after(Span::from_millis(millis)))
}

/// Waits for the first keys of this process, and lets other threads run meanwhile.
#[cold]
pub(crate) fn first(py: Python<'_>, handle: &RingHandle) -> PyResult<Arc<Keyset>> {
    // The parent's threads did not come along through a fork.
    notify::revive()?;
    py.detach(|| handle.current()).or_raise(py)
}

#[pymethods]
impl Ring {
    /// The ring's name.
    #[getter]
    fn name(&self) -> &str {
        &self.name
    }

    /// The versions as of now: one consistent view.
    fn snapshot(&self, py: Python<'_>) -> PyResult<Py<Snapshot>> {
        if let Some(handle) = &*self.bound.load()
            && let Some(shown) = &*self.shown.load()
            && handle.holds(shown.get().keyset())
        {
            return Ok(shown.clone_ref(py));
        }
        let keyset = self.keyset(py)?;
        self.show(py, keyset)
    }

    /// A guard for work that protects; use it in a `with` statement.
    fn guard(slf: Py<Self>) -> Guard {
        Guard::of(slf)
    }

    /// The primary's key for code that cannot be bracketed. It may be protected with for a second.
    fn secret(&self, py: Python<'_>) -> PyResult<Secret> {
        let handle = self.handle(py)?;
        if handle.held().is_none() {
            first(py, &handle)?;
        }
        let version = handle.linger().or_raise(py)?;
        version.shared_material().map(Secret::new).ok_or_else(|| {
            raise(py, "ProtectError", "this process holds the half of the key that verifies only")
        })
    }

    /// Seals a text or bytes with the primary of a ring that encrypts.
    #[pyo3(signature = (data, *, context=None))]
    fn seal<'py>(
        &self,
        py: Python<'py>,
        data: &Bound<'py, PyAny>,
        context: Option<&Bound<'py, PyBytes>>,
    ) -> PyResult<Bound<'py, PyBytes>> {
        seal::seal(py, self, data, context)
    }

    /// Seals a text or bytes for a column that is text.
    fn seal_armored<'py>(
        &self,
        py: Python<'py>,
        data: &Bound<'py, PyAny>,
    ) -> PyResult<Bound<'py, PyString>> {
        seal::seal_armored(py, self, data)
    }

    /// The bytes of many sealed values, where each may be `None`.
    #[pyo3(signature = (values, *, context=None))]
    fn unseal_many<'py>(
        &self,
        py: Python<'py>,
        values: &Bound<'py, PyAny>,
        context: Option<&Bound<'py, PyBytes>>,
    ) -> PyResult<Bound<'py, PyList>> {
        seal::unseal_many(py, self, values, context)
    }

    /// The texts of many sealed values, where each may be `None`.
    #[pyo3(signature = (values, *, context=None))]
    fn unseal_text_many<'py>(
        &self,
        py: Python<'py>,
        values: &Bound<'py, PyAny>,
        context: Option<&Bound<'py, PyBytes>>,
    ) -> PyResult<Bound<'py, PyList>> {
        seal::unseal_text_many(py, self, values, context)
    }

    /// The bytes of a sealed value.
    #[pyo3(signature = (value, *, context=None))]
    fn unseal<'py>(
        &self,
        py: Python<'py>,
        value: &Bound<'py, PyAny>,
        context: Option<&Bound<'py, PyBytes>>,
    ) -> PyResult<Bound<'py, PyBytes>> {
        seal::unseal(py, self, value, context)
    }

    /// The text of a sealed value.
    #[pyo3(signature = (value, *, context=None))]
    fn unseal_text<'py>(
        &self,
        py: Python<'py>,
        value: &Bound<'py, PyAny>,
        context: Option<&Bound<'py, PyBytes>>,
    ) -> PyResult<Bound<'py, PyString>> {
        seal::unseal_text(py, self, value, context)
    }

    /// Calls `callback` with each new snapshot, in a thread of its own, until the subscription is
    /// closed.
    fn on_change(slf: Py<Self>, py: Python<'_>, callback: Py<PyAny>) -> PyResult<Subscription> {
        if !callback.bind(py).is_callable() {
            return Err(PyTypeError::new_err("the callback cannot be called"));
        }
        let handle = slf.get().handle(py)?;
        Ok(Subscription::of(notify::listen(slf, &handle, callback)?))
    }

    /// Waits until something else is held than `after`, for `timeout` seconds at most.
    #[pyo3(signature = (after=None, timeout=None))]
    fn wait_for_change(
        &self,
        py: Python<'_>,
        after: Option<&Bound<'_, Snapshot>>,
        timeout: Option<f64>,
    ) -> PyResult<Option<Py<Snapshot>>> {
        let after = after.map(|after| after.get().keyset());
        let handle = self.handle(py)?;
        let deadline = match timeout {
            Some(seconds) => Some(deadline(seconds)?),
            None => None,
        };
        loop {
            // In pieces, so that an interrupt from the keyboard is heard.
            let left = deadline.map_or(SLICE, |at| at.since(boot_time()).min(SLICE));
            let known = after.map(|keyset| (keyset.incarnation(), keyset.revision()));
            let came = py.detach(|| handle.wait_for_change(known, left)).or_raise(py)?;
            if let Some(keyset) = came {
                return self.show(py, keyset).map(Some);
            }
            if deadline.is_some_and(|at| at <= boot_time()) {
                return Ok(None);
            }
            py.check_signals()?;
        }
    }

    /// The coroutine of [`Ring::wait_for_change`].
    #[pyo3(signature = (after=None, timeout=None))]
    fn wait_for_change_async<'py>(
        slf: Bound<'py, Self>,
        after: Option<Bound<'py, PyAny>>,
        timeout: Option<f64>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let module = slf.py().import("keywheel._aio")?;
        module.call_method1("wait_for_change", (slf, after, timeout))
    }

    /// An asynchronous iterator over the snapshots to come.
    fn changed(slf: Bound<'_, Self>) -> PyResult<Bound<'_, PyAny>> {
        slf.py().import("keywheel._aio")?.call_method1("changed", (slf,))
    }

    /// Whether a token with these claims was revoked, whoever minted it.
    #[pyo3(signature = (claims, *, kid=None))]
    fn is_revoked(
        &self,
        py: Python<'_>,
        claims: &Bound<'_, PyAny>,
        kid: Option<&str>,
    ) -> PyResult<bool> {
        revoke::is_revoked(py, &*self.handle(py)?, claims, kid)
    }

    /// Revokes a token, or what a subject was given, for good.
    #[pyo3(signature = (*, jti=None, expires=None, subject=None, issued_before=None, reason=None))]
    fn revoke(
        &self,
        py: Python<'_>,
        jti: Option<String>,
        expires: Option<&Bound<'_, PyAny>>,
        subject: Option<String>,
        issued_before: Option<&Bound<'_, PyAny>>,
        reason: Option<&str>,
    ) -> PyResult<()> {
        let wanted = Wanted { jti, expires, subject, issued_before };
        let entries = wanted.entries(&*self.keyset(py)?)?;
        let handle = self.handle(py)?;
        py.detach(|| handle.revoke(&entries, reason)).or_raise(py)
    }

    /// Reports a token that another library minted to the ring's ledger.
    #[pyo3(signature = (claims, kid=None))]
    fn issued(
        &self,
        py: Python<'_>,
        claims: &Bound<'_, PyAny>,
        kid: Option<String>,
    ) -> PyResult<bool> {
        revoke::issued(py, &*self.handle(py)?, claims, kid)
    }

    /// Reports an event of the application, one of the policy's `on_event`.
    fn event(&self, py: Python<'_>, name: &str) -> PyResult<()> {
        let handle = self.handle(py)?;
        py.detach(|| handle.send_event(name)).or_raise(py)
    }

    /// Whether the primary is younger than the policy's `max_age_at_use`.
    fn ensure_fresh(&self, py: Python<'_>) -> PyResult<bool> {
        if let Some(handle) = &*self.bound.load()
            && handle.is_fresh() == Some(true)
        {
            return Ok(true);
        }
        let handle = self.handle(py)?;
        if handle.held().is_none() {
            first(py, &handle)?;
        }
        handle.ensure_fresh().or_raise(py)
    }

    /// How the ring stands in this process; starts nothing and waits for nothing.
    fn health<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let health = self.handle(py)?.health();
        let seconds = |span: Span| span.to_std().as_secs_f64();
        let dict = PyDict::new(py);
        dict.set_item("instance", health.instance.map(|id| id.to_string()))?;
        dict.set_item("revision", health.revision.map(|revision| revision.0))?;
        dict.set_item("last_contact", health.last_contact.map(seconds))?;
        dict.set_item("stale", health.stale)?;
        dict.set_item("offline", health.offline)?;
        dict.set_item("proved", health.proved)?;
        dict.set_item("listening", health.listening)?;
        dict.set_item("from_cache", health.from_cache)?;
        dict.set_item("revocations", health.revocations)?;
        dict.set_item("revocations_known_for", health.revocations_known_for.map(seconds))?;
        dict.set_item("revocations_stale", health.revocations_stale)?;
        dict.set_item("trouble", health.trouble.as_deref())?;
        Ok(dict)
    }

    fn __repr__(&self) -> String {
        format!("<keywheel.Ring {}>", self.name)
    }

    /// Another process makes its own ring of the same name.
    fn __reduce__(&self, py: Python<'_>) -> PyResult<(Py<PyAny>, (String,))> {
        let function = py.import("keywheel")?.getattr("ring")?.unbind();
        Ok((function, (self.name.clone(),)))
    }
}
