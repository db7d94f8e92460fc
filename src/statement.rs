//! The normative statements on sessions, once each, in our own words, and what becomes of each.
//!
//! A statement is found by protocol version and id: the standard's number, or the section of a sentence that has none.
//! The wording is what reports print; what a broker has to do in detail is decided in `judge`.

use std::collections::BTreeSet;

use crate::packet::Protocol;
use crate::results::Level;
use crate::slip::did_you_mean;

mod lies;
mod section;
mod v3;
mod v5;

pub use lies::Lie;

/// What a number of the standard begins with.
const NUMBERED: &str = "MQTT-";

/// What the standard demands in one place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Statement {
    pub protocol: Protocol,
    /// `MQTT-3.1.2-5`, or a section such as `3.14.4`.
    pub id: &'static str,
    pub level: Level,
    pub duty: Duty,
    /// One sentence: what the broker has to do, or the client where the duty is its alone.
    pub paraphrase: &'static str,
}

/// Who can break a statement, and where that is found out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Duty {
    /// A broker, and the judge cites it.
    Judged,
    /// A broker; it demands the same as another statement of its version, which is cited in its place.
    Same(&'static str),
    /// A broker, but no client that keeps to the standard can see it. The reason, as half a sentence.
    Unseen(&'static str),
    /// Only a client: it is the duty of this program. It breaks one on purpose, MQTT-3.1.3-7 of 3.1.1 in one lesson of
    /// the tutorial, since a broker keeps MQTT-3.1.3-8 only then.
    Client,
}

/// The statement with this id in this version of the standard.
pub fn find(protocol: Protocol, id: &str) -> Option<&'static Statement> {
    statements(protocol).iter().find(|statement| statement.id == id)
}

/// Every statement of one version of the standard, in the order of its sections.
pub fn statements(protocol: Protocol) -> &'static [Statement] {
    match protocol {
        Protocol::V3 => v3::STATEMENTS,
        Protocol::V5 => v5::STATEMENTS,
    }
}

/// Why no statement is meant.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("{typed}: there is no such statement{hint}; `mqtt-sessions list --statements` prints all")]
pub struct UnknownStatement {
    typed: String,
    /// What may be meant.
    hint: String,
}

/// True if this is spelled as the id of a statement, with or without its version: cells and scenarios begin with a letter
/// and have no hyphen.
pub fn is_id(text: &str) -> bool {
    let prefix = text.get(..NUMBERED.len());
    text.starts_with(|first: char| first.is_ascii_digit())
        || prefix.is_some_and(|own| own.eq_ignore_ascii_case(NUMBERED))
}

/// The statements with this id: `MQTT-3.1.2-5` or `3.1.2-5` in each version that has it, `5.0 MQTT-3.1.2-5` in one.
///
/// # Errors
/// [`UnknownStatement`] with those that may be meant.
pub fn named(text: &str) -> Result<Vec<&'static Statement>, UnknownStatement> {
    let split = text.split_once(' ').and_then(|(version, id)| Some((version.parse().ok()?, id)));
    let (versions, id) = match split {
        Some((version, id)) => (vec![version], id),
        None => (Protocol::ALL.to_vec(), text),
    };
    let id = id.to_ascii_uppercase();
    let ids = [id.clone(), format!("{NUMBERED}{id}")];
    let found: Vec<&Statement> =
        versions.iter().flat_map(|version| ids.iter().filter_map(|id| find(*version, id))).collect();
    if found.is_empty() {
        return Err(UnknownStatement {
            typed: text.into(),
            hint: hint(&ids[usize::from(!id.starts_with(NUMBERED))], &versions),
        });
    }
    Ok(found)
}

/// The statements of the same section, or else those whose ids differ from this one by a slip.
fn hint(id: &str, versions: &[Protocol]) -> String {
    let all: BTreeSet<&'static str> =
        versions.iter().flat_map(|version| statements(*version)).map(|own| own.id).collect();
    let section = |id: &str| id.rsplit_once('-').map_or(id, |(section, _)| section).to_owned();
    let of_section: Vec<&str> = all.iter().copied().filter(|own| section(own) == section(id)).collect();
    match of_section.is_empty() {
        true => did_you_mean(id, all),
        false => format!("; those of its section are {}", of_section.join(", ")),
    }
}

#[cfg(test)]
mod tests {

    use super::*;
    use crate::results::Level::{Must, Should};

