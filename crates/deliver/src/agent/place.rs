//! One sink's place: what stands there, what is to stand there, and the change from one to the
//! other. Files and folders are written by [`crate::file`].

use std::io::Read as _;
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use super::world::Trouble;
use crate::file::{self, Disk, FileError, directory};
use crate::journal::{Digest, Journal};
use crate::render::{self, RenderError};
use crate::saga::Need;
use crate::settings::{Content, FileOptions, Sink, Target, Template};
use crate::values::AllValues;

/// The largest template.
const TEMPLATE_BYTES_MAX: u64 = 1024 * 1024;

/// Where one sink writes, and through what.
#[derive(Clone, Copy)]
pub(super) struct Place<'d> {
    pub(super) sink: &'d Sink,
    pub(super) disk: &'d dyn Disk,
}

/// What stands in the place and what is staged beside it.
enum Stage<'d> {
    /// Nothing has to be written, or it is no file.
    None,
    File {
        present: Option<file::Present>,
        staged: file::Staged<'d>,
    },
    Folder {
        present: Option<directory::Present>,
        staged: directory::Staged<'d>,
    },
}

/// A sink that is ready to be written.
pub(super) struct Prepared<'d> {
    need: Need,
    /// What the consumer will have taken.
    digest: Digest,
    /// What stands there, as bytes.
    present: Option<Zeroizing<Vec<u8>>>,
    /// What will stand there, as bytes.
    content: Zeroizing<Vec<u8>>,
    stage: Stage<'d>,
    /// An unfinished delivery may have written it.
    pub(super) was_touched: bool,
}

impl Prepared<'_> {
    pub(super) const fn need(&self) -> Need {
        self.need
    }

    pub(super) const fn digest(&self) -> &Digest {
        &self.digest
    }

    pub(super) fn present(&self) -> Option<&[u8]> {
        self.present.as_ref().map(|bytes| bytes.as_slice())
    }

    pub(super) fn content(&self) -> &[u8] {
        &self.content
    }

    pub(super) fn staged_path(&self) -> Option<&Path> {
        match &self.stage {
            Stage::None => None,
            Stage::File { staged, .. } => Some(staged.path()),
            Stage::Folder { staged, .. } => Some(staged.path()),
        }
    }
}

impl<'d> Place<'d> {
    /// Where a sink writes; nothing for one without a way back.
    pub(super) const fn path_of(sink: &Sink) -> Option<&PathBuf> {
        match &sink.target {
            Target::File { file, .. } | Target::Credentials { file, .. } => Some(&file.path),
            Target::Irreversible(..) => None,
        }
    }

    /// Renders, compares with what is there, and stages what differs.
    pub(super) fn prepare(
        self,
        values: &AllValues,
        journal: &Journal,
    ) -> Result<Prepared<'d>, Trouble> {
        let mut prepared = match &self.sink.target {
            Target::File { file, content } => self.prepare_file(file, content, values, journal),
            Target::Credentials { file, set } => {
                let files = render::credentials(set, values).map_err(|error| of_render(&error))?;
                self.prepare_folder(file, &files, journal)
            }
            Target::Irreversible(_, set) => {
                let content = Content::Json(set.clone());
                let content =
                    render::render(&content, values, None).map_err(|error| of_render(&error))?;
                let digest = journal.digest(&self.sink.name, Path::new(""), &content);
                let need = Need::Write;
                Ok(Prepared::new(need, digest, None, content, Stage::None))
            }
        }?;
        let is_settled = journal.is_settled(&self.sink.name, &prepared.digest);
        let is_same = matches!(prepared.stage, Stage::None);
        prepared.need = match (is_same, is_settled) {
            (true, true) => Need::Nothing,
            (true, false) if Self::path_of(self.sink).is_some() => Need::Reload,
            _ => Need::Write,
        };
        prepared.was_touched = journal.touched().iter().any(|known| known.sink == self.sink.name);
        Ok(prepared)
    }

    fn prepare_file(
        self,
        options: &FileOptions,
        content: &Content,
        values: &AllValues,
        journal: &Journal,
    ) -> Result<Prepared<'d>, Trouble> {
        let content = &read_template(content)?;
        let present = file::read(options).map_err(|error| of_file(&error))?;
        let bytes = present.as_ref().map(|present| present.bytes().to_vec());
        let bytes = bytes.map(Zeroizing::new);
        let next = render::render(content, values, bytes.as_ref().map(|bytes| bytes.as_slice()))
            .map_err(|error| of_render(&error))?;
        // What others keep in the same file is no part of what the consumer takes from us.
        let own = render::render(content, values, None).map_err(|error| of_render(&error))?;
        let digest = journal.digest(&self.sink.name, &options.path, &own);
        if file::is_current(options, &next, present.as_ref()).map_err(|error| of_file(&error))? {
            return Ok(Prepared::new(Need::Nothing, digest, bytes, next, Stage::None));
        }
        let staged = file::stage_on(self.disk, options, &next, present.as_ref());
        let stage = Stage::File { staged: staged.map_err(|error| of_file(&error))?, present };
        Ok(Prepared::new(Need::Write, digest, bytes, next, stage))
    }

    fn prepare_folder(
        self,
        options: &FileOptions,
        files: &directory::Files,
        journal: &Journal,
    ) -> Result<Prepared<'d>, Trouble> {
        let present = directory::read(options).map_err(|error| of_file(&error))?;
        let bytes = present.as_ref().map(|present| folded(present.files()));
        let next = folded(files);
        let digest = journal.digest(&self.sink.name, &options.path, &next);
        if directory::is_current(options, files, present.as_ref())
            .map_err(|error| of_file(&error))?
        {
            return Ok(Prepared::new(Need::Nothing, digest, bytes, next, Stage::None));
        }
        let staged = directory::stage_on(self.disk, options, files, present.as_ref());
        let stage = Stage::Folder { staged: staged.map_err(|error| of_file(&error))?, present };
        Ok(Prepared::new(Need::Write, digest, bytes, next, stage))
    }

    /// Puts the former content back.
    pub(super) fn put_back(self, former: Option<&[u8]>) -> Result<(), Trouble> {
        match &self.sink.target {
            Target::File { file, .. } => file::put_back_on(self.disk, file, former),
            Target::Credentials { file, .. } => {
                let files = match former.map(unfolded) {
                    Some(None) => {
                        return Err(Trouble::new(
                            "the former credentials were not kept whole",
                            "deliver again",
                        ));
                    }
                    Some(files) => files,
                    None => None,
                };
                directory::put_back_on(self.disk, file, files.as_ref())
            }
            Target::Irreversible(..) => Ok(()),
        }
        .map_err(|error| of_file(&error))
    }

    /// Makes a backup of what a delivery that stands has replaced.
    pub(super) fn settle(self) -> Result<(), Trouble> {
        match &self.sink.target {
            Target::File { file, .. } | Target::Credentials { file, .. } => {
                file::settle_on(self.disk, file)
            }
            Target::Irreversible(..) => Ok(()),
        }
        .map_err(|error| of_file(&error))
    }
}

