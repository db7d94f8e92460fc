//! What is owed, in sentences: where it arises, where it is met or broken, and what is left at the end.

use anstyle::{AnsiColor, Style};

use super::INDENT;
use crate::judge::{Attempt, Duty, Obligation, Outcome};
use crate::report::{Palette, wrap};
use crate::statement;
use crate::visible::visible;

/// A sentence about what is owed: the word that says what became of it, and the rest.
pub(in crate::report) struct Owed {
    pub word: &'static str,
    pub text: String,
    colour: AnsiColor,
}

impl Owed {
    fn of(word: &'static str, colour: AnsiColor, text: &str) -> Owed {
        Owed { word, text: visible(text).into_owned(), colour }
    }

    /// A coloured word, and the text beside it.
    pub fn drawn(&self, palette: Palette) -> String {
        let style = Style::new().fg_color(Some(self.colour.into()));
        let wrapped = wrap(&format!("{INDENT}{:<7} ", self.word), &self.text);
        wrapped.replacen(self.word, &palette.paint(style, self.word), 1)
    }
}

/// The sentences that belong to the event at a place.
pub(super) fn at(attempt: &Attempt, at: usize) -> Vec<Owed> {
    let mut all = Vec::new();
    for obligation in &attempt.obligations {
        if obligation.outcome == Outcome::Met(at) && obligation.at < at {
            let since = obligation.at + 1;
            let what = format!("{}, owed since {since}", obligation.what);
            let allowed = format!("{}, which it did not have to", obligation.what);
            let what = if obligation.duty == Duty::May { allowed } else { what };
            all.push(Owed::of("met", AnsiColor::Green, &what));
        }
        if obligation.outcome == Outcome::Broken(Some(at)) {
            all.push(Owed::of("broken", AnsiColor::Red, &broken(obligation)));
        }
    }
    all.extend(attempt.obligations.iter().filter(|obligation| obligation.at == at).map(arises));
    all
}

fn broken(obligation: &Obligation) -> String {
    match obligation.duty {
        Duty::Nothing => format!("{} came, and must not{}", obligation.what, cited(obligation)),
        _ => format!("{} {}{}", obligation.what, obligation.why, cited(obligation)),
    }
}

fn arises(obligation: &Obligation) -> Owed {
    let Obligation { what, why, .. } = obligation;
    let early = match obligation.outcome {
        // Another client's events stand before this one, although they were later or at the same time.
        Outcome::Met(met) if met <= obligation.at => format!(" met by {} above", met + 1),
        _ => String::new(),
    };
    let separator = if early.is_empty() { "" } else { ":" };
    let cited = cited(obligation);
    match obligation.duty {
        Duty::Must => Owed::of("owes", AnsiColor::Yellow, &format!("{what} {why}{cited}{separator}{early}")),
        Duty::May => Owed::of("may", AnsiColor::Cyan, &format!("{why}: {what}{separator}{early}")),
        Duty::Nothing if what.is_empty() => Owed::of("owes", AnsiColor::Cyan, &format!("nothing more {why}{cited}")),
        Duty::Nothing => Owed::of("owes", AnsiColor::Cyan, &format!("no {what} {why}{cited}")),
    }
}

/// What was owed at the end and had not come.
pub(in crate::report) fn left_over(attempt: &Attempt) -> Vec<Owed> {
    let owed = attempt.obligations.iter().filter(|obligation| obligation.duty == Duty::Must);
    owed.filter_map(|obligation| {
        let since = obligation.at + 1;
        let Obligation { what, why, .. } = obligation;
        let said = format!("{what} {why}, owed since {since}");
        match obligation.outcome {
            Outcome::Met(_) => None,
            Outcome::Broken(_) => {
                Some(Owed::of("broken", AnsiColor::Red, &format!("{said}{}", cited_in_full(obligation))))
            }
            Outcome::Excused => {
                let said = format!("{said}: dropped, as the declared queue limit allows");
                Some(Owed::of("excused", AnsiColor::Cyan, &said))
            }
            Outcome::Open => Some(Owed::of("open", AnsiColor::Magenta, &format!("{said}: the history does not say"))),
        }
    })
    .collect()
}

fn cited(obligation: &Obligation) -> String {
    obligation.statement.map(|statement| format!(" ({statement})")).unwrap_or_default()
}

fn cited_in_full(obligation: &Obligation) -> String {
    let Some(id) = obligation.statement else { return String::new() };
    let paraphrase = statement::find(obligation.protocol, id).map(|found| format!(": {}", found.paraphrase));
    format!(" ({id}{})", paraphrase.unwrap_or_default())
}
