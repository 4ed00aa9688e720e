//! How far a move is, where somebody watches.

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use keywheel_reencrypt::{Pause, Progress};

use crate::console::Console;

/// How many rows are done, how fast, and how long it will take.
pub(super) struct RowsBar {
    bar: ProgressBar,
}

impl RowsBar {
    /// A bar, drawn when somebody watches.
    pub(super) fn new(console: Console) -> Self {
        if !console.is_live() {
            return Self { bar: ProgressBar::hidden() };
        }
        let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr_with_hz(10));
        let template =
            "[{bar:24}] {human_pos} of about {human_len} rows, {per_sec}, {eta} left {msg}";
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style.progress_chars("=> "));
        }
        Self { bar }
    }

    /// Shows how far it is.
    pub(super) fn show(&self, progress: &Progress) {
        self.bar.set_length(progress.rows_about.max(progress.counts.read));
        self.bar.set_position(progress.counts.read);
        self.bar.set_message(match progress.pause {
            None => "",
            Some(Pause::Replica) => "(waits for a standby)",
            Some(Pause::Wal) => "(waits: much WAL)",
            Some(Pause::Dead) => "(waits: many dead rows)",
            Some(Pause::Lock) => "(waits for a locked row)",
            Some(Pause::Others) => "(lets others go first)",
            Some(_) => "(waits)",
        });
    }

    /// Clears it away.
    pub(super) fn finish(&self) {
        self.bar.finish_and_clear();
    }
}
