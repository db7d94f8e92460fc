//! What was known to fail, and what is in order again.

use super::{Palette, cells, mark, style, wrap};
use crate::expectations::{Assessed, Assessment};
use crate::results::{Results, Verdict};

/// Each deviation of this broker that was seen in the run, or that is mended.
pub(super) fn section(results: &Results, known: &Assessment, palette: Palette) -> Option<String> {
    let file = known.file.as_ref()?;
    let mut text = wrap("", &palette.heading(&format!("Known deviations, from {file}")));
    for (number, assessed) in (1..).zip(&known.of_broker) {
        text += &deviation(number, assessed, palette);
    }
    if known.unmatched > 0 {
        let name = results.broker.name.as_deref().unwrap_or("a broker without a name; --broker-name gives it one");
        text += &wrap("  ", &format!("{} more of other brokers; this is {name}", known.unmatched));
    }
    Some(text)
}

fn deviation(number: usize, Assessed { deviation, failing, mended }: &Assessed, palette: Palette) -> String {
    let link = deviation.link.as_ref().map(|link| format!(" {link}")).unwrap_or_default();
    let what = match deviation.statements.as_slice() {
        [] => String::new(),
        statements => format!(" {}:", statements.join(", ")),
    };
    let mut text = String::new();
    if !failing.is_empty() {
        let said = format!("{number}.{what} {} ({}){link}", deviation.reason, cells(failing.len()));
        text += &wrap(&format!("{} known   ", mark(Verdict::Fail)), &said);
    }
    if !mended.is_empty() {
        let said = format!("{number}.{what} {} fails no more; take it out of the file", mended.join(", "));
        let pass = mark(Verdict::Pass);
        text += &wrap(&format!("{} mended  ", palette.paint(style(Verdict::Pass), pass)), &said);
    }
    text
}

/// What the line that sums up does not say.
pub(super) fn summary(known: &Assessment, palette: Palette) -> String {
    match known.cells.len() {
        0 => String::new(),
        count => wrap("", &palette.heading(&format!("{count} of those that fail are known, and fail nothing here"))),
    }
}
