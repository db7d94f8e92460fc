//! What a broker takes at all: how large, and how many at once. What it announces of that stands beside it; a client
//! keeps to what is announced, so that beyond it nothing is tried.

use super::bench::{Bench, Halt, PACKET_BYTES_MAX};
use super::number::{Measured, Number};
use super::played::Played;
use super::quantity::{Quantity, grouped};
use super::search::{Works, largest};
use crate::packet::{Connack, Filter, Protocol};
use crate::plan::{Action, Cell, Step};
use crate::session_rules::is_failure;

/// The most filters of one SUBSCRIBE that are tried.
const FILTERS_MAX: u32 = 500;
/// How many filters a SUBSCRIBE has where many are subscribed to.
const FILTERS_EACH: u32 = 100;
/// In seconds.
const ASKED_KEEP_ALIVE_S: u16 = 65_535;
/// A Receive Maximum that is not announced (5.0, section 3.2.2.3.3).
const NO_RECEIVE_MAXIMUM: u16 = u16::MAX;

/// Asks for the limits.
///
/// # Errors
/// [`Halt`]: nothing more can be asked.
pub async fn ask(bench: &Bench<'_>) -> Result<(), Halt> {
    bench.asks("limits");
    features(bench).await?;
    receive_maximum(bench).await?;
    for (quantity, protocol) in [(Quantity::PacketBytes, Protocol::V5), (Quantity::PacketBytes311, Protocol::V3)] {
        match bench.speaks(protocol) {
            true => packet(bench, quantity, protocol).await?,
            false => bench.moot(&[quantity], &format!("the broker does not speak {protocol}")),
        }
    }
    Ok(())
}

/// A message that comes to a subscriber who is there: the keys of SUBSCRIBE and of PUBLISH.
fn live(protocol: Protocol, subscribe: &str, publish: &str) -> String {
    format!(
        r#"clients.subscriber = {{ protocol = "{protocol}", clean_session = true, keep_alive = {ASKED_KEEP_ALIVE_S} }}
clients.publisher = {{ protocol = "{protocol}", clean_session = true }}
steps = [
    {{ connect = "subscriber" }},
    {{ connect = "publisher" }},
    {{ subscribe = "subscriber", {subscribe} }},
    {{ publish = "publisher", {publish} }},
    {{ receive = "subscriber" }},
]
"#
    )
}

fn has_come(played: &Played) -> bool {
    played.came("subscriber", 1).contains(&1)
}

/// What CONNACK says, and what works.
async fn features(bench: &Bench<'_>) -> Result<(), Halt> {
    let one = |subscribe: &str, publish: &str| {
        live(bench.protocol, &format!("qos = 0{subscribe}"), &format!("messages = 1, {publish}"))
    };
    let mut experiments = vec![
        one(", topic = \"w/+\"", "topic = \"w/one\", qos = 0"),
        one("", "qos = 0"),
        one("", "qos = 1"),
        one("", "qos = 2"),
    ];
    let is_v5 = bench.protocol == Protocol::V5;
    experiments.extend(is_v5.then(|| one(", share = \"group\"", "qos = 0")));
    let played = bench.play_all(&experiments).await?;
    let connack = played[0].connack("subscriber", 1).cloned().unwrap_or_default();
    available(bench, Quantity::Wildcards, &played[0], connack.wildcards_available);
    match played.get(4) {
        Some(share) => available(bench, Quantity::Shares, share, connack.shared_available),
        None => bench.moot(&[Quantity::Shares], "3.1.1 has none"),
    }
    let is_accepted = |qos: &usize| played[1 + qos].cell.published == 1 && !played[1 + qos].is_stopped();
    match (0..=2).filter(is_accepted).max() {
        None => bench.unknown(Quantity::MaximumQos, &played[1]),
        Some(most) => {
            let measured = Measured::Exactly { value: most as u64 };
            let number = Number::new(Quantity::MaximumQos, measured, "the highest QoS at which a message was accepted");
            bench.found(number.announced(is_v5.then(|| u64::from(connack.maximum_qos.unwrap_or(2))), 0));
        }
    }
    said(bench, &connack);
    Ok(())
}

/// Whether a subscription of a kind brings messages; the broker may announce that there is none.
fn available(bench: &Bench<'_>, quantity: Quantity, played: &Played, announced: Option<bool>) {
    let is_refused = played.cell.granted_qos.is_some_and(is_failure);
    let (value, how) = match (has_come(played), is_refused, announced) {
        (true, ..) => (1, "a message came by it"),
        (false, true, _) => (0, "its SUBSCRIBE was refused"),
        (false, false, Some(false)) => (0, "a client does not try what is not there"),
        (false, false, _) => return bench.unknown(quantity, played),
    };
    let announced = (bench.protocol == Protocol::V5).then(|| u64::from(announced.unwrap_or(true)));
    bench.found(Number::new(quantity, Measured::Exactly { value }, how).announced(announced, 0));
}

/// What CONNACK says, and no client can try.
fn said(bench: &Bench<'_>, connack: &Connack) {
    if bench.protocol == Protocol::V3 {
        return bench.moot(&[Quantity::KeepAlive], "3.1.1 announces nothing");
    }
    let imposed = connack.server_keep_alive.filter(|seconds| *seconds != ASKED_KEEP_ALIVE_S);
    let seen = if imposed.is_some() { "imposed" } else { "as the client asks" };
    let number = Number::new(Quantity::KeepAlive, Measured::seen(seen), "65,535 s were asked for");
    bench.found(number.announced(imposed.map(u64::from), 0));
}

