//! Where an existing key is taken from. Every buffer on the way is wiped, and no error quotes it.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use keywheel_api::ring::Import;
use keywheel_deliver::render::env_file::{self, Quoting};
use zeroize::Zeroizing;

use crate::exit::Exit;
use crate::failure::Failure;

/// The longest key that is read; the server reads no more either.
const KEY_BYTES_MAX: usize = 64 * 1024;

/// Where the key is, and how it is written.
#[derive(clap::Args, Clone, Debug)]
#[group(id = "source", required = true, multiple = false)]
pub(crate) struct Source {
    /// A file with the key alone: text, PEM or JWK
    #[arg(group = "source")]
    file: Option<PathBuf>,
    /// An environment file (.env); --key names the variable
    #[arg(long, value_name = "FILE", group = "source", requires = "key")]
    env_file: Option<PathBuf>,
    /// A variable of this process's environment
    #[arg(long, value_name = "NAME", group = "source")]
    env: Option<String>,
    /// Standard input
    #[arg(long, group = "source")]
    stdin: bool,
}

/// How the key is written.
#[derive(clap::Args, Clone, Debug)]
pub(crate) struct Form {
    /// The variable of the environment file
    #[arg(long, value_name = "NAME", requires = "env_file")]
    key: Option<String>,
    /// Takes everything behind the `=`, quotes too, as docker --env-file does
    #[arg(long, requires = "env_file")]
    literal: bool,
    /// How the key is written; default: pem or jwk when it looks like one, else text. `text` leaves
    /// out one line end, `raw` takes every byte
    #[arg(long, value_parser = ["raw", "text", "hex", "base64", "base64url", "pem", "jwk"])]
    format: Option<String>,
}

/// A key that was read, ready to travel.
pub(crate) struct ReadKey {
    /// What is sent.
    pub(crate) import: Import,
    /// How many bytes were read.
    pub(crate) bytes: usize,
}

impl Source {
    /// Reads the key.
    pub(crate) fn read(&self, form: &Form) -> Result<ReadKey, Failure> {
        let bytes = self.bytes(form)?;
        if bytes.is_empty() {
            return Err(Failure::failed(
                format!("the key in {} is empty", self.name()),
                "check where it comes from",
            ));
        }
        let format = match &form.format {
            Some(format) => format.clone(),
            None => guess(&bytes).to_owned(),
        };
        let value = URL_SAFE_NO_PAD.encode(bytes.as_slice());
        Ok(ReadKey { import: Import { format, value }, bytes: bytes.len() })
    }

    fn bytes(&self, form: &Form) -> Result<Zeroizing<Vec<u8>>, Failure> {
        if let Some(path) = &self.file {
            return read_file(path);
        }
        if let (Some(path), Some(name)) = (&self.env_file, &form.key) {
            let quoting = if form.literal { Quoting::Literal } else { Quoting::Shell };
            return from_env_file(path, name, quoting);
        }
        if let Some(name) = &self.env {
            return from_environment(name);
        }
        limited(&mut std::io::stdin().lock(), Path::new("standard input"))
    }

    fn name(&self) -> String {
        match (&self.file, &self.env_file, &self.env) {
            (Some(path), _, _) | (_, Some(path), _) => path.display().to_string(),
            (_, _, Some(name)) => format!("${name}"),
            _ => "standard input".to_owned(),
        }
    }
}

fn read_file(path: &Path) -> Result<Zeroizing<Vec<u8>>, Failure> {
    let mut file = File::open(path).map_err(|error| Failure::io("read", path, &error))?;
    limited(&mut file, path)
}

fn limited(reader: &mut dyn Read, name: &Path) -> Result<Zeroizing<Vec<u8>>, Failure> {
    // Room for all of it, so that no copy is left behind by growing.
    let mut bytes = Zeroizing::new(Vec::with_capacity(KEY_BYTES_MAX + 2));
    reader
        .take(KEY_BYTES_MAX as u64 + 1)
        .read_to_end(&mut bytes)
        .map_err(|error| Failure::io("read", name, &error))?;
    if bytes.len() > KEY_BYTES_MAX {
        return Err(Failure::failed(
            format!("{} is larger than a key can be ({KEY_BYTES_MAX} bytes)", name.display()),
            "name the file that holds the key alone",
        ));
    }
    Ok(bytes)
}

fn from_env_file(path: &Path, name: &str, quoting: Quoting) -> Result<Zeroizing<Vec<u8>>, Failure> {
    let bytes = read_file(path)?;
    let text = str::from_utf8(&bytes).map_err(|_| {
        Failure::failed(format!("{} is not text", path.display()), "name an environment file")
    })?;
    let value = env_file::find(text, name, quoting).map_err(|error| {
        let remedy = match &error {
            env_file::EnvFileError::Absent(_) => "check the name, which is case-sensitive",
            env_file::EnvFileError::Twice { .. } => "remove the one that your program ignores",
            _ => "print the value as your program sees it into: keywheel ring import … --stdin",
        };
        Failure::failed(format!("{}: {error}", path.display()), remedy)
    })?;
    Ok(Zeroizing::new(value.as_bytes().to_vec()))
}

fn from_environment(name: &str) -> Result<Zeroizing<Vec<u8>>, Failure> {
    use std::os::unix::ffi::OsStringExt as _;
    let value = std::env::var_os(name).ok_or_else(|| {
        Failure::new(
            Exit::Usage,
            format!("the environment has no variable `{name}`"),
            "export it in the shell that runs keywheel, or read it from --env-file",
        )
    })?;
    Ok(Zeroizing::new(value.into_vec()))
}

/// PEM and JWK are told by how they begin; anything else is the text that it is, or raw bytes.
fn guess(bytes: &[u8]) -> &'static str {
    let start = bytes.trim_ascii_start();
    if start.starts_with(b"-----BEGIN ") {
        return "pem";
    }
    let is_jwk = serde_json::from_slice::<serde_json::Map<String, serde_json::Value>>(bytes)
        .is_ok_and(|object| object.contains_key("kty"));
    match str::from_utf8(bytes) {
        _ if is_jwk => "jwk",
        Ok(_) => "text",
        Err(_) => "raw",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formats_are_told_by_how_a_key_begins() {
        for (bytes, format) in [
            (b"-----BEGIN PRIVATE KEY-----\n".as_slice(), "pem"),
            (b"{\"kty\":\"oct\",\"k\":\"AA\"}", "jwk"),
            (b"{\"not\":\"a key\"}", "text"),
            (b"django-insecure-x\n", "text"),
            (b"\xff\xfe", "raw"),
        ] {
            assert_eq!(guess(bytes), format);
        }
    }
}
