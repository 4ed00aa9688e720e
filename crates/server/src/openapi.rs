//! The OpenAPI 3.1 document, made from the table of operations and the schemas of the wire types.

use schemars::SchemaGenerator;
use schemars::generate::SchemaSettings;
use serde_json::{Map, Value, json};

use keywheel_api::problem::{self, Kind, Problem};

use crate::authz::{self, Right};
use crate::call::IDEMPOTENCY_KEY_MAX;
use crate::operation::{self, Access, Answer, Body, Operation, Parameter, SchemaOf, Shape, schema};

const NAME: &str = "^[a-z0-9][a-z0-9._-]{0,63}$";

/// The document that `/openapi.json` answers with.
pub fn openapi() -> Value {
    let settings = SchemaSettings::draft2020_12()
        .with(|settings| settings.definitions_path = "/components/schemas".into());
    let mut generator = settings.into_generator();
    let mut paths = Map::new();
    for operation in operation::all() {
        let described = describe(operation, &mut generator);
        let path = paths.entry(operation.path).or_insert_with(|| json!({}));
        if let Some(methods) = path.as_object_mut() {
            methods.insert(operation.method.as_str().to_ascii_lowercase(), described);
        }
    }
    schema::<Problem>(&mut generator);
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "keywheel",
            "version": "1",
            "summary": "Rotates the secrets of running applications without dropping a request.",
            "description": "Errors are problem documents (RFC 9457) with a stable type, a cause \
                and a remedy. Times are RFC 3339 in UTC, lengths of time are text such as 30m, \
                binary values are base64url without padding. Requests refuse unknown fields.",
            "license": { "name": "MIT OR Apache-2.0", "identifier": "MIT OR Apache-2.0" },
        },
        "servers": [{ "url": "/" }],
        "paths": paths,
        "components": {
            "schemas": generator.take_definitions(true),
            "securitySchemes": { "token": {
                "type": "http",
                "scheme": "bearer",
                "description": "kw_<id>_<secret>, as POST /v1/tokens gives it out.",
            } },
        },
    })
}

fn describe(operation: &Operation, generator: &mut SchemaGenerator) -> Value {
    let mut described = json!({
        "operationId": operation.id,
        "summary": operation.summary,
        "tags": [tag(operation.path)],
        "security": match operation.access {
            Access::Open => json!([]),
            Access::Right(_) => json!([{ "token": [] }]),
            Access::Metrics => json!([{ "token": [] }, {}]),
        },
        "x-roles": match operation.access {
            Access::Open => Vec::new(),
            Access::Right(right) => authz::roles(right),
            Access::Metrics => authz::roles(Right::ReadMetrics),
        },
        "parameters": parameters(operation),
        "responses": responses(operation, generator),
    });
    let body = match operation.body {
        Body::Nothing => None,
        Body::Optional(of) => Some((of, false, "application/json")),
        Body::Required(of) | Body::Large(of) => Some((of, true, "application/json")),
        Body::Form(of) => Some((of, true, "application/x-www-form-urlencoded")),
    };
    if let (Some((of, required, media)), Some(fields)) = (body, described.as_object_mut()) {
        let content = json!({ media: { "schema": of(generator) } });
        fields.insert("requestBody".into(), json!({ "required": required, "content": content }));
    }
    described
}

fn tag(path: &str) -> &str {
    path.strip_prefix("/v1/").and_then(|rest| rest.split('/').next()).unwrap_or("server")
}

