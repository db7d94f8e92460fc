//! Features that a broker does not take, and does not announce: it ends the connection on them, and takes the same without.

use super::facts::{Connection, Facts, Publication};
use super::finding::{ATTEMPTS_FOR_AN_ABSENCE, Findings};
use super::rules;
use crate::packet::Protocol;
use crate::results::Verdict;

/// The will for which the broker ended the connection in the place of CONNACK: the next CONNECT of the client, without it or with
/// a lesser one, was accepted.
pub fn will(facts: &Facts, connection: &Connection) -> Option<String> {
    let will = connection.connect.will.as_ref().filter(|_| connection.connack.is_none())?;
    let mut later = facts.connections_of(&connection.client).filter(|own| own.index > connection.index);
    let next = later.next().filter(|next| next.is_accepted())?;
    let is_lesser = next.connect.will.as_ref().is_none_or(|own| own.qos < will.qos || will.retain && !own.retain);
    is_lesser.then(|| format!("a will at QoS {} with Will Retain {}", will.qos, u8::from(will.retain)))
}

/// The PUBLISH on which the broker ended the connection, and the accepted control of the same publisher on the same topic without
/// the feature.
pub fn publication<'a>(facts: &'a Facts, connection: &Connection) -> Option<(&'a Publication, &'a Publication)> {
    let (ended, _) = connection.ended?;
    let own = |publication: &&Publication| publication.publisher == connection.client && !publication.is_will();
    // Without a feature that could be refused the close means something else, and so it does where the broker has taken the message.
    let first = facts.publications.iter().filter(own).find(|publication| {
        let here = (connection.opened.at..ended.at).contains(&publication.at());
        let is_taken = publication.accepted.or(publication.witnessed).is_some() || publication.received_at.is_some();
        here && !is_taken && (publication.qos > 0 || publication.retain)
    })?;
    // One that takes the feature elsewhere supports it.
    let takes_it = |other: &Publication| {
        let is_taken = other.accepted.is_some() || other.received_at.is_some();
        is_taken && other.qos >= first.qos && (other.retain || !first.retain) && !other.is_will()
    };
    if facts.publications.iter().any(takes_it) {
        return None;
    }
    let control = facts.publications.iter().filter(own).find(|publication| {
        publication.at() > ended.at && publication.topic == first.topic && publication.accepted.is_some()
    });
    Some((first, control?))
}

/// The broker takes the same message without RETAIN, or at QoS 0: so it does not support the feature, if it does so again.
pub fn unannounced(connection: &Connection, publication: &Publication, control: &Publication, findings: &mut Findings) {
    let (feature, rule) = match publication.retain && control.qos == publication.qos {
        true => ("RETAIN 1".to_owned(), rules::UNANNOUNCED_RETAIN),
        false => (format!("QoS {}", publication.qos), rules::UNANNOUNCED_QOS),
    };
    let how = "the broker closed the connection on it and accepted the same message without it";
    findings.limit(Verdict::Unsupported, format!("{feature}: {how}"));
    if connection.protocol() == Protocol::V5 {
        let finding = findings.broken(rule, Protocol::V5).at([publication.at(), control.at()]);
        let expected = format!("{feature} is taken, or announced in CONNACK as not supported");
        finding.after_attempts(ATTEMPTS_FOR_AN_ABSENCE).expected(expected).observed(how);
    }
}