/// Whether as many messages may be under way to the broker as it announces.
async fn receive_maximum(bench: &Bench<'_>) -> Result<(), Halt> {
    let quantity = Quantity::ReceiveMaximum;
    if bench.protocol == Protocol::V3 {
        bench.moot(&[quantity], "3.1.1 announces nothing");
        return Ok(());
    }
    let qos = match bench.known(Quantity::MaximumQos) {
        Some(Measured::Exactly { value }) if value > 0 => value,
        _ => {
            bench.moot(&[quantity], "it takes a QoS above 0");
            return Ok(());
        }
    };
    let at_once =
        |count: u32| live(Protocol::V5, "qos = 0", &format!("qos = {qos}, messages = {count}, window = {count}"));
    let one = bench.play(&at_once(1)).await?;
    let announced = one.connack("publisher", 1).and_then(|connack| connack.receive_maximum);
    let announced = u32::from(announced.unwrap_or(NO_RECEIVE_MAXIMUM));
    let count = announced.min(bench.budget.messages);
    let played = bench.play_patiently(&at_once(count), |_| ()).await?;
    let accepted = played.cell.published;
    if accepted == 0 {
        bench.unknown(quantity, &played);
        return Ok(());
    }
    let how =
        format!("{} of {} that were sent at once at QoS {qos} were acknowledged", grouped(accepted), grouped(count));
    let measured = match played.works(accepted == count) {
        Works::No => Measured::Exactly { value: accepted.into() },
        Works::Yes | Works::Unanswered => Measured::AtLeast { value: accepted.into() },
    };
    bench.found(Number::new(quantity, measured, how).announced(Some(announced.into()), 0));
    Ok(())
}

/// The largest packet that goes through the broker.
async fn packet(bench: &Bench<'_>, quantity: Quantity, protocol: Protocol) -> Result<(), Halt> {
    let of_bytes = |bytes: u32| live(protocol, "qos = 1", &format!("qos = 1, messages = 1, bytes = {bytes}"));
    let small = bench.play(&of_bytes(1)).await?;
    if !has_come(&small) {
        bench.unknown(quantity, &small);
        return Ok(());
    }
    let announced = small.connack("publisher", 1).and_then(|connack| connack.maximum_packet_size);
    let most = bench.budget.bytes.min(PACKET_BYTES_MAX);
    let limit = announced.map_or(most, |announced| announced.min(most));
    let packet = |payload: u32| small.packet_bytes(protocol, payload);
    let found = largest(small.payload_within(protocol, limit), async |bytes| {
        let played = bench.play(&of_bytes(bytes)).await?;
        Ok(played.works(has_come(&played)))
    });
    let found = found.await?;
    let how = match found.fails {
        None if announced == Some(limit) => "a client sends no larger one".to_owned(),
        None => "it came (stopped there)".to_owned(),
        Some((fails, Works::No)) => format!("one of {} bytes did not come", grouped(packet(fails))),
        Some((fails, _)) => format!("for one of {} bytes there was no answer in time", grouped(packet(fails))),
    };
    bench.found(Number::new(quantity, found.measured(packet), how).announced(announced.map(u64::from), 0));
    Ok(())
}

/// Asks how many filters a SUBSCRIBE may have, and a session.
///
/// # Errors
/// [`Halt`]: nothing more can be asked.
pub async fn subscriptions(bench: &Bench<'_>) -> Result<(), Halt> {
    bench.asks("how many subscriptions a session may have");
    let one = format!(
        r#"clients.subscriber = {{ protocol = "{}", clean_session = true }}
steps = [{{ connect = "subscriber" }}, {{ subscribe = "subscriber", qos = 1 }}]
"#,
        bench.protocol
    );
    let works = async |filters: u32, each: u32| {
        let played = bench.play_altered(&one, |cell| with_filters(cell, filters, each)).await?;
        Ok::<Works, Halt>(played.works(!played.is_stopped()))
    };
    let at_once = largest(FILTERS_MAX, async |filters| works(filters, filters).await).await?;
    bench.found(at_once.accepted(Quantity::FiltersAtOnce, 0));
    let each = at_once.works.clamp(1, FILTERS_EACH);
    let in_all = largest(bench.budget.messages, async |filters| works(filters, each).await).await?;
    bench.found(in_all.accepted(Quantity::Subscriptions, 0));
    Ok(())
}

/// The same cell with so many filters, so many in each SUBSCRIBE.
fn with_filters(cell: &mut Cell, filters: u32, each: u32) {
    let Some(place) = cell.steps.iter().position(|step| matches!(step.action, Action::Subscribe { .. })) else {
        return;
    };
    let client = cell.steps[place].client;
    let names: Vec<Filter> = (1..=filters).map(|number| Filter::new(format!("f/{number}"), 1)).collect();
    let subscribe = |filters: &[Filter]| Step {
        client,
        action: Action::Subscribe { filters: filters.to_vec(), identifier: None, loop_backs: Vec::new() },
    };
    cell.steps.splice(place..=place, names.chunks(each as usize).map(subscribe));
}
