//! From what people wrote to what the code works with, refusing what cannot work.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use super::{Consumer, ConsumerSpec, Health, OnCompromise, OnStall, Passive, Policy, Spec};
use crate::gate::{EvidenceLevel, FINDINGS};
use crate::id::{ConsumerName, GateName};
use crate::kind::{EncryptionAlgorithm, Kind, RsaBits, SecretEncoding, SigningAlgorithm};
use crate::schedule::{Cron, QuietHours, Triggers};
use crate::time::Span;

/// One thing wrong with a declared ring.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PolicyError {
    /// Which field.
    pub field: String,
    /// What is wrong with it.
    pub cause: String,
    /// What to do.
    pub remedy: String,
}

/// Everything wrong with a declared ring; never empty.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct PolicyErrors(pub Vec<PolicyError>);

impl fmt::Display for PolicyErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, error) in self.0.iter().enumerate() {
            if index > 0 {
                f.write_str("\n")?;
            }
            write!(f, "{}: {}. {}", error.field, error.cause, error.remedy)?;
        }
        Ok(())
    }
}

const INSTANCES_MAX: usize = 10_000;

/// Collects what is wrong, so that one answer names everything.
#[derive(Default)]
pub(super) struct Faults(Vec<PolicyError>);

impl Faults {
    pub(super) fn add(&mut self, field: &str, cause: impl fmt::Display, remedy: impl fmt::Display) {
        self.0.push(PolicyError {
            field: field.into(),
            cause: cause.to_string(),
            remedy: remedy.to_string(),
        });
    }

    fn span(&mut self, field: &str, text: Option<&str>, default: Span) -> Span {
        self.optional_span(field, text).unwrap_or(default)
    }

    fn optional_span(&mut self, field: &str, text: Option<&str>) -> Option<Span> {
        match text?.parse::<Span>() {
            Ok(span) => Some(span),
            Err(error) => {
                self.add(field, error, "Correct the value");
                None
            }
        }
    }
}

impl TryFrom<&Spec> for Policy {
    type Error = PolicyErrors;

    fn try_from(spec: &Spec) -> Result<Self, PolicyErrors> {
        let mut faults = Faults::default();
        let kind = kind(spec, &mut faults);
        let skew = faults.span("skew", spec.skew.as_deref(), Span::from_secs(60));
        let policy = Self {
            triggers: triggers(spec, &mut faults),
            longest_lifetime: faults.span(
                "longest_lifetime",
                Some(&spec.longest_lifetime),
                Span::ZERO,
            ),
            skew,
            hold: faults.span("hold", spec.hold.as_deref(), Span::ZERO),
            quiet_use: faults.span("quiet_use", spec.quiet_use.as_deref(), skew),
            max_accepted: spec.max_accepted.unwrap_or(5),
            stall_after: faults.span(
                "stall_after",
                spec.stall_after.as_deref(),
                Span::from_secs(1_800),
            ),
            on_stall: spec.on_stall.unwrap_or(OnStall::Hold),
            lease_ttl: faults.span("lease_ttl", spec.lease_ttl.as_deref(), Span::from_secs(30)),
            offline_max: faults.span(
                "offline_max",
                spec.offline_max.as_deref(),
                Span::from_secs(3_600),
            ),
            destroy_after: destroy_after(spec, &mut faults),
            on_compromise: on_compromise(spec, &mut faults),
            approval: spec.approval,
            required_gates: required_gates(spec, &mut faults),
            findings_max_age: findings_max_age(spec, &mut faults),
            health: Health {
                max_rejected_percent: spec.max_rejected_percent.unwrap_or(5),
                min_samples: 20,
            },
            passive: passive(spec, &mut faults),
            consumers: consumers(spec, &mut faults),
            revocations_stale_after: faults
                .optional_span("revocations_stale_after", spec.revocations_stale_after.as_deref()),
            ledger: spec.ledger,
            columns: super::columns::columns(spec, &mut faults),
            kind: kind.unwrap_or(Kind::External),
        };
        if faults.0.is_empty() {
            check_together(&policy, spec, &mut faults);
        }
        if faults.0.is_empty() { Ok(policy) } else { Err(PolicyErrors(faults.0)) }
    }
}