    /// The numbers of what 3.1.1 says on sessions, queues, quality of service, order, retained messages and wills.
    const NUMBERS_V3: &str = "
        1.5.3-1 1.5.3-2 2.3.1-1 2.3.1-2 2.3.1-3 2.3.1-4 2.3.1-6 3.1.2-4 3.1.2-5 3.1.2-6 3.1.2-7 3.1.2-8 3.1.2-10 3.1.2-12 3.1.2-16 3.1.2-17
        3.1.2-24 3.1.3-2 3.1.3-5 3.1.3-6 3.1.3-7 3.1.3-8 3.1.4-2 3.1.4-3 3.1.4-4 3.2.0-1 3.2.2-1 3.2.2-2 3.2.2-3
        3.2.2-4 3.2.2-5 3.3.1-1 3.3.1-2 3.3.1-3 3.3.1-4 3.3.1-5 3.3.1-6 3.3.1-7 3.3.1-8 3.3.1-9 3.3.1-10 3.3.1-11 3.3.1-12
        3.3.2-2 3.3.2-3 3.3.4-1 3.3.5-1 3.3.5-2 3.8.4-1 3.8.4-2 3.8.4-3 3.8.4-5 3.8.4-6 3.9.3-1 3.9.3-2 3.10.4-1 3.10.4-2 3.10.4-3
        3.12.4-1 3.14.4-3 4.1.0-1 4.1.0-2 4.3.1-1 4.3.2-1 4.3.2-2 4.3.3-1 4.3.3-2 4.4.0-1 4.5.0-1 4.5.0-2 4.6.0-1
        4.6.0-2 4.6.0-3 4.6.0-4 4.6.0-5 4.6.0-6 4.7.2-1 4.7.3-1
    ";

    /// The same of 5.0, and on expiry, flow control and shared subscriptions.
    const NUMBERS_V5: &str = "
        1.5.4-1 1.5.4-2 2.2.1-4 2.2.1-5 3.1.2-4 3.1.2-5 3.1.2-6 3.1.2-7 3.1.2-8 3.1.2-10 3.1.2-14 3.1.2-15 3.1.2-22 3.1.2-23
        3.1.2-24 3.1.2-25 3.1.2-26 3.1.2-27 3.1.3-2 3.1.3-5 3.1.3-6 3.1.3-7 3.1.3-8 3.1.3-9 3.1.4-3 3.1.4-4 3.1.4-5
        3.2.0-1 3.2.0-2 3.2.2-1 3.2.2-2 3.2.2-3 3.2.2-4 3.2.2-5 3.2.2-6 3.2.2-7 3.2.2-9 3.2.2-10 3.2.2-11 3.2.2-12 3.2.2-13 3.2.2-14
        3.2.2-15 3.2.2-16 3.2.2-21 3.2.2-22 3.3.1-1 3.3.1-2 3.3.1-3 3.3.1-4 3.3.1-5 3.3.1-6 3.3.1-7 3.3.1-8 3.3.1-9 3.3.1-10 3.3.1-11
        3.3.1-12 3.3.1-13 3.3.2-2 3.3.2-3 3.3.2-4 3.3.2-5 3.3.2-6 3.3.2-7 3.3.2-8 3.3.2-15 3.3.2-16 3.3.2-17 3.3.2-18 3.3.2-20
        3.3.4-1 3.3.4-2 3.3.4-3 3.3.4-4 3.3.4-5 3.3.4-9 3.3.4-10 3.4.2-1 3.5.2-1 3.6.2-1 3.7.2-1 3.8.3-3 3.8.4-3 3.8.4-4 3.8.4-6 3.8.4-7 3.8.4-8 3.9.3-2 3.10.4-1
        3.10.4-2 3.10.4-3 3.11.3-2 3.12.4-1 3.14.2-1 3.14.2-2 3.14.4-1 3.14.4-2 3.14.4-3 4.1.0-1 4.1.0-2 4.3.1-1 4.3.2-1 4.3.2-2
        4.3.2-3 4.3.2-4 4.3.2-5 4.3.3-1 4.3.3-2 4.3.3-3 4.3.3-4 4.3.3-5 4.3.3-6 4.3.3-7 4.3.3-8 4.3.3-9 4.3.3-10
        4.3.3-11 4.3.3-12 4.3.3-13 4.4.0-1 4.4.0-2 4.5.0-1 4.5.0-2 4.6.0-1 4.6.0-2 4.6.0-3 4.6.0-4 4.6.0-5 4.6.0-6 4.7.3-1
        4.8.2-3 4.8.2-4 4.8.2-5 4.8.2-6 4.9.0-1 4.9.0-2 4.9.0-3 4.12.0-6
    ";

