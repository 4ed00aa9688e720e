//! The configuration as nginx has it: each file where it is included, and what a directive of an
//! outer block means within.

use std::path::Path;

use super::super::follow::{Configuration, File};
use super::super::lex::Word;
use super::super::tree::{BLOCK_DEPTH_MAX, Directive};
use super::{has_variable, text};

/// So many directives are looked at. A file counts as often as it is included.
const NODES_MAX: usize = 500_000;

/// Files in files in files.
const DEPTH_MAX: usize = BLOCK_DEPTH_MAX * 2;

/// A configuration that is too much.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LintError {
    /// Files that are included again and again.
    #[error("with each file where it is included there are more than {NODES_MAX} directives")]
    TooLarge,
    /// Blocks in included files in blocks.
    #[error("with each file where it is included blocks are nested more than {DEPTH_MAX} deep")]
    TooDeep,
}

/// A directive, and in which file it stands.
pub(super) struct Node<'a> {
    pub(super) path: &'a Path,
    pub(super) directive: &'a Directive,
    pub(super) children: Vec<Node<'a>>,
}

impl<'a> Node<'a> {
    pub(super) fn is(&self, name: &str) -> bool {
        self.directive.is(name)
    }

    pub(super) fn arguments(&self) -> &'a [Word] {
        &self.directive.arguments
    }

    /// Whether its first argument is this.
    pub(super) fn says(&self, value: &str) -> bool {
        self.arguments().first().is_some_and(|word| word.value.as_slice() == value.as_bytes())
    }
}

/// Puts each file where it is included.
pub(super) fn resolve(configuration: &Configuration) -> Result<Vec<Node<'_>>, LintError> {
    let Some(main) = configuration.files.first() else { return Ok(Vec::new()) };
    let mut left = NODES_MAX;
    let mut nodes = Vec::new();
    place(configuration, main, &main.directives, 0, &mut left, &mut nodes)?;
    Ok(nodes)
}

fn place<'a>(
    configuration: &'a Configuration,
    file: &'a File,
    directives: &'a [Directive],
    depth: usize,
    left: &mut usize,
    into: &mut Vec<Node<'a>>,
) -> Result<(), LintError> {
    if depth > DEPTH_MAX {
        return Err(LintError::TooDeep);
    }
    let deeper = depth.saturating_add(1);
    for directive in directives {
        *left = left.checked_sub(1).ok_or(LintError::TooLarge)?;
        let include = file.includes.iter().find(|include| include.span == directive.span);
        if let Some(include) = include.filter(|_| directive.is("include")) {
            for path in &include.paths {
                // A file that was not to be read says nothing.
                let Some(included) = configuration.file(path) else { continue };
                place(configuration, included, &included.directives, deeper, left, into)?;
            }
            continue;
        }
        let mut children = Vec::new();
        place(configuration, file, directive.children(), deeper, left, &mut children)?;
        into.push(Node { path: &file.path, directive, children });
    }
    Ok(())
}

/// A block, and those around it, outermost first.
#[derive(Clone)]
pub(super) struct Place<'t, 'a> {
    blocks: Vec<&'t Node<'a>>,
}

impl<'t, 'a> Place<'t, 'a> {
    pub(super) fn of(blocks: &[&'t Node<'a>]) -> Self {
        Self { blocks: blocks.to_vec() }
    }

    fn within(&self, block: &'t Node<'a>) -> Self {
        let mut blocks = self.blocks.clone();
        blocks.push(block);
        Self { blocks }
    }

