//! One sink's place: what stands there, what is to stand there, and the change from one to the
//! other. Files and folders are written by [`crate::file`].

use std::path::{Path, PathBuf};
use std::sync::Arc;

use zeroize::Zeroizing;

use super::world::Trouble;
use crate::file::{self, Disk, FileError, Present, Staged};
use crate::journal::{Digest, Journal};
use crate::render::{self, RenderError};
use crate::saga::Need;
use crate::settings::{Content, FileOptions, Sink, Target, Template};
use crate::values::AllValues;

/// The largest template.
const TEMPLATE_BYTES_MAX: u64 = 1024 * 1024;
