//! The commented file that `keywheel agent --example` prints.

/// Every field with its unit and default. Lines that start with `#` and a letter are fields that
/// may be used by removing the `#`; lines that start with `# ` are for people.
pub const EXAMPLE: &str = include_str!("agent.toml");

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::config::agent::{AgentConfig, RawAgent, Serving};
    use crate::config::template::tests::{field_names, in_full, key_names};

    #[test]
    fn the_example_settles() {
        let config = AgentConfig::parse(Path::new("agent.toml"), EXAMPLE, Serving::Elsewhere);
        let config = config.unwrap();
        assert_eq!(config.consumers.len(), 1);
        assert_eq!(config.consumers[0].delivery.sinks.len(), 1);
    }

    #[test]
    fn every_commented_field_has_the_right_name_and_type() {
        if let Err(error) = toml::from_str::<RawAgent>(&in_full(EXAMPLE)) {
            panic!("{error}");
        }
    }

    #[test]
    fn every_field_of_the_schema_is_in_the_example() {
        let schema = schemars::schema_for!(RawAgent).to_value();
        let names = field_names(&schema);
        assert!(names.contains("danger_world_readable") && names.contains("which"), "{names:?}");
        let present = key_names(&in_full(EXAMPLE).parse().unwrap());
        let missing: Vec<_> = names.difference(&present).collect();
        assert!(missing.is_empty(), "not in agent.toml: {missing:?}");
    }
}