fn kind(spec: &Spec, faults: &mut Faults) -> Option<Kind> {
    let only = |field: &str, present: bool, kinds: &str, faults: &mut Faults| {
        if present {
            faults.add(
                field,
                format!("has no meaning for a ring of kind `{}`", spec.kind),
                format!("It belongs to {kinds}; remove it"),
            );
        }
    };
    let secret = spec.kind == "secret";
    let keyed = matches!(spec.kind.as_str(), "signing" | "encryption");
    only("length_bytes", !secret && spec.length_bytes.is_some(), "kind `secret`", faults);
    only("encoding", !secret && spec.encoding.is_some(), "kind `secret`", faults);
    only("alphabet", !secret && spec.alphabet.is_some(), "kind `secret`", faults);
    only("algorithm", !keyed && spec.algorithm.is_some(), "`signing` and `encryption`", faults);
    match spec.kind.as_str() {
        "secret" => Some(Kind::Secret {
            length: secret_length(spec, faults),
            encoding: secret_encoding(spec, faults),
        }),
        "signing" => signing(spec, faults).map(|algorithm| Kind::Signing { algorithm }),
        "encryption" => encryption(spec, faults).map(|algorithm| Kind::Encryption { algorithm }),
        "external" => Some(Kind::External),
        other => {
            faults.add(
                "kind",
                format!("`{other}` is not a kind of ring"),
                "Use secret, signing, encryption or external",
            );
            None
        }
    }
}

fn secret_length(spec: &Spec, faults: &mut Faults) -> u16 {
    let length = spec.length_bytes.unwrap_or(48);
    if !(16..=1024).contains(&length) {
        faults.add(
            "length_bytes",
            format!("{length} is outside 16 to 1024"),
            "16 bytes are the least that nobody can guess; 48 is the default",
        );
    }
    length
}

fn secret_encoding(spec: &Spec, faults: &mut Faults) -> SecretEncoding {
    match (spec.encoding.as_deref(), spec.alphabet.as_ref()) {
        (Some(_), Some(_)) => {
            faults.add("alphabet", "stands beside `encoding`", "Keep one of the two");
            SecretEncoding::Base64url
        }
        (None, Some(alphabet)) => {
            let distinct: BTreeSet<char> = alphabet.chars().collect();
            let printable = alphabet.chars().all(|c| c.is_ascii_graphic() || c == ' ');
            if distinct.len() < 2 || distinct.len() != alphabet.chars().count() || !printable {
                faults.add(
                    "alphabet",
                    "needs at least two printable ASCII characters, each once",
                    "List each character once, for example 0123456789abcdef",
                );
            }
            let length = f64::from(spec.length_bytes.unwrap_or(48));
            #[expect(clippy::cast_precision_loss, reason = "an alphabet has under 100 characters")]
            let bits = length * (distinct.len().max(1) as f64).log2();
            if bits < 128.0 {
                faults.add(
                    "alphabet",
                    format!("{length} characters of it carry only {bits:.0} bits"),
                    "Raise length_bytes until they carry 128",
                );
            }
            SecretEncoding::Alphabet(alphabet.clone())
        }
        (None | Some("base64url"), None) => SecretEncoding::Base64url,
        (Some("hex"), None) => SecretEncoding::Hex,
        (Some("raw"), None) => SecretEncoding::Raw,
        (Some(other), None) => {
            faults.add(
                "encoding",
                format!("`{other}` is not an encoding"),
                "Use base64url, hex or raw, or give an alphabet",
            );
            SecretEncoding::Base64url
        }
    }
}

