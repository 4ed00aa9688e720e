//! The `keywheel` binary. Everything it does is in the library beside it, so that tests and fuzz
//! targets can reach it.

use std::process::ExitCode;

fn main() -> ExitCode {
    keywheel_cli::main()
}
