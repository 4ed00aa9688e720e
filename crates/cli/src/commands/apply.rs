//! `keywheel apply`: sends each ring of the configuration to the server. What the server has and
//! the file has not is listed and never deleted.

use keywheel_api::ring::{PutRing, RingStatus};
use keywheel_core::id::{ColumnName, RingName};
use keywheel_core::policy::{Column, ColumnSpec, Policy, Spec};
use serde::Serialize;

use crate::exit::Exit;
use crate::failure::{Failure, Outcome};
use crate::invocation::Invocation;
use crate::remote::Remote;
use crate::show::{Line, Piece, Tone};

/// The arguments of `keywheel apply`.
#[derive(clap::Args, Debug)]
pub struct Args {
    /// Only these rings; default: all of the configuration
    rings: Vec<RingName>,
    /// Shows the difference and changes nothing; exit code 2 when there is one
    #[arg(long)]
    dry_run: bool,
    /// Answers for removing a consumer that still has instances
    #[arg(long, value_name = "REASON")]
    removing_because: Option<String>,
}

/// What one ring needs.
#[derive(Serialize)]
struct Difference {
    ring: String,
    /// `create`, `change`, `same`, or `not_in_file`.
    action: &'static str,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    fields: Vec<FieldChange>,
    /// What its policy leaves to a guess, and what a change lets go.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    warnings: Vec<String>,
    #[serde(skip)]
    revision: Option<u64>,
}

impl Difference {
    /// Every consumer has a role, and one that has none any more is gone.
    fn drops_consumer(&self) -> bool {
        self.fields.iter().any(|change| {
            let of_consumer = change.field.strip_prefix("consumer.");
            of_consumer.and_then(|field| field.strip_suffix(".role")).is_some()
                && change.to.is_null()
        })
    }
}

/// One field, from and to; `null` where it is not set.
#[derive(Debug, PartialEq, Serialize)]
struct FieldChange {
    field: String,
    from: serde_json::Value,
    to: serde_json::Value,
}

/// Compares, and sends what differs.
///
/// # Errors
/// When the configuration is wrong, or the server refuses or cannot be reached.
pub fn run(invocation: &Invocation, args: &Args) -> Outcome {
    let config = invocation.config()?;
    let wanted: Vec<(&RingName, &Spec)> = config
        .rings
        .iter()
        .filter(|(name, _)| args.rings.is_empty() || args.rings.contains(name))
        .collect();
    if let Some(unknown) = args.rings.iter().find(|name| !config.rings.contains_key(*name)) {
        return Err(Failure::new(
            Exit::Usage,
            format!("ring `{unknown}` is not declared in {}", config.file.display()),
            "correct the name, or declare it",
        ));
    }
    let remote = Remote::open(invocation)?;
    let mut differences = compare(&wanted, &remote.rings()?);
    if !args.rings.is_empty() {
        differences.retain(|difference| difference.action != "not_in_file");
    }
    if !args.dry_run {
        for difference in differences.iter().filter(|d| matches!(d.action, "create" | "change")) {
            send(&remote, difference, &wanted, args)?;
        }
    }
    show(invocation, &differences, args.dry_run)?;
    let pending = differences.iter().any(|d| matches!(d.action, "create" | "change"));
    Ok(if args.dry_run && pending { Exit::Usage } else { Exit::Done })
}

fn send(
    remote: &Remote,
    difference: &Difference,
    wanted: &[(&RingName, &Spec)],
    args: &Args,
) -> Result<(), Failure> {
    let Some((name, spec)) = wanted.iter().find(|(name, _)| name.as_str() == difference.ring)
    else {
        return Ok(());
    };
    let body = PutRing {
        policy: (*spec).clone(),
        import: None,
        // Only for the ring that loses a consumer: the right to say so is not the right to edit.
        removing_because: args.removing_because.clone().filter(|_| difference.drops_consumer()),
    };
    let path = format!("/v1/rings/{name}");
    let _: RingStatus = remote.change("PUT", &path, &body, difference.revision)?;
    Ok(())
}

fn compare(wanted: &[(&RingName, &Spec)], present: &[RingStatus]) -> Vec<Difference> {
    let mut all = Vec::new();
    for (name, spec) in wanted {
        // A deleted ring is a tombstone; declaring it again creates it anew.
        let ring = present.iter().find(|ring| ring.name == name.as_str() && ring.deleted.is_none());
        let fields = ring.map_or_else(Vec::new, |ring| field_changes(&ring.policy, spec));
        let action = match ring {
            None => "create",
            Some(_) if fields.is_empty() => "same",
            Some(_) => "change",
        };
        let revision = ring.map(|ring| ring.revision);
        // The configuration is settled already; a policy that is wrong has been refused.
        let policy = Policy::try_from(*spec);
        let mut warnings = policy.as_ref().map(Policy::passive_warnings).unwrap_or_default();
        if let (Some(ring), Ok(policy)) = (ring, &policy) {
            warnings.extend(released(ring, policy));
        }
        all.push(Difference { ring: name.to_string(), action, fields, warnings, revision });
    }
    for ring in present.iter().filter(|ring| ring.deleted.is_none()) {
        if !wanted.iter().any(|(name, _)| name.as_str() == ring.name) {
            let (ring, fields, warnings) = (ring.name.clone(), Vec::new(), Vec::new());
            all.push(Difference { ring, action: "not_in_file", fields, warnings, revision: None });
        }
    }
    all
}

