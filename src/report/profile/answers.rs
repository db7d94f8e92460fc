//! The numbers in words, for the two questions that people ask first: how many messages, and for how long.

use super::{value, why};
use crate::profile::{Measured, Number, Profile, Quantity};
use crate::report::page::{Page, wrap};
use crate::visible::visible;

/// The Session Expiry Interval that was asked for, in seconds, to see what the broker grants.
const ASKED_S: u64 = 3600;

/// Both questions with their answers.
pub fn section(profile: &Profile, page: Page) -> String {
    let answers = [
        ("How many messages does it keep for a session that is away?", how_many(profile)),
        ("For how long, and who sets it?", how_long(profile)),
    ];
    let said = answers.map(|(question, answer)| {
        let answer: String = answer.iter().map(|sentence| wrap("  ", &visible(sentence))).collect();
        format!("\n{}\n{answer}", page.palette.heading(question))
    });
    said.concat()
}

fn how_many(profile: &Profile) -> Vec<String> {
    let number = |quantity| profile.number(quantity);
    let Some(first) = number(Quantity::QueueQos1) else { return vec![UNKNOWN.into()] };
    if first.measured.is_missing() {
        return vec![format!("Not measured: {}.", why(first))];
    }
    let others = [("2", number(Quantity::QueueQos2)), ("0", number(Quantity::QueueQos0))];
    let mut counts = format!("{} at QoS 1", value(first));
    for (qos, number) in others {
        let known = number.filter(|number| !number.measured.is_missing());
        counts += &known.map(|number| format!(", {} at QoS {qos}", value(number))).unwrap_or_default();
    }
    let mut said = vec![counts + "."];
    if let (Some(full), Some(told)) = (seen(profile, Quantity::QueueFull), seen(profile, Quantity::QueueTold)) {
        said.push(format!("When the queue is full the broker {full}; who is told: {told}."));
    } else if matches!(first.measured, Measured::AtLeast { .. }) {
        said.push("No limit was reached; --budget N looks further.".into());
    }
    said.extend(seen(profile, Quantity::QueueShared).map(|whose| format!("As to the limit, {whose}.")));
    said
}

fn how_long(profile: &Profile) -> Vec<String> {
    let known = |quantity| profile.number(quantity).filter(|number| !number.measured.is_missing());
    let mut said = Vec::new();
    said.extend(
        known(Quantity::SessionLong)
            .map(|long| of_5(long, known(Quantity::SessionShort), known(Quantity::SessionAbsent))),
    );
    said.extend(known(Quantity::Session311).map(|session| match session.measured {
        Measured::AtLeast { .. } => format!(
            "3.1.1: the broker alone; the session was there as long as it was followed, {}; --wait TIME follows it further.",
            value(session)
        ),
        _ => format!("3.1.1: the broker alone; the session lived {}.", value(session)),
    }));
    said.extend(seen(profile, Quantity::SessionEnd).filter(|when| *when == "by a sweep").map(|_| {
        "A session that is over stays until the broker looks for such sessions, which it does only now and then.".into()
    }));
    said.extend(seen(profile, Quantity::SessionRestart).map(|kept| match kept {
        "kept" => "What waits for a session outlives a restart of the broker.".into(),
        _ => "What waits for a session does not outlive a restart of the broker.".to_owned(),
    }));
    if said.is_empty() { vec![UNKNOWN.into()] } else { said }
}

/// Who sets the life of a session in 5.0, by what is granted and by what becomes of it.
fn of_5(long: &Number, short: Option<&Number>, absent: Option<&Number>) -> String {
    match long.announced {
        _ if long.differs => {
            format!("5.0: the broker; it grants what the client asks for, and the session lived {}.", value(long))
        }
        Some(granted) if granted < ASKED_S => {
            let granted = long.quantity.unit().shown(granted);
            format!("5.0: the broker; a client that asks for 3,600 s is granted {granted}.")
        }
        _ => {
            let short = short.map(|short| format!("; of 4 s it lived {}", value(short))).unwrap_or_default();
            let absent =
                absent.map(|absent| format!(", and {} where it asks for nothing", value(absent))).unwrap_or_default();
            format!("5.0: the client, by the Session Expiry Interval of its CONNECT{short}{absent}.")
        }
    }
}

/// A quantity that is told in words.
fn seen(profile: &Profile, quantity: Quantity) -> Option<&str> {
    match &profile.number(quantity)?.measured {
        Measured::Seen { value } => Some(value),
        _ => None,
    }
}

const UNKNOWN: &str = "Not measured.";
