//! What all fuzz targets share: seeds that each target brings along, written out when asked.
//!
//! The targets themselves are the files of `src/bin`. Each takes bytes, feeds them to one parser of
//! keywheel, and asserts what must hold of everything that the parser accepts.

use std::path::Path;

/// The variable that asks a target to write its seeds into a folder and end.
pub const SEEDS_FOLDER: &str = "KEYWHEEL_FUZZ_SEEDS";

/// Writes the seeds and ends the program, when the environment asks for it.
pub fn write_seeds(seeds: &[&[u8]]) {
    let Some(folder) = std::env::var_os(SEEDS_FOLDER) else { return };
    for (number, seed) in seeds.iter().enumerate() {
        let path = Path::new(&folder).join(format!("seed-{number:03}"));
        if let Err(error) = std::fs::write(&path, seed) {
            eprintln!("{} cannot be written: {error}", path.display());
            std::process::exit(1);
        }
    }
    std::process::exit(0);
}

/// Declares a target: its seeds, and what is done with each input.
#[macro_export]
macro_rules! target {
    (seeds: $seeds:expr, |$input:ident: &[u8]| $body:expr) => {
        libfuzzer_sys::fuzz_target!(
            init: $crate::write_seeds($seeds),
            |$input: &[u8]| $body
        );
    };
}
