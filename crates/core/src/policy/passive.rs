//! Consumers that cannot report: how long each is waited for, where that is from, and what has to
//! be said about it. What is known of such consumers stands in [`super::profiles`].

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer, Serialize};

use super::Policy;
use super::profiles::{self, Keeps, Profile};
use crate::time::Span;

/// A consumer that cannot report.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Passive {
    /// This long after the last server serves a new key, it surely processes with it.
    pub learns_within: Span,
    /// This long after a key was taken away, it may still process with it.
    pub keeps_for: Span,
    /// Whether somebody said these times; otherwise they are those of a profile, or the safe ones.
    pub declared: bool,
}

impl Passive {
    /// With the times that somebody said.
    pub const fn declared(learns_within: Span, keeps_for: Span) -> Self {
        Self { learns_within, keeps_for, declared: true }
    }

    /// With the times of the profile of this name, and the safe ones where it has none.
    pub fn of_profile(name: &str) -> Self {
        let profile = profiles::find(name);
        Self {
            learns_within: profile
                .map_or(profiles::SAFE_LEARNS_WITHIN, |profile| profile.learns_within),
            keeps_for: match profile.map(|profile| profile.keeps) {
                Some(Keeps::For(span)) => span,
                Some(Keeps::UntilUnknownKid | Keeps::UntilRestart) | None => {
                    profiles::SAFE_KEEPS_FOR
                }
            },
            declared: false,
        }
    }

    /// Why a new key waits for it, as a plan says it.
    pub(crate) fn why_it_learns(&self, name: &str) -> String {
        let wait = self.learns_within;
        match profiles::find(name) {
            _ if self.declared => format!("{wait} for {name} to learn, as declared"),
            Some(profile) => {
                format!("{wait} for {name} to learn: {} ({})", profile.unknown_kid, profile.source)
            }
            None => format!("{wait} for {name} to learn, the safe default"),
        }
    }

    /// Why a replaced key waits for it, as a plan says it.
    pub(crate) fn why_it_keeps(&self, name: &str) -> String {
        let wait = self.keeps_for;
        match profiles::find(name) {
            _ if self.declared => format!("{name} may keep it for {wait}, as declared"),
            Some(Profile { keeps: Keeps::For(_), source, .. }) => {
                format!("{name} may keep it for {wait} ({source})")
            }
            Some(profile) => format!(
                "{name} may keep it {}, for which the safe default of {wait} stands in",
                profile.keeps
            ),
            None => format!("{name} may keep it for {wait}, the safe default"),
        }
    }
}

impl Policy {
    /// What a person should know about the passive consumers of this policy, a sentence each.
    pub fn passive_warnings(&self) -> Vec<String> {
        let mut all = Vec::new();
        for (name, passive) in &self.passive {
            let profile = profiles::find(name);
            if profile.is_none() && !passive.declared {
                let known: Vec<_> = profiles::PROFILES.iter().map(|known| known.name).collect();
                all.push(format!(
                    "`{name}` is not a known profile: it is given {} to learn of a key and {} to \
                     forget one; say its times (`{name}=5m/1h`), or use one of {}",
                    passive.learns_within,
                    passive.keeps_for,
                    known.join(", ")
                ));
            }
            let Some(profile) = profile else { continue };
            let until = match profile.keeps {
                Keeps::For(_) => continue,
                Keeps::UntilUnknownKid => {
                    "send a token with an unknown kid through it, so that it fetches"
                }
                Keeps::UntilRestart => "restart it",
            };
            if !passive.declared {
                all.push(format!(
                    "{name} keeps a key {}: {} is a guess; say how long one lives there \
                     (`{name}={}/1h`)",
                    profile.keeps, passive.keeps_for, profile.learns_within
                ));
            }
            all.push(format!(
                "After a compromise {name} goes on with the bad key by itself: {until}"
            ));
        }
        all
    }
}

/// Reads the passive consumers of a document, which may be of a time when one span stood for both
/// waits. A span that came from the table of then becomes what is known now, and never shorter.
pub(super) fn of_any_age<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<BTreeMap<String, Passive>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Stored {
        Both(Passive),
        One(Span),
    }
    let stored = BTreeMap::<String, Stored>::deserialize(deserializer)?;
    let read = |(name, stored): (String, Stored)| {
        let passive = match stored {
            Stored::Both(passive) => passive,
            Stored::One(span) if profiles::FORMER.contains(&(name.as_str(), span)) => {
                let known = Passive::of_profile(&name);
                Passive {
                    learns_within: known.learns_within.max(span),
                    keeps_for: known.keeps_for.max(span),
                    declared: false,
                }
            }
            Stored::One(span) => Passive::declared(span, span),
        };
        (name, passive)
    };
    Ok(stored.into_iter().map(read).collect())
}
