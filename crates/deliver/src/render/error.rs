//! Why something could not be rendered, and what to do about it. No message quotes a value.

use std::path::PathBuf;

use keywheel_core::id::{Kid, RingName, VersionNumber};

use super::env_file::EnvFileError;

/// Why a content could not be rendered.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RenderError {
    /// The delivery does not have the ring.
    #[error("ring `{ring}` is not part of this delivery")]
    UnknownRing {
        /// The ring.
        ring: RingName,
    },
    /// The ring has nothing to protect with.
    #[error("ring `{ring}` has no primary version, so there is nothing to write")]
    NoPrimary {
        /// The ring.
        ring: RingName,
    },
    /// The key is bytes, and text was wanted.
    #[error("{version} of ring `{ring}` is bytes that are no text")]
    NotText {
        /// The ring.
        ring: RingName,
        /// The version.
        version: VersionNumber,
    },
    /// Bytes were wanted where several values, or text, must stand.
    #[error("the form `bytes` of ring `{ring}` is only for a file that holds the primary alone")]
    BytesInText {
        /// The ring.
        ring: RingName,
    },
    /// This agent holds the half that verifies.
    #[error("of {version} of ring `{ring}` this consumer holds the public half only")]
    OnlyPublicHalf {
        /// The ring.
        ring: RingName,
        /// The version.
        version: VersionNumber,
    },
    /// The key is symmetric.
    #[error("the keys of ring `{ring}` are symmetric, so they have no public half")]
    NoPublicHalf {
        /// The ring.
        ring: RingName,
    },
    /// The joined values could not be told apart.
    #[error("the values of ring `{ring}` cannot be told apart again with that text between them")]
    Inseparable {
        /// The ring.
        ring: RingName,
    },
    /// A character that the target cannot carry.
    #[error(
        "the value for `{name}` has a line end or control character, which {target} cannot carry"
    )]
    ControlCharacter {
        /// The variable.
        name: String,
        /// The kind of file.
        target: &'static str,
    },
    /// A name that cannot be one.
    #[error("`{name}` cannot name {what}")]
    Name {
        /// The name.
        name: String,
        /// What it was to name.
        what: &'static str,
    },
    /// The environment file cannot be edited.
    #[error(transparent)]
    EnvFile(#[from] EnvFileError),
    /// Readers of environment files differ about the value.
    #[error("the value for `{name}` has characters that readers of environment files differ about")]
    ReadersDiffer {
        /// The variable.
        name: String,
    },
    /// No quotes carry the value.
    #[error("no quotes carry the value for `{name}` so that every reader takes it alike")]
    Unquotable {
        /// The variable.
        name: String,
    },
    /// nginx takes a dollar for the start of a variable.
    #[error("the value for `${name}` has a `$`, which `set` of nginx cannot carry")]
    NginxDollar {
        /// The variable, without its dollar.
        name: String,
    },
    /// A parameter that nginx cannot read.
    #[error("the value for `${name}` is longer than a parameter of nginx can be")]
    NginxTooLong {
        /// The variable, without its dollar.
        name: String,
    },
    /// A name that cannot be a variable of nginx.
    #[error("`{name}` is not a variable of nginx")]
    NginxVariable {
        /// The name.
        name: String,
    },
    /// Several values for a variable that holds one.
    #[error("`set ${name}` holds one value, and several were asked for")]
    OneSlot {
        /// The variable, without its dollar.
        name: String,
    },
    /// A JWK set with a kid twice.
    #[error("two keys of the JWK set have the kid `{kid}`")]
    KidTwice {
        /// The kid.
        kid: Kid,
    },
    /// The template was not read from its file.
    #[error("the template {} was not read", .path.display())]
    TemplateNotRead {
        /// Its file.
        path: PathBuf,
    },
    /// The template is wrong.
    #[error("the template fails on line {line}: {why}")]
    Template {
        /// The line, from 1; 0 when unknown.
        line: usize,
        /// What is wrong.
        why: String,
    },
    /// More than a file may have.
    #[error("{what} is larger than 4 MiB")]
    TooLarge {
        /// What.
        what: String,
    },
}

impl RenderError {
    /// What to do about it.
    pub fn remedy(&self) -> String {
        match self {
            Self::UnknownRing { ring } => {
                format!("add `{ring}` to the rings of this consumer in the agent's file")
            }
            Self::NoPrimary { ring } => format!(
                "see how far its first rotation is with: keywheel status {ring}; the present file \
                 stays as it is until then"
            ),
            Self::NotText { .. } => "write it with form = \"base64\" or \"hex\", as its reader \
                                     expects; a raw file can have form = \"bytes\""
                .to_owned(),
            Self::BytesInText { .. } => {
                "write it with form = \"base64\" or \"hex\", or into a raw file of its own"
                    .to_owned()
            }
            Self::OnlyPublicHalf { .. } => {
                "declare the consumer with role = \"protect\", or write \
                                            form = \"public-pem\""
                    .to_owned()
            }
            Self::NoPublicHalf { .. } => {
                "name a ring of kind signing with an asymmetric algorithm".to_owned()
            }
            Self::Inseparable { .. } => {
                "join with another text, or write the values as JSON or in hexadecimal".to_owned()
            }
            Self::ControlCharacter { .. } | Self::ReadersDiffer { .. } => self.about_characters(),
            Self::Unquotable { .. } => "write it with form = \"base64\" or \"hex\", or generate \
                                        versions from a plainer alphabet"
                .to_owned(),
            Self::Name { .. } => {
                "use letters, digits and `_`; a credential may also have `-`, `.`, `@` and `+`"
                    .to_owned()
            }
            Self::EnvFile(error) => error.remedy().to_owned(),
            Self::NginxDollar { .. } => "write it with form = \"base64\" or \"hex\", or generate \
                                         versions from an alphabet without `$`"
                .to_owned(),
            Self::NginxTooLong { .. } => {
                "let nginx compare a fingerprint or a hash of it instead".to_owned()
            }
            Self::NginxVariable { .. } => {
                "use letters, digits and `_`; in `from`, with a `$` before them".to_owned()
            }
            Self::OneSlot { .. } => "take the primary, or use `accept`, which makes a map of all \
                                     accepted values"
                .to_owned(),
            Self::KidTwice { .. } => "name each ring once, and give imported keys distinct kids \
                                      when one file holds both rings"
                .to_owned(),
            Self::TemplateNotRead { .. } => {
                "read the file first; this is a fault of keywheel, please report it".to_owned()
            }
            Self::Template { .. } => "correct the template; what it can see is described in \
                                      docs/how-to under \"Templates\""
                .to_owned(),
            Self::TooLarge { .. } => "split it over several files".to_owned(),
        }
    }

    fn about_characters(&self) -> String {
        if matches!(self, Self::ReadersDiffer { .. }) {
            return "say who reads the file with readers = \"unquoting\" (shells, systemd, dotenv \
                    libraries) or \"literal\" (docker --env-file), or write form = \"base64\" or \
                    \"hex\""
                .to_owned();
        }
        "write it with form = \"base64\" or \"hex\", or into a file of its own".to_owned()
    }
}
