//! A value and nothing else: no line end, no quotes.

use zeroize::Zeroizing;

use super::{RenderError, of};
use crate::settings::Take;
use crate::values::AllValues;

pub(super) fn render(take: &Take, values: &AllValues) -> Result<Zeroizing<Vec<u8>>, RenderError> {
    of(values, &take.ring)?.bytes(take)
}
