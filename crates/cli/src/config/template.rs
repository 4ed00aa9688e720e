//! The commented file that `keywheel init` writes.

/// Every field with its unit and default. Lines that start with `#` and a letter are fields that
/// may be used by removing the `#`; lines that start with `# ` are for people.
pub const TEMPLATE: &str = include_str!("keywheel.toml");

#[cfg(test)]
pub(super) mod tests {
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

    /// A commented file with each field in use. It need not settle, because some exclude each
    /// other, but names and types must be right.
    pub(in crate::config) fn in_full(template: &str) -> String {
        let is_field = |line: &str| {
            line.strip_prefix('#')
                .is_some_and(|rest| rest.starts_with(|c: char| !c.is_whitespace()))
        };
        template
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
            let mut table: toml::Table = in_full(TEMPLATE).parse().unwrap();
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
        let names = field_names(&schema);
        assert!(names.contains("rotate_every") && names.contains("kdf_file"), "{names:?}");
        let present = key_names(&in_full(TEMPLATE).parse().unwrap());
        let missing: Vec<_> = names.difference(&present).collect();
        assert!(missing.is_empty(), "not in keywheel.toml: {missing:?}");
    }

    /// Every field that a schema knows.
    pub(in crate::config) fn field_names(schema: &serde_json::Value) -> BTreeSet<String> {
        let mut names = BTreeSet::new();
        match schema {
            serde_json::Value::Object(object) => {
                if let Some(serde_json::Value::Object(fields)) = object.get("properties") {
                    names.extend(fields.keys().cloned());
                }
                names.extend(object.values().flat_map(field_names));
            }
            serde_json::Value::Array(values) => names.extend(values.iter().flat_map(field_names)),
            _ => {}
        }
        names
    }

    /// Every key that a document uses.
    pub(in crate::config) fn key_names(table: &toml::Table) -> BTreeSet<String> {
        fn within(value: &toml::Value) -> BTreeSet<String> {
            match value {
                toml::Value::Table(table) => key_names(table),
                toml::Value::Array(values) => values.iter().flat_map(within).collect(),
                _ => BTreeSet::new(),
            }
        }
        table.keys().cloned().chain(table.values().flat_map(within)).collect()
    }
}
