//! What sinks and probes see of a ring: its accepted versions in the order of their age, and how
//! one or several of them are written as text. Where the text goes is left to [`crate::render`].

use std::collections::BTreeMap;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use keywheel_client::Keyset;
use keywheel_core::id::{Incarnation, Kid, Revision, RingName, VersionNumber};
use keywheel_core::policy::Role;
use keywheel_jose::{DeliveryFormat, Fingerprint, Material, PublicKey};
use zeroize::Zeroizing;

use crate::render::RenderError;
use crate::secret::{SecretBuffer, SecretText};
use crate::settings::{Form, Order, Several, Take, Which};

/// The most that a value or a file may have.
pub const CONTENT_BYTES_MAX: usize = 4 * 1024 * 1024;

/// What is held of a version: all of it, or the half that verifies.
pub enum Key {
    /// The whole key.
    Whole(Arc<Material>),
    /// The half that verifies.
    Public(PublicKey),
}

/// So many versions at most are remembered that are not accepted any more.
const DROPPED_MAX: usize = 8;

/// One accepted version. It can be neither printed nor compared.
pub struct Value {
    number: VersionNumber,
    kid: Kid,
    salt: Zeroizing<Vec<u8>>,
    key: Key,
}

impl Value {
    /// A version of these parts; `salt` is that of its proofs.
    pub const fn new(number: VersionNumber, kid: Kid, salt: Zeroizing<Vec<u8>>, key: Key) -> Self {
        Self { number, kid, salt, key }
    }

    /// The same version once more; the key itself is shared.
    fn another(&self) -> Self {
        let key = match &self.key {
            Key::Whole(material) => Key::Whole(Arc::clone(material)),
            Key::Public(public) => Key::Public(public.clone()),
        };
        Self { number: self.number, kid: self.kid.clone(), salt: self.salt.clone(), key }
    }

    /// Its number.
    pub const fn number(&self) -> VersionNumber {
        self.number
    }

    /// Its key id.
    pub const fn kid(&self) -> &Kid {
        &self.kid
    }

    /// The whole key; `None` when only the half that verifies is held.
    pub fn material(&self) -> Option<&Material> {
        match &self.key {
            Key::Whole(material) => Some(material),
            Key::Public(_) => None,
        }
    }

    /// The half that verifies; `None` for symmetric keys.
    pub fn public_key(&self) -> Option<&PublicKey> {
        match &self.key {
            Key::Whole(material) => material.public_key(),
            Key::Public(public) => Some(public),
        }
    }

    /// The name of the key that may be shown: 16 hexadecimal digits, the same for both halves.
    pub fn fingerprint(&self) -> Fingerprint {
        let secret = match &self.key {
            Key::Whole(material) => material.proof_secret(),
            Key::Public(public) => public.proof_secret(),
        };
        Fingerprint::under_salt(&self.salt, &secret)
    }

    /// Writes this version of that ring in a form.
    ///
    /// # Errors
    /// When the key has no such form.
    pub fn form(&self, ring: &RingName, form: Form) -> Result<SecretText, RenderError> {
        let text = match form {
            Form::Text => return self.text(ring),
            Form::Bytes => return Err(RenderError::BytesInText { ring: ring.clone() }),
            Form::Base64 => {
                let bytes = self.whole(ring)?.expose();
                let room = bytes.len().div_ceil(3).saturating_mul(4);
                let mut text = Zeroizing::new(String::with_capacity(room));
                STANDARD.encode_string(bytes, &mut text);
                text
            }
            Form::Hex => hex(self.whole(ring)?.expose()),
            Form::PublicPem => {
                let symmetric = || RenderError::NoPublicHalf { ring: ring.clone() };
                Zeroizing::new(self.public_key().ok_or_else(symmetric)?.spki_pem())
            }
            Form::Kid => Zeroizing::new(self.kid.0.clone()),
            Form::Fingerprint => Zeroizing::new(self.fingerprint().as_str().to_owned()),
        };
        Ok(SecretText::new(text))
    }

    fn text(&self, ring: &RingName) -> Result<SecretText, RenderError> {
        let delivery = self.whole(ring)?.delivery(Role::Protect);
        // Which keys happen to be text changes from version to version; a reader cannot guess.
        if delivery.format() == DeliveryFormat::Base64url {
            return Err(RenderError::NotText { ring: ring.clone(), version: self.number });
        }
        Ok(SecretText::new(Zeroizing::new(delivery.expose().to_owned())))
    }