fn signing(spec: &Spec, faults: &mut Faults) -> Option<SigningAlgorithm> {
    let name = spec.algorithm.as_deref().unwrap_or("EdDSA");
    let bits = match spec.rsa_bits.unwrap_or(3072) {
        2048 => RsaBits::B2048,
        3072 => RsaBits::B3072,
        4096 => RsaBits::B4096,
        other => {
            faults.add("rsa_bits", format!("{other} is not offered"), "Use 2048, 3072 or 4096");
            RsaBits::B3072
        }
    };
    if spec.rsa_bits.is_some() && !is_rsa(name) {
        faults.add("rsa_bits", format!("`{name}` keys have no modulus"), "Remove it");
    }
    let algorithm = match name {
        "EdDSA" => SigningAlgorithm::EdDsa,
        "ES256" => SigningAlgorithm::Es256,
        "ES384" => SigningAlgorithm::Es384,
        "ES512" => SigningAlgorithm::Es512,
        "RS256" => SigningAlgorithm::Rs256(bits),
        "RS384" => SigningAlgorithm::Rs384(bits),
        "RS512" => SigningAlgorithm::Rs512(bits),
        "PS256" => SigningAlgorithm::Ps256(bits),
        "PS384" => SigningAlgorithm::Ps384(bits),
        "PS512" => SigningAlgorithm::Ps512(bits),
        "HS256" => SigningAlgorithm::Hs256,
        "HS384" => SigningAlgorithm::Hs384,
        "HS512" => SigningAlgorithm::Hs512,
        other => {
            faults.add(
                "algorithm",
                format!("`{other}` is not a signing algorithm"),
                "Use EdDSA, ES256, ES384, ES512, RS256, RS384, RS512, PS256, PS384, PS512, \
                 HS256, HS384 or HS512",
            );
            return None;
        }
    };
    Some(algorithm)
}

fn is_rsa(name: &str) -> bool {
    matches!(name, "RS256" | "RS384" | "RS512" | "PS256" | "PS384" | "PS512")
}

fn encryption(spec: &Spec, faults: &mut Faults) -> Option<EncryptionAlgorithm> {
    match spec.algorithm.as_deref().unwrap_or("AES-256-GCM") {
        "AES-256-GCM" => Some(EncryptionAlgorithm::Aes256Gcm),
        "ChaCha20-Poly1305" => Some(EncryptionAlgorithm::ChaCha20Poly1305),
        "Fernet" => Some(EncryptionAlgorithm::Fernet),
        "passphrase" => Some(EncryptionAlgorithm::Passphrase),
        other => {
            faults.add(
                "algorithm",
                format!("`{other}` is not an encryption algorithm"),
                "Use AES-256-GCM, ChaCha20-Poly1305, Fernet or passphrase",
            );
            None
        }
    }
}

fn triggers(spec: &Spec, faults: &mut Faults) -> Triggers {
    let time_zone = spec.time_zone.as_deref().unwrap_or("UTC");
    let cron = spec.cron.as_deref().and_then(|text| match Cron::new(text, time_zone) {
        Ok(cron) => Some(cron),
        Err(error) => {
            faults.add("cron", error, "Example: `0 3 * * SUN` is each Sunday at 03:00");
            None
        }
    });
    let quiet_hours =
        spec.quiet_hours.as_deref().and_then(|text| match QuietHours::new(text, time_zone) {
            Ok(quiet) => Some(quiet),
            Err(cause) => {
                faults.add("quiet_hours", cause, "Write from-until, such as 22:00-06:00");
                None
            }
        });
    let rotate_every = faults.optional_span("rotate_every", spec.rotate_every.as_deref());
    if rotate_every == Some(Span::ZERO) {
        faults.add("rotate_every", "is zero", "Give a length of time, or remove it");
    }
    if spec.max_uses == Some(0) {
        faults.add("max_uses", "is zero", "Give at least 1, or remove it");
    }
    Triggers {
        rotate_every,
        cron,
        max_age_at_use: faults.optional_span("max_age_at_use", spec.max_age_at_use.as_deref()),
        max_uses: spec.max_uses,
        on_event: spec.on_event.iter().cloned().collect(),
        jitter: faults.span("jitter", spec.jitter.as_deref(), Span::ZERO),
        quiet_hours,
    }
}

fn destroy_after(spec: &Spec, faults: &mut Faults) -> Option<Span> {
    match spec.destroy_after.as_deref() {
        Some("never") => None,
        Some(text) => faults.optional_span("destroy_after", Some(text)),
        // What an encryption key protected may lie in a backup for years.
        None if spec.kind == "encryption" => None,
        None => Some(Span::from_secs(30 * 86_400)),
    }
}

