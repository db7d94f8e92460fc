//! What the standard makes a broker owe in one attempt, read off the model's slots: where each obligation arises, by which statement,
//! and what became of it.

use super::absences::{self, asks};
use super::connects::{SERVER_UNAVAILABLE, expected_present};
use super::deliveries::{Ledger, ledgers};
use super::facts::{Connection, Facts, Publication};
use super::finding::Findings;
use super::groups::{self, groups};
use super::handshakes::{self, Due, Resumption};
use super::model::{Asks, Model};
use super::proof::{Evidence, Proof};
use super::races::AsTaken;
use super::rules::{self, Rule};
use super::session::SessionEnd;
use super::wills;
use crate::history::{History, Message};
use crate::packet::Protocol;
use crate::plan::Declared;
use crate::results::{CellRun, Options, StoredHistoryError};

/// Something that the broker owes to a client, may give it, or owes no more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Obligation {
    /// The index of the entry with which it arises.
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
    /// By the entry with this index.
    Met(usize),
    /// By the entry with this index, or by an absence that the history proves.
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
        let obligations = obligations(&history, options.declared());
        Attempt { history, obligations }
    });
    Ok(attempts.collect())
}

/// What is owed in one attempt, in the order in which it arises.
pub fn obligations(history: &History, declared: Declared) -> Vec<Obligation> {
    let taken = AsTaken::of(history);
    let history = taken.history.as_ref();
    let facts = Facts::of(history);
    let kept = super::kept_sessions(history, &facts, declared);
    let model = Model::of(&facts, &kept);
    let mut all = Vec::new();
    for connection in &facts.connections {
        refusal(connection, &mut all);
        present(&model, connection, &mut all);
    }
    let ledgers = ledgers(&model, &mut Findings::default());
    all.extend(facts.publications.iter().filter(|p| p.is_will()).filter_map(|will| of_will(&model, will)));
    for group in groups(&model, &ledgers) {
        of_group(&model, &group, &mut all);
    }
    for ledger in &ledgers {
        messages(&model, ledger, declared.queue_limit, &mut all);
        retained(&model, ledger, &mut all);
        for resumption in handshakes::check(&model, ledger, &mut Findings::default()) {
            all.push(again(&resumption));
        }
        ended(ledger, &mut all);
    }
    for obligation in &mut all {
        obligation.at = taken.seen_at(obligation.at);
        if let Outcome::Met(at) | Outcome::Broken(Some(at)) = &mut obligation.outcome {
            *at = taken.seen_at(*at);
        }
    }
    all.sort_by_key(|obligation| obligation.at);
    all
}

/// An obligation by a rule that may not exist in a protocol version.
fn by(rule: Option<Rule>, protocol: Protocol, at: usize, duty: Duty, what: String, why: String) -> Obligation {
    let statement = rule.and_then(|rule| rule.id(protocol));
    Obligation { at, duty, protocol, statement, what, why, outcome: Outcome::Open }
}

/// The refusal of a client that asks for a session without an identifier.
fn refusal(connection: &Connection, all: &mut Vec<Obligation>) {
    if !connection.must_be_refused() {
        return;
    }
    let why = format!("to {}, which has no identifier and asks for a session", connection.client);
    let rule = Some(rules::REFUSES_A_SESSION_WITHOUT_IDENTIFIER);
    let owed = by(rule, connection.protocol(), connection.opened.at, Duty::Must, "CONNACK 0x02".into(), why);
    let outcome = match &connection.connack {
        Some((at, _)) if connection.is_refused_by_rule() => Outcome::Met(*at),
        Some((at, connack)) if connack.code != SERVER_UNAVAILABLE => Outcome::Broken(Some(*at)),
        _ => Outcome::Open,
    };
    all.push(Obligation { outcome, ..owed });
}

/// Session Present in the CONNACK of an accepted connection.
fn present(model: &Model<'_>, connection: &Connection, all: &mut Vec<Obligation>) {
    let Some((at, connack)) = connection.connack.as_ref().filter(|_| connection.is_accepted()) else { return };
    let expected = expected_present(model, connection);
    let is_right = connack.session_present == expected.value;
    let why = if expected.value && is_right { "its session of the connection before goes on" } else { expected.why };
    let why = format!("to {}: {why}", connection.client);
    let what = format!("Session Present {}", u8::from(expected.value));
    let owed = by(Some(expected.rule), connection.protocol(), connection.opened.at, Duty::Must, what, why);
    let outcome = if is_right { Outcome::Met(*at) } else { Outcome::Broken(Some(*at)) };
    all.push(Obligation { outcome, ..owed });
}

