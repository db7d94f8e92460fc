//! Messages: at each QoS there and back, by a wildcard, retained; and how long a round trip takes.

use std::time::Instant;

use super::{Check, Examined, Outcome, Patient, RoundTrips, milliseconds};
use crate::packet::{Ack, AckKind, Filter, Packet, Protocol, Publish, Subscribe};
use crate::plan::Role;
use crate::run::{Talk, Unanswered};
use crate::session_rules::is_failure;

/// The name of the topic that holds a retained message.
pub const RETAINED: &str = "retained";
/// The places of the clients among the doctor's.
const SUBSCRIBER: usize = 0;
const PUBLISHER: usize = 1;
/// How many round trips are measured.
const PINGS: usize = 20;
/// What the doctor's messages hold.
pub const PAYLOAD: &[u8] = b"doctor";

/// Checks each QoS, the wildcard of the witness, and retained messages.
pub async fn check(patient: &Patient, protocol: Protocol, examined: &mut Examined) {
    let mut tried = Vec::new();
    for qos in 0..=2 {
        let began = Instant::now();
        tried.push((qos, there_and_back(patient, protocol, qos).await.map(|()| milliseconds(began))));
    }
    // Where none comes through, a run would find nothing but that.
    let is_usable = tried.iter().any(|(_, came)| came.is_ok());
    let outcome = if is_usable { Outcome::Warning } else { Outcome::Unclear };
    for (qos, came) in tried {
        let check = format!("QoS {qos}");
        let cure = format!("cells that publish or subscribe at QoS {qos} will be unsupported or inconclusive");
        examined.add(match came {
            Ok(time) => Check::good(check, format!("there and back in {time}")),
            Err(how) => Check::bad(outcome, check, how, cure),
        });
    }
    examined.add(match wildcard(patient, protocol).await {
        Ok(()) => Check::good("wildcard", "the filter of all the run's topics is granted"),
        Err(how) => Check::warning(
            "wildcard",
            how,
            "a run subscribes to each topic by name then; allow PREFIX/# to spare it that",
        ),
    });
    examined.add(match retained(patient, protocol).await {
        Ok(()) => Check::good("retained", "a retained message comes to a new subscription"),
        Err(how) => Check::warning("retained", how, "cells with RETAIN 1 will be unsupported or find something"),
    });
}

/// A subscriber and a publisher; `Err` is how a CONNECT failed, as half a sentence.
async fn two(patient: &Patient, protocol: Protocol) -> Result<(Talk, Talk), String> {
    let subscriber = patient.talk(protocol, Role::Main, SUBSCRIBER).await?;
    Ok((subscriber, patient.talk(protocol, Role::Publisher, PUBLISHER).await?))
}

async fn there_and_back(patient: &Patient, protocol: Protocol, qos: u8) -> Result<(), String> {
    let (mut subscriber, mut publisher) = two(patient, protocol).await?;
    let topic = patient.topic(&format!("q{qos}"));
    subscribe(patient, &mut subscriber, &topic, qos).await?;
    publish(patient, &mut publisher, &topic, qos, false).await?;
    await_copy(patient, &mut subscriber, &topic, false).await?;
    subscriber.leave().await;
    publisher.leave().await;
    Ok(())
}

async fn wildcard(patient: &Patient, protocol: Protocol) -> Result<(), String> {
    let mut subscriber = patient.talk(protocol, Role::Main, SUBSCRIBER).await?;
    if subscriber.connack.wildcards_available == Some(false) {
        return Err("the broker announced Wildcard Subscription Available 0".into());
    }
    subscribe(patient, &mut subscriber, &patient.prefix.filter(), 0).await?;
    subscriber.leave().await;
    Ok(())
}

async fn retained(patient: &Patient, protocol: Protocol) -> Result<(), String> {
    let (mut subscriber, mut publisher) = two(patient, protocol).await?;
    if publisher.connack.retain_available == Some(false) {
        return Err("the broker announced Retain Available 0".into());
    }
    let topic = patient.topic(RETAINED);
    let qos = publisher.connack.maximum_qos.unwrap_or(1).min(1);
    publish(patient, &mut publisher, &topic, qos, true).await?;
    subscribe(patient, &mut subscriber, &topic, qos).await?;
    await_copy(patient, &mut subscriber, &topic, true).await?;
    subscriber.leave().await;
    publisher.leave().await;
    Ok(())
}

