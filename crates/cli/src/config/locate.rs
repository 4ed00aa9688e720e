//! From a field's path to the line where it stands, so that an error about a settled value points
//! into the file that the user wrote.

use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// Finds lines in one TOML document.
pub(super) struct Locator<'text> {
    text: &'text str,
    root: Option<Spanned<DeTable<'text>>>,
}

impl<'text> Locator<'text> {
    /// Reads the document again, this time for positions.
    pub(super) fn new(text: &'text str) -> Self {
        Self { text, root: DeTable::parse(text).ok() }
    }

    /// The line, from 1, of the deepest part of `path` that is in the document. An element of an
    /// array is named by its `name`, or by its number.
    pub(super) fn line(&self, path: &[&str]) -> Option<usize> {
        let mut table = self.root.as_ref()?.get_ref();
        let mut offset = None;
        let mut rest = path.iter();
        while let Some(segment) = rest.next() {
            let Some((key, value)) = table.iter().find(|(key, _)| key.get_ref() == segment) else {
                break;
            };
            offset = Some(key.span().start);
            match value.get_ref() {
                DeValue::Table(inner) => table = inner,
                DeValue::Array(elements) => {
                    let Some(wanted) = rest.next() else { break };
                    let mut numbered = elements.iter().enumerate();
                    let Some((_, element)) =
                        numbered.find(|(index, element)| is_named(element, *index, wanted))
                    else {
                        break;
                    };
                    offset = Some(element.span().start);
                    match element.get_ref() {
                        DeValue::Table(inner) => table = inner,
                        _ => break,
                    }
                }
                _ => break,
            }
        }
        offset.map(|offset| line_of(self.text, offset))
    }
}

fn is_named(element: &Spanned<DeValue<'_>>, index: usize, wanted: &str) -> bool {
    let name = element
        .get_ref()
        .as_table()
        .and_then(|table| table.iter().find(|(key, _)| key.get_ref() == "name"))
        .and_then(|(_, value)| value.get_ref().as_str());
    name == Some(wanted) || index.to_string() == wanted
}

/// The line, from 1, of a byte.
pub(super) fn line_of(text: &str, offset: usize) -> usize {
    text.bytes().take(offset).filter(|byte| *byte == b'\n').count() + 1
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "[ring.web]\nkind = \"secret\"\nskew = \"1s\"\n\n\
                        [[ring.web.consumer]]\nname = \"a\"\nrole = \"protect\"\n\
                        [[ring.web.consumer]]\nname = \"b\"\nmin_instances = 3\n";

    #[test]
    fn fields_rings_and_elements_are_found() {
        let locator = Locator::new(TEXT);
        assert_eq!(locator.line(&["ring", "web", "skew"]), Some(3));
        assert_eq!(locator.line(&["ring", "web", "absent"]), Some(1));
        assert_eq!(locator.line(&["ring", "web", "consumer", "b", "min_instances"]), Some(10));
        assert_eq!(locator.line(&["ring", "web", "consumer", "b"]), Some(8));
        assert_eq!(locator.line(&["server"]), None);
    }
}
