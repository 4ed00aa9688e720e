//! A template in the language of Jinja, for files of any other shape.
//!
//! It sees one function: `ring("web-session")` has `primary`, `others` and `accepted` (lists,
//! newest first, the primary before the others). A version has `text`, `base64`, `hex`,
//! `public_pem`, `kid`, `fingerprint` and `number`, and is its `text` where it is printed itself.
//! Filters are `json`, `join`, `map`, `first`, `last`, `length` and `reverse`. What is not there is
//! an error, and there is no way around that; files and the environment are out of reach.
//!
//! A value goes from the ring to the file without a copy in between, unless the template itself
//! puts texts together (`~`, `{% set %}…{% endset %}`).

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use keywheel_core::id::RingName;
use minijinja::syntax::SyntaxConfig;
use minijinja::value::{Enumerator, Object, ObjectRepr, Value as Seen};
use minijinja::{AutoEscape, Environment, Error, ErrorKind, Output, State, UndefinedBehavior};
use zeroize::Zeroizing;

use super::{RenderError, of};
use crate::secret::{SecretBuffer, SecretText};
use crate::settings::{Form, Order, Which};
use crate::values::{self, AllValues, CONTENT_BYTES_MAX, JoinFault, Value, Values};

/// The most steps that a template may take.
const FUEL: u64 = 1_000_000;
/// The longest template.
const SOURCE_BYTES_MAX: usize = 1024 * 1024;

pub(super) fn render(source: &str, values: &AllValues) -> Result<Zeroizing<Vec<u8>>, RenderError> {
    if source.len() > SOURCE_BYTES_MAX {
        return Err(RenderError::TooLarge { what: "the template".to_owned() });
    }
    let rings = values.keys().map(|ring| of(values, ring).map(|values| (ring, values)));
    let rings = rings.collect::<Result<Vec<_>, _>>()?;
    let rings = rings.into_iter().map(|(name, values)| (name.as_str().to_owned(), seen(values)));
    let rings: BTreeMap<String, Result<Seen, RenderError>> = rings.collect();
    let mut environment = Environment::empty();
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    environment.set_auto_escape_callback(|_| AutoEscape::None);
    let mut syntax = SyntaxConfig::builder();
    let syntax = syntax.keep_trailing_newline(true).build().map_err(|error| told(&error))?;
    environment.set_syntax(syntax);
    environment.set_fuel(Some(FUEL));
    environment.set_formatter(write);
    environment.add_function("ring", move |name: &str| ring(&rings, name));
    environment.add_filter("json", json);
    environment.add_filter("join", join);
    environment.add_filter("map", minijinja::filters::map);
    environment.add_filter("first", minijinja::filters::first);
    environment.add_filter("last", minijinja::filters::last);
    environment.add_filter("length", minijinja::filters::length);
    environment.add_filter("reverse", minijinja::filters::reverse);
    let template = environment.template_from_str(source).map_err(|error| told(&error))?;
    let mut out = SecretBuffer::new(CONTENT_BYTES_MAX);
    template.render_captured_to((), &mut out).map_err(|error| told(&error))?;
    Ok(out.into_bytes())
}

/// A fault of a template without any value in it: minijinja's own details may quote one, so only
/// those that speak of names are passed on.
fn told(error: &Error) -> RenderError {
    let source = std::error::Error::source(error);
    let line = error.line().unwrap_or(0);
    match source.and_then(|source| source.downcast_ref::<RenderError>()) {
        Some(RenderError::Template { why, .. }) => {
            return RenderError::Template { line, why: why.clone() };
        }
        Some(cause) => return cause.clone(),
        None => {}
    }
    if error.kind() == ErrorKind::WriteFailure {
        return RenderError::TooLarge { what: "what the template writes".to_owned() };
    }
    let speaks_of_names = matches!(
        error.kind(),
        ErrorKind::SyntaxError
            | ErrorKind::UnknownFilter
            | ErrorKind::UnknownFunction
            | ErrorKind::UnknownTest
    );
    let mut why = error.kind().to_string();
    if let Some(detail) = error.detail().filter(|_| speaks_of_names) {
        why = format!("{why}: {detail}");
    }
    RenderError::Template { line, why }
}

fn failed(cause: RenderError) -> Error {
    Error::new(ErrorKind::InvalidOperation, "refused").with_source(cause)
}

fn ring(rings: &BTreeMap<String, Result<Seen, RenderError>>, name: &str) -> Result<Seen, Error> {
    match rings.get(name) {
        Some(found) => found.clone().map_err(failed),
        None => Err(match RingName::try_from(name.to_owned()) {
            Ok(ring) => failed(RenderError::UnknownRing { ring }),
            Err(_) => Error::new(ErrorKind::UnknownFunction, "that is no name of a ring"),
        }),
    }
}

/// Writes what stands between `{{` and `}}`.
fn write(out: &mut Output<'_>, state: &mut State<'_, '_>, value: &Seen) -> Result<(), Error> {
    match Formed::of(value) {
        Some(formed) => out.write_str(formed.text()?).map_err(Error::from),
        None => minijinja::escape_formatter(out, state, value),
    }
}

