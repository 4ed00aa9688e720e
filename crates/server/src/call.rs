//! One call, after its form, its caller and its rights were checked: what handlers work with.

use std::sync::Arc;

use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use hyper::StatusCode;
use hyper::header::{
    CACHE_CONTROL, CONTENT_TYPE, ETAG, HeaderMap, HeaderName, HeaderValue, IF_MATCH,
};
use keywheel_api::problem::Kind;
use keywheel_core::id::{
    ColumnName, GateName, InstanceId, Revision, RingName, ScanName, VersionNumber,
};
use keywheel_engine::{Caller, Context, Engine, EngineError, Peer};
use serde::Serialize;
use serde::de::DeserializeOwned;
use zeroize::Zeroizing;

use crate::app::App;
use crate::json;
use crate::query::Query;
use crate::refusal::Refusal;

/// Makes a verb that is sent twice happen once.
pub(crate) const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
/// The longest idempotency key, in characters.
pub(crate) const IDEMPOTENCY_KEY_MAX: usize = 128;
/// The longest reason that a person can give, in characters.
pub(crate) const REASON_MAX: usize = 1000;

/// The token of a caller, shared by what must check it again.
pub(crate) type Credential = Arc<Zeroizing<String>>;

/// One call.
pub(crate) struct Call {
    pub(crate) app: Arc<App>,
    pub(crate) caller: Option<Arc<Caller>>,
    pub(crate) credential: Option<Credential>,
    pub(crate) peer: Peer,
    pub(crate) path: Vec<(String, String)>,
    pub(crate) query: Query,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Zeroizing<Vec<u8>>,
}

impl Call {
    /// Who calls. The pipeline lets nobody without a token come to a handler that asks.
    pub(crate) fn caller(&self) -> Result<&Caller, Refusal> {
        self.caller.as_deref().ok_or_else(|| EngineError::Unauthenticated.into())
    }

    /// A segment of the path.
    fn segment(&self, name: &str) -> &str {
        self.path.iter().find(|(key, _)| key == name).map_or("", |(_, value)| value)
    }

    /// The ring of the path. What cannot name a ring names none.
    pub(crate) fn ring(&self) -> Result<RingName, Refusal> {
        self.segment("ring").parse().map_err(|_| Refusal::no_such_ring())
    }

    /// The version of the path.
    pub(crate) fn version(&self) -> Result<VersionNumber, Refusal> {
        self.segment("version").parse().map(VersionNumber).map_err(|_| {
            Refusal::new(
                Kind::NotFound,
                "there is no such version",
                "Give its number; `keywheel status` lists them",
            )
        })
    }

    /// The gate of the path.
    pub(crate) fn gate(&self) -> Result<GateName, Refusal> {
        self.segment("gate").parse().map_err(|error: keywheel_core::id::NameError| {
            Refusal::new(Kind::NotFound, error.to_string(), "Check the gate's name")
        })
    }

    /// The column of the path.
    pub(crate) fn column(&self) -> Result<ColumnName, Refusal> {
        self.segment("column").parse().map_err(|error: keywheel_core::id::NameError| {
            Refusal::new(
                Kind::NotFound,
                error.to_string(),
                "Give the column's name; `keywheel ring columns` lists them",
            )
        })
    }

    /// The code base of the path.
    pub(crate) fn scan(&self) -> Result<ScanName, Refusal> {
        self.segment("scan").parse().map_err(|error: keywheel_core::id::NameError| {
            Refusal::new(Kind::NotFound, error.to_string(), "Name the code base, as shop-backend")
        })
    }

    /// The instance of the path.
    pub(crate) fn instance(&self) -> Result<InstanceId, Refusal> {
        self.segment("instance").parse().map_err(|_| {
            Refusal::new(
                Kind::NotFound,
                "there is no such instance",
                "Give its id; `keywheel status` lists them",
            )
        })
    }

    /// The token id of the path.
    pub(crate) fn token(&self) -> &str {
        self.segment("token")
    }

    /// The body, which the pipeline has seen to be there.
    pub(crate) fn body<T: DeserializeOwned>(&self) -> Result<T, Refusal> {
        json::parse(&self.body)
    }

    /// The body, or what an absent one stands for.
    pub(crate) fn body_or_default<T: DeserializeOwned + Default>(&self) -> Result<T, Refusal> {
        if self.body.is_empty() { Ok(T::default()) } else { self.body() }
    }

