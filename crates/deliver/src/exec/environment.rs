//! What a program is given: its variables, rendered from the keys of one moment. Compared to find
//! out whether a change of the keys changes anything for the program.

use std::borrow::Cow;
use std::collections::BTreeMap;

use keywheel_core::id::{Incarnation, Revision, RingName};

use super::settings::{INDEX, Variable, VariableValue};
use crate::render::RenderError;
use crate::secret::SecretText;
use crate::settings::Take;
use crate::values::{AllValues, Values};

/// Where the keys of each ring stood.
pub(super) type Position = BTreeMap<RingName, (Incarnation, Revision)>;

/// Why the variables cannot be written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EnvironmentError {
    /// A value has no such form.
    #[error("variable {name} cannot be written")]
    Render {
        /// The variable.
        name: String,
        /// Why.
        #[source]
        source: RenderError,
    },
    /// A value holds the byte that ends variables.
    #[error("variable {name} cannot be written: a value of the ring holds a zero byte")]
    Zero {
        /// The variable.
        name: String,
    },
    /// A ring has not arrived.
    #[error("variable {name} cannot be written: ring {ring} has not arrived")]
    Absent {
        /// The variable.
        name: String,
        /// The ring.
        ring: RingName,
    },
}

impl EnvironmentError {
    /// What to do about it.
    pub fn remedy(&self) -> Cow<'static, str> {
        match self {
            Self::Render { source, .. } => source.remedy().clone().into(),
            Self::Zero { .. } => "write the value with form=base64 or form=hex".into(),
            Self::Absent { .. } => "check the ring with: keywheel status".into(),
        }
    }
}

/// The variables of the program, without those that it inherits.
pub(super) struct Given {
    variables: Vec<(String, Text)>,
}

enum Text {
    Secret(SecretText),
    Indexed(String),
}

impl Given {
    /// Writes the variables.
    ///
    /// # Errors
    /// When a value cannot be written so.
    pub(super) fn of(variables: &[Variable], values: &AllValues) -> Result<Self, EnvironmentError> {
        let written = variables.iter().map(|variable| {
            let text = match &variable.value {
                VariableValue::Indexed(text) => Text::Indexed(text.clone()),
                VariableValue::Ring(take) => Text::Secret(secret(&variable.name, take, values)?),
            };
            Ok((variable.name.clone(), text))
        });
        Ok(Self { variables: written.collect::<Result<_, _>>()? })
    }

    /// Whether the program would be given the same.
    pub(super) fn is_same(&self, other: &Self) -> bool {
        let pairs = self.variables.iter().zip(&other.variables);
        self.variables.len() == other.variables.len()
            && pairs.fold(true, |same, ((_, one), (_, two))| one.is_same(two) && same)
    }

    /// The variables of one copy.
    pub(super) fn for_slot(&self, slot: usize) -> Vec<(&str, Cow<'_, str>)> {
        let pairs = self.variables.iter().map(|(name, text)| {
            let text = match text {
                Text::Secret(secret) => Cow::Borrowed(secret.expose()),
                Text::Indexed(text) => Cow::Owned(text.replace(INDEX, &slot.to_string())),
            };
            (name.as_str(), text)
        });
        pairs.collect()
    }
}

impl Text {
    fn is_same(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Secret(one), Self::Secret(two)) => {
                let (one, two) = (one.expose().as_bytes(), two.expose().as_bytes());
                aws_lc_rs::constant_time::verify_slices_are_equal(one, two).is_ok()
            }
            (Self::Indexed(one), Self::Indexed(two)) => one == two,
            _ => false,
        }
    }
}

fn secret(name: &str, take: &Take, values: &AllValues) -> Result<SecretText, EnvironmentError> {
    let absent = || EnvironmentError::Absent { name: name.to_owned(), ring: take.ring.clone() };
    let of_ring = values.get(&take.ring).ok_or_else(absent)?;
    let failed = |source| EnvironmentError::Render { name: name.to_owned(), source };
    let text = of_ring.text(take).map_err(failed)?;
    if text.expose().contains('\0') {
        return Err(EnvironmentError::Zero { name: name.to_owned() });
    }
    Ok(text)
}

/// Where these keys stand.
pub(super) fn position(values: &AllValues) -> Position {
    let of = |values: &Values| (values.incarnation().clone(), values.revision());
    values.iter().map(|(ring, values)| (ring.clone(), of(values))).collect()
}

/// Whether a position is behind another: some ring of the same life is older.
pub(super) fn is_behind(one: &Position, other: &Position) -> bool {
    one.iter().any(|(ring, (life, revision))| {
        other.get(ring).is_some_and(|(known, newest)| known == life && revision < newest)
    })
}

/// Whether a ring accepts a version that is newer than its primary: one that is about to be used.
pub(super) fn awaits_newer(values: &Values) -> bool {
    let Some(primary) = values.primary() else { return false };
    values.versions().iter().any(|version| version.number() > primary.number())
}

#[cfg(test)]
mod tests;
