//! The events of an attempt in words, for whoever shows them.

use super::gloss::Glossary;
use super::obligations::{self, Owed};
use super::packets;
use crate::history::{Entry, Event};
use crate::judge::Attempt;
use crate::visible::visible;

/// An event in words.
pub(in crate::report) struct Line<'a> {
    pub entry: &'a Entry,
    /// The packet or the deed, in the standard's words; of a step its number and verb.
    pub said: String,
    /// What it means in its place, if there is something to say.
    pub gloss: Option<String>,
    /// What is owed from here on, and what became here of what was owed.
    pub owed: Vec<Owed>,
}

/// The events of one attempt, in order.
pub(in crate::report) fn lines<'a>(attempt: &'a Attempt, glossary: &mut Glossary) -> Vec<Line<'a>> {
    glossary.begin_attempt();
    let events: Vec<Event> = attempt.history.events().cloned().collect();
    let line = |(at, entry): (usize, &'a Entry)| {
        let (said, gloss) = match &entry.event {
            Event::Step(step) => (step.clone(), None),
            event => (packets::said(event), glossary.gloss(&events, at)),
        };
        Line { entry, said: visible(&said).into_owned(), gloss, owed: obligations::at(attempt, at) }
    };
    attempt.history.entries.iter().enumerate().map(line).collect()
}

/// `->` where the client sent it, `<-` where it came from the broker, `--` for what the harness did or saw.
pub(in crate::report) fn arrow(event: &Event) -> &'static str {
    match event {
        Event::Sent(..) | Event::Half(..) | Event::Closed(..) => "->",
        Event::Received(..) | Event::Ended(..) | Event::Undecodable(..) => "<-",
        _ => "--",
    }
}