/// The fields in which two policies differ. Consumers are compared by name.
fn field_changes(from: &Spec, to: &Spec) -> Vec<FieldChange> {
    let (from, to) = (flat(from), flat(to));
    let mut changes = Vec::new();
    let fields: std::collections::BTreeSet<&String> = from.keys().chain(to.keys()).collect();
    for field in fields {
        let value = |side: &Flat| side.get(field).cloned().unwrap_or_default();
        let (from, to) = (value(&from), value(&to));
        if from != to {
            changes.push(FieldChange { field: field.clone(), from, to });
        }
    }
    changes
}

type Flat = std::collections::BTreeMap<String, serde_json::Value>;

fn flat(spec: &Spec) -> Flat {
    let mut flat = Flat::new();
    let Ok(serde_json::Value::Object(fields)) = serde_json::to_value(spec) else { return flat };
    for (field, value) in fields {
        match field.as_str() {
            "consumer" => named(&mut flat, "consumer", value.as_array(), |_, name| name.to_owned()),
            "column" => named(&mut flat, "column", value.as_array(), |index, _| {
                spec.column.get(index).map(ColumnSpec::name).unwrap_or_default()
            }),
            _ => drop(flat.insert(field, value)),
        }
    }
    flat
}

/// What stands in a list, by name and not by place.
fn named(
    flat: &mut Flat,
    list: &str,
    of: Option<&Vec<serde_json::Value>>,
    name: impl Fn(usize, &str) -> String,
) {
    for (index, one) in of.into_iter().flatten().enumerate() {
        let Some(object) = one.as_object() else { continue };
        let given = object.get("name").and_then(|name| name.as_str()).unwrap_or_default();
        let name = name(index, given);
        for (key, value) in object.iter().filter(|(key, _)| *key != "name") {
            flat.insert(format!("{list}.{name}.{key}"), value.clone());
        }
    }
}

/// What a change of columns lets go: a retiring version no longer waits for what is taken out.
fn released(ring: &RingStatus, to: &Policy) -> Vec<String> {
    let retiring = ring.versions.iter().filter(|version| version.state == "retiring");
    let retiring: Vec<_> = retiring.map(|version| format!("v{}", version.number)).collect();
    let Ok(from) = Policy::try_from(&ring.policy) else { return Vec::new() };
    let stays = |name: &ColumnName, column: &Column| {
        to.columns.get(name).is_some_and(|now| now.is_same_data(column))
    };
    let gone = from.columns.iter().filter(|(name, column)| !stays(name, column));
    gone.filter(|_| !retiring.is_empty())
        .map(|(name, column)| {
            format!(
                "{} will not wait for column {name} any more: what {}.{} holds under it no longer \
                 counts",
                retiring.join(", "),
                column.table,
                column.column
            )
        })
        .collect()
}

fn show(invocation: &Invocation, all: &[Difference], dry_run: bool) -> Result<(), Failure> {
    let console = &invocation.console;
    if console.json() {
        return console.value(&all);
    }
    for difference in all {
        let (tone, text) = match (difference.action, dry_run) {
            ("create", true) => (Tone::Good, "will be created"),
            ("create", false) => (Tone::Good, "created"),
            ("change", true) => (Tone::Waiting, "will change"),
            ("change", false) => (Tone::Waiting, "changed"),
            ("same", _) => (Tone::Faint, "is as declared"),
            _ => (Tone::Faint, "is on the server only, and stays there"),
        };
        let name = Piece::new(Tone::Strong, &difference.ring);
        console.lines(&[Line::new(vec![name, " ".into(), Piece::new(tone, text)])])?;
        for change in &difference.fields {
            let (from, to) = (written(&change.from), written(&change.to));
            console.lines(&[format!("  {}: {from} → {to}", change.field).into()])?;
        }
        for warning in &difference.warnings {
            let mark = Piece::new(Tone::Bad, "  warning: ");
            console.lines(&[Line::new(vec![mark, warning.into()])])?;
        }
    }
    if all.is_empty() {
        console.tell("The configuration declares no ring.")?;
    }
    Ok(())
}

fn written(value: &serde_json::Value) -> String {
    if value.is_null() { "(default)".to_owned() } else { value.to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec(text: &str) -> Spec {
        toml::from_str(text).unwrap()
    }

    #[test]
    fn differences_name_the_field_and_the_consumer() {
        let from = spec(
            "kind = 'secret'\nlongest_lifetime = '1h'\nskew = '1s'\n\
             [[consumer]]\nname = 'a'\nrole = 'protect'\n\
             [[consumer]]\nname = 'b'\nrole = 'process'\n",
        );
        let to = spec(
            "kind = 'secret'\nlongest_lifetime = '2h'\n\
             [[consumer]]\nname = 'b'\nrole = 'process'\nmin_instances = 2\n\
             [[consumer]]\nname = 'a'\nrole = 'protect'\n",
        );
        let changes: Vec<String> = field_changes(&from, &to)
            .iter()
            .map(|c| format!("{}: {} → {}", c.field, written(&c.from), written(&c.to)))
            .collect();
        assert_eq!(
            changes,
            [
                "consumer.b.min_instances: (default) → 2",
                "longest_lifetime: \"1h\" → \"2h\"",
                "skew: \"1s\" → (default)",
            ]
        );
        assert_eq!(field_changes(&to, &to), []);
    }
}
