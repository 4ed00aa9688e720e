//! Strict JSON: unknown and duplicate fields are refused, and no error quotes a value, because a
//! value may be a key.

use std::collections::HashSet;
use std::fmt;

use keywheel_api::problem::Kind;
use serde::Deserialize;
use serde::de::{DeserializeOwned, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};

use crate::refusal::Refusal;

const REMEDY: &str = "See /openapi.json for the form of this request";

/// Reads a request body.
///
/// # Errors
/// With a problem document that names the place and never the value.
pub(crate) fn parse<T: DeserializeOwned>(body: &[u8]) -> Result<T, Refusal> {
    let mut check = serde_json::Deserializer::from_slice(body);
    Unambiguous::deserialize(&mut check)
        .and_then(|_| check.end())
        .map_err(|error| syntax(&error))?;
    // Serde would take a list for the fields in their order.
    if body.trim_ascii_start().first() != Some(&b'{') {
        return Err(Refusal::new(Kind::Malformed, "the body is not a JSON object", REMEDY));
    }
    let mut source = serde_json::Deserializer::from_slice(body);
    serde_path_to_error::deserialize(&mut source).map_err(|error| {
        let path = error.path().to_string();
        shape(&path, &error.into_inner())
    })
}

fn syntax(error: &serde_json::Error) -> Refusal {
    let place = format!("line {}, column {}", error.line(), error.column());
    let text = error.to_string();
    let detail = match text.strip_prefix(DUPLICATE) {
        Some(_) => format!("the body has a field twice, at {place}"),
        None if error.is_eof() => "the body ends before its JSON does".into(),
        None => format!("the body is not JSON, at {place}"),
    };
    Refusal::new(Kind::Malformed, detail, REMEDY)
}

/// Serde's own words quote values; only what names fields and types is taken from them.
fn shape(path: &str, error: &serde_json::Error) -> Refusal {
    let text = error.to_string();
    let quoted = |prefix: &str| {
        let name = text.strip_prefix(prefix)?.split('`').next()?;
        Some(name.chars().filter(|c| !c.is_control()).take(64).collect::<String>())
    };
    let field = if path == "." { "the body".to_owned() } else { path.chars().take(120).collect() };
    if let Some(unknown) = quoted("unknown field `") {
        return Refusal::field(Kind::Malformed, unknown, "is not a field of this request", REMEDY);
    }
    if let Some(missing) = quoted("missing field `") {
        return Refusal::field(Kind::Malformed, missing, "is missing", REMEDY);
    }
    let expected = text
        .split_once(", expected ")
        .filter(|_| text.starts_with("invalid "))
        .and_then(|(_, expected)| expected.split(" at line ").next());
    let cause = match expected {
        Some(expected) if !expected.contains(['"', '`']) => format!("it must be {expected}"),
        _ => "it has not the form that this field takes".into(),
    };
    Refusal::field(Kind::Malformed, field, cause, REMEDY)
}

const DUPLICATE: &str = "duplicate field";

/// Any JSON value whose objects name each field once. It keeps nothing.
struct Unambiguous;

impl<'de> Deserialize<'de> for Unambiguous {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Self)
    }
}

impl<'de> Visitor<'de> for Unambiguous {
    type Value = Self;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_bool<E>(self, _: bool) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_str<E>(self, _: &str) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_unit<E>(self) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Self, A::Error> {
        while items.next_element::<Self>()?.is_some() {}
        Ok(self)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<Self, A::Error> {
        let mut seen = HashSet::new();
        while let Some(name) = fields.next_key::<String>()? {
            if !seen.insert(name) {
                return Err(A::Error::custom(DUPLICATE));
            }
            fields.next_value::<Self>()?;
        }
        Ok(self)
    }
}

#[cfg(test)]
mod tests {
    use axum::response::IntoResponse as _;
    use keywheel_api::ring::{Import, PutRing, Verb};

    use super::parse;

    fn refused<T: serde::de::DeserializeOwned>(body: &str) -> String {
        let refusal = parse::<T>(body.as_bytes()).err().expect("refused");
        assert_eq!(refusal.status(), 400);
        format!("{refusal:?}")
    }

    #[test]
    fn a_strict_body_is_read() {
        let verb: Verb = parse(br#"{"reason": "because"}"#).unwrap();
        assert_eq!(verb.reason.as_deref(), Some("because"));
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (body, named) in [
            ("{", "ends before"),
            ("{} x", "not JSON"),
            (r#"{"nonsense": 1}"#, "nonsense"),
            (r#"{"reason": "a", "reason": "b"}"#, "twice"),
            (r#"{"reason": 7}"#, "reason"),
            (r#"{"import": {"format": "hex"}}"#, "value"),
            ("[]", "not a JSON object"),
            ("7", "not a JSON object"),
        ] {
            let said = refused::<Verb>(body);
            assert!(said.contains(named), "{body}: {said}");
        }
    }

    #[test]
    fn no_value_is_ever_quoted() {
        for body in [
            r#"{"import": "hunter2"}"#,
            r#"{"import": {"format": ["hunter2"], "value": "x"}}"#,
            r#"{"lose_data": "hunter2"}"#,
            r#"{"order": {"hunter2": "hunter2"}}"#,
        ] {
            assert!(!refused::<Verb>(body).contains("hunter2"), "{body}");
        }
        assert!(!refused::<Import>(r#""hunter2""#).contains("hunter2"));
        let policy = r#"{"policy": {"kind": "secret", "longest_lifetime": "1d",
            "consumer": [{"name": "a", "role": "hunter2"}]}}"#;
        assert!(!refused::<PutRing>(policy).contains("hunter2"));
    }

    #[test]
    fn a_refusal_is_a_problem_document() {
        let response = parse::<Verb>(b"").err().unwrap().into_response();
        assert_eq!(response.headers()["content-type"], "application/problem+json");
    }
}