impl<'d> Prepared<'d> {
    /// Puts what is staged in its place. An error says whether nothing was changed.
    pub(super) fn swap(&mut self) -> Result<(), (Trouble, bool)> {
        let swapped = match std::mem::replace(&mut self.stage, Stage::None) {
            Stage::None => Ok(()),
            Stage::File { present, staged } => staged.swap(present.as_ref()),
            Stage::Folder { present, staged } => staged.swap(present.as_ref()),
        };
        swapped.map_err(|error| {
            let is_untouched = matches!(
                error,
                FileError::EditedMeanwhile { .. }
                    | FileError::StagedChanged { .. }
                    | FileError::FolderReplaced { .. }
            );
            (of_file(&error), is_untouched)
        })
    }

    fn new(
        need: Need,
        digest: Digest,
        present: Option<Zeroizing<Vec<u8>>>,
        content: Zeroizing<Vec<u8>>,
        stage: Stage<'d>,
    ) -> Self {
        Self { need, digest, present, content, stage, was_touched: false }
    }
}

/// Reads a template that stands in a file.
fn read_template(content: &Content) -> Result<Content, Trouble> {
    let Content::Template(Template::File(path)) = content else {
        return Ok(content.clone());
    };
    let failed = |error: std::io::Error| {
        Trouble::new(
            format!("the template {} cannot be read: {error}", path.display()),
            "check that it is there and that the agent may read it",
        )
    };
    let file = std::fs::File::open(path).map_err(failed)?;
    let mut text = String::new();
    file.take(TEMPLATE_BYTES_MAX.saturating_add(1)).read_to_string(&mut text).map_err(failed)?;
    if text.len() as u64 > TEMPLATE_BYTES_MAX {
        return Err(Trouble::new(
            format!("the template {} is larger than {TEMPLATE_BYTES_MAX} bytes", path.display()),
            "check that the path names the file you mean",
        ));
    }
    Ok(Content::Template(Template::Inline(text)))
}

/// A folder's files as bytes: each name and content behind its length.
fn folded(files: &directory::Files) -> Zeroizing<Vec<u8>> {
    let parts = || files.iter().flat_map(|(name, bytes)| [name.as_bytes(), bytes.as_slice()]);
    let room = parts().map(|part| part.len().saturating_add(8)).sum();
    let mut folded = Zeroizing::new(Vec::with_capacity(room));
    for part in parts() {
        folded.extend_from_slice(&(part.len() as u64).to_be_bytes());
        folded.extend_from_slice(part);
    }
    folded
}

fn unfolded(mut bytes: &[u8]) -> Option<directory::Files> {
    let mut files = directory::Files::new();
    while !bytes.is_empty() {
        let name = String::from_utf8(part(&mut bytes)?.to_vec()).ok()?;
        let content = Zeroizing::new(part(&mut bytes)?.to_vec());
        files.insert(name, content);
    }
    Some(files)
}

fn part<'a>(bytes: &mut &'a [u8]) -> Option<&'a [u8]> {
    let (length, rest) = bytes.split_first_chunk::<8>()?;
    let (part, rest) = rest.split_at_checked(usize::try_from(u64::from_be_bytes(*length)).ok()?)?;
    *bytes = rest;
    Some(part)
}

fn of_file(error: &FileError) -> Trouble {
    Trouble::of(error, error.remedy())
}

fn of_render(error: &RenderError) -> Trouble {
    Trouble::of(error, error.remedy())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_comes_back_as_it_was() {
        let mut files = directory::Files::new();
        assert!(unfolded(&folded(&files)).is_some_and(|back| back == files));
        files.insert("a".into(), Zeroizing::new(b"one".to_vec()));
        files.insert("b".into(), Zeroizing::new(Vec::new()));
        let bytes = folded(&files);
        assert!(unfolded(&bytes).is_some_and(|back| back == files));
        assert!(unfolded(&bytes[..bytes.len() - 1]).is_none());
    }
}