fn on_compromise(spec: &Spec, faults: &mut Faults) -> OnCompromise {
    let within = faults.span("switch_within", spec.switch_within.as_deref(), Span::from_secs(60));
    match spec.on_compromise.as_deref() {
        None | Some("switch_first") => OnCompromise::SwitchFirst { within },
        Some("reject_first") => {
            if spec.switch_within.is_some() {
                faults.add(
                    "switch_within",
                    "has no meaning with on_compromise = \"reject_first\"",
                    "Remove it",
                );
            }
            OnCompromise::RejectFirst
        }
        Some(other) => {
            faults.add(
                "on_compromise",
                format!("`{other}` is not known"),
                "Use switch_first or reject_first",
            );
            OnCompromise::RejectFirst
        }
    }
}

fn required_gates(spec: &Spec, faults: &mut Faults) -> BTreeSet<GateName> {
    let mut gates = BTreeSet::new();
    for name in &spec.require {
        match name.parse::<GateName>() {
            Ok(gate) if crate::gate::BUILT_IN.contains(&gate.as_str()) => faults.add(
                "require",
                format!("`{gate}` is a gate of keywheel's own and always in force"),
                "Remove it, or name a gate that you will report",
            ),
            Ok(gate) => {
                gates.insert(gate);
            }
            Err(error) => faults.add("require", error, "Rename it"),
        }
    }
    gates
}

fn findings_max_age(spec: &Spec, faults: &mut Faults) -> Option<Span> {
    let text = spec.findings_max_age.as_deref();
    if text.is_some() && !spec.require.iter().any(|gate| gate == FINDINGS) {
        faults.add(
            "findings_max_age",
            "has no meaning where the gate `findings` is not required",
            "Add findings to require, or remove it",
        );
    }
    match text {
        Some("never") => None,
        Some(text) => {
            let most = faults.optional_span("findings_max_age", Some(text));
            if most == Some(Span::ZERO) {
                faults.add("findings_max_age", "is zero", "No scan would ever be new enough");
            }
            most
        }
        None => super::findings_max_age(),
    }
}

/// `profile`, `name=5m` (both waits), or `name=5m/1h` (to learn of a key, and to forget one).
fn passive(spec: &Spec, faults: &mut Faults) -> BTreeMap<String, Passive> {
    let mut all = BTreeMap::new();
    for entry in &spec.passive {
        let (name, passive) = match entry.split_once('=') {
            Some((name, text)) => (name.trim(), declared(text, faults)),
            None => (entry.trim(), Some(Passive::of_profile(entry.trim()))),
        };
        if name.is_empty() {
            faults.add("passive", "an entry has no name", "Name it, for example `gateway=5m`");
        }
        if let Some(passive) = passive
            && all.insert(name.to_owned(), passive).is_some()
        {
            faults.add("passive", format!("`{name}` is listed twice"), "Keep one of them");
        }
    }
    all
}

fn declared(text: &str, faults: &mut Faults) -> Option<Passive> {
    let (learns, keeps) = text.split_once('/').unwrap_or((text, text));
    let learns_within = faults.optional_span("passive", Some(learns));
    let keeps_for =
        if keeps == learns { learns_within } else { faults.optional_span("passive", Some(keeps)) };
    Some(Passive::declared(learns_within?, keeps_for?))
}

fn consumers(spec: &Spec, faults: &mut Faults) -> BTreeMap<ConsumerName, Consumer> {
    let mut all = BTreeMap::new();
    for raw in &spec.consumer {
        let name = match raw.name.parse::<ConsumerName>() {
            Ok(name) => name,
            Err(error) => {
                faults.add("consumer.name", error, "Rename it");
                continue;
            }
        };
        let consumer = consumer(raw, faults);
        if all.insert(name.clone(), consumer).is_some() {
            faults.add(
                "consumer.name",
                format!("`{name}` is declared twice"),
                "One consumer is one service; count its processes with min_instances",
            );
        }
    }
    all
}

