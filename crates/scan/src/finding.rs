//! What is reported: one finding a place. The words here are those of the published JSON.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

macro_rules! words {
    ($(#[$about:meta])* $name:ident { $($(#[$says:meta])* $variant:ident => $word:literal),+ $(,)? }) => {
        $(#[$about])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[derive(Serialize, Deserialize, JsonSchema)]
        #[non_exhaustive]
        pub enum $name {
            $($(#[$says])* #[serde(rename = $word)] $variant),+
        }

        impl $name {
            /// The word for it in JSON.
            pub const fn word(self) -> &'static str {
                match self { $(Self::$variant => $word),+ }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.pad(self.word())
            }
        }
    };
}

words! {
    /// What kind of place a finding is.
    Kind {
        /// A literal in code stands where a key belongs.
        Hardcoded => "hardcoded",
        /// Code gets a key from its environment, a file, a secret store or its settings.
        EnvLoad => "env_load",
        /// An entry of a configuration file gives, declares or passes on a key.
        ConfigFile => "config_file",
        /// Code signs, verifies, encrypts, decrypts or derives with a key.
        KeyUse => "key_use",
        /// SQL handles a key.
        Sql => "sql",
        /// A web server's configuration holds or uses a key.
        Nginx => "nginx",
        /// The application rotates keys by a timer of its own.
        Scheduler => "scheduler",
    }
}

words! {
    /// What sort of secret it is.
    Class {
        /// The application's own: it signs, encrypts or authenticates with it.
        Key => "key",
        /// Issued by somebody else: an API key, a client secret, an access token.
        Credential => "credential",
        /// A login's password.
        Password => "password",
        /// The public half of a key pair: a verifier, which must learn of a rotation too.
        Public => "public",
    }
}

words! {
    /// When the place runs, and so how long it keeps what it got.
    Scope {
        /// Once, when the module is loaded or the application starts.
        Module => "module",
        /// Once, when the class is made.
        Class => "class",
        /// Once for each object.
        Instance => "instance",
        /// At each call.
        Call => "call",
    }
}

words! {
    /// Whether the place takes a new key while the application runs.
    HotReload {
        /// At its next use, once the source has it.
        Yes => "yes",
        /// Only after a restart or a change of the code.
        No => "no",
        /// It could not be told. Nothing is guessed.
        Unknown => "unknown",
    }
}

words! {
    /// From where a key comes.
    Source {
        /// A literal in the file.
        Literal => "literal",
        /// An environment variable.
        Environment => "environment",
        /// A file.
        File => "file",
        /// A secret store: Vault, a cloud's secret manager, the orchestrator.
        SecretStore => "secret_store",
        /// The application's settings.
        Settings => "settings",
        /// A database, or a setting of it.
        Database => "database",
        /// An argument of the function or statement.
        Argument => "argument",
        /// A ring of keywheel.
        Ring => "ring",
        /// It is made there, anew with each process.
        Generated => "generated",
        /// The file does not tell.
        Unknown => "unknown",
    }
}

words! {
    /// What is done with a key.
    Does {
        /// Makes signatures, tags or tokens.
        Signs => "signs",
        /// Checks them.
        Verifies => "verifies",
        /// Both, as a session interface does.
        SignsAndVerifies => "signs_and_verifies",
        /// Encrypts.
        Encrypts => "encrypts",
        /// Decrypts.
        Decrypts => "decrypts",
        /// Both.
        EncryptsAndDecrypts => "encrypts_and_decrypts",
        /// Makes other keys or hashes of it.
        Derives => "derives",
        /// Shows it to somebody else, or compares it.
        Authenticates => "authenticates",
    }
}

words! {
    /// How sure it is that the place consumes a key.
    Confidence {
        /// Names only suggest it.
        Low => "low",
        /// A name says it, or a structure does, not both.
        Medium => "medium",
        /// Structure and name say it.
        High => "high",
    }
}

/// A literal that stands at a finding, without its value.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct LiteralMark {
    /// HMAC-SHA256 of the value under the key of this scan, in hexadecimal digits.
    pub fingerprint: String,
    /// Whether it only stands for a value, such as `changeme`.
    pub placeholder: bool,
}

/// One place that consumes a key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Finding {
    /// Names the finding over changes elsewhere in the file: of rule, path, key and how many-th it
    /// is.
    pub id: String,
    /// What kind of place it is.
    pub kind: Kind,
    /// Which rule found it.
    pub rule: String,
    /// The logical key: one name for all places that share it.
    pub key: String,
    /// The name of the key at this place.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// What sort of secret it is.
    pub class: Class,
    /// The file, relative to where the scan began, with `/`; or the object of a database.
    pub path: String,
    /// The line, from one.
    pub line: u32,
    /// The column in characters, from one.
    pub column: u32,
    /// When the place runs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scope: Option<Scope>,
    /// Whether the place takes a new key while the application runs.
    pub hot_reload: HotReload,
    /// From where the key comes at this place.
    pub source: Source,
    /// The value, where it stands at this place, as a fingerprint.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub literal: Option<LiteralMark>,
    /// What takes the key, such as `jwt.encode`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sink: Option<String>,
    /// What is done with the key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub does: Option<Does>,
    /// How sure it is that the place consumes a key.
    pub confidence: Confidence,
    /// Why it is a finding, and why it takes a new key or not.
    pub reason: String,
    /// What makes it live.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub remedy: Option<String>,
    /// Whether a rotation of the key would break here.
    pub blocking: bool,
    /// Whether it stands among tests, samples or examples.
    pub in_tests: bool,
}
