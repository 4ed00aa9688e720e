//! `cargo xtask codegen`: the documents that the `keywheel` binary writes about itself (OpenAPI,
//! configuration schema, command line reference). They are committed; `--check` compares.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use crate::failure::Failure;
use crate::process::{self, cargo, run};

/// Where the generated documents live.
const FOLDER: &str = "docs/reference";

/// Generated files by name.
type Files = BTreeMap<String, Vec<u8>>;

/// Writes the generated documents anew.
pub(crate) fn write(root: &Path) -> Result<(), Failure> {
    let wanted = generate(root)?;
    let folder = root.join(FOLDER);
    for name in differing(&wanted, &committed(&folder)?) {
        let path = folder.join(name);
        let content = wanted.get(name).map_or(&[][..], Vec::as_slice);
        std::fs::create_dir_all(&folder).map_err(|error| unusable(&folder, &error))?;
        std::fs::write(&path, content).map_err(|error| unusable(&path, &error))?;
        println!("{FOLDER}/{name} changed");
    }
    Ok(())
}

/// Compares the generated documents with the committed ones.
pub(crate) fn check(root: &Path) -> Result<(), Failure> {
    let wanted = generate(root)?;
    let present = committed(&root.join(FOLDER))?;
    let differing = differing(&wanted, &present);
    if differing.is_empty() {
        return Ok(());
    }
    let names: Vec<String> = differing.iter().map(|name| format!("{FOLDER}/{name}")).collect();
    Err(Failure::found(
        format!("not what the code generates: {}", names.join(", ")),
        "run `cargo xtask codegen`, look at the difference, and commit it",
    ))
}

/// Asks the binary for its documents.
fn generate(root: &Path) -> Result<Files, Failure> {
    // The whole workspace is named so that features unify nearly as they did for the tests;
    // otherwise cargo would build most dependencies once more.
    run(cargo(root).args(["build", "--locked", "--quiet", "--workspace", "--bin", "keywheel"]))?;
    let target = process::target_dir(root)?;
    let out = target.join("xtask-codegen");
    if out.exists() {
        std::fs::remove_dir_all(&out).map_err(|error| unusable(&out, &error))?;
    }
    std::fs::create_dir_all(&out).map_err(|error| unusable(&out, &error))?;
    let mut keywheel = Command::new(target.join("debug/keywheel"));
    run(keywheel.args(["internal", "generate", "--out"]).arg(&out))?;
    let files = committed(&out)?;
    if files.is_empty() {
        return Err(Failure::found(
            "`keywheel internal generate` wrote nothing",
            "the command must write the reference documents into the folder given by --out",
        ));
    }
    Ok(files)
}

/// Reads the files of one folder; a folder that does not exist is empty.
fn committed(folder: &Path) -> Result<Files, Failure> {
    let mut files = Files::new();
    if !folder.exists() {
        return Ok(files);
    }
    for entry in std::fs::read_dir(folder).map_err(|error| unusable(folder, &error))? {
        let path = entry.map_err(|error| unusable(folder, &error))?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        files.insert(name, std::fs::read(&path).map_err(|error| unusable(&path, &error))?);
    }
    Ok(files)
}

/// The generated files that are not there as they should be. Others in the folder were written by
/// people and are theirs.
fn differing<'a>(wanted: &'a Files, present: &Files) -> Vec<&'a str> {
    let differs = |name: &&String| wanted.get(*name) != present.get(*name);
    wanted.keys().filter(differs).map(String::as_str).collect()
}

fn unusable(path: &Path, error: &std::io::Error) -> Failure {
    Failure::machine(
        format!("{} cannot be used: {error}", path.display()),
        "check its permissions and the free space",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files(list: &[(&str, &str)]) -> Files {
        list.iter().map(|(name, text)| ((*name).to_owned(), text.as_bytes().to_vec())).collect()
    }

    #[test]
    fn equal_folders_do_not_differ() {
        let both = files(&[("cli.md", "x")]);
        assert!(differing(&both, &both).is_empty());
    }

    #[test]
    fn a_changed_and_a_new_file_are_named() {
        let wanted = files(&[("cli.md", "new"), ("openapi.json", "{}"), ("same", "s")]);
        let present = files(&[("cli.md", "old"), ("by-hand.md", ""), ("same", "s")]);
        assert_eq!(differing(&wanted, &present), ["cli.md", "openapi.json"]);
    }
}
