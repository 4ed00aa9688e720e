//! Turns refusals of the crates below into the exceptions of `keywheel.exceptions`, which stand in
//! Python because some of them are PyJWT's too.

use keywheel_client::http::HttpError;
use keywheel_client::{
    BuildError, ClientError, OpenError, ProcessError, ProtectError, RevocationCheckError,
    SealError, SignError, TokenRefusal,
};
use keywheel_jose::token::TokenError;
use pyo3::prelude::*;

/// Makes the exception of this class with this message.
pub(crate) fn raise(py: Python<'_>, class: &str, message: impl std::fmt::Display) -> PyErr {
    let made = py
        .import("keywheel.exceptions")
        .and_then(|module| module.getattr(class))
        .and_then(|class| class.call1((message.to_string(),)));
    match made {
        Ok(exception) => PyErr::from_value(exception),
        Err(error) => error,
    }
}

/// A refusal with an exception that stands for it.
pub(crate) trait Raise {
    fn raise(&self, py: Python<'_>) -> PyErr;
}

/// Puts the exception in the place of the refusal.
pub(crate) trait OrRaise<T> {
    fn or_raise(self, py: Python<'_>) -> PyResult<T>;
}

impl<T, E: Raise> OrRaise<T> for Result<T, E> {
    fn or_raise(self, py: Python<'_>) -> PyResult<T> {
        self.map_err(|error| error.raise(py))
    }
}

/// An error with everything that lies beneath it.
fn whole(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(below) = source {
        text.push_str(": ");
        text.push_str(&below.to_string());
        source = below.source();
    }
    text
}

impl Raise for BuildError {
    fn raise(&self, py: Python<'_>) -> PyErr {
        raise(py, "ConfigurationError", whole(self))
    }
}

impl Raise for ClientError {
    fn raise(&self, py: Python<'_>) -> PyErr {
        raise(py, class(self), whole(self))
    }
}

const fn class(error: &ClientError) -> &'static str {
    match error {
        ClientError::Refused { .. } => "RefusedError",
        _ => "UnavailableError",
    }
}

/// One exception for several rings that have not arrived; each thing is said once. It is the one
/// for a refusal only where all of them are refused.
pub(crate) fn raise_all(py: Python<'_>, errors: &[ClientError]) -> PyErr {
    let mut texts: Vec<String> = Vec::with_capacity(errors.len());
    for text in errors.iter().map(|error| whole(error)) {
        if !texts.contains(&text) {
            texts.push(text);
        }
    }
    let all_refused = errors.iter().all(|error| matches!(error, ClientError::Refused { .. }));
    let class = if all_refused { "RefusedError" } else { "UnavailableError" };
    raise(py, class, texts.join("; and "))
}

impl Raise for HttpError {
    fn raise(&self, py: Python<'_>) -> PyErr {
        let is_refusal = self.problem().is_some_and(|problem| (400..500).contains(&problem.status));
        let class = if is_refusal { "RefusedError" } else { "UnavailableError" };
        raise(py, class, format!("{}; {}", self.cause(), self.remedy()))
    }
}

impl Raise for ProtectError {
    fn raise(&self, py: Python<'_>) -> PyErr {
        match self {
            Self::Client(error) => error.raise(py),
            error => raise(py, "ProtectError", whole(error)),
        }
    }
}

impl Raise for ProcessError {
    fn raise(&self, py: Python<'_>) -> PyErr {
        match self {
            Self::Client(error) => error.raise(py),
            error => raise(py, "UnknownKeyError", whole(error)),
        }
    }
}

impl Raise for RevocationCheckError {
    fn raise(&self, py: Python<'_>) -> PyErr {
        match self {
            Self::Client(error) => error.raise(py),
            error => raise(py, "RevocationsStaleError", whole(error)),
        }
    }
}

impl Raise for SignError {
    fn raise(&self, py: Python<'_>) -> PyErr {
        match self {
            Self::Protect(error) => error.raise(py),
            error => raise(py, "ClaimsError", whole(error)),
        }
    }
}

impl Raise for SealError {
    fn raise(&self, py: Python<'_>) -> PyErr {
        match self {
            Self::Protect(error) => error.raise(py),
            Self::WrongKind => raise(py, "ConfigurationError", self),
            error => raise(py, "SealedValueError", whole(error)),
        }
    }
}

impl Raise for OpenError {
    fn raise(&self, py: Python<'_>) -> PyErr {
        match self {
            Self::Client(error) => error.raise(py),
            Self::WrongKind => raise(py, "ConfigurationError", self),
            Self::NoKey => raise(py, "UnknownKeyError", self),
            error => raise(py, "SealedValueError", error),
        }
    }
}

impl Raise for TokenRefusal {
    fn raise(&self, py: Python<'_>) -> PyErr {
        match self {
            Self::Token(error) => token(py, error),
            Self::Client(error) => error.raise(py),
            other => raise(py, "InvalidTokenError", whole(other)),
        }
    }
}

/// Each kind of refusal has a class of its own, named in Python by its kind.
fn token(py: Python<'_>, error: &TokenError) -> PyErr {
    let made = py
        .import("keywheel.exceptions")
        .and_then(|module| module.getattr("_refusal"))
        .and_then(|make| {
            let claim = match error {
                TokenError::MissingClaim(name) => Some(name.as_ref()),
                TokenError::ClaimType(name) => Some(*name),
                _ => None,
            };
            make.call1((error.kind(), error.to_string(), claim))
        });
    match made {
        Ok(exception) => PyErr::from_value(exception),
        Err(error) => error,
    }
}