fn consumer(raw: &ConsumerSpec, faults: &mut Faults) -> Consumer {
    let field = format!("consumer.{}", raw.name);
    let (least, most) =
        (raw.min_instances.unwrap_or(1), raw.max_instances.unwrap_or(INSTANCES_MAX));
    if most > INSTANCES_MAX {
        faults.add(
            &format!("{field}.max_instances"),
            format!("{most} is more than a server carries"),
            format!("At most {INSTANCES_MAX} instances of a consumer can be"),
        );
    }
    if least > most {
        faults.add(
            &format!("{field}.min_instances"),
            format!("asks for {least} instances where at most {most} can exist"),
            "The gates would never open; lower it, or raise max_instances",
        );
    }
    if raw.one_slot && !raw.cutover {
        faults.add(
            &format!("{field}.one_slot"),
            "a consumer that holds one value cannot accept a key before it is used",
            "Let it hold two values, or set cutover = true and accept what its reload refuses",
        );
    }
    if raw.cutover && !raw.one_slot {
        faults.add(
            &format!("{field}.cutover"),
            "is declared for a consumer that holds several values",
            "Remove it; this consumer needs no exception",
        );
    }
    if raw.min_evidence == Some(EvidenceLevel::Assumed) {
        faults.add(
            &format!("{field}.min_evidence"),
            "`assumed` is what holds when nobody has shown anything",
            "Use attested, held, exercised or probed",
        );
    }
    Consumer {
        role: raw.role,
        min_instances: least,
        cutover: raw.one_slot && raw.cutover,
        min_evidence: raw.min_evidence.unwrap_or(EvidenceLevel::Attested),
    }
}

fn check_together(policy: &Policy, spec: &Spec, faults: &mut Faults) {
    if !(2..=64).contains(&policy.max_accepted) {
        faults.add(
            "max_accepted",
            format!("{} is outside 2 to 64", policy.max_accepted),
            "A rotation needs two accepted versions: the old and the new",
        );
        return;
    }
    let tail = policy.promises().accepted_for();
    let retire_after = faults.optional_span("retire_after", spec.retire_after.as_deref());
    if let Some(retire_after) = retire_after
        && retire_after < tail
    {
        faults.add(
            "retire_after",
            format!("{retire_after} is shorter than what the ring protects may live ({tail})"),
            format!("Raise it to {tail} or more, remove it, or shorten longest_lifetime"),
        );
    }
    if policy.lease_ttl == Span::ZERO || policy.offline_max < policy.lease_ttl {
        faults.add(
            "offline_max",
            format!("{} is shorter than lease_ttl ({})", policy.offline_max, policy.lease_ttl),
            "An instance must be lost before it can be gone; raise offline_max",
        );
    }
    check_revocations(policy, faults);
    if policy.health.max_rejected_percent > 100 {
        faults.add("max_rejected_percent", "is more than 100", "Give 0 to 100");
    }
    if let Some(every) = policy.triggers.rotate_every {
        check_pace(policy, every, tail, faults);
    }
}

/// Each renewal of a lease confirms what was revoked; between two of them nobody can know.
fn check_revocations(policy: &Policy, faults: &mut Faults) {
    let Some(stale_after) = policy.revocations_stale_after else { return };
    if stale_after < policy.lease_ttl {
        faults.add(
            "revocations_stale_after",
            format!("{stale_after} is shorter than lease_ttl ({})", policy.lease_ttl),
            "Clients would refuse every token between two renewals; raise it, or lower lease_ttl",
        );
    }
}

/// A schedule that starts rotations faster than their versions can leave fills the accepted set and
/// then stands still; better said now.
fn check_pace(policy: &Policy, every: Span, tail: Span, faults: &mut Faults) {
    let tails = tail.as_millis().div_ceil(every.as_millis().max(1));
    let room = policy.max_accepted.saturating_sub(2) as u64;
    if every < policy.propagation() {
        faults.add(
            "rotate_every",
            format!(
                "{every} is shorter than the propagation of passive consumers ({})",
                policy.propagation()
            ),
            "Rotate more slowly than your slowest cache learns",
        );
    } else if tails > room {
        faults.add(
            "rotate_every",
            format!(
                "{every} is faster than the ring's own stages: a replaced version stays accepted \
                 for {tail}, so {tails} would drain at once, and max_accepted = {} leaves room for \
                 {room}",
                policy.max_accepted
            ),
            "Rotate more slowly, shorten longest_lifetime, or raise max_accepted",
        );
    }
}