/// The experiment's messages, and wills, that met a subscription of this session; fences only where one shows that a subscription
/// was lost.
fn messages(model: &Model<'_>, ledger: &Ledger<'_>, queue_limit: Option<u32>, all: &mut Vec<Obligation>) {
    let evidence = Evidence { model, ledger };
    let owed = absences::owed(&evidence).collect::<Vec<_>>();
    let lost = absences::lost(&evidence, owed.iter().copied());
    let excused = absences::is_excused(&evidence, &owed, &lost, queue_limit);
    for publication in &model.facts.publications {
        let is_shown = publication.is_of_experiment() || publication.is_will();
        let lost = lost.iter().find(|lost| std::ptr::eq(lost.publication, publication));
        let Some(accepted) = publication.accepted.filter(|_| is_shown) else { continue };
        let Some(mut obligation) = of_message(model, ledger, publication, accepted.at) else { continue };
        obligation.outcome = match (evidence.arrival(publication), lost) {
            (Some(copy), _) => Outcome::Met(copy.delivery.place.at),
            (None, Some(lost)) if lost.away && excused => Outcome::Excused,
            (None, Some(lost)) if !matches!(lost.proof, Proof::Missing(_)) => Outcome::Broken(None),
            (None, _) => Outcome::Open,
        };
        all.push(obligation);
    }
    for fence in absences::lost_fences(&evidence) {
        let connection = ledger.session.connections.iter().skip(1).find(|own| own.session_present());
        let passed = connection.is_some_and(|own| evidence.time_has_passed_on(own, own.opened.at));
        let Some((connection, accepted)) = connection.zip(fence.accepted).filter(|_| passed) else { continue };
        let why = format!("to {}: the subscription belongs to the resumed session", connection.client);
        let rule = Some(rules::ADDED_TO_THE_SESSION);
        let owed = by(rule, connection.protocol(), accepted.at, Duty::Must, fence.message.to_string(), why);
        all.push(Obligation { outcome: Outcome::Broken(None), ..owed });
    }
}

/// How strongly a message is owed, by which rule, to whom and why; `None` where it meets no subscription.
fn of_message(model: &Model<'_>, ledger: &Ledger<'_>, publication: &Publication, at: usize) -> Option<Obligation> {
    let session = ledger.session;
    let away = model.is_away(session, publication)?;
    let (client, what) = (session.client, publication.message.to_string());
    let protocol = session.protocol();
    if model.is_too_large(session, publication) {
        let why =
            format!("to {client}: with all that the broker may add it may be larger than its Maximum Packet Size");
        return Some(by(Some(rules::MAXIMUM_PACKET_SIZE), protocol, at, Duty::Nothing, what, why));
    }
    if let Some(qos) = model.owed_qos(session, publication) {
        let (rule, reason) = match away {
            true => (rules::STORED_FOR_THE_SESSION, "stored while it is away"),
            false => (rules::ADDED_TO_THE_SESSION, "it is there"),
        };
        let why = format!("to {client} at QoS {qos}: {reason}");
        return Some(by(Some(rule), protocol, at, Duty::Must, what, why));
    }
    let met = model.met(session, publication);
    let qos = met.iter().map(|filter| filter.least_qos(publication.qos)).max().unwrap_or(0);
    let reason = match (qos, away) {
        (0, false) => "it has QoS 0 for this session, which promises nothing",
        (0, true) => "it has QoS 0 for this session, and the client is away",
        _ => "its Message Expiry Interval may pass before",
    };
    let verb = if away { "keep for" } else { "deliver to" };
    Some(by(None, protocol, at, Duty::May, what, format!("{verb} {client}: {reason}")))
}

/// The retained messages that each SUBSCRIBE finds.
fn retained(model: &Model<'_>, ledger: &Ledger<'_>, all: &mut Vec<Obligation>) {
    let evidence = Evidence { model, ledger };
    for ask in asks(model, ledger.session) {
        let (client, protocol) = (&ask.connection.client, ask.connection.protocol());
        let at = ask.subscribing.suback.map_or(ask.subscribing.sent.at, |(place, _)| place.at);
        let what = ask.last().message.to_string();
        let because = format!("to {client} because of this SUBSCRIBE");
        let mut obligation = match ask.asks {
            Asks::NotAgain => {
                let why = format!("{because}: Retain Handling is 1, and the subscription existed");
                by(Some(rules::RETAIN_HANDLING_1), protocol, at, Duty::Nothing, what, why)
            }
            Asks::Never => {
                let why = format!("{because}: Retain Handling is 2");
                by(Some(rules::RETAIN_HANDLING_2), protocol, at, Duty::Nothing, what, why)
            }
            _ if ask.is_owed(&evidence) => {
                let why = format!("to {client} as the retained message, because of this SUBSCRIBE");
                by(Some(ask.rule(&evidence)), protocol, at, Duty::Must, what, why)
            }
            _ => {
                let why = format!("send to {client} as the retained message: it need not be kept so long");
                by(None, protocol, at, Duty::May, what, why)
            }
        };
        obligation.outcome = match (ask.arrival(&evidence), obligation.duty) {
            (Some(copy), _) => Outcome::Met(copy.delivery.place.at),
            (None, Duty::Must) if ask.time_has_passed(&evidence) => Outcome::Broken(None),
            (None, _) => Outcome::Open,
        };
        all.push(obligation);
    }
}

