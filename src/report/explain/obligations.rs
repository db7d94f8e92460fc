//! What is owed, in lines: where it arises, where it is met or broken, and what is left at the end.

use anstyle::{AnsiColor, Style};

use super::INDENT;
use crate::judge::{Attempt, Duty, Obligation, Outcome};
use crate::report::{Palette, wrap};
use crate::statement;
use crate::visible::visible;

/// The lines that belong to the event at a place.
pub(super) fn at(attempt: &Attempt, at: usize, palette: Palette) -> String {
    let mut text = String::new();
    for obligation in &attempt.obligations {
        if obligation.outcome == Outcome::Met(at) && obligation.at < at {
            let since = obligation.at + 1;
            let what = format!("{}, owed since {since}", obligation.what);
            let allowed = format!("{}, which it did not have to", obligation.what);
            let what = if obligation.duty == Duty::May { allowed } else { what };
            text += &line("met", AnsiColor::Green, &what, palette);
        }
        if obligation.outcome == Outcome::Broken(Some(at)) {
            text += &line("broken", AnsiColor::Red, &broken(obligation), palette);
        }
    }
    for obligation in attempt.obligations.iter().filter(|obligation| obligation.at == at) {
        text += &arises(obligation, palette);
    }
    text
}

fn broken(obligation: &Obligation) -> String {
    match obligation.duty {
        Duty::Nothing => format!("{} came, and must not{}", obligation.what, cited(obligation)),
        _ => format!("{} {}{}", obligation.what, obligation.why, cited(obligation)),
    }
}

fn arises(obligation: &Obligation, palette: Palette) -> String {
    let Obligation { what, why, .. } = obligation;
    let early = match obligation.outcome {
        // Another client's events stand before this one, although they were later or at the same time.
        Outcome::Met(met) if met <= obligation.at => format!(" met by {} above", met + 1),
        _ => String::new(),
    };
    let separator = if early.is_empty() { "" } else { ":" };
    let cited = cited(obligation);
    match obligation.duty {
        Duty::Must => line("owes", AnsiColor::Yellow, &format!("{what} {why}{cited}{separator}{early}"), palette),
        Duty::May => line("may", AnsiColor::Cyan, &format!("{why}: {what}{separator}{early}"), palette),
        Duty::Nothing if what.is_empty() => {
            line("owes", AnsiColor::Cyan, &format!("nothing more {why}{cited}"), palette)
        }
        Duty::Nothing => line("owes", AnsiColor::Cyan, &format!("no {what} {why}{cited}"), palette),
    }
}

/// What was owed at the end and had not come.
pub(super) fn left_over(attempt: &Attempt, palette: Palette) -> String {
    let mut text = String::new();
    for obligation in attempt.obligations.iter().filter(|obligation| obligation.duty == Duty::Must) {
        let since = obligation.at + 1;
        let Obligation { what, why, .. } = obligation;
        let said = format!("{what} {why}, owed since {since}");
        match obligation.outcome {
            Outcome::Met(_) => {}
            Outcome::Broken(_) => {
                let said = format!("{said}{}", cited_in_full(obligation));
                text += &line("broken", AnsiColor::Red, &said, palette);
            }
            Outcome::Excused => {
                let said = format!("{said}: dropped, as the declared queue limit allows");
                text += &line("excused", AnsiColor::Cyan, &said, palette);
            }
            Outcome::Open => {
                let said = format!("{said}: the history does not say");
                text += &line("open", AnsiColor::Magenta, &said, palette);
            }
        }
    }
    let heading = palette.heading("What was owed and did not come");
    if text.is_empty() { text } else { format!("\n{heading}\n{text}") }
}

fn cited(obligation: &Obligation) -> String {
    obligation.statement.map(|statement| format!(" ({statement})")).unwrap_or_default()
}

fn cited_in_full(obligation: &Obligation) -> String {
    let Some(id) = obligation.statement else { return String::new() };
    let paraphrase = statement::find(obligation.protocol, id).map(|found| format!(": {}", found.paraphrase));
    format!(" ({id}{})", paraphrase.unwrap_or_default())
}

/// A coloured word, and text beside it.
fn line(word: &str, colour: AnsiColor, text: &str, palette: Palette) -> String {
    let style = Style::new().fg_color(Some(colour.into()));
    let wrapped = wrap(&format!("{INDENT}{word:<7} "), &visible(text));
    wrapped.replacen(word, &palette.paint(style, word), 1)
}