/// Subscribes at this QoS and gets it granted; `Err` says how that failed.
pub async fn subscribe(patient: &Patient, subscriber: &mut Talk, filter: &str, qos: u8) -> Result<(), String> {
    let filters = vec![Filter::new(filter, qos)];
    subscriber.say([Packet::Subscribe(Subscribe { id: 1, filters, ..Subscribe::default() })]).await;
    let granted = |packet: &Packet| match packet {
        Packet::Suback(suback) => suback.codes.first().copied(),
        _ => None,
    };
    match subscriber.hear(patient.deadline(), granted).await {
        Ok(code) if is_failure(code) => Err(format!("SUBSCRIBE was refused with {code:#04x}")),
        Ok(code) if code < qos => Err(format!("SUBSCRIBE at QoS {qos} was granted QoS {code}")),
        Ok(_) => Ok(()),
        Err(unanswered) => Err(how("SUBSCRIBE", unanswered)),
    }
}

/// Publishes a message and gets it accepted; `Err` says how that failed.
pub async fn publish(
    patient: &Patient,
    publisher: &mut Talk,
    topic: &str,
    qos: u8,
    retain: bool,
) -> Result<(), String> {
    if let Some(maximum) = publisher.connack.maximum_qos.filter(|maximum| qos > *maximum) {
        return Err(format!("the broker announced Maximum QoS {maximum}"));
    }
    let (topic, payload, id) = (topic.to_owned(), PAYLOAD.to_vec(), u16::from(qos > 0));
    let publish = Packet::Publish(Publish { topic, payload, qos, id, retain, ..Publish::default() });
    // At QoS 0 only what comes behind it shows that it was read.
    let last = if qos == 0 { Some(Packet::Pingreq) } else { None };
    publisher.say([publish].into_iter().chain(last)).await;
    let finished = |packet: &Packet| match packet {
        Packet::Pingresp if qos == 0 => Some(0),
        Packet::Ack(Ack { kind: AckKind::Puback | AckKind::Pubcomp, reason, .. }) => Some(*reason),
        Packet::Ack(Ack { kind: AckKind::Pubrec, reason, .. }) if is_failure(*reason) => Some(*reason),
        _ => None,
    };
    match publisher.hear(patient.deadline(), finished).await {
        Ok(reason) if is_failure(reason) => Err(format!("PUBLISH was refused with {reason:#04x}")),
        Ok(_) => Ok(()),
        Err(unanswered) => Err(how("PUBLISH", unanswered)),
    }
}

/// Waits for the doctor's message; `Err` says what came instead.
pub async fn await_copy(patient: &Patient, subscriber: &mut Talk, topic: &str, retain: bool) -> Result<(), String> {
    let copy = |packet: &Packet| match packet {
        Packet::Publish(publish) if publish.topic == topic && publish.payload == PAYLOAD => Some(publish.retain),
        _ => None,
    };
    match subscriber.hear(patient.deadline(), copy).await {
        Ok(its) if its == retain => Ok(()),
        Ok(its) => Err(format!("the message came with RETAIN {}", u8::from(its))),
        Err(Unanswered::Silence) => Err("the message was accepted, and did not come to its subscriber".into()),
        Err(unanswered) => Err(how("the message was accepted, but its delivery", unanswered)),
    }
}

fn how(what: &str, unanswered: Unanswered) -> String {
    match unanswered {
        Unanswered::Ended { how, .. } => format!("{what} was answered by an end: {how}"),
        Unanswered::TooLong => format!("{what} was answered by a packet that is too long"),
        Unanswered::Silence => format!("{what} was not answered"),
    }
}

/// Measures round trips with PINGREQ.
pub async fn round_trips(patient: &Patient, protocol: Protocol, examined: &mut Examined) {
    match pings(patient, protocol).await {
        Ok(mut taken) => {
            taken.sort_by(f64::total_cmp);
            let [min, median, max] = [0, PINGS / 2, PINGS - 1].map(|place| taken[place]);
            let said = format!("{PINGS} PINGs: min {min:.2}, median {median:.2}, max {max:.2} ms");
            examined.add(Check::good("round trip", said));
            examined.round_trip_ms = Some(RoundTrips { min, median, max });
        }
        Err(how) => {
            let cure = "a run would find connections that fall silent; see the broker's log";
            examined.add(Check::bad(Outcome::Unclear, "round trip", how, cure));
        }
    }
}

/// The round trips, in milliseconds.
async fn pings(patient: &Patient, protocol: Protocol) -> Result<Vec<f64>, String> {
    let mut talk = patient.talk(protocol, Role::Main, SUBSCRIBER).await?;
    let mut taken = Vec::new();
    for _ in 0..PINGS {
        let began = Instant::now();
        talk.say([Packet::Pingreq]).await;
        let is_pingresp = |packet: &Packet| (*packet == Packet::Pingresp).then_some(());
        let answered = talk.hear(patient.deadline(), is_pingresp).await;
        answered.map_err(|unanswered| how("PINGREQ", unanswered))?;
        taken.push(began.elapsed().as_secs_f64() * 1000.0);
    }
    talk.leave().await;
    Ok(taken)
}
