//! SQL in the strings of programs: handed to the reader of SQL, which knows its functions.

use crate::site::Sites;

use super::reader::Reader;

/// Adds the places of the SQL that stands in the string at `at`.
pub(super) fn embedded(_reader: &Reader<'_, '_>, _at: usize, _sites: &mut Sites) {}
