//! The OpenAPI document and the router say the same.

use std::collections::BTreeSet;

use keywheel_server::openapi;
use serde_json::Value;

use crate::support::{Request, World};

const METHODS: [&str; 5] = ["get", "put", "post", "delete", "patch"];

fn concrete(path: &str) -> String {
    let path = path.replace("{ring}", "web").replace("{version}", "1");
    path.replace("{gate}", "probes").replace("{token}", "0123456789abcdef")
}

#[test]
fn the_router_takes_what_the_document_names_and_nothing_else() {
    let world = World::new();
    let document = openapi();
    for (path, operations) in document["paths"].as_object().unwrap() {
        let named: BTreeSet<_> = operations.as_object().unwrap().keys().collect();
        for method in METHODS {
            let answer = world.send(&Request::new(&method.to_ascii_uppercase(), &concrete(path)));
            let known = named.contains(&method.to_owned());
            assert_eq!(answer.status != 405, known, "{method} {path}: {answer:?}");
            assert!(!answer.body.contains("no such path"), "{method} {path}");
        }
    }
}

#[test]
fn the_server_gives_out_the_same_document() {
    let world = World::new();
    let answer = world.send(&Request::new("GET", "/openapi.json"));
    assert_eq!(answer.header("content-type"), Some("application/json"));
    assert_eq!(answer.json(), openapi());
}

#[test]
fn every_reference_leads_somewhere() {
    fn follow(value: &Value, document: &Value) {
        match value {
            Value::Object(fields) => {
                if let Some(reference) = fields.get("$ref").and_then(Value::as_str) {
                    let pointer = reference.strip_prefix('#').expect("a local reference");
                    assert!(document.pointer(pointer).is_some(), "{reference}");
                }
                fields.values().for_each(|value| follow(value, document));
            }
            Value::Array(items) => items.iter().for_each(|value| follow(value, document)),
            _ => {}
        }
    }
    let document = openapi();
    follow(&document, &document);
}

#[test]
fn every_operation_is_described_whole() {
    let document = openapi();
    assert_eq!(document["openapi"], "3.1.0");
    let mut ids = BTreeSet::new();
    for (path, operations) in document["paths"].as_object().unwrap() {
        for operation in operations.as_object().unwrap().values() {
            assert!(ids.insert(operation["operationId"].as_str().unwrap()));
            assert!(operation["summary"].as_str().unwrap().ends_with('.'));
            let parameters = operation["parameters"].as_array().unwrap();
            for segment in path.split('/').filter(|segment| segment.starts_with('{')) {
                let name = segment.trim_matches(['{', '}']);
                assert!(parameters.iter().any(|p| p["in"] == "path" && p["name"] == name));
            }
            for parameter in parameters {
                let schema = &parameter["schema"];
                assert!(schema["pattern"].is_string() || schema["maximum"].is_number());
            }
            for (status, response) in operation["responses"].as_object().unwrap() {
                assert!(!response["description"].as_str().unwrap().is_empty());
                if !status.starts_with('2') {
                    let content = &response["content"]["application/problem+json"];
                    assert_eq!(content["schema"]["$ref"], "#/components/schemas/Problem");
                }
            }
            assert!(operation["responses"]["500"].is_object());
        }
    }
}
