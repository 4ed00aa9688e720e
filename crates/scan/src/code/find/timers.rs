//! Timers within an application that make or rotate keys.

use std::borrow::Cow;

use crate::finding::{Kind, Source};
use crate::rules::Scheduler;
use crate::site::Hot;

use super::super::token::Kind as TokenKind;
use super::super::tree::FrameKind;
use super::Finder;

/// How much of what a timer runs is looked at.
const RUNS_TOKENS_MAX: usize = 400;

impl Finder<'_, '_, '_> {
    /// A call that runs something by a timer, if that rotates keys.
    pub(super) fn scheduler(&mut self, at: usize, scheduler: &Scheduler) {
        let reader = self.reader;
        let Some(arguments) = reader.arguments(at) else { return };
        let Some((from, mut to)) = arguments.get(scheduler.runs).copied() else { return };
        // A block of Ruby stands after the arguments.
        if reader.tokens.text(to) == "do" || reader.tokens.text(to + 1) == "do" {
            to = reader.tokens.past(to.max(from)).max(to + 60);
        }
        let rotates = (from..to.min(from + RUNS_TOKENS_MAX)).any(|at| self.rotates(at));
        // `class SecretRotator` says it of all that it does.
        let is_of_rotator = || {
            let mut around = reader.tree.around(reader.tree.at(at));
            around.any(|(_, frame)| {
                frame.kind == FrameKind::Class && frame.name.is_some_and(|name| self.rotates(name))
            })
        };
        if rotates || is_of_rotator() {
            self.timer(at);
        }
    }

    /// Says that a timer rotates keys.
    pub(super) fn timer(&mut self, at: usize) {
        let mut site = self.site(Kind::Scheduler, "scheduler", at);
        site.scope = Some(self.reader.scope(at));
        site.hot = Hot::Unknown;
        site.source = Source::Generated;
        site.reason = Cow::Borrowed("the application makes or rotates keys by a timer of its own");
        site.remedy = Some(Cow::Borrowed("Leave rotation to one place that knows all consumers"));
        self.sites.found.push(site);
    }

    /// Whether a name speaks of rotating keys.
    pub(super) fn rotates(&self, at: usize) -> bool {
        let tokens = self.reader.tokens;
        if tokens.kind(at) != Some(TokenKind::Word) {
            return false;
        }
        let name = tokens.text(at).to_ascii_lowercase();
        let changes =
            ["rotat", "regenerat", "renew", "refresh"].iter().any(|word| name.contains(word));
        let of_keys = ["key", "secret", "signing"].iter().any(|word| name.contains(word));
        changes && of_keys
    }
}
