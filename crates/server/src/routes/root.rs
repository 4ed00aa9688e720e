//! The way in: a pointer for people, and the document for programs.

use axum::response::IntoResponse as _;
use hyper::{Method, StatusCode};

use crate::call::json;
use crate::operation::{Access, Answer, Body, Operation};

pub(crate) const OPERATIONS: &[Operation] = &[
    Operation {
        id: "pointer",
        method: Method::GET,
        path: "/",
        summary: "Says what this is and where to go on.",
        access: Access::Open,
        query: &[],
        conditional: false,
        body: Body::Nothing,
        answer: Answer::Text("text/plain"),
        refusals: &[],
        handler: |_| Box::pin(async { Ok(POINTER.into_response()) }),
    },
    Operation {
        id: "openApi",
        method: Method::GET,
        path: "/openapi.json",
        summary: "Describes this API.",
        access: Access::Open,
        query: &[],
        conditional: false,
        body: Body::Nothing,
        answer: Answer::Document,
        refusals: &[],
        handler: |_| Box::pin(async { json(StatusCode::OK, &crate::openapi::openapi()) }),
    },
];

const POINTER: &str = "keywheel, API v1\n\n/openapi.json  what can be asked\n\
    /v1/rings      the rings that a token is good for\n/healthz       whether this server runs\n\
    /readyz        whether its store answers\n";