    /// What stands in this block itself.
    pub(super) fn own(&self) -> &'t [Node<'a>] {
        self.blocks.last().map_or(&[], |block| &block.children)
    }

    /// The block itself.
    pub(super) fn block(&self) -> Option<&'t Node<'a>> {
        self.blocks.last().copied()
    }

    /// The outermost block.
    pub(super) fn http(&self) -> Option<&'t Node<'a>> {
        self.blocks.first().copied()
    }

    /// The blocks in this one to which its directives pass on, of these names.
    pub(super) fn inner(&self, names: &'static [&'static str]) -> impl Iterator<Item = Self> {
        let is_inner = move |node: &&Node<'a>| names.iter().any(|name| node.is(name));
        self.own().iter().filter(is_inner).map(|node| self.within(node))
    }

    /// The directives of this name that hold here. Those of an inner block replace all of the outer
    /// ones, as nginx inherits `proxy_set_header` and the like.
    pub(super) fn all(&self, name: &str) -> Vec<&'t Node<'a>> {
        for block in self.blocks.iter().rev() {
            let here: Vec<_> = block.children.iter().filter(|node| node.is(name)).collect();
            if !here.is_empty() {
                return here;
            }
        }
        Vec::new()
    }

    /// The one directive of this name that holds here.
    pub(super) fn one(&self, name: &str) -> Option<&'t Node<'a>> {
        self.all(name).last().copied()
    }

    /// The `auth_request` that holds here, unless it is off.
    pub(super) fn auth_request(&self) -> Option<&'t Node<'a>> {
        self.one("auth_request").filter(|node| !node.says("off"))
    }
}

/// The location that answers an `auth_request`.
pub(super) struct Endpoint<'t, 'a> {
    pub(super) place: Place<'t, 'a>,
    /// The location's own node.
    pub(super) location: &'t Node<'a>,
}

/// The locations of a server that answer its authentication requests, where that can be told.
pub(super) fn auth_endpoints<'t, 'a>(server: &Place<'t, 'a>) -> Vec<Endpoint<'t, 'a>> {
    let mut paths = Vec::new();
    collect(server, &mut paths);
    paths.sort_unstable();
    paths.dedup();
    let found = paths.iter().filter_map(|path| find(server, path).ok()?);
    found.filter_map(|place| Some(Endpoint { location: place.block()?, place })).collect()
}

fn collect(place: &Place<'_, '_>, into: &mut Vec<Vec<u8>>) {
    if let Some([path]) = place.auth_request().map(Node::arguments)
        && !has_variable(path)
    {
        into.push(path.value.split(|byte| *byte == b'?').next().unwrap_or_default().to_vec());
    }
    for inner in place.inner(&["location"]) {
        collect(&inner, into);
    }
}

/// A regular expression may decide, and nothing here evaluates one.
struct ByExpression;

/// The location that nginx takes for a path.
fn find<'t, 'a>(
    within: &Place<'t, 'a>,
    path: &[u8],
) -> Result<Option<Place<'t, 'a>>, ByExpression> {
    let mut longest: Option<(usize, bool, Place<'t, 'a>)> = None;
    let mut by_expression = false;
    for inner in within.inner(&["location"]) {
        let Some(words) = inner.block().map(Node::arguments) else { continue };
        let (prefix, is_final) = match words {
            [sign, exact] if sign.value.as_slice() == b"=" => {
                if exact.value.as_slice() == path {
                    return Ok(Some(inner));
                }
                continue;
            }
            [sign, prefix] if sign.value.as_slice() == b"^~" => (prefix, true),
            [prefix] if prefix.value.starts_with(b"/") => (prefix, false),
            [name] if name.value.starts_with(b"@") => continue,
            // `=/path` and the like are signs that touch the path.
            [joined] if joined.value.starts_with(b"=/") => {
                if joined.value.get(1..) == Some(path) {
                    return Ok(Some(inner));
                }
                continue;
            }
            _ => {
                by_expression = true;
                continue;
            }
        };
        let length = prefix.value.len();
        let longer = longest.as_ref().is_none_or(|(most, ..)| length > *most);
        if path.starts_with(&prefix.value) && longer {
            longest = Some((length, is_final, inner));
        }
    }
    let Some((_, is_final, inner)) = longest else {
        return if by_expression { Err(ByExpression) } else { Ok(None) };
    };
    if by_expression && !is_final {
        return Err(ByExpression);
    }
    Ok(Some(find(&inner, path)?.unwrap_or(inner)))
}

/// The headers that are set here for whoever is asked, by name in lower case.
pub(super) fn header<'t, 'a>(place: &Place<'t, 'a>, name: &str) -> Option<&'t Node<'a>> {
    let sets = place.all("proxy_set_header");
    let named = |node: &&Node<'a>| {
        node.arguments().first().is_some_and(|word| text(word).eq_ignore_ascii_case(name))
    };
    sets.into_iter().rfind(named)
}
