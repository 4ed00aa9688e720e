//! What the header of a token has besides `alg` and `kid`, which only its key decides.

use super::issue::IssueError;
use super::json::{self, Members};

/// What only the key decides.
const OF_THE_KEY: [&str; 2] = ["alg", "kid"];
/// What changes how a token is read, which no reader of ours would follow.
const OF_THE_READER: [&str; 2] = ["crit", "b64"];
/// The longest text of all members; readers bound the header.
const BYTES_MAX: usize = 8 * 1024;

/// Members of a header, such as `typ`.
///
/// ```
/// use keywheel_jose::token::{HeaderMembers, IssueError};
///
/// let members = HeaderMembers::parse(r#"{"typ":"at+jwt"}"#)?;
/// assert!(HeaderMembers::parse(r#"{"kid":"mine"}"#).is_err());
/// # let _ = members;
/// # Ok::<(), IssueError>(())
/// ```
#[derive(Clone, Debug)]
pub struct HeaderMembers {
    /// Without the braces.
    json: String,
    has_typ: bool,
}

impl HeaderMembers {
    /// Reads a JSON object.
    ///
    /// # Errors
    /// When it is none, is too long, or has a member that is not for the caller to choose.
    pub fn parse(json: &str) -> Result<Self, IssueError> {
        let text = json.trim_ascii();
        if text.len() > BYTES_MAX {
            return Err(IssueError::HeaderTooLong { most_bytes: BYTES_MAX });
        }
        let members: Members =
            json::scan(text).map_err(|error| IssueError::Header(error.into()))?;
        let has = |name: &str| members.find(text, name).is_some();
        if let Some(name) = OF_THE_KEY.into_iter().find(|name| has(name)) {
            return Err(IssueError::HeaderOfTheKey { name });
        }
        if let Some(name) = OF_THE_READER.into_iter().find(|name| has(name)) {
            return Err(IssueError::HeaderOfTheReader { name });
        }
        for name in ["typ", "cty"] {
            if members.find(text, name).is_some_and(|value| !value.is_string()) {
                return Err(IssueError::HeaderType { name });
            }
        }
        let inside = text.strip_prefix('{').and_then(|text| text.strip_suffix('}'));
        let json = inside.unwrap_or_default().trim_ascii().to_owned();
        Ok(Self { json, has_typ: has("typ") })
    }

    /// The header whose other members are `head`: an object that is not closed yet.
    pub(super) fn close(&self, head: &str) -> String {
        let mut header = head.to_owned();
        if !self.has_typ {
            header.push_str(TYP);
        }
        if !self.json.is_empty() {
            header.push(',');
            header.push_str(&self.json);
        }
        header.push('}');
        header
    }

    /// None.
    pub(super) const fn none() -> Self {
        Self { json: String::new(), has_typ: false }
    }
}

/// The type of a token that is given no other.
const TYP: &str = r#","typ":"JWT""#;

#[cfg(test)]
mod tests {
    use super::*;

    fn closed(json: &str) -> Result<String, IssueError> {
        HeaderMembers::parse(json).map(|members| members.close(r#"{"alg":"HS256""#))
    }

    #[test]
    fn members_are_added_and_the_type_stands_once() {
        assert_eq!(closed("{}").unwrap(), r#"{"alg":"HS256","typ":"JWT"}"#);
        assert_eq!(closed(r#" {"typ":"at+jwt"} "#).unwrap(), r#"{"alg":"HS256","typ":"at+jwt"}"#);
        let two = r#"{"alg":"HS256","typ":"JWT","x":{"a":[1]}, "y":null}"#;
        assert_eq!(closed(r#"{ "x":{"a":[1]}, "y":null }"#).unwrap(), two);
    }

    #[test]
    fn what_is_not_the_callers_is_refused_however_it_is_written() {
        let of_the_key = |name| IssueError::HeaderOfTheKey { name };
        assert_eq!(closed(r#"{"alg":"none"}"#).unwrap_err(), of_the_key("alg"));
        assert_eq!(closed(r#"{"x":1,"k\u0069d":"a"}"#).unwrap_err(), of_the_key("kid"));
        let of_the_reader = |name| IssueError::HeaderOfTheReader { name };
        assert_eq!(closed(r#"{"b64":false,"crit":["b64"]}"#).unwrap_err(), of_the_reader("crit"));
        assert_eq!(closed(r#"{"b64":true}"#).unwrap_err(), of_the_reader("b64"));
        assert_eq!(closed(r#"{"typ":null}"#).unwrap_err(), IssueError::HeaderType { name: "typ" });
        for bad in ["", "[]", "{", r#"{"a":1,"a":2}"#, r#"{"a":1}{"b":2}"#, "{}}"] {
            assert!(matches!(closed(bad), Err(IssueError::Header(_))), "{bad}");
        }
        let long = format!(r#"{{"x":"{}"}}"#, "y".repeat(BYTES_MAX));
        assert!(matches!(closed(&long), Err(IssueError::HeaderTooLong { .. })));
    }
}
