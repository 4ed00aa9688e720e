//! What the end-to-end tests share: the binary under test, and an installation of it.

#![allow(dead_code, unused_imports, reason = "each test binary uses its part")]
#![allow(unreachable_pub, reason = "each test binary has its own copy")]

use std::path::PathBuf;

// Not a dependency on the testkit: that one compiles the core with the feature that can take its
// rules away, and the binary under test is to be the one that ships.
#[path = "../../../testkit/src/kill/installation.rs"]
mod installation;

pub use installation::{
    Admin, Fallible, Installation, PATIENCE, Process, SERVER, eventually, words, write_private,
};

/// The binary under test: the one that cargo just built, unless `KEYWHEEL_BIN` names another.
pub fn binary() -> PathBuf {
    std::env::var_os("KEYWHEEL_BIN")
        .map_or_else(|| PathBuf::from(env!("CARGO_BIN_EXE_keywheel")), PathBuf::from)
}

/// Makes an installation with these rings.
pub fn installation(rings: &str) -> Installation {
    Installation::new(&binary(), &format!("{SERVER}{rings}")).unwrap()
}
