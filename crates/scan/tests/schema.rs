//! A report says what its published schema says.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use keywheel_scan::report;
use serde_json::Value;

/// Follows `$ref` within the schema.
fn resolved<'a>(schema: &'a Value, root: &'a Value) -> &'a Value {
    match schema["$ref"].as_str() {
        Some(reference) => root.pointer(reference.trim_start_matches('#')).unwrap(),
        None => schema,
    }
}

/// The part of JSON Schema that our schema uses.
fn holds(value: &Value, schema: &Value, root: &Value, at: &str) {
    let schema = resolved(schema, root);
    for word in ["oneOf", "anyOf"] {
        if let Some(ways) = schema[word].as_array() {
            let fits = |way: &Value| {
                let way = resolved(way, root);
                way["const"] == *value
                    || (way["type"] == "null" && value.is_null())
                    || way["enum"].as_array().is_some_and(|all| all.contains(value))
                    || (value.is_object() && way["type"] == "object")
                    || way["oneOf"]
                        .as_array()
                        .is_some_and(|all| all.iter().any(|one| one["const"] == *value))
            };
            assert!(ways.iter().any(fits), "{at}: {value} is none of {ways:?}");
            return;
        }
    }
    if let Some(all) = schema["enum"].as_array() {
        assert!(all.contains(value), "{at}: {value}");
    }
    let types = match &schema["type"] {
        Value::Array(types) => types.clone(),
        one => vec![one.clone()],
    };
    let is = match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(_) => "integer",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    };
    assert!(types.iter().any(|one| one == is || one.is_null()), "{at}: {value} is no {types:?}");
    for (index, item) in value.as_array().into_iter().flatten().enumerate() {
        holds(item, &schema["items"], root, &format!("{at}/{index}"));
    }
    if let Some(object) = value.as_object() {
        for name in schema["required"].as_array().into_iter().flatten() {
            assert!(object.contains_key(name.as_str().unwrap()), "{at} lacks {name}");
        }
        for (name, value) in object {
            let property = schema["properties"].get(name);
            let property = property.unwrap_or(&Value::Bool(false));
            assert!(property.is_object(), "{at}/{name} is not in the schema");
            holds(value, property, root, &format!("{at}/{name}"));
        }
    }
}

#[test]
fn a_full_report_is_as_the_schema_says() {
    let finding = serde_json::json!({
        "id": "0", "kind": "hardcoded", "rule": "python/literal", "key": "K", "name": "K",
        "class": "key", "path": "a.py", "line": 1, "column": 1, "scope": "module",
        "hot_reload": "no", "source": "literal",
        "literal": { "fingerprint": "0", "placeholder": true }, "sink": "jwt.encode",
        "does": "signs", "confidence": "high", "reason": "r", "remedy": "m", "blocking": true,
        "in_tests": false, "known": false,
    });
    let text = serde_json::json!({
        "version": 1, "findings": [finding],
        "keys": [{ "key": "K", "class": "key", "names": ["K"], "consumers": 1, "blocking": 1,
                   "live": 0, "hardcoded": 1, "in_tests": 0 }],
        "notes": [{ "kind": "limit", "path": "a", "says": "s" }],
        "stats": { "files": 1, "bytes": 1, "files_with_keys": 1, "findings": 1, "blocking": 1,
                   "in_tests": 0, "known": 0, "ignored": 0, "dropped": 0 },
    });
    let report: report::Report = serde_json::from_value(text.clone()).unwrap();
    let again = serde_json::to_value(&report).unwrap();
    assert_eq!(again, text, "a field is missing here or there");
    let schema = report::schema();
    holds(&again, &schema, &schema, "");
}