    fn whole(&self, ring: &RingName) -> Result<&Material, RenderError> {
        let half = || RenderError::OnlyPublicHalf { ring: ring.clone(), version: self.number };
        self.material().ok_or_else(half)
    }
}

/// The accepted versions of a ring as of one moment. It can be neither printed nor compared:
/// ```compile_fail,E0277
/// fn needs<T: std::fmt::Debug>() {}
/// needs::<keywheel_deliver::values::Values>();
/// ```
pub struct Values {
    ring: RingName,
    incarnation: Incarnation,
    revision: Revision,
    primary: Option<usize>,
    versions: Vec<Value>,
    /// What was accepted before, newest first.
    dropped: Vec<Value>,
}

/// The rings of a delivery.
pub type AllValues = BTreeMap<RingName, Values>;

impl Values {
    /// The accepted versions, oldest first; `primary` is where the primary stands among them.
    pub const fn new(
        ring: RingName,
        incarnation: Incarnation,
        revision: Revision,
        primary: Option<usize>,
        versions: Vec<Value>,
    ) -> Self {
        Self { ring, incarnation, revision, primary, versions, dropped: Vec::new() }
    }

    /// Remembers the versions of a former moment that are not accepted any more: a consumer that
    /// took the present ones refuses them, and until then it has not taken them.
    pub fn drop_those_of(&mut self, former: &Self) {
        let gone = former.versions.iter().rev().chain(&former.dropped);
        for value in gone.take(DROPPED_MAX) {
            let known = self.versions.iter().chain(&self.dropped);
            if known.clone().all(|known| known.kid != value.kid) {
                self.dropped.push(value.another());
            }
        }
        self.dropped.truncate(DROPPED_MAX);
    }

    /// The versions that a consumer must refuse by now, as far as they are remembered.
    pub fn dropped(&self) -> &[Value] {
        &self.dropped
    }

    /// Takes over what a client holds.
    pub fn from_keyset(keyset: &Keyset) -> Self {
        let own =
            |version: &keywheel_client::Version| version.incarnation() == keyset.incarnation();
        let held = keyset.versions().iter();
        // Those of a former life are older than all of the present one, whatever their numbers.
        let (present, mut oldest_first): (Vec<_>, Vec<_>) = held.partition(|version| own(version));
        oldest_first.extend(present);
        let is_primary = |version: &keywheel_client::Version| {
            own(version) && Some(version.number()) == keyset.primary_number()
        };
        let primary = oldest_first.iter().position(|version| is_primary(version));
        let mut versions = Vec::with_capacity(oldest_first.len());
        for version in oldest_first {
            let key = match (version.shared_material(), version.public_key()) {
                (Some(material), _) => Key::Whole(material),
                (None, Some(public)) => Key::Public(public.clone()),
                // A version is held whole or by its public half; there is no third.
                (None, None) => continue,
            };
            let salt = Zeroizing::new(version.proof_salt().to_vec());
            versions.push(Value::new(version.number(), version.kid().clone(), salt, key));
        }
        let (ring, incarnation) = (keyset.ring().clone(), keyset.incarnation().clone());
        Self::new(ring, incarnation, keyset.revision(), primary, versions)
    }

    /// The ring.
    pub const fn ring(&self) -> &RingName {
        &self.ring
    }

    /// Which life of the ring.
    pub const fn incarnation(&self) -> &Incarnation {
        &self.incarnation
    }

    /// The keyset revision.
    pub const fn revision(&self) -> Revision {
        self.revision
    }

    /// The version to protect with.
    pub fn primary(&self) -> Option<&Value> {
        self.versions.get(self.primary?)
    }

    /// Every accepted version, oldest first.
    pub fn versions(&self) -> &[Value] {
        &self.versions
    }

    /// The versions that are meant, in their order.
    ///
    /// # Errors
    /// When the ring has no primary: then nothing that could be written is right.
    pub fn select(&self, which: Which, order: Order) -> Result<Vec<&Value>, RenderError> {
        let missing = || RenderError::NoPrimary { ring: self.ring.clone() };
        let primary = self.primary().ok_or_else(missing)?;
        let others = self.versions.iter().enumerate();
        let others =
            others.filter(|(index, _)| Some(*index) != self.primary).map(|(_, value)| value);
        let mut selected: Vec<&Value> = match which {
            Which::Primary => Vec::new(),
            Which::Others | Which::Accepted => others.collect(),
        };
        if which != Which::Others {
            selected.push(primary);
        }
        if order == Order::PrimaryFirst {
            selected.reverse();
        }
        Ok(selected)
    }

