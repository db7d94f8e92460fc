//! A session once round: subscribe, go away, let somebody publish, come back.

use super::messages::{await_copy, publish, subscribe};
use super::{Check, KEEP_ALIVE_S, Patient};
use crate::packet::Protocol;
use crate::plan::Role;
use crate::run::Talk;

/// The place of the publisher among the doctor's clients.
const PUBLISHER: usize = 2;

/// The place of the subscriber of a version.
pub fn place(protocol: Protocol) -> usize {
    if protocol == Protocol::V3 { 3 } else { 5 }
}

pub async fn check(patient: &Patient, protocol: Protocol) -> Check {
    let check = format!("session {protocol}");
    match once_round(patient, protocol).await {
        Ok(()) => Check::good(check, "kept, and what was published meanwhile comes after the return"),
        Err(how) => {
            Check::warning(check, how, "see whether the broker is set to keep sessions; matrix shows it in full")
        }
    }
}

/// `Err` says what was not as it should be.
async fn once_round(patient: &Patient, protocol: Protocol) -> Result<(), String> {
    let mut subscriber = persistent(patient, protocol).await?;
    if subscriber.connack.session_expiry == Some(0) {
        return Err("the broker grants a Session Expiry Interval of 0, so no session outlives its connection".into());
    }
    let topic = patient.topic(&format!("s{}", place(protocol)));
    subscribe(patient, &mut subscriber, &topic, 1).await?;
    subscriber.leave().await;
    let mut publisher = patient.talk(protocol, Role::Publisher, PUBLISHER).await?;
    publish(patient, &mut publisher, &topic, 1, false).await?;
    publisher.leave().await;
    let mut subscriber = persistent(patient, protocol).await?;
    if !subscriber.connack.session_present {
        return Err("Session Present is 0 after the return".into());
    }
    await_copy(patient, &mut subscriber, &topic, false).await?;
    subscriber.leave().await;
    Ok(())
}

async fn persistent(patient: &Patient, protocol: Protocol) -> Result<Talk, String> {
    let id = patient.client_id(place(protocol));
    let connect = patient.target().connect_as(Role::Main, protocol, id, false, KEEP_ALIVE_S);
    Talk::open(patient.target(), connect).await.map_err(|refusal| refusal.how)
}
