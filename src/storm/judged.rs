//! The verdict on a storm: the sessions that deviate are judged by their histories, some of each kind, and what that shows is said of
//! all that deviate alike.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::sync::atomic::Ordering::Relaxed;

use super::experiment::cell;
use super::fleet::{CutShort, Fleet};
use super::ledger::{Account, Ledger};
use super::publish::Publisher;
use super::record::Visit;
use super::written::history;
use crate::history::History;
use crate::judge::{Combined, combine, judge as judge_history};
use crate::results::Verdict;

/// How many sessions that deviate alike are judged.
const JUDGED_MAX: usize = 4;
/// How many kinds of deviations are judged.
const KINDS_MAX: usize = 16;

/// A session that deviates, and what the standard says about it.
pub struct Deviant {
    /// The number of the session.
    pub number: u32,
    pub history: History,
    pub judged: Combined,
    /// How many sessions deviate alike, with this one.
    pub alike: u64,
}

/// What is said about a storm.
pub struct Judged {
    pub verdict: Verdict,
    /// The sessions that were judged, those of the same kind together.
    pub deviants: Vec<Deviant>,
    /// Kinds of deviations of which no session was judged.
    pub unjudged_kinds: usize,
    /// Why the storm cannot pass, although no session breaks anything; each a sentence without its full stop.
    pub limits: Vec<String>,
}

/// Judges the sessions that are not as they should be.
pub fn judge(fleet: &mut Fleet<'_>, ledger: &Ledger, cut_short: Option<CutShort>) -> Judged {
    let mut kinds: BTreeMap<Account, (Vec<usize>, u64)> = BTreeMap::new();
    for (place, session) in fleet.sessions.iter().enumerate() {
        let account = Account::of(session, fleet.request.qos);
        if session.parked.is_none() || account.is_as_it_should_be() {
            continue;
        }
        let (places, count) = kinds.entry(account.kind()).or_default();
        *count += 1;
        if places.len() < JUDGED_MAX {
            places.push(place);
        }
    }
    let unjudged_kinds = kinds.len().saturating_sub(KINDS_MAX);
    let mut commonest: Vec<(Vec<usize>, u64)> = kinds.into_values().collect();
    commonest.sort_by_key(|(_, count)| Reverse(*count));
    let chosen = commonest.into_iter().take(KINDS_MAX);
    let chosen = chosen.flat_map(|(places, alike)| places.into_iter().map(move |place| (place, alike)));
    let deviants: Vec<Deviant> = chosen.map(|(place, alike)| deviant(fleet, place, alike)).collect();
    let worst = deviants.iter().map(|deviant| deviant.judged.result.verdict).max().unwrap_or(Verdict::Pass);
    let mut limits = limits(fleet, ledger, cut_short);
    let is_spoilt = matches!(cut_short, Some(CutShort::Gone | CutShort::Shared));
    let was_gone = fleet.common.counts.gone_while_parking.load(Relaxed) > 0;
    if was_gone {
        limits.push(
            "the broker was gone for a time while sessions were parked, so it may have been started again: no session is held against \
             it"
            .into(),
        );
    }
    let has_left_a_publisher = !is_spoilt && !fleet.publishers.iter_mut().all(Publisher::is_there);
    let may_have_restarted = has_left_a_publisher || was_gone;
    if has_left_a_publisher {
        limits.push(
            "the broker ended the connection of a publisher that had nothing to do with that, so it may have been started again: \
             no session is held against it"
                .into(),
        );
    }
    if ledger.lost > 0 && worst < Verdict::Inconclusive {
        limits.push(format!("{} messages did not come, and nothing shows that they will not", ledger.lost));
    }
    let open = open_handshakes(fleet);
    if open > 0 && cut_short.is_none() && worst < Verdict::Inconclusive {
        limits.push(format!("{open} messages came without their PUBREL, and nothing shows that it will not come"));
    }
    let verdict = match (worst, limits.is_empty()) {
        (Verdict::Fail, _) if is_spoilt || may_have_restarted => Verdict::Inconclusive,
        (Verdict::Fail, _) | (_, true) => worst,
        (worst, false) => worst.max(Verdict::Inconclusive),
    };
    Judged { verdict, deviants, unjudged_kinds, limits }
}

fn deviant(fleet: &Fleet<'_>, place: usize, alike: u64) -> Deviant {
    let session = &fleet.sessions[place];
    let history = history(&fleet.common, session, &fleet.publishers);
    let cell = cell(fleet.request, session.number);
    let judged = combine(&cell, vec![judge_history(&cell, &history)]);
    Deviant { number: session.number, history, judged, alike }
}

/// How many messages were not released on connections that are still open.
fn open_handshakes(fleet: &Fleet<'_>) -> usize {
    let last = fleet.sessions.iter().filter_map(|session| session.returned.last());
    last.filter(|visit| !visit.has_ended()).map(Visit::open_handshakes).sum()
}

/// What keeps a storm from being all that was asked for.
fn limits(fleet: &Fleet<'_>, ledger: &Ledger, cut_short: Option<CutShort>) -> Vec<String> {
    let how = fleet.refusals.usual().map(|how| format!(": {how}")).unwrap_or_default();
    let accounted = format!(
        "{} of {} sessions were parked, {} of {} messages acknowledged, and {} of them came to {} sessions",
        ledger.parked, ledger.sessions, ledger.accepted, ledger.sent, ledger.delivered, ledger.returned
    );
    let mut limits = Vec::new();
    match cut_short {
        Some(CutShort::Gone) => limits.push(format!("the storm could not go on{how}; until then {accounted}")),
        Some(CutShort::Shared) => limits.push(format!("until somebody else used the prefix, {accounted}")),
        Some(CutShort::Interrupted) => limits.push(format!("interrupted; until then {accounted}")),
        None if ledger.parked < ledger.sessions => {
            let missing = ledger.sessions - ledger.parked;
            limits.push(format!("the broker did not take {missing} of {} sessions{how}", ledger.sessions));
        }
        None => {}
    }
    if cut_short.is_none() {
        for (count, what) in [
            (ledger.refused, "messages were refused"),
            (ledger.sent - ledger.accepted - ledger.refused, "messages were not acknowledged"),
            (ledger.parked - ledger.returned, "sessions were not let in when they returned"),
        ] {
            if count > 0 {
                limits.push(format!("{count} {what}{how}"));
            }
        }
    }
    limits
}
