//! The kill table by way of travel: which statements can be broken on which ways of a message, and by which lies it was seen
//! that the judge looks there.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

use mqtt_sessions::packet::Protocol::{self, V3, V5};
use mqtt_sessions::results::Level;
use mqtt_sessions::statement::{Duty, statements};

use test_broker::Way::{self, Live, Queued, Resent, RetainedCopy, Shared, Will};

/// A statement, and the ways on which it can be broken.
type Row = (Protocol, &'static str, &'static [Way], &'static str);

const ALL: &[Way] = &Way::ALL;
const FIRST: &[Way] = &[Live, Queued, RetainedCopy, Will, Shared];
const BY_SUBSCRIPTION: &[Way] = &[Live, Queued, Will];

const NO_SHARED: &str = "3.1.1 knows no shared subscriptions";
const NO_FIRST: &str = "what is sent again is no first copy, and never has QoS 0";
const ONLY_RESENT: &str = "it is about what is sent again";
const ONLY_WILL: &str = "it is about wills";
const ONLY_RETAINED: &str = "it is about the retained message of a topic";
const ONLY_SHARED: &str = "it is about shared subscriptions";
const ONE_AT_A_TIME: &str =
    "a client has one will at a time, and no statement orders retained copies or shared messages";
const NO_OVERLAP: &str = "each SUBSCRIBE and each group has its own copy, and what is sent again was decided before";
const NEW_MESSAGES: &str = "it is about what is published after an UNSUBSCRIBE to the client's own subscription";
const GONE_WHILE_THERE: &str =
    "it is about new messages to a client that is there; an absent one has no subscription left, MQTT-3.10.4-1";
const NO_DOLLAR: &str =
    "no client publishes on a topic that begins with $, so only retained messages of the broker are there";
const BARE_WILLS: &str = "the wills of scenarios carry no properties";

/// The statements about messages on their way to a subscriber. The last column says why the other ways are impossible; for
/// shared subscriptions in 3.1.1 that is [`NO_SHARED`].
const ROWS: &[Row] = &[
    (V3, "MQTT-2.3.1-4", FIRST, "what is sent again under another identifier falls under MQTT-4.4.0-1"),
    (V3, "MQTT-3.1.2-5", &[Queued, Will], "it is about messages for a client that is away"),
    (V3, "MQTT-3.1.2-7", &[RetainedCopy], ONLY_RETAINED),
    (V3, "MQTT-3.1.2-8", &[Will], ONLY_WILL),
    (V3, "MQTT-3.1.2-10", &[Will], ONLY_WILL),
    (V3, "MQTT-3.1.2-12", &[Will], ONLY_WILL),
    (V3, "MQTT-3.1.2-16", &[Will], ONLY_WILL),
    (V3, "MQTT-3.1.2-17", &[Will], ONLY_WILL),
    (V3, "MQTT-3.3.1-1", &[Resent], ONLY_RESENT),
    (V3, "MQTT-3.3.1-2", FIRST, NO_FIRST),
    (V3, "MQTT-3.3.1-3", FIRST, NO_FIRST),
    (V3, "MQTT-3.3.1-5", &[RetainedCopy], ONLY_RETAINED),
    (V3, "MQTT-3.3.1-6", &[RetainedCopy], ONLY_RETAINED),
    (V3, "MQTT-3.3.1-7", &[RetainedCopy], ONLY_RETAINED),
    (V3, "MQTT-3.3.1-8", &[RetainedCopy], ONLY_RETAINED),
    (V3, "MQTT-3.3.1-9", ALL, NO_SHARED),
    (V3, "MQTT-3.3.1-10", &[Live, Queued, RetainedCopy], "an empty message that is sent again is one of these"),
    (V3, "MQTT-3.3.1-11", &[RetainedCopy], ONLY_RETAINED),
    (V3, "MQTT-3.3.1-12", &[RetainedCopy], ONLY_RETAINED),
    (V3, "MQTT-3.3.5-1", BY_SUBSCRIPTION, NO_OVERLAP),
    (V3, "MQTT-3.8.4-3", &[Live, Queued, RetainedCopy], "a SUBSCRIBE touches nothing that is under way"),
    (V3, "MQTT-3.8.4-6", ALL, NO_SHARED),
    (V3, "MQTT-3.10.4-1", BY_SUBSCRIPTION, NEW_MESSAGES),
    (V3, "MQTT-3.10.4-2", &[Live, Will], GONE_WHILE_THERE),
    (V3, "MQTT-3.10.4-3", &[Resent], ONLY_RESENT),
    (V3, "MQTT-4.3.3-1", &[Live, Queued, Resent, RetainedCopy], "a will that comes twice falls under MQTT-3.1.2-10"),
    (V3, "MQTT-4.4.0-1", &[Resent], ONLY_RESENT),
    (
        V3,
        "MQTT-4.5.0-1",
        &[Live],
        "what an absent client misses falls under MQTT-3.1.2-5, and all else under what asked for it",
    ),
    (V3, "MQTT-4.6.0-6", &[Live, Queued, Resent], ONE_AT_A_TIME),
    (V3, "MQTT-4.7.2-1", &[RetainedCopy], NO_DOLLAR),
    (V5, "MQTT-2.2.1-4", FIRST, "what is sent again under another identifier falls under MQTT-4.4.0-1"),
    (V5, "MQTT-3.1.2-8", &[Will], ONLY_WILL),
    (V5, "MQTT-3.1.2-10", &[Will], ONLY_WILL),
    (V5, "MQTT-3.1.2-14", &[Will], ONLY_WILL),
    (V5, "MQTT-3.1.2-15", &[Will], ONLY_WILL),
    (V5, "MQTT-3.1.2-24", &[Live, Queued, Resent, RetainedCopy, Shared], "the wills of scenarios are small"),
    (V5, "MQTT-3.1.3-9", &[Will], ONLY_WILL),
    (V5, "MQTT-3.3.1-1", &[Resent], ONLY_RESENT),
    (V5, "MQTT-3.3.1-2", FIRST, NO_FIRST),
    (V5, "MQTT-3.3.1-3", FIRST, NO_FIRST),
    (V5, "MQTT-3.3.1-5", &[RetainedCopy], ONLY_RETAINED),
    (V5, "MQTT-3.3.1-6", &[Live, Queued, RetainedCopy], "an empty message that is sent again is one of these"),
    (V5, "MQTT-3.3.1-7", &[RetainedCopy], ONLY_RETAINED),
    (V5, "MQTT-3.3.1-8", &[RetainedCopy], ONLY_RETAINED),
    (V5, "MQTT-3.3.1-9", &[RetainedCopy], ONLY_RETAINED),
    (V5, "MQTT-3.3.1-10", &[RetainedCopy], ONLY_RETAINED),
    (V5, "MQTT-3.3.1-11", &[RetainedCopy], ONLY_RETAINED),
    (V5, "MQTT-3.3.1-12", ALL, ""),
    (
        V5,
        "MQTT-3.3.1-13",
        &[Live, Queued, Resent, Will, Shared],
        "the flag of a retained copy falls under section 3.8.3.1",
    ),
    (V5, "MQTT-3.3.2-4", &[Live, Queued, Resent, RetainedCopy, Shared], BARE_WILLS),
    (V5, "MQTT-3.3.2-5", &[Queued, RetainedCopy, Shared], "it did not wait before its delivery began"),
    (V5, "MQTT-3.3.2-6", &[Queued, Resent, RetainedCopy, Shared], "it did not wait"),
    (V5, "MQTT-3.3.2-15", &[Live, Queued, Resent, RetainedCopy, Shared], BARE_WILLS),
    (V5, "MQTT-3.3.2-16", &[Live, Queued, Resent, RetainedCopy, Shared], BARE_WILLS),
    (V5, "MQTT-3.3.2-17", &[Live, Queued, Resent, RetainedCopy, Shared], BARE_WILLS),
    (V5, "MQTT-3.3.2-18", &[Live, Queued, Resent, RetainedCopy, Shared], BARE_WILLS),
    (V5, "MQTT-3.3.2-20", &[Live, Queued, Resent, RetainedCopy, Shared], BARE_WILLS),
    (V5, "MQTT-3.3.4-2", BY_SUBSCRIPTION, NO_OVERLAP),
    (V5, "MQTT-3.3.4-3", ALL, ""),
    (V5, "MQTT-3.3.4-4", BY_SUBSCRIPTION, NO_OVERLAP),
    (V5, "MQTT-3.3.4-5", BY_SUBSCRIPTION, NO_OVERLAP),
    (V5, "MQTT-3.3.4-9", ALL, ""),
    (V5, "3.8.3.1", &[RetainedCopy, Resent], ONLY_RETAINED),
    (
        V5,
        "MQTT-3.8.3-3",
        &[Live, Will],
        "a client that publishes is there, a group has no No Local, and retained copies are not said to be forwarded",
    ),
    (V5, "MQTT-3.8.4-4", &[Live, Queued, RetainedCopy], "a SUBSCRIBE touches nothing that is under way"),
    (
        V5,
        "MQTT-3.8.4-8",
        &[Live, Queued, Resent, Will, RetainedCopy],
        "a message of a shared subscription at a wrong QoS falls under MQTT-4.8.2-3",
    ),
    (V5, "MQTT-3.10.4-1", BY_SUBSCRIPTION, NEW_MESSAGES),
    (V5, "MQTT-3.10.4-2", &[Live, Will], GONE_WHILE_THERE),
    (V5, "MQTT-3.10.4-3", &[Resent], ONLY_RESENT),
    (V5, "MQTT-4.3.3-6", &[Resent], ONLY_RESENT),
    (V5, "MQTT-4.3.3-7", &[Resent], ONLY_RESENT),
    (V5, "MQTT-4.4.0-1", &[Resent], ONLY_RESENT),
    (V5, "MQTT-4.4.0-2", &[Resent], ONLY_RESENT),
    (
        V5,
        "MQTT-4.5.0-1",
        &[Live, Queued, Will, Shared],
        "what has begun falls under MQTT-4.4.0-1, and a retained copy under what asked for it",
    ),
    (V5, "MQTT-4.6.0-5", &[Live, Queued, Resent], ONE_AT_A_TIME),
    (V5, "MQTT-4.7.2-1", &[RetainedCopy], NO_DOLLAR),
    (V5, "MQTT-4.8.2-3", &[Shared], ONLY_SHARED),
    (V5, "MQTT-4.8.2-4", &[Shared], ONLY_SHARED),
    (V5, "MQTT-4.8.2-5", &[Shared], ONLY_SHARED),
    (V5, "MQTT-4.8.2-6", &[Shared], ONLY_SHARED),
];

/// Statements that are about no message on its way to a subscriber.
const NO_WAY: &[(Protocol, &str, &str)] = &[
    (
        V3,
        "the Session and its connection",
        "3.1.2-4 3.1.2-6 3.1.2-24 3.1.3-2 3.1.3-5 3.1.3-8 3.1.4-2 3.1.4-4 3.2.0-1 3.2.2-1 3.2.2-2 3.2.2-3 3.2.2-4 3.2.2-5 3.14.4-3 4.1.0-2",
    ),
    (
        V3,
        "the answer to a packet of the client",
        "2.3.1-6 3.3.4-1 3.8.4-1 3.8.4-2 3.8.4-5 3.9.3-1 3.9.3-2 3.10.4-4 3.12.4-1 4.3.2-2 4.3.3-2",
    ),
    (
        V5,
        "the Session and its connection",
        "3.1.2-4 3.1.2-22 3.1.2-23 3.1.3-2 3.1.3-5 3.1.3-7 3.1.4-3 3.1.4-5 3.2.0-1 3.2.0-2 3.2.2-2 3.2.2-3 3.2.2-6 3.2.2-7 3.2.2-9 3.2.2-12 3.2.2-13 3.2.2-16 3.14.2-2 3.14.4-1 3.14.4-2 3.14.4-3 4.1.0-1 4.1.0-2 4.9.0-1 4.12.0-6",
    ),
    (
        V5,
        "the answer to a packet of the client",
        "2.2.1-5 3.2.2-10 3.3.4-1 3.3.4-10 3.4.2-1 3.5.2-1 3.6.2-1 3.7.2-1 3.8.4-1 3.8.4-2 3.8.4-3 3.8.4-6 3.8.4-7 3.9.3-1 3.9.3-2 3.10.4-4 3.11.3-2 3.12.4-1 4.3.2-5 4.3.3-4 4.3.3-10 4.3.3-11 4.3.3-12",
    ),
    (V3, "the form of any packet", "1.5.3-1 1.5.3-2 2.2.2-1 3.2.2"),
    (V5, "the form of any packet", "1.5.4-1 1.5.4-2 2.1.3-1 3.2.2-1 3.14.2-1"),
    (V3, "the form of any PUBLISH", "2.3.1-1 3.3.1-4 3.3.2-2 4.7.3-1"),
    (
        V5,
        "the form of any PUBLISH, or what follows one that was dropped",
        "3.1.2-25 3.1.2-26 3.1.2-27 3.3.1-4 3.3.2-2 3.3.2-7 3.3.2-8 4.7.3-1",
    ),
];

/// Cells that no lie has been caught in yet. The list may only shrink.
pub const OPEN: &[(Protocol, &str, &[Way])] = &[];

/// By statement and way the lies that were caught by it.
pub type KillsByWay = BTreeMap<(Protocol, &'static str, Way), BTreeSet<&'static str>>;

/// True if the statement can be broken on this way.
fn is_possible(row: &Row, way: Way) -> bool {
    row.2.contains(&way) && !(row.0 == V3 && way == Shared)
}

/// Why the statement cannot be broken on this way.
fn reason(row: &Row, way: Way) -> &'static str {
    if row.0 == V3 && way == Shared { NO_SHARED } else { row.3 }
}

fn is_listed(protocol: Protocol, id: &str) -> bool {
    let number = id.strip_prefix("MQTT-").unwrap_or(id);
    let without_way = NO_WAY.iter().any(|(of, _, ids)| *of == protocol && ids.split(' ').any(|own| own == number));
    without_way || ROWS.iter().any(|row| (row.0, row.1) == (protocol, id))
}

/// What is wrong with the tables above: a statement that stands in none, or an open cell that nobody knows of.
pub fn complaints(kills: &KillsByWay) -> Vec<String> {
    let mut complaints = Vec::new();
    for protocol in Protocol::ALL {
        let judged = statements(protocol).iter().filter(|own| own.duty == Duty::Judged && own.level == Level::Must);
        let unlisted = judged.filter(|statement| !is_listed(protocol, statement.id));
        complaints
            .extend(unlisted.map(|statement| format!("{protocol} {}: on which ways can it be broken?", statement.id)));
    }
    for (protocol, id, ways) in OPEN {
        for way in ways.iter().filter(|way| kills.contains_key(&(*protocol, *id, **way))) {
            complaints.push(format!("{protocol} {id} is killed on this way, so it is not open: {}", way.name()));
        }
    }
    for (protocol, id, ways) in open_cells(kills) {
        println!("{protocol} {id} is open: {}", ways.iter().map(|way| way.name()).collect::<Vec<_>>().join(", "));
        let known = |way: &Way| OPEN.iter().any(|(of, own, ways)| (*of, *own) == (protocol, id) && ways.contains(way));
        let unknown: Vec<&str> = ways.iter().filter(|way| !known(way)).map(|way| way.name()).collect();
        if !unknown.is_empty() {
            complaints.push(format!("{protocol} {id}: no lie was caught on these ways: {}", unknown.join(", ")));
        }
    }
    complaints
}

/// The cells that are possible and not killed.
pub fn open_cells(kills: &KillsByWay) -> Vec<(Protocol, &'static str, Vec<Way>)> {
    let open = |row: &Row| {
        let ways =
            Way::ALL.into_iter().filter(|way| is_possible(row, *way) && !kills.contains_key(&(row.0, row.1, *way)));
        (row.0, row.1, ways.collect::<Vec<_>>())
    };
    ROWS.iter().map(open).filter(|(.., ways)| !ways.is_empty()).collect()
}

/// The table as text.
pub fn table(kills: &KillsByWay) -> String {
    let mut text = String::from(HEAD);
    let mut reasons: Vec<&str> = Vec::new();
    for protocol in Protocol::ALL {
        let ways = Way::ALL.map(Way::name).join(" | ");
        let _ = write!(text, "\n### MQTT {protocol} by way\n\n| statement | {ways} |\n|---|---|---|---|---|---|---|\n");
        for row in ROWS.iter().filter(|row| row.0 == protocol) {
            let _ = write!(text, "| {} |", row.1);
            for way in Way::ALL {
                let cell = match kills.get(&(row.0, row.1, way)) {
                    Some(lies) => lies.iter().copied().collect::<Vec<_>>().join(", "),
                    None if is_possible(row, way) => "**open**".to_owned(),
                    None => {
                        let reason = reason(row, way);
                        let known = reasons.iter().position(|own| *own == reason);
                        let number = known.unwrap_or_else(|| {
                            reasons.push(reason);
                            reasons.len() - 1
                        });
                        format!("({})", number + 1)
                    }
                };
                let _ = write!(text, " {cell} |");
            }
            text.push('\n');
        }
    }
    text.push_str("\nA number says why a message cannot break the statement on that way:\n\n");
    for (number, reason) in reasons.iter().enumerate() {
        let _ = writeln!(text, "{}. {reason}", number + 1);
    }
    text
}

const HEAD: &str = "
## By way of travel

A message comes to a client live, out of the queue, sent again, as a retained copy, as a will, or through a group. A judge
that looks at one of these ways and not at another misses a lie that is told there alone. Here are the lies that are told on
one way only, and the statement by which each was caught.
";
