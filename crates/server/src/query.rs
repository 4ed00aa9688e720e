//! The query of a request, checked against the parameters that its operation declares.

use std::time::Duration;

use hyper::Uri;
use keywheel_api::problem::Kind;
use keywheel_core::id::RingName;
use keywheel_core::time::Span;

use crate::operation::{Operation, Shape};
use crate::refusal::Refusal;

/// What the query said, each parameter at most once and within its bounds.
#[derive(Default)]
pub(crate) struct Query(Vec<(&'static str, Value)>);

enum Value {
    Integer(u64),
    Name(String),
    Span(Duration),
}

impl Query {
    /// Reads the query of a request.
    ///
    /// # Errors
    /// When it has a parameter that is unknown, repeated or out of bounds.
    pub(crate) fn read(uri: &Uri, operation: &Operation) -> Result<Self, Refusal> {
        let pairs = axum::extract::Query::<Vec<(String, String)>>::try_from_uri(uri)
            .map_err(|_| refuse("the query", "cannot be read", "Write name=value&name=value"))?;
        let mut values: Vec<(&'static str, Value)> = Vec::new();
        for (name, text) in pairs.0 {
            let declared = operation.query.iter().find(|parameter| parameter.name == name);
            let Some(parameter) = declared else {
                let shown: String = name.chars().filter(|c| !c.is_control()).take(64).collect();
                return Err(refuse(
                    &shown,
                    "is not a parameter of this operation",
                    "See /openapi.json for those it takes",
                ));
            };
            if values.iter().any(|(known, _)| *known == parameter.name) {
                return Err(refuse(parameter.name, "is given twice", "Give it once"));
            }
            values.push((parameter.name, value(parameter.name, parameter.shape, &text)?));
        }
        for parameter in operation.query.iter().filter(|parameter| parameter.required) {
            if !values.iter().any(|(known, _)| *known == parameter.name) {
                return Err(refuse(parameter.name, "is missing", "Give it in the query"));
            }
        }
        Ok(Self(values))
    }

    pub(crate) fn integer(&self, name: &str) -> Option<u64> {
        self.0.iter().find_map(|(known, value)| match value {
            Value::Integer(number) if *known == name => Some(*number),
            _ => None,
        })
    }

    pub(crate) fn name(&self, name: &str) -> Option<&str> {
        self.0.iter().find_map(|(known, value)| match value {
            Value::Name(text) if *known == name => Some(text.as_str()),
            _ => None,
        })
    }

    pub(crate) fn span(&self, name: &str) -> Option<Duration> {
        self.0.iter().find_map(|(known, value)| match value {
            Value::Span(span) if *known == name => Some(*span),
            _ => None,
        })
    }
}

fn value(name: &str, shape: Shape, text: &str) -> Result<Value, Refusal> {
    match shape {
        Shape::Integer { least, most } => text
            .parse::<u64>()
            .ok()
            .filter(|number| (least..=most).contains(number))
            .map(Value::Integer)
            .ok_or_else(|| {
                refuse(name, format!("must be a whole number, {least} to {most}"), "Correct it")
            }),
        // Rings and instances are named by the same rule.
        Shape::Name => text
            .parse::<RingName>()
            .map(|name| Value::Name(name.into()))
            .map_err(|_| refuse(name, "is not a name", "Give it as an earlier answer did")),
        Shape::Span { most_secs } => text
            .parse::<Span>()
            .ok()
            .filter(|span| *span <= Span::from_secs(most_secs))
            .map(|span| Value::Span(span.to_std()))
            .ok_or_else(|| {
                refuse(
                    name,
                    format!("must be a length of time of at most {most_secs}s"),
                    "Write a whole number and a unit, such as 30s",
                )
            }),
    }
}

fn refuse(name: &str, cause: impl Into<String>, remedy: &str) -> Refusal {
    Refusal::field(Kind::Malformed, name, cause, remedy)
}
