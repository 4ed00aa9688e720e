//! Secrets that are written into the configuration, where only a reload replaces them.

use super::scope::Node;
use super::{Finding, Weight, finding, has_variable, text};

/// What names of secrets contain.
const MARKS: &[&str] =
    &["secret", "token", "passw", "passphrase", "apikey", "api_key", "credential", "private_key"];

/// What names of keys end in, and what other things named key begin with.
const KEY: &str = "key";
const OTHER_KEYS: &[&str] = &["cache", "limit", "zone", "sort", "partition", "shard", "public"];

/// Values that are switches and no secrets.
const SWITCHES: &[&str] = &["", "0", "1", "on", "off", "yes", "no", "true", "false", "-", "none"];

/// Looks into a server and all that is within.
pub(super) fn look(node: &Node<'_>, found: &mut Vec<Finding>) {
    for child in &node.children {
        if let ("set", [name, value]) = (&*text(&child.directive.name), child.arguments())
            && is_named_like_a_secret(&text(name))
            && !has_variable(value)
            && !SWITCHES.contains(&text(value).to_ascii_lowercase().as_str())
        {
            found.push(finding(
                "secret-in-set",
                Weight::Advice,
                child,
                format!(
                    "{} holds one literal secret: nginx cannot accept its successor before it is \
                     used, and each rotation is a reload that may fail requests",
                    text(name)
                ),
                "let auth_request ask for a verdict, or let keywheel agent write the value and \
                 declare the consumer as one_slot",
            ));
        }
        look(child, found);
    }
}

fn is_named_like_a_secret(name: &str) -> bool {
    let name = name.trim_start_matches('$').to_ascii_lowercase();
    let is_key = name.ends_with(KEY) && !OTHER_KEYS.iter().any(|other| name.contains(other));
    is_key || MARKS.iter().any(|mark| name.contains(mark))
}
