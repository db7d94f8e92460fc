//! What the standard makes a broker owe in one attempt, as the model sees it: where each obligation arises, by which
//! statement, and what became of it.
//!
//! The rules are those of the checks beside this file. What is said here decides about no verdict: it shows the way to it.

mod messages;
mod sessions;
mod wills;

use super::absences::Balance;
use super::finding::{Findings, Rule};
use super::session;
use super::story::Story;
use super::{deliveries, finding};
use crate::history::History;
use crate::packet::Protocol;
use crate::results::{CellRun, Options, StoredHistoryError};

/// Something that the broker owes to a client, may give it, or owes no more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Obligation {
    /// The 0-based place of the event with which it arises.
    pub at: usize,
    pub duty: Duty,
    pub protocol: Protocol,
    /// The statement that says so, where there is one for this protocol version.
    pub statement: Option<&'static str>,
    /// What is owed: `m1`, or `Session Present 1`.
    pub what: String,
    /// To whom, and why.
    pub why: String,
    pub outcome: Outcome,
}

/// How strongly the standard speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Duty {
    Must,
    /// The broker decides.
    May,
    /// Nothing of the kind is owed, or it is forbidden.
    Nothing,
}

/// What became of an obligation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// By the event at this place.
    Met(usize),
    /// By the event at this place, or by an absence that the history proves.
    Broken(Option<usize>),
    /// The broker was allowed to drop it, since its queue was as full as the user had declared.
    Excused,
    /// The history does not say, or nothing had to happen.
    Open,
}

/// One attempt of a stored history, with what was owed in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attempt {
    pub history: History,
    pub obligations: Vec<Obligation>,
}

/// The attempts at a cell whose histories were kept.
///
/// # Errors
/// [`StoredHistoryError`] where a stored history is no history.
pub fn attempts(run: &CellRun, options: &Options) -> Result<Vec<Attempt>, StoredHistoryError> {
    let attempts = run.histories()?.into_iter().map(|history| {
        let obligations = obligations(&history, options.queue_limit);
        Attempt { history, obligations }
    });
    Ok(attempts.collect())
}

/// What is owed in one attempt, in the order in which it arises.
pub fn obligations(history: &History, queue_limit: Option<u32>) -> Vec<Obligation> {
    let story = Story::read(history);
    let sessions = session::sessions(&story);
    let mut all = Vec::new();
    sessions::refusals(&story, &mut all);
    sessions::present(&story, &sessions, &mut all);
    wills::wills(history, &story, &sessions, &mut all);
    messages::to_groups(&story, &sessions, &mut all);
    for session in &sessions {
        let mut unused = Findings::default();
        let copies = deliveries::check(&story, &sessions, session, &mut unused);
        let balance = Balance { story: &story, session, copies: &copies, queue_limit };
        balance.owed_messages(&mut all);
        balance.owed_fences(&mut all);
        balance.owed_retained(&mut all);
        balance.owed_again(&mut all);
        sessions::ended(&story, session, &mut all);
    }
    all.sort_by_key(|obligation| obligation.at);
    all
}

/// An obligation by a rule that may not exist in a protocol version.
fn by(rule: Option<Rule>, protocol: Protocol, at: usize, duty: Duty, what: String, why: String) -> Obligation {
    let statement = rule.and_then(|rule: finding::Rule| rule.id(protocol));
    Obligation { at, duty, protocol, statement, what, why, outcome: Outcome::Open }
}
