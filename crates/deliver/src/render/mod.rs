//! What stands in a file, made from the values of rings: pure, bytes in and bytes out. How the
//! bytes reach the disk is left to [`crate::file`].

pub mod env_file;

mod credentials;
mod error;
mod json;
mod jwks;
mod nginx;
mod raw;
mod template;

use keywheel_core::id::RingName;
use zeroize::Zeroizing;

pub use credentials::credentials;
pub use error::RenderError;

use crate::settings::{Content, Template};
use crate::values::{AllValues, Values};

/// Renders a content. `present` is what stands in the file now, for contents that keep some of it.
/// A [`Template::File`] is read by the caller, and comes here as [`Template::Inline`].
///
/// # Errors
/// When a value is missing, or cannot be written so that its reader reads it again.
pub fn render(
    content: &Content,
    values: &AllValues,
    present: Option<&[u8]>,
) -> Result<Zeroizing<Vec<u8>>, RenderError> {
    match content {
        Content::Raw(take) => raw::render(take, values),
        Content::Env(file) => env_file::render(file, values, present.unwrap_or_default()),
        Content::Json(members) => json::render(members, values),
        Content::Template(Template::Inline(source)) => template::render(source, values),
        Content::Template(Template::File(path)) => {
            Err(RenderError::TemplateNotRead { path: path.clone() })
        }
        Content::Nginx(include) => nginx::render(include, values),
        Content::Jwks(rings) => jwks::render(rings, values),
    }
}

/// The values of a ring.
fn of<'a>(values: &'a AllValues, ring: &RingName) -> Result<&'a Values, RenderError> {
    values.get(ring).ok_or_else(|| RenderError::UnknownRing { ring: ring.clone() })
}
