//! Configuration files: what they give, declare or pass on as a key. One reader a format says where
//! which entry stands (`yaml`, `toml`, [`env`] …); what an entry means is the same for all
//! (`judge`, `value`, `out`).
//!
//! The readers are written for this: they keep the place of every word, read on over what is no
//! valid file, because templates are none, and pass over each byte a bounded number of times.
//! Nothing is taken from other files; who includes whom is left to [`crate::join`].

mod docker;
mod env;
mod flow;
mod hcl;
mod ini;
mod judge;
mod look;
mod name;
mod out;
mod shell;
mod systemd;
mod toml;
mod tree;
mod value;
mod xml;
mod yaml;

use std::path::Path;

use judge::Style;
use out::Out;

use crate::rules::Rules;
use crate::site::{Sites, Unreadable};
use crate::source::SourceFile;
use crate::{apache, nginx};

/// The rule of scripts, whose lines are not entries.
const SHELL: &str = "config/shell";

/// The format of a configuration file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Format {
    /// Variables of an environment, one a line.
    Env,
    /// YAML, and templates of it.
    Yaml,
    /// JSON, also with comments.
    Json,
    /// TOML.
    Toml,
    /// Sections and `name = value`; properties of Java; `.conf` of whatever is no web server.
    Ini,
    /// Dockerfiles.
    Dockerfile,
    /// Scripts of a shell.
    Shell,
    /// Units of systemd.
    Systemd,
    /// Terraform and its kin.
    Hcl,
    /// XML.
    Xml,
}

impl Format {
    /// The format of the file of this name; none if it is no configuration, or one that holds no
    /// keys, such as a lock file, a manifest of a package or a translation.
    ///
    /// ```
    /// use keywheel_scan::config::Format;
    /// assert_eq!(Format::of("deploy/values.yaml.gotmpl".as_ref()), Some(Format::Yaml));
    /// assert_eq!(Format::of("package.json".as_ref()), None);
    /// ```
    pub fn of(path: &Path) -> Option<Self> {
        name::format_of(path)
    }

    /// The name of its rule.
    pub const fn rule(self) -> &'static str {
        match self {
            Self::Env => "config/env",
            Self::Yaml => "config/yaml",
            Self::Json => "config/json",
            Self::Toml => "config/toml",
            Self::Ini => "config/ini",
            Self::Dockerfile => "config/dockerfile",
            Self::Shell => SHELL,
            Self::Systemd => "config/systemd",
            Self::Hcl => "config/terraform",
            Self::Xml => "config/xml",
        }
    }

    /// Reads a file of this format.
    ///
    /// # Errors
    /// Its values are nested too deep.
    pub fn read(self, file: &SourceFile<'_>, sites: &mut Sites) -> Result<(), Unreadable> {
        let (rule, style) = (self.rule(), self.style());
        let out = Out { file, sites, base: 0, rule, style, depth: 0 };
        self.read_text(file.text, out)
    }

    /// Reads a text of this format that stands within another.
    fn read_within(self, text: &str, at: usize, out: &mut Out<'_, '_>) -> Result<(), Unreadable> {
        self.read_text(text, out.within(at, self.rule(), self.style()))
    }

    fn style(self) -> Style {
        match self {
            Self::Env | Self::Dockerfile | Self::Shell | Self::Systemd => Style::Environment,
            Self::Yaml | Self::Json | Self::Toml | Self::Ini | Self::Hcl | Self::Xml => Style::Tree,
        }
    }

    fn read_text(self, text: &str, mut out: Out<'_, '_>) -> Result<(), Unreadable> {
        match self {
            Self::Env => env::read(text, &mut out),
            Self::Yaml => look::look(&yaml::parse(text)?, &mut out),
            Self::Json => {
                let mut tree = tree::Tree::new();
                flow::read(text, 0, 0, flow::Manner::Json, &mut tree)?;
                look::look(&tree, &mut out);
            }
            Self::Toml => look::look(&toml::parse(text)?, &mut out),
            Self::Ini if nginx::consumers::is_nginx("".as_ref(), text) => {
                nginx::consumers::read_at(out.file, text, out.base, out.sites);
            }
            Self::Ini if is_xml(text) => xml::read(text, &mut out),
            Self::Ini => ini::read(text, &mut out),
            Self::Xml => xml::read(text, &mut out),
            Self::Dockerfile => docker::read(text, &mut out),
            Self::Shell => shell::read(text, &mut out),
            Self::Systemd => systemd::read(text, &mut out),
            Self::Hcl => hcl::read(text, &mut out)?,
        }
        Ok(())
    }
}

/// Reads a file by its name, and by what it says where its name says little: a `.conf` may be that
/// of a web server. One that is no configuration gives nothing.
///
/// # Errors
/// Its values are nested too deep.
pub fn read(file: &SourceFile<'_>, rules: &Rules, sites: &mut Sites) -> Result<(), Unreadable> {
    let format = Format::of(file.path);
    if matches!(format, None | Some(Format::Ini)) {
        if apache::is_apache(file.path, file.text) {
            return apache::read(file, rules, sites);
        }
        if nginx::consumers::is_nginx(file.path, file.text) {
            return nginx::consumers::read(file, rules, sites);
        }
    }
    let script = || is_script(file.text).then_some(Format::Shell);
    format.or_else(script).map_or(Ok(()), |format| format.read(file, sites))
}

/// What sort of secret the entry of this name holds, whatever the format.
pub(crate) fn entry_class(name: &str) -> Option<crate::finding::Class> {
    judge::judge(name, "", judge::style_of(name)).map(|(class, _)| class)
}

/// Whether a text is XML, as configurations of .NET are.
fn is_xml(text: &str) -> bool {
    let start = text.trim_start_matches('\u{feff}').trim_start();
    start.starts_with("<?xml") || start.starts_with("<configuration")
}

/// Whether the first line says that a shell runs the file.
fn is_script(text: &str) -> bool {
    let line = text.split('\n').next().unwrap_or_default();
    line.strip_prefix("#!").is_some_and(|program| {
        let name = program.trim().rsplit(['/', ' ']).next().unwrap_or_default();
        matches!(name, "sh" | "bash" | "dash" | "zsh" | "ksh" | "ash" | "with-contenv")
    })
}
