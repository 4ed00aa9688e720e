//! What supervisors ask: whether the process runs, and whether it can work. Without a token and
//! without detail; the detail is in `/metrics` and in the log.

use axum::response::{IntoResponse as _, Response};
use keywheel_api::problem::Kind;

use crate::call::Call;
use crate::operation::{Answer, Answering, Operation};
use crate::refusal::Refusal;

pub(crate) const OPERATIONS: &[Operation] = &[
    operation("healthz", "/healthz", "Says that this server runs.", |_| {
        Box::pin(async { Ok("ok\n".into_response()) })
    }),
    operation("readyz", "/readyz", "Says whether this server's store answers.", |call| {
        Box::pin(ready(call))
    }),
];

const fn operation(
    id: &'static str,
    path: &'static str,
    summary: &'static str,
    handler: fn(Call) -> Answering,
) -> Operation {
    Operation::open(id, path, summary, Answer::Text("text/plain"), &[], handler)
}

async fn ready(call: Call) -> Result<Response, Refusal> {
    let health = call.engine(|engine| Ok(engine.health())).await?;
    match health.store {
        Ok(()) => Ok("ready\n".into_response()),
        Err(_) => Err(Refusal::new(
            Kind::StoreUnavailable,
            "the store does not answer",
            "See the server's log",
        )),
    }
}
