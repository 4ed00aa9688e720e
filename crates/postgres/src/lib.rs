//! Reaches a PostgreSQL: reads its URL, finds the password, and encrypts the connection.
//!
//! The options of a URL mean what they mean to `psql`, with one difference: a server on another
//! machine is never reached unencrypted, nor unchecked, unless that is said; why stands in
//! `docs/decisions/0022-tls-to-the-database.md`. What is then asked of the server is left to the
//! caller.
//!
//! ```no_run
//! use keywheel_postgres::{Address, Environment};
//!
//! # fn main() -> Result<(), keywheel_postgres::Error> {
//! let url = "postgresql://mover@db.example/shop?sslrootcert=/etc/shop/ca.pem";
//! let address = Address::parse(url, &Environment::read(), false)?;
//! let mut client = address.connect("an example")?;
//! # Ok(())
//! # }
//! ```

mod address;
mod environment;
mod error;
mod tls;

pub use address::Address;
pub use environment::Environment;
pub use error::Error;
