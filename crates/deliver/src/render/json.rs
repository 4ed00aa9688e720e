//! A JSON object. A member that holds one value is a string, one that holds several an array.

use std::collections::BTreeMap;
use std::io::Write as _;

use zeroize::Zeroizing;

use super::{RenderError, of};
use crate::secret::{SecretBuffer, SecretText};
use crate::settings::{Take, Which};
use crate::values::{AllValues, CONTENT_BYTES_MAX};

pub(super) fn render(
    members: &BTreeMap<String, Take>,
    values: &AllValues,
) -> Result<Zeroizing<Vec<u8>>, RenderError> {
    let mut buffer = SecretBuffer::new(CONTENT_BYTES_MAX);
    let mut before = "{\n  ";
    for (name, take) in members {
        let taken = of(values, &take.ring)?.take(take)?;
        let exposed: Vec<&str> = taken.iter().map(SecretText::expose).collect();
        write(&mut buffer, before, name, &exposed, take.which)
            .map_err(|_| RenderError::TooLarge { what: "the JSON file".to_owned() })?;
        before = ",\n  ";
    }
    let end: &[u8] = if members.is_empty() { b"{}\n" } else { b"\n}\n" };
    if !buffer.push(end) {
        return Err(RenderError::TooLarge { what: "the JSON file".to_owned() });
    }
    Ok(buffer.into_bytes())
}

/// serde_json writes strings piece by piece, so that no copy of a value is made on the way.
fn write(
    buffer: &mut SecretBuffer,
    before: &str,
    name: &str,
    values: &[&str],
    which: Which,
) -> std::io::Result<()> {
    buffer.write_all(before.as_bytes())?;
    serde_json::to_writer(&mut *buffer, name)?;
    buffer.write_all(b": ")?;
    match (which, values) {
        (Which::Primary, [value]) => serde_json::to_writer(buffer, value)?,
        _ => serde_json::to_writer(buffer, values)?,
    }
    Ok(())
}
