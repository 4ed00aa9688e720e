//! A connection, and the settings under which a move works.

use std::time::Instant;

use keywheel_postgres::{Address, Environment};
use postgres::Client;

use crate::error::{Doing as _, Error};
use crate::settings::Settings;

/// The address that a URL and the environment give, as for `psql`.
///
/// # Errors
/// It is none of PostgreSQL, or the server is elsewhere, would be reached unencrypted, and that is
/// not allowed.
pub fn config(url: &str, allow_plaintext: bool) -> Result<Address, Error> {
    Ok(Address::parse(url, &Environment::read(), allow_plaintext)?)
}

/// Connects. The client has an event loop of its own, which must not run within another one.
///
/// # Errors
/// The server cannot be reached, is not who it should be, or lets nobody in.
pub fn connect(address: &Address) -> Result<Client, Error> {
    Ok(address.connect("keywheel reencrypt")?)
}

/// Sets what the statements of a move rely on.
///
/// Keys of rows travel as text, so the settings that text depends on are fixed. Plans shall go by
/// the index of the key whatever the statistics say. Rows that a policy hides become an error. The
/// search path stays the role's own: functions in indexes and triggers may rely on it.
pub(crate) fn prepare(client: &mut Client, settings: &Settings) -> Result<(), Error> {
    let text = format!(
        "SET row_security = off; SET lock_timeout = {}; SET statement_timeout = {}; \
         SET idle_in_transaction_session_timeout = '10min'; \
         SET default_transaction_isolation = 'read committed'; \
         SET timezone = 'UTC'; SET datestyle = 'ISO'; SET intervalstyle = 'postgres'; \
         SET extra_float_digits = 1; SET bytea_output = 'hex'; \
         SET plan_cache_mode = force_generic_plan; SET jit = off; \
         SET max_parallel_workers_per_gather = 0; \
         SET enable_hashjoin = off; SET enable_mergejoin = off; SET enable_seqscan = off; \
         SET enable_bitmapscan = off; SET enable_sort = off",
        settings.lock_timeout.as_millis(),
        settings.statement_timeout.as_millis(),
    );
    client.batch_execute(&text).doing("setting up the session")
}

/// Lets operators of further schemas be found, after those that the role finds itself.
pub(crate) fn see(client: &mut Client, schemas: &[String]) -> Result<(), Error> {
    if schemas.is_empty() {
        return Ok(());
    }
    let further = schemas.join(", ");
    let sql = "SELECT pg_catalog.set_config('search_path', pg_catalog.concat_ws(', ', \
               NULLIF(pg_catalog.current_setting('search_path'), ''), $1::text), false)";
    client.execute(sql, &[&further]).doing("setting up the session").map(|_| ())
}

/// The time, to see how long something took.
#[expect(clippy::disallowed_methods, reason = "paces batches, and decides nothing else")]
pub(crate) fn now() -> Instant {
    Instant::now()
}
