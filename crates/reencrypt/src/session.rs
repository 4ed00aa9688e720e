//! A connection, and the settings under which a move works.

use std::time::{Duration, Instant};

use postgres::config::{Host, SslMode};
use postgres::{Client, NoTls};

use crate::error::{Doing as _, Error, Said};
use crate::settings::Settings;

/// The configuration of a URL.
///
/// # Errors
/// It is none of PostgreSQL, or the server is elsewhere and plaintext is not allowed.
pub fn config(url: &str, allow_plaintext: bool) -> Result<postgres::Config, Error> {
    let is_url = url.starts_with("postgresql://") || url.starts_with("postgres://");
    let mut config: postgres::Config =
        Some(url).filter(|_| is_url).ok_or(Error::Url)?.parse().map_err(|_| Error::Url)?;
    let is_near = config.get_hosts().iter().all(|host| match host {
        Host::Unix(_) => true,
        Host::Tcp(name) => {
            name == "localhost" || name.parse().is_ok_and(|ip: std::net::IpAddr| ip.is_loopback())
        }
    }) && config.get_hostaddrs().iter().all(std::net::IpAddr::is_loopback);
    if config.get_ssl_mode() == SslMode::Require || !(is_near || allow_plaintext) {
        return Err(Error::Plaintext);
    }
    config.application_name("keywheel reencrypt");
    config.connect_timeout(Duration::from_secs(10));
    Ok(config)
}

/// Connects. The client has an event loop of its own, which must not run within another one.
///
/// # Errors
/// The server cannot be reached, or lets nobody in.
pub fn connect(config: &postgres::Config) -> Result<Client, Error> {
    config.connect(NoTls).map_err(|error| Error::Connect(Said::of(&error)))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_servers_on_this_machine_are_reached_without_a_word() {
        let of = |url| config(url, false).map(|_| ());
        assert_eq!(of("postgresql://a@/b?host=/run/postgresql"), Ok(()));
        assert_eq!(of("postgresql://a@127.0.0.1/b"), Ok(()));
        assert_eq!(of("postgresql://a:secret@db.example/b"), Err(Error::Plaintext));
        assert_eq!(of("postgresql://a@localhost/b?sslmode=require"), Err(Error::Plaintext));
        assert_eq!(of("mysql://a:secret@localhost/b"), Err(Error::Url));
        assert!(config("postgresql://a@db.example/b", true).is_ok());
    }
}