    /// The values that are meant, in their order and form.
    ///
    /// # Errors
    /// When there is no primary, or a key has no such form.
    pub fn take(&self, take: &Take) -> Result<Vec<SecretText>, RenderError> {
        let selected = self.select(take.which, take.order)?;
        selected.into_iter().map(|value| value.form(&self.ring, take.form)).collect()
    }

    /// The values that are meant, as one text.
    ///
    /// # Errors
    /// As [`Values::take`], or when a reader could not take the text apart again.
    pub fn text(&self, take: &Take) -> Result<SecretText, RenderError> {
        let mut values = self.take(take)?;
        match (&take.several, take.which) {
            (_, Which::Primary) => values.pop().ok_or_else(|| self.too_large()),
            (Several::Join(_), Which::Others) if values.is_empty() => {
                // An application that splits an empty text gets a list of one empty key, with which
                // anybody can sign. The primary once more harms nobody.
                self.text(&Take { which: Which::Primary, ..take.clone() })
            }
            (Several::Join(between), _) => {
                let exposed: Vec<&str> = values.iter().map(SecretText::expose).collect();
                join(&exposed, between).map_err(|fault| match fault {
                    JoinFault::Inseparable => RenderError::Inseparable { ring: self.ring.clone() },
                    JoinFault::TooLong => self.too_large(),
                })
            }
            (Several::Json, _) => self.json_array(&values),
        }
    }

    /// The bytes that fill a file of their own.
    ///
    /// # Errors
    /// As [`Values::text`], or when several values were to be written as bytes.
    pub fn bytes(&self, take: &Take) -> Result<Zeroizing<Vec<u8>>, RenderError> {
        if take.form != Form::Bytes {
            return Ok(Zeroizing::new(self.text(take)?.expose().as_bytes().to_vec()));
        }
        if take.which != Which::Primary {
            return Err(RenderError::BytesInText { ring: self.ring.clone() });
        }
        let selected = self.select(take.which, take.order)?;
        let value = selected.first().ok_or_else(|| self.too_large())?;
        Ok(Zeroizing::new(value.whole(&self.ring)?.expose().to_vec()))
    }

    fn too_large(&self) -> RenderError {
        RenderError::TooLarge { what: format!("the text of ring `{}`", self.ring) }
    }

    fn json_array(&self, values: &[SecretText]) -> Result<SecretText, RenderError> {
        let mut buffer = SecretBuffer::new(CONTENT_BYTES_MAX);
        let exposed: Vec<&str> = values.iter().map(SecretText::expose).collect();
        serde_json::to_writer(&mut buffer, &exposed).map_err(|_| self.too_large())?;
        let bytes = buffer.into_bytes();
        let text = str::from_utf8(&bytes).map_err(|_| self.too_large())?;
        Ok(SecretText::new(Zeroizing::new(text.to_owned())))
    }
}

/// Why texts cannot be joined.
pub(crate) enum JoinFault {
    /// A reader could not take them apart again.
    Inseparable,
    /// The whole would be too long.
    TooLong,
}

/// Puts a text between others, so that splitting at it gives them back.
pub(crate) fn join(values: &[&str], between: &str) -> Result<SecretText, JoinFault> {
    if between.is_empty() {
        return Err(JoinFault::Inseparable);
    }
    let lengths = values.iter().map(|value| value.len().saturating_add(between.len()));
    let room = lengths.fold(0, usize::saturating_add);
    if room > CONTENT_BYTES_MAX {
        return Err(JoinFault::TooLong);
    }
    let mut text = Zeroizing::new(String::with_capacity(room));
    for (index, value) in values.iter().enumerate() {
        if index > 0 {
            text.push_str(between);
        }
        text.push_str(value);
    }
    // Besides a value that contains the text between, this finds one that ends with its start.
    let same = values.is_empty() || text.split(between).eq(values.iter().copied());
    if same { Ok(SecretText::new(text)) } else { Err(JoinFault::Inseparable) }
}

/// Writes bytes in lower-case hexadecimal.
pub(crate) fn hex(bytes: &[u8]) -> Zeroizing<String> {
    let mut text = Zeroizing::new(String::with_capacity(bytes.len().saturating_mul(2)));
    for byte in bytes {
        for nibble in [byte >> 4, byte & 0x0f] {
            text.extend(char::from_digit(u32::from(nibble), 16));
        }
    }
    text
}
