//! What is shown on stderr while a run goes on: a bar on a terminal, warnings everywhere.

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::output;
use crate::run::Observer;

/// Progress on stderr; nothing is drawn where stderr is no terminal.
pub struct Progress {
    bar: ProgressBar,
}

/// A line on stderr with what goes on, for work whose length nobody knows; nothing is drawn where stderr is no terminal.
pub fn progress_line() -> ProgressBar {
    let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
    if let Ok(style) = ProgressStyle::with_template("{spinner} {elapsed} {msg}") {
        bar.set_style(style);
    }
    bar
}

impl Progress {
    pub fn new() -> Progress {
        let bar = ProgressBar::with_draw_target(Some(0), ProgressDrawTarget::stderr());
        if let Ok(style) = ProgressStyle::with_template("{msg} {bar:30} {pos}/{len}") {
            bar.set_style(style);
        }
        Progress { bar }
    }

    /// Removes the bar.
    pub fn finish(&self) {
        self.bar.finish_and_clear();
    }
}

impl Default for Progress {
    fn default() -> Self {
        Progress::new()
    }
}

impl Observer for Progress {
    fn round(&self, attempt: u32, cells: usize) {
        self.bar.set_length(cells as u64);
        self.bar.set_position(0);
        self.bar.set_message(match attempt {
            1 => "measuring".into(),
            attempt => format!("asking again, attempt {attempt}"),
        });
    }

    fn cell(&self) {
        self.bar.inc(1);
    }

    fn warn(&self, sentence: String) {
        self.bar.suspend(|| output::note(&format!("warning: {sentence}")));
    }
}
