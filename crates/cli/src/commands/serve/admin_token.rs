//! The token of the first administrator: made at the first start, written into a file of mode 0600,
//! and never shown.

use std::path::Path;

use keywheel_engine::{Context, Engine, NewToken, RingScope, Role};
use zeroize::Zeroizing;

use crate::failure::Failure;
use crate::private::Reserved;
use crate::state::engine_failure;

/// Sees to it that an administrator can reach a new server.
pub(super) fn ensure(engine: &Engine, file: &Path, wants_another: bool) -> Result<(), Failure> {
    let tokens = engine.tokens().map_err(|error| engine_failure(&error))?;
    // An empty file was left by a start that was killed between the two steps below.
    let is_empty = std::fs::metadata(file).is_ok_and(|facts| facts.len() == 0);
    if is_empty {
        std::fs::remove_file(file).map_err(|error| Failure::io("replaced", file, &error))?;
    }
    if !tokens.is_empty() && !is_empty && !wants_another {
        return Ok(());
    }
    let reserved = Reserved::new(file)?;
    let new = NewToken {
        name: "admin".into(),
        role: Role::Admin,
        rings: RingScope::All,
        consumer: None,
        cidr: None,
        uid: None,
        expires_in: None,
    };
    let context = Context { actor: "keywheel".into(), ..Context::default() };
    let (token, info) =
        engine.create_token(new, &context).map_err(|error| engine_failure(&error))?;
    let mut line = Zeroizing::new(String::with_capacity(token.len() + 1));
    line.push_str(&token);
    line.push('\n');
    reserved.fill(line.as_bytes())?;
    tracing::info!(id = info.id, file = %file.display(), "the administrator's token is in this file");
    Ok(())
}