/// What a template sees of a ring.
fn seen(values: &Values) -> Result<Seen, RenderError> {
    let list = |which| {
        let selected = values.select(which, Order::PrimaryFirst)?;
        let versions = selected.into_iter().map(|value| Version::of(values.ring(), value));
        Ok::<_, RenderError>(versions.map(Seen::from_object).collect::<Vec<_>>())
    };
    let (accepted, others) = (list(Which::Accepted)?, list(Which::Others)?);
    let primary = accepted.first().cloned().unwrap_or_default();
    Ok(Seen::from_object(Ring {
        primary,
        others: Seen::from(others),
        accepted: Seen::from(accepted),
    }))
}

struct Ring {
    primary: Seen,
    others: Seen,
    accepted: Seen,
}

// minijinja demands Debug of its objects; these show their type and nothing else.
impl fmt::Debug for Ring {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a ring")
    }
}

impl Object for Ring {
    fn get_value(self: &Arc<Self>, key: &Seen) -> Option<Seen> {
        match key.as_str()? {
            "primary" => Some(self.primary.clone()),
            "others" => Some(self.others.clone()),
            "accepted" => Some(self.accepted.clone()),
            _ => None,
        }
    }

    fn render(self: &Arc<Self>, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

struct Version {
    number: u32,
    text: Arc<Formed>,
    forms: BTreeMap<&'static str, Seen>,
}

impl Version {
    fn of(ring: &RingName, value: &Value) -> Self {
        let form = |form| Formed(value.form(ring, form));
        let forms = [
            ("base64", Form::Base64),
            ("hex", Form::Hex),
            ("public_pem", Form::PublicPem),
            ("kid", Form::Kid),
            ("fingerprint", Form::Fingerprint),
        ];
        let forms = forms.map(|(name, wanted)| (name, Seen::from_object(form(wanted))));
        let text = Arc::new(form(Form::Text));
        Self { number: value.number().0, text, forms: forms.into() }
    }
}

impl fmt::Debug for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a version")
    }
}

impl Object for Version {
    fn get_value(self: &Arc<Self>, key: &Seen) -> Option<Seen> {
        match key.as_str()? {
            "number" => Some(Seen::from(self.number)),
            "text" => Some(Seen::from_dyn_object(Arc::clone(&self.text))),
            name => self.forms.get(name).cloned(),
        }
    }

    fn render(self: &Arc<Self>, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.text.render(f)
    }
}

/// A value in one form, or why it has no such form.
struct Formed(Result<SecretText, RenderError>);

impl Formed {
    fn of(value: &Seen) -> Option<&Self> {
        let version = value.downcast_object_ref::<Version>().map(|version| &*version.text);
        version.or_else(|| value.downcast_object_ref::<Self>())
    }

    fn text(&self) -> Result<&str, Error> {
        self.0.as_ref().map(SecretText::expose).map_err(|cause| failed(cause.clone()))
    }
}

impl fmt::Debug for Formed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }
}

impl Object for Formed {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        ObjectRepr::Plain
    }

    fn enumerate(self: &Arc<Self>) -> Enumerator {
        Enumerator::NonEnumerable
    }

    fn render(self: &Arc<Self>, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.as_ref().map_err(|_| fmt::Error)?.expose())
    }
}

/// The texts of a list, or of one value.
fn texts(value: &Seen) -> Result<Vec<Zeroizing<String>>, Error> {
    let text = |value: &Seen| match (Formed::of(value), value.as_str()) {
        (Some(formed), _) => formed.text().map(|text| Zeroizing::new(text.to_owned())),
        (None, Some(text)) => Ok(Zeroizing::new(text.to_owned())),
        (None, None) => Err(Error::new(ErrorKind::InvalidOperation, "not a value")),
    };
    if Formed::of(value).is_some() || value.as_str().is_some() {
        return Ok(vec![text(value)?]);
    }
    value.try_iter()?.map(|item| text(&item)).collect()
}

/// `json`: a JSON string, or an array of them.
fn json(value: &Seen) -> Result<Seen, Error> {
    let texts = texts(value)?;
    let texts: Vec<&str> = texts.iter().map(|text| text.as_str()).collect();
    let one = Formed::of(value).is_some() || value.as_str().is_some();
    let mut buffer = SecretBuffer::new(CONTENT_BYTES_MAX);
    let written = match texts.as_slice() {
        [text] if one => serde_json::to_writer(&mut buffer, text),
        list => serde_json::to_writer(&mut buffer, list),
    };
    let too_large = || failed(RenderError::TooLarge { what: "a JSON text".to_owned() });
    written.map_err(|_| too_large())?;
    let bytes = buffer.into_bytes();
    let text = str::from_utf8(&bytes).map_err(|_| too_large())?;
    let text = SecretText::new(Zeroizing::new(text.to_owned()));
    Ok(Seen::from_object(Formed(Ok(text))))
}

/// `join(between)`: the texts of a list, which can be told apart again.
fn join(value: &Seen, between: &str) -> Result<Seen, Error> {
    let texts = texts(value)?;
    let texts: Vec<&str> = texts.iter().map(|text| text.as_str()).collect();
    let joined = values::join(&texts, between).map_err(|fault| {
        let why = match fault {
            JoinFault::Inseparable => {
                "the joined values cannot be told apart again with that text between them"
            }
            JoinFault::TooLong => "the joined values are too long",
        };
        failed(RenderError::Template { line: 0, why: why.to_owned() })
    })?;
    Ok(Seen::from_object(Formed(Ok(joined))))
}
