//! What a command finds when it starts: the flags, the console, and, when it asks for them, the
//! configuration and the server.

use crate::arguments::Global;
use crate::config::Config;
use crate::console::Console;
use crate::exit::Exit;
use crate::failure::Failure;

/// One run of the program.
pub struct Invocation {
    /// The flags that every command takes.
    pub global: Global,
    /// Where it speaks.
    pub console: Console,
}

impl Invocation {
    /// Takes the flags.
    pub fn new(global: Global) -> Self {
        let console = Console::new(global.json, global.quiet, global.no_color);
        Self { global, console }
    }

    /// Reads the configuration.
    ///
    /// # Errors
    /// When there is none, or with everything that is wrong in it.
    pub fn config(&self) -> Result<Config, Failure> {
        let file = &self.global.config;
        if !file.exists() {
            return Err(Failure::new(
                Exit::Usage,
                format!("there is no {}", file.display()),
                "name the file with --config, or write one with: keywheel init",
            ));
        }
        Config::load(file)
    }
}
