//! A backlog of which one end is missing looks like a queue that was full.

use std::collections::{BTreeMap, HashSet};

use super::{Publication, due};
use crate::judge::facts::{Connection, Delivery};
use crate::judge::finding::Findings;
use crate::judge::proof::Evidence;
use crate::session_rules::USUAL_WINDOW;

/// True if the user declared a queue limit and what is missing of each absence lies beyond it: then it is the broker's choice.
pub fn is_within(
    evidence: &Evidence<'_, '_>,
    owed: &[&Publication],
    lost: &[&Publication],
    queue_limit: Option<u32>,
    findings: &mut Findings,
) -> bool {
    let Some(limit) = queue_limit.filter(|_| !lost.is_empty()) else { return false };
    let returned = |publication: &Publication| due(evidence, publication, true).map(|own| own.index);
    let mut absences: BTreeMap<Option<usize>, (Vec<&Publication>, Vec<&Publication>)> = BTreeMap::new();
    owed.iter().for_each(|own| absences.entry(returned(own)).or_default().0.push(own));
    lost.iter().for_each(|own| absences.entry(returned(own)).or_default().1.push(own));
    let mut ends = Vec::new();
    for (returned, (mut owed, lost)) in absences.into_iter().filter(|(_, (_, lost))| !lost.is_empty()) {
        owed.sort_by_key(|own| own.sent());
        let kept = places_taken(evidence, returned).saturating_sub(lost.len());
        match missing_end(&owed, &lost).filter(|_| kept >= limit as usize) {
            Some(end) => ends.push(end),
            None => return false,
        }
    }
    ends.iter().for_each(|end| findings.choice("queue_full", end.dropped()));
    true
}

/// How many places of a queue the messages of an absence may have taken: each by each of its subscriptions, whatever its QoS and whether
/// it came, expired or was too large, and those that were under way when the client went.
fn places_taken(evidence: &Evidence<'_, '_>, returned: Option<usize>) -> usize {
    let (model, session) = (evidence.model, evidence.ledger.session);
    let of_absence = |publication: &&Publication| {
        model.is_away(session, publication) == Some(true)
            && due(evidence, publication, true).map(|own| own.index) == returned
    };
    let queued = model.facts.publications.iter().filter(of_absence);
    let queued: usize = queued.map(|publication| model.met(session, publication).len()).sum();
    let before = |connection: &Connection| returned.is_none_or(|returned| connection.index < returned);
    let back = returned.and_then(|index| session.connection(index)).map_or(usize::MAX, |own| own.opened.at);
    let earlier = session.deliveries().filter(|(connection, _)| before(connection));
    let is_open = |delivery: &Delivery| delivery.publish.qos > 0 && delivery.completed.is_none_or(|at| at > back);
    queued + earlier.filter(|(_, delivery)| is_open(delivery)).count()
}

/// The guess of a queue limit, where one head or one tail of the backlog is missing and nothing else can be the cause:
/// the client takes any number of messages at once, and no other trace of the missing ones is there.
pub fn looks_like_one(evidence: &Evidence<'_, '_>, owed: &[&Publication], lost: &[&Publication]) -> Option<String> {
    let session = evidence.ledger.session;
    let has_window = session.connections.iter().any(|connection| connection.connect.receive_maximum.is_some());
    let missing: HashSet<*const Publication> = lost.iter().map(|lost| std::ptr::from_ref(*lost)).collect();
    let has_trace = evidence.ledger.copies.iter().any(|copy| missing.contains(&std::ptr::from_ref(copy.publication)));
    let kept = owed.len() - lost.len().min(owed.len());
    // Where many were under way at once, the broker may have lost what was beyond a limit on these.
    let is_calm = under_way_at_once(owed) <= USUAL_WINDOW as usize;
    let end = missing_end(owed, lost).filter(|_| !has_window && !has_trace && is_calm && kept > 1)?;
    Some(format!("{LOOKS_LIKE}{kept}, {}{DROPPED}", end.dropped().trim_start_matches("drop_")))
}

/// How many of these messages were unacknowledged at once, at the most.
fn under_way_at_once(owed: &[&Publication]) -> usize {
    let mut sent: Vec<usize> = owed.iter().filter_map(|own| Some(own.sent()?.at)).collect();
    let mut accepted: Vec<usize> = owed.iter().filter_map(|own| Some(own.accepted?.at)).collect();
    sent.sort_unstable();
    accepted.sort_unstable();
    let under_way =
        |(before, at): (usize, &usize)| before + 1 - accepted.partition_point(|accepted| accepted < at).min(before + 1);
    sent.iter().enumerate().map(under_way).max().unwrap_or(0)
}

/// How the guess begins and ends.
const LOOKS_LIKE: &str = "looks like a queue limit of ";
const DROPPED: &str = " dropped";

/// A queue limit that what was observed suggests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SuspectedLimit<'a> {
    /// The limit, in messages.
    pub kept: u32,
    /// Which end of the backlog is lost: `newest` or `oldest`.
    pub dropped: &'a str,
}

impl SuspectedLimit<'_> {
    /// Reads the guess from the text of a finding, if it was told.
    pub fn read(observed: &str) -> Option<SuspectedLimit<'_>> {
        let (_, guess) = observed.rsplit_once(LOOKS_LIKE)?;
        let (kept, dropped) = guess.strip_suffix(DROPPED)?.split_once(", ")?;
        Some(SuspectedLimit { kept: kept.parse().ok()?, dropped })
    }
}

/// Which end of the backlog is missing.
#[derive(Debug, Clone, Copy)]
enum MissingEnd {
    Oldest,
    Newest,
}

impl MissingEnd {
    fn dropped(self) -> &'static str {
        match self {
            MissingEnd::Oldest => "drop_oldest",
            MissingEnd::Newest => "drop_newest",
        }
    }
}

/// One head or one tail of the backlog is missing, and something was kept.
fn missing_end(owed: &[&Publication], lost: &[&Publication]) -> Option<MissingEnd> {
    let all: HashSet<*const Publication> = lost.iter().map(|lost| std::ptr::from_ref(*lost)).collect();
    let is_lost = |publication: &&&Publication| all.contains(&std::ptr::from_ref(**publication));
    let missing = owed.iter().filter(is_lost).count();
    let head = owed.iter().take_while(is_lost).count();
    let tail = owed.iter().rev().take_while(is_lost).count();
    match (head, tail) {
        _ if missing == 0 || missing >= owed.len() => None,
        (head, _) if head == missing => Some(MissingEnd::Oldest),
        (_, tail) if tail == missing => Some(MissingEnd::Newest),
        _ => None,
    }
}
