//! Which values go where: takes, names of variables and files, accepted values for nginx.

use std::collections::BTreeMap;

use keywheel_deliver::settings::{Accept, Form, Order, Several, Take, Which};

use super::place::Place;
use super::raw::{RawAccept, RawTake};

pub(super) fn take(raw: RawTake, mut at: Place<'_, '_>) -> Option<Take> {
    let RawTake(raw) = raw;
    let ring = at.ring("ring", &raw.ring);
    let which = which(raw.which.as_deref(), &mut at);
    let order = order(raw.order.as_deref(), &mut at);
    let form = form(raw.form.as_deref(), &mut at);
    if raw.json && raw.join.is_some() {
        at.fault("join", "has no meaning beside `json`", "remove one of the two");
    }
    if which == Some(Which::Primary) && (raw.json || raw.join.is_some() || raw.order.is_some()) {
        let field = match (raw.json, &raw.join) {
            (true, _) => "json",
            (false, Some(_)) => "join",
            (false, None) => "order",
        };
        at.fault(
            field,
            "has no meaning for one value",
            "remove it, or take `which = \"accepted\"`",
        );
    }
    let several = match (raw.json, raw.join) {
        (true, _) => Several::Json,
        (false, join) => Several::Join(join.unwrap_or_else(|| ",".to_owned())),
    };
    if matches!(&several, Several::Join(join) if join.is_empty() && which != Some(Which::Primary)) {
        at.fault("join", "is empty, so that values could not be told apart", "`,` is the default");
    }
    Some(Take { ring: ring?, which: which?, order: order?, form: form?, several })
}

fn which(raw: Option<&str>, at: &mut Place<'_, '_>) -> Option<Which> {
    match raw.unwrap_or("primary") {
        "primary" => Some(Which::Primary),
        "others" => Some(Which::Others),
        "accepted" => Some(Which::Accepted),
        other => unknown(at, "which", other, "primary, others or accepted"),
    }
}

fn order(raw: Option<&str>, at: &mut Place<'_, '_>) -> Option<Order> {
    match raw.unwrap_or("primary_first") {
        "primary_first" => Some(Order::PrimaryFirst),
        "primary_last" => Some(Order::PrimaryLast),
        other => unknown(at, "order", other, "primary_first or primary_last"),
    }
}

fn form(raw: Option<&str>, at: &mut Place<'_, '_>) -> Option<Form> {
    match raw.unwrap_or("text") {
        "text" => Some(Form::Text),
        "bytes" => Some(Form::Bytes),
        "base64" => Some(Form::Base64),
        "hex" => Some(Form::Hex),
        "public_pem" => Some(Form::PublicPem),
        "kid" => Some(Form::Kid),
        "fingerprint" => Some(Form::Fingerprint),
        other => {
            unknown(at, "form", other, "text, bytes, base64, hex, public_pem, kid or fingerprint")
        }
    }
}

fn unknown<T>(at: &mut Place<'_, '_>, field: &str, given: &str, known: &str) -> Option<T> {
    at.fault(field, format!("`{given}` is unknown"), format!("use {known}"));
    None
}

/// What a name in `set` becomes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Names {
    /// A variable of the environment.
    Env,
    /// A member of a JSON object.
    Json,
    /// A file in a folder of credentials.
    File,
    /// A variable of nginx.
    Nginx,
}

impl Names {
    fn allow(self, name: &str) -> bool {
        let word = |c: char| c.is_ascii_alphanumeric() || c == '_';
        let begins_well = !name.starts_with(|c: char| c.is_ascii_digit());
        let fits = !name.is_empty() && name.len() <= 255;
        fits && match self {
            Self::Env => begins_well && name.chars().all(word),
            Self::Nginx => {
                let bare = name.strip_prefix('$').unwrap_or(name);
                !bare.is_empty() && bare.chars().all(word)
            }
            Self::Json => !name.chars().any(char::is_control),
            Self::File => {
                !name.starts_with('.')
                    && name.chars().all(|c| word(c) || matches!(c, '-' | '.' | '@' | ':'))
            }
        }
    }

    const fn rule(self) -> &'static str {
        match self {
            Self::Env => "use letters, digits and `_`, not starting with a digit",
            Self::Json => "use at most 255 characters, none of them a control character",
            Self::File => "use letters, digits, `_`, `-`, `.`, `@` and `:`, not starting with `.`",
            Self::Nginx => "use letters, digits and `_`",
        }
    }
}

pub(super) fn set(
    raw: BTreeMap<String, RawTake>,
    names: Names,
    at: &mut Place<'_, '_>,
) -> BTreeMap<String, Take> {
    let mut set = BTreeMap::new();
    for (name, take) in raw {
        if !names.allow(&name) {
            at.fault("set", format!("`{name}` cannot be a name here"), names.rule());
            continue;
        }
        let Some(take) = self::take(take, at.under(&["set", &name])) else { continue };
        if take.form == Form::Bytes && names != Names::File {
            at.under(&["set", &name]).fault(
                "form",
                "writes bytes, which cannot stand between others",
                "use base64 or hex",
            );
        }
        let bare = match names {
            Names::Nginx => name.strip_prefix('$').unwrap_or(&name).to_owned(),
            _ => name,
        };
        set.insert(bare, take);
    }
    set
}

pub(super) fn accept(
    raw: BTreeMap<String, RawAccept>,
    at: &mut Place<'_, '_>,
) -> BTreeMap<String, Accept> {
    let mut accept = BTreeMap::new();
    for (name, raw) in raw {
        let mut here = at.under(&["accept", &name]);
        if !Names::Nginx.allow(&name) {
            here.fault("", format!("`{name}` cannot be a variable"), Names::Nginx.rule());
        }
        if !(raw.from.starts_with('$') && Names::Nginx.allow(&raw.from)) {
            here.fault(
                "from",
                format!("`{}` is no variable of nginx", raw.from),
                "write a variable such as $http_x_api_key",
            );
        }
        let ring = here.ring("ring", &raw.ring);
        let form = form(raw.form.as_deref(), &mut here);
        if form == Some(Form::Bytes) {
            here.fault("form", "writes bytes, which no request shows", "use base64 or hex");
        }
        if let (Some(ring), Some(form)) = (ring, form) {
            let take = Take {
                ring,
                which: Which::Accepted,
                order: Order::PrimaryFirst,
                form,
                several: Several::Join(",".to_owned()),
            };
            let bare = name.strip_prefix('$').unwrap_or(&name).to_owned();
            accept.insert(bare, Accept { from: raw.from, take });
        }
    }
    accept
}

/// Whether what is written gives nothing away.
pub(super) fn is_public(take: &Take) -> bool {
    matches!(take.form, Form::PublicPem | Form::Kid | Form::Fingerprint)
}
