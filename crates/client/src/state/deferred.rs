//! What a process knows that answers for a consumer which cannot speak: what it merely loaded
//! proves nothing, what it showed at the consumer does. Pure, like the rest of [`crate::state`].

use keywheel_core::gate::EvidenceLevel;
use keywheel_core::id::{Incarnation, Revision};
use keywheel_core::ring::Keyset;
pub use keywheel_core::text::TROUBLE_CHARS_MAX;

/// How the consumer stands, as far as this process has seen.
#[derive(Clone, Debug, Default)]
pub(super) struct Deferred {
    /// The keyset that the consumer was last shown to use, and how that is known.
    confirmed: Option<(Incarnation, Revision, EvidenceLevel)>,
    /// Why nothing that was shown before stands any more.
    trouble: Option<String>,
}

impl Deferred {
    /// The consumer was shown to use a keyset, and no trouble is left.
    pub(super) fn confirm(&mut self, keyset: &Keyset, level: EvidenceLevel) {
        self.confirmed = Some((keyset.incarnation.clone(), keyset.revision, level));
        self.trouble = None;
    }

    /// Something is wrong at the consumer, so nobody knows what it uses.
    pub(super) fn trouble(&mut self, text: &str) {
        self.confirmed = None;
        self.trouble = Some(printable(text));
    }

    pub(super) fn present_trouble(&self) -> Option<&str> {
        self.trouble.as_deref()
    }

    /// How it is known that the consumer uses this keyset; nothing while it is not.
    pub(super) fn level(&self, keyset: &Keyset) -> Option<EvidenceLevel> {
        let (life, revision, level) = self.confirmed.as_ref()?;
        (*life == keyset.incarnation && *revision == keyset.revision).then_some(*level)
    }

    /// The oldest revision of a life that the consumer may protect with.
    pub(super) fn oldest_guard(&self, life: &Incarnation) -> Revision {
        let confirmed = self.confirmed.as_ref().filter(|(confirmed, ..)| confirmed == life);
        confirmed.map_or(Revision(0), |(_, revision, _)| *revision)
    }
}

/// What a server takes: one line, of bounded length, that cannot act on a terminal.
fn printable(text: &str) -> String {
    let clean = text.chars().map(|c| if keywheel_core::text::is_printable(c) { c } else { ' ' });
    let mut clean: String = clean.take(TROUBLE_CHARS_MAX).collect();
    if clean.trim().is_empty() {
        clean = "no reason was given".into();
    }
    clean
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trouble_is_one_short_line_that_does_nothing_to_a_terminal() {
        assert_eq!(printable("a\u{1b}[2Jb\nc\u{202e}d"), "a [2Jb c d");
        assert_eq!(printable(" \n"), "no reason was given");
        assert_eq!(printable(&"é".repeat(900)).chars().count(), TROUBLE_CHARS_MAX);
    }
}