    fn all() -> impl Iterator<Item = &'static Statement> {
        Protocol::ALL.into_iter().flat_map(|protocol| statements(protocol).iter())
    }

    #[test]
    fn ids_are_unique_in_each_protocol() {
        for protocol in Protocol::ALL {
            let ids: BTreeSet<&str> = statements(protocol).iter().map(|statement| statement.id).collect();
            assert_eq!(ids.len(), statements(protocol).len(), "{protocol}");
            assert!(statements(protocol).iter().all(|statement| statement.protocol == protocol));
        }
    }

    #[test]
    fn every_paraphrase_is_one_sentence() {
        for Statement { id, paraphrase, .. } in all() {
            let sentence = paraphrase.strip_suffix('.').unwrap_or_else(|| panic!("{id}: no full stop"));
            assert!(sentence.starts_with(|first: char| first.is_uppercase()), "{id}");
            assert!(!sentence.contains(". ") && sentence.len() > 20, "{id}: {paraphrase}");
        }
    }

    #[test]
    fn an_id_is_a_number_of_the_standard_or_a_section() {
        for Statement { id, level, .. } in all() {
            let section = id.strip_prefix("MQTT-").unwrap_or(id);
            assert!(section.split(['.', '-']).all(|part| part.parse::<u8>().is_ok()), "{id}");
            assert!(!id.starts_with("MQTT-") || *level == Must, "{id}: what is numbered is a MUST here");
        }
    }

    #[test]
    fn a_statement_is_found_in_its_own_protocol_only() {
        assert_eq!(find(Protocol::V3, "MQTT-3.1.2-5").map(|found| found.protocol), Some(Protocol::V3));
        assert_eq!(find(Protocol::V5, "MQTT-4.3.3-6").map(|found| found.level), Some(Must));
        assert_eq!(find(Protocol::V5, "3.14.4").map(|found| found.level), Some(Should));
        assert_eq!(find(Protocol::V3, "MQTT-4.3.3-6"), Option::None);
    }

    #[test]
    fn a_statement_is_found_as_people_type_it() {
        let found = |text| named(text).map(|found| found.iter().map(|own| own.protocol).collect::<Vec<_>>());
        for text in ["MQTT-3.1.2-5", "mqtt-3.1.2-5", "3.1.2-5"] {
            assert!(is_id(text));
            assert_eq!(found(text), Ok(vec![Protocol::V3, Protocol::V5]), "{text}");
        }
        assert_eq!(found("5.0 MQTT-3.1.2-5"), Ok(vec![Protocol::V5]));
        assert_eq!(found("4.13"), Ok(vec![Protocol::V5]));
        assert!(!is_id("matrix") && !is_id("matrix[protocol=5.0]") && !is_id("") && !is_id("mqtt"));
    }

    #[test]
    fn an_id_that_does_not_exist_has_its_neighbours() {
        let why = |text| named(text).unwrap_err().to_string();
        assert!(why("MQTT-3.12.4-2").contains("; those of its section are MQTT-3.12.4-1; "));
        assert!(why("MQTT-31.2-5").contains(" (did you mean \"MQTT-3.1.2-5\"?)"), "{}", why("MQTT-31.2-5"));
        let many = why("MQTT-4.3.3-99");
        assert!(many.contains("those of its section are MQTT-4.3.3-1, "), "{many}");
        assert_eq!(why("9.9"), "9.9: there is no such statement; `mqtt-sessions list --statements` prints all");
        assert!(!why("5.0 MQTT-3.8.4-5").contains("\"MQTT-3.8.4-5\""));
    }

    #[test]
    fn every_number_has_its_statement() {
        for (protocol, numbers) in [(Protocol::V3, NUMBERS_V3), (Protocol::V5, NUMBERS_V5)] {
            for number in numbers.split_whitespace() {
                assert!(find(protocol, &format!("MQTT-{number}")).is_some(), "{protocol}: {number}");
            }
        }
    }

    #[test]
    fn numbers_stand_in_the_order_of_the_sections() {
        for protocol in Protocol::ALL {
            let numbers = statements(protocol).iter().filter_map(|statement| statement.id.strip_prefix("MQTT-"));
            let parts = numbers.map(|number| number.split(['.', '-']).map(|part| part.parse::<u8>().ok()).collect());
            let parts: Vec<Vec<Option<u8>>> = parts.collect();
            assert!(parts.is_sorted(), "{protocol}");
        }
    }

    #[test]
    fn what_demands_the_same_is_judged_in_its_own_protocol() {
        for Statement { protocol, id, duty, .. } in all() {
            let Duty::Same(other) = duty else { continue };
            let found = find(*protocol, other).map(|found| found.duty);
            assert_eq!(found, Some(Duty::Judged), "{protocol}: {id} is said to be {other}");
        }
    }

    #[test]
    fn what_cannot_be_seen_has_half_a_sentence_of_reason() {
        for Statement { protocol, id, duty, .. } in all() {
            let Duty::Unseen(reason) = duty else { continue };
            assert!(reason.starts_with(|first: char| first.is_lowercase()), "{protocol}: {id}");
            assert!(!reason.ends_with('.') && reason.len() > 20, "{protocol}: {id}");
        }
    }

    #[test]
    fn what_has_no_number_is_never_a_duty_of_a_client() {
        assert!(all().all(|statement| statement.id.starts_with("MQTT-") || statement.duty != Duty::Client));
    }
}