fn parameters(operation: &Operation) -> Vec<Value> {
    let segments = operation.path.split('/').filter_map(|segment| {
        let name = segment.strip_prefix('{')?.strip_suffix('}')?;
        let schema = match name {
            "version" => json!({ "type": "integer", "minimum": 1, "maximum": u32::MAX }),
            "token" => json!({ "type": "string", "pattern": "^[0-9a-f]{16}$" }),
            _ => json!({ "type": "string", "pattern": NAME }),
        };
        Some(json!({ "name": name, "in": "path", "required": true, "schema": schema }))
    });
    let query = operation.query.iter().map(query_parameter);
    let mut all: Vec<_> = segments.chain(query).collect();
    if operation.conditional {
        all.push(json!({
            "name": "Idempotency-Key", "in": "header", "required": false,
            "description": "The same request with the same key happens once.",
            "schema": {
                "type": "string", "pattern": format!("^[!-~]{{1,{IDEMPOTENCY_KEY_MAX}}}$"),
            },
        }));
        all.push(json!({
            "name": "If-Match", "in": "header", "required": false,
            "description": "The ETag of the ring's status; the request is refused when it changed.",
            "schema": { "type": "string", "pattern": "^\"[0-9]{1,19}\"$" },
        }));
    }
    if matches!(operation.answer, Answer::Events(..)) {
        all.push(json!({
            "name": "Last-Event-ID", "in": "header", "required": false,
            "description": "As `since`, which it replaces; sent by clients that reconnect.",
            "schema": { "type": "string", "pattern": "^[0-9]{1,19}$" },
        }));
    }
    all
}

fn query_parameter(parameter: &Parameter) -> Value {
    let schema = match parameter.shape {
        Shape::Integer { least, most } => {
            json!({ "type": "integer", "minimum": least, "maximum": most })
        }
        Shape::Name => json!({ "type": "string", "pattern": NAME }),
        Shape::Span { most_secs } => json!({
            "type": "string",
            "pattern": "^([0-9]+(ms|s|m|h|d|w))+$",
            "description": format!("At most {most_secs}s."),
        }),
    };
    json!({
        "name": parameter.name,
        "in": "query",
        "required": parameter.required,
        "description": parameter.description,
        "schema": schema,
    })
}

fn responses(operation: &Operation, generator: &mut SchemaGenerator) -> Value {
    let mut all = Map::new();

    let (status, mut answer) = match operation.answer {
        Answer::Json(status, of) => {
            (status, json!({ "description": "Done.", "content": json_of(of, generator) }))
        }
        Answer::Ring(of) => (
            200,
            json!({
                "description": "How the ring stands now.",
                "headers": { "ETag": {
                    "description": "The ring's revision, for If-Match.",
                    "schema": { "type": "string" },
                } },
                "content": json_of(of, generator),
            }),
        ),
        Answer::Document => (
            200,
            json!({ "description": "Done.", "content": { "application/json": { "schema": {} } } }),
        ),
        Answer::Text(media) => (
            200,
            json!({
                "description": "Done.",
                "content": { media: { "schema": { "type": "string" } } },
            }),
        ),
        Answer::Events(event, poll) => {
            let event = event(generator);
            let content = json!({
                "application/json": { "schema": poll(generator) },
                "text/event-stream": {
                    "schema": { "type": "string" }, "x-event": "change", "x-event-data": event,
                },
            });
            (200, json!({ "description": "Changes as they happen.", "content": content }))
        }
    };
    if let Some(fields) = answer.as_object_mut() {
        let headers = fields.entry("headers").or_insert_with(|| json!({}));
        headers["Cache-Control"] = json!({ "schema": { "type": "string" } });
    }
    all.insert(status.to_string(), answer);
    for kind in operation.all_refusals() {
        add_refusal(&mut all, kind);
    }
    Value::Object(all)
}

fn json_of(of: SchemaOf, generator: &mut SchemaGenerator) -> Value {
    json!({ "application/json": { "schema": of(generator) } })
}

fn add_refusal(all: &mut Map<String, Value>, kind: Kind) {
    let (name, title, status) = kind.parts();
    let described = all.entry(status.to_string()).or_insert_with(|| {
        let headers = match kind {
            Kind::Unauthenticated => json!({
                "WWW-Authenticate": { "schema": { "type": "string", "const": "Bearer" } },
            }),
            _ if status == 503 => json!({ "Retry-After": { "schema": { "type": "integer" } } }),
            _ => json!({}),
        };
        json!({
            "description": "",
            "headers": headers,
            "content": { problem::CONTENT_TYPE: {
                "schema": { "$ref": "#/components/schemas/Problem" },
            } },
        })
    });
    let said = described["description"].as_str().unwrap_or_default();
    let separator = if said.is_empty() { "" } else { " " };
    described["description"] = json!(format!("{said}{separator}`{name}`: {title}."));
}