    /// The form that the body is. Parameters that are unknown are passed over, as RFC 6749 section
    /// 3.2 wants it; one that is given twice is refused.
    pub(crate) fn form<T: DeserializeOwned>(&self) -> Result<T, Refusal> {
        let refuse = |detail: &str| {
            Refusal::new(Kind::Malformed, detail, "Send each parameter once, as name=value")
        };
        let text = std::str::from_utf8(&self.body).map_err(|_| refuse("the form is not text"))?;
        let uri = hyper::Uri::builder().path_and_query(format!("/?{text}")).build();
        let uri = uri.map_err(|_| refuse("the form cannot be read"))?;
        let pairs = axum::extract::Query::<Vec<(String, String)>>::try_from_uri(&uri)
            .map_err(|_| refuse("the form cannot be read"))?;
        let mut fields = serde_json::Map::new();
        for (name, value) in pairs.0 {
            if fields.insert(name, value.into()).is_some() {
                return Err(refuse("a parameter is given twice"));
            }
        }
        serde_json::from_value(fields.into())
            .map_err(|_| refuse("a parameter that is needed is missing"))
    }

    /// Who does what, why, and on which conditions.
    pub(crate) fn context(&self, reason: Option<String>) -> Result<Context, Refusal> {
        if let Some(reason) = &reason
            && (reason.trim().is_empty() || reason.chars().count() > REASON_MAX)
        {
            return Err(Refusal::invalid(
                "reason",
                format!("it must have 1 to {REASON_MAX} characters"),
                "Say in words why; it is kept in the audit record",
            ));
        }
        Ok(Context {
            actor: self.caller()?.name.clone(),
            reason,
            if_match: self.if_match()?,
            idempotency_key: self.idempotency_key()?,
        })
    }

    fn if_match(&self) -> Result<Option<Revision>, Refusal> {
        let mut values = self.headers.get_all(IF_MATCH).iter();
        let Some(value) = values.next() else { return Ok(None) };
        let revision = value
            .to_str()
            .ok()
            .and_then(|text| text.strip_prefix('"')?.strip_suffix('"'))
            .filter(|text| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit()))
            .and_then(|text| text.parse().ok())
            .filter(|_| values.next().is_none());
        let refuse = || {
            Refusal::field(
                Kind::Malformed,
                "If-Match",
                "it must be one quoted revision",
                "Send the ETag of the ring's status as it came, for example \"12\"",
            )
        };
        revision.map(|number| Some(Revision(number))).ok_or_else(refuse)
    }

    fn idempotency_key(&self) -> Result<Option<String>, Refusal> {
        let mut values = self.headers.get_all(&IDEMPOTENCY_KEY).iter();
        let Some(value) = values.next() else { return Ok(None) };
        let usable = |text: &&str| {
            (1..=IDEMPOTENCY_KEY_MAX).contains(&text.len())
                && text.bytes().all(|byte| byte.is_ascii_graphic())
        };
        let key = value.to_str().ok().filter(usable).filter(|_| values.next().is_none());
        let refuse = || {
            Refusal::field(
                Kind::Malformed,
                "Idempotency-Key",
                format!("it must be 1 to {IDEMPOTENCY_KEY_MAX} visible ASCII characters"),
                "Draw a random key, such as a UUID, for each new request",
            )
        };
        key.map(|key| Some(key.to_owned())).ok_or_else(refuse)
    }

    /// Calls the engine away from the threads that serve connections.
    pub(crate) async fn engine<T, F>(&self, work: F) -> Result<T, Refusal>
    where
        T: Send + 'static,
        F: FnOnce(&Engine) -> Result<T, EngineError> + Send + 'static,
    {
        self.app.engine(work).await
    }
}

/// A JSON answer. The bytes are erased when the last of them was written, because some answers
/// carry keys.
pub(crate) fn json<T: Serialize>(status: StatusCode, value: &T) -> Result<Response, Refusal> {
    let mut bytes = Zeroizing::new(Vec::with_capacity(4096));
    serde_json::to_writer(&mut *bytes, value).map_err(|error| Refusal::defect(&error))?;
    let body = Bytes::from_owner(Erased(bytes));
    let headers = [
        (CONTENT_TYPE, HeaderValue::from_static("application/json")),
        (CACHE_CONTROL, HeaderValue::from_static("no-store")),
    ];
    Ok((status, headers, body).into_response())
}

/// A ring's status, with its revision as entity tag.
pub(crate) fn ring_json(status: &keywheel_api::ring::RingStatus) -> Result<Response, Refusal> {
    let mut response = json(StatusCode::OK, status)?;
    if let Ok(tag) = HeaderValue::from_str(&format!("\"{}\"", status.revision)) {
        response.headers_mut().insert(ETAG, tag);
    }
    Ok(response)
}

struct Erased(Zeroizing<Vec<u8>>);

impl AsRef<[u8]> for Erased {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}