/// A message that was under way when the connection before ended.
fn again(resumption: &Resumption<'_>) -> Obligation {
    let Resumption { connection, delivery, due, came, absent, rule, why } = resumption;
    let at = connection.connack.as_ref().map_or(connection.opened.at, |(at, _)| *at);
    let message = delivery.message.map_or_else(|| "the message".into(), |message: Message| message.to_string());
    let (client, protocol) = (&connection.client, connection.protocol());
    let mut obligation = match due {
        Due::Nothing => {
            let why = format!("send to {client} again: the acknowledgement may not have reached the broker");
            by(None, protocol, at, Duty::May, message, why)
        }
        due => {
            let what = format!("{} of {message}", due.packet());
            by(Some(*rule), protocol, at, Duty::Must, what, format!("to {client} again: {why}"))
        }
    };
    obligation.outcome = match (came, absent) {
        (Some(at), _) => Outcome::Met(*at),
        (None, Some(_)) => Outcome::Broken(None),
        (None, None) => Outcome::Open,
    };
    obligation
}

/// A message for a shared subscription: to one client of the group.
fn of_group(model: &Model<'_>, group: &groups::Group<'_, '_>, all: &mut Vec<Obligation>) {
    let Some(accepted) = group.publication.accepted.filter(|_| group.sure) else { return };
    let clients: Vec<&str> = group.members.iter().map(|ledger| ledger.session.client).collect();
    let why = format!("to one client of the shared subscription: {}", clients.join(" or "));
    let is_owed = groups::is_owed(model, group);
    let duty = if is_owed { Duty::Must } else { Duty::May };
    let rule = Some(rules::ADDED_TO_THE_SESSION).filter(|_| is_owed);
    let what = group.publication.message.to_string();
    let owed = by(rule, Protocol::V5, accepted.at, duty, what, why);
    let outcome = match group.copies.first() {
        Some((_, copy)) => Outcome::Met(copy.delivery.place.at),
        None if is_owed && groups::is_proven_lost(model, group) => Outcome::Broken(None),
        None => Outcome::Open,
    };
    all.push(Obligation { outcome, ..owed });
}

/// A will: owed when its client goes away without a word, and no more after DISCONNECT.
fn of_will(model: &Model<'_>, will: &Publication) -> Option<Obligation> {
    let connection = &model.facts.connections[will.will_of?];
    let (client, protocol, what) = (&connection.client, connection.protocol(), will.message.to_string());
    let came = will.accepted.map(|accepted| accepted.at);
    let against = |obligation: Obligation| Obligation {
        outcome: came.map_or(Outcome::Open, |at| Outcome::Broken(Some(at))),
        ..obligation
    };
    if let Some(left) = connection.left_for_good() {
        let why = format!("to anybody: DISCONNECT discards the will of {client}");
        let rule = Some(rules::WILL_DISCARDED_AT_DISCONNECT);
        return Some(against(by(rule, protocol, left.at, Duty::Nothing, what, why)));
    }
    let at = connection.end.filter(|_| !connection.may_have_left_in_vain())?.at;
    let delay = connection.connect.will.as_ref().and_then(|will| will.delay).unwrap_or(0);
    if wills::is_back_in_time(model.facts, connection).is_some() {
        let why = format!("to anybody: {client} is back within the Will Delay Interval of {delay} s");
        let rule = Some(rules::WILL_NOT_BEFORE_ITS_DELAY);
        return Some(against(by(rule, protocol, at, Duty::Nothing, what, why)));
    }
    let when = if delay > 0 { format!(", after {delay} s or with its session") } else { String::new() };
    let why =
        format!("to every client that subscribes to its topic{when}: {client} went away without a plain DISCONNECT");
    let owed = by(Some(rules::WILL_PUBLISHED_AT_THE_END), protocol, at, Duty::Must, what, why);
    Some(Obligation { outcome: came.map_or(Outcome::Open, Outcome::Met), ..owed })
}

/// The session has ended, and with it all that was owed to it.
fn ended(ledger: &Ledger<'_>, all: &mut Vec<Obligation>) {
    let session = ledger.session;
    let Some(end) = session.end.filter(|_| !session.subscriptions.is_empty()) else { return };
    let protocol = session.protocol();
    let (rule, why) = match (end, protocol) {
        (SessionEnd::WithConnection(_), Protocol::V3) => {
            (rules::A_DISCARDED_SESSION_IS_NOT_USED, "the session was discarded at the end of its connection")
        }
        (SessionEnd::WithConnection(_), Protocol::V5) => {
            (rules::AN_EXPIRED_SESSION_IS_DISCARDED, "the session was discarded at the end of its connection")
        }
        (SessionEnd::Expired(_), _) => (
            rules::AN_EXPIRED_SESSION_IS_DISCARDED,
            "the session was discarded when its Session Expiry Interval passed",
        ),
        (SessionEnd::Discarded(_), _) => {
            (rules::A_DISCARDED_SESSION_IS_NOT_USED, "the session before was discarded, as the client asked")
        }
        (SessionEnd::Lost(_) | SessionEnd::LostInOutage(_), _) => return,
    };
    all.push(by(
        Some(rule),
        protocol,
        end.place().at,
        Duty::Nothing,
        String::new(),
        format!("to {}: {why}", session.client),
    ));
}
