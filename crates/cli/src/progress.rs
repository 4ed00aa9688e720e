//! Bars for a terminal. Without one nothing is drawn, and the command says its lines instead.

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use keywheel_api::ring::RingStatus;
use keywheel_core::id::RingName;

use crate::console::Console;
use crate::show;

/// The stages of the forward path, in order; the last step is the rest after them.
const STAGES: [&str; 4] = ["stage", "publish", "confirm", "promote"];

/// How far a rotation is.
pub struct RotationBar {
    bar: ProgressBar,
    drawn: bool,
}

impl RotationBar {
    /// A bar for a ring, drawn when somebody watches.
    pub fn new(console: &Console, ring: &RingName) -> Self {
        let drawn = console.is_live();
        let target =
            if drawn { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
        let steps = u64::try_from(STAGES.len()).unwrap_or_default();
        let bar = ProgressBar::with_draw_target(Some(steps), target);
        if let Ok(style) = ProgressStyle::with_template("{prefix} [{bar:24}] {elapsed} {msg}") {
            bar.set_style(style.progress_chars("=> "));
        }
        bar.set_prefix(ring.to_string());
        Self { bar, drawn }
    }

    /// Whether it is drawn.
    pub const fn is_drawn(&self) -> bool {
        self.drawn
    }

    /// Shows how the ring stands.
    pub fn show(&self, ring: &RingStatus) {
        let done = STAGES.iter().position(|stage| *stage == ring.stage).unwrap_or(STAGES.len());
        self.bar.set_position(u64::try_from(done).unwrap_or_default());
        self.bar.set_message(show::ring::line(ring));
    }

    /// Clears it away.
    pub fn finish(&mut self) {
        self.bar.finish_and_clear();
    }
}

/// How many files are read.
pub struct FilesBar {
    bar: ProgressBar,
}

impl FilesBar {
    /// A bar, drawn when somebody watches.
    pub fn new(console: &Console) -> Self {
        if !console.is_live() {
            return Self { bar: ProgressBar::hidden() };
        }
        let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr_with_hz(10));
        if let Ok(style) = ProgressStyle::with_template("[{bar:24}] {pos} of {len} files") {
            bar.set_style(style.progress_chars("=> "));
        }
        Self { bar }
    }

    /// Shows how many of how many. Threads may tell it in any order.
    pub fn show(&self, done: usize, files: usize) {
        let number = |count| u64::try_from(count).unwrap_or(u64::MAX);
        if self.bar.length() != Some(number(files)) {
            self.bar.set_length(number(files));
        }
        self.bar.set_position(number(done).max(self.bar.position()));
    }

    /// Clears it away.
    pub fn finish(&self) {
        self.bar.finish_and_clear();
    }
}

/// A spinner for work whose end is not known; hidden when nobody watches.
pub fn spinner(console: &Console, what: &'static str) -> ProgressBar {
    if !console.is_live() {
        return ProgressBar::hidden();
    }
    let spinner = ProgressBar::new_spinner();
    spinner.set_message(what);
    spinner.enable_steady_tick(std::time::Duration::from_millis(120));
    spinner
}
