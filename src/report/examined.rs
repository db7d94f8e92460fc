//! What the doctor found, a line each.

use super::{Page, mark, style, wrap};
use crate::doctor::{Examined, Outcome};
use crate::printed_command::PrintedCommand;
use crate::results::Verdict;
use crate::visible::visible;

/// The columns that the name of a check takes.
const NAME_WIDTH: usize = 14;

/// The checks in their order, and whether a run will work; `matrix` is the command that runs it.
pub fn examined(examined: &Examined, matrix: Option<&PrintedCommand>, page: impl Into<Page>) -> String {
    let page: Page = page.into();
    let palette = page.palette;
    let mut text = String::new();
    if let Some(url) = &examined.url {
        let label = examined.broker.as_ref();
        let parts = label.into_iter().flat_map(|label| [label.name.as_deref(), label.version.as_deref()]);
        let name: Vec<&str> = parts.flatten().collect();
        let gap = if name.is_empty() { "" } else { " at " };
        text += &format!("Examined: {}{gap}{url}\n\n", name.join(" "));
    }
    for check in &examined.checks {
        let verdict = match check.outcome {
            Outcome::Ok => Verdict::Pass,
            Outcome::Warning => Verdict::Warn,
            Outcome::Failed => Verdict::Fail,
            Outcome::Unclear => Verdict::Inconclusive,
        };
        let cure = check.cure.as_ref().map(|cure| format!("; {cure}")).unwrap_or_default();
        let line =
            wrap(&format!("{} {:NAME_WIDTH$}", mark(verdict), check.check), &visible(&format!("{}{cure}", check.said)));
        text += &line.replacen(mark(verdict), &palette.paint(style(verdict), mark(verdict)), 1);
    }
    let sum = match matrix {
        _ if examined.has(Outcome::Failed) => "A run will not work yet.".to_owned(),
        Some(command) if examined.has(Outcome::Unclear) => format!("Whether a run works is unclear: {command}"),
        Some(command) => format!("A run will work: {command}"),
        None => "Whether a run works is unclear.".to_owned(),
    };
    page.lay_out(&(text + "\n" + &sum + "\n"))
}
