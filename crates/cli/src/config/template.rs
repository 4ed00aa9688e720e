//! The commented file that `keywheel init` writes.

/// Every field with its unit and default. Lines that start with `#` and a letter are fields that
/// may be used by removing the `#`; lines that start with `# ` are for people.
pub const TEMPLATE: &str = include_str!("keywheel.toml");

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::path::Path;

    use super::*;
    use crate::config::{Config, RawConfig};

    #[test]
    fn the_template_settles() {
        let config = Config::parse(Path::new("keywheel.toml"), TEMPLATE).unwrap();
        assert_eq!(config.rings.len(), 1);
        assert!(config.server.state_dir.ends_with(".keywheel"));
    }

    /// The template with each field in use. It need not settle, because some exclude each other,
    /// but names and types must be right.
    fn in_full() -> String {
        let is_field = |line: &str| {
            line.strip_prefix('#')
                .is_some_and(|rest| rest.starts_with(|c: char| !c.is_whitespace()))
        };
        TEMPLATE
            .lines()
            .map(|line| if is_field(line) { line.get(1..).unwrap_or_default() } else { line })
            .collect::<Vec<_>>()
            .join("\n")
    }

    #[test]
    fn every_commented_field_has_the_right_name_and_type() {
        let alternatives: [&[&str]; 3] =
            [&["file"], &["credential"], &["passphrase_file", "kdf_file"]];
        for kept in alternatives {
            let mut table: toml::Table = in_full().parse().unwrap();
            let kek = table["server"]["kek"].as_table_mut().unwrap();
            // The sources of a master key exclude each other already where they are read.
            assert_eq!(kek.len(), 4);
            kek.retain(|name, _| kept.contains(&name));
            if let Err(error) = table.try_into::<RawConfig>() {
                panic!("{kept:?}: {error}");
            }
        }
    }

    #[test]
    fn every_field_of_the_schema_is_in_the_template() {
        let schema = schemars::schema_for!(RawConfig).to_value();
        let mut names = BTreeSet::new();
        field_names(&schema, &mut names);
        assert!(names.contains("rotate_every") && names.contains("kdf_file"), "{names:?}");
        let table: toml::Table = in_full().parse().unwrap();
        let mut present = BTreeSet::new();
        key_names(&toml::Value::Table(table), &mut present);
        let missing: Vec<_> = names.difference(&present).collect();
        assert!(missing.is_empty(), "not in keywheel.toml: {missing:?}");
    }

    fn field_names(schema: &serde_json::Value, names: &mut BTreeSet<String>) {
        match schema {
            serde_json::Value::Object(object) => {
                if let Some(serde_json::Value::Object(fields)) = object.get("properties") {
                    names.extend(fields.keys().cloned());
                }
                for value in object.values() {
                    field_names(value, names);
                }
            }
            serde_json::Value::Array(values) => {
                for value in values {
                    field_names(value, names);
                }
            }
            _ => {}
        }
    }

    fn key_names(value: &toml::Value, names: &mut BTreeSet<String>) {
        match value {
            toml::Value::Table(table) => {
                names.extend(table.keys().cloned());
                for value in table.values() {
                    key_names(value, names);
                }
            }
            toml::Value::Array(values) => {
                for value in values {
                    key_names(value, names);
                }
            }
            _ => {}
        }
    }
}
