//! How many messages a broker retains, how large, and at which QoS.

use std::time::Duration;

use super::bench::{Bench, Halt, PACKET_BYTES_MAX};
use super::number::{Measured, Number};
use super::played::Played;
use super::quantity::{Quantity, grouped};
use super::search::largest;
use crate::packet::Protocol;
use crate::plan::{Action, Cell, Step};

/// On how many topics messages are retained, of the budget.
const SHARE: u32 = 2;

/// How long it may take to publish a message on each of them.
const COUNTED_WITHIN: Duration = Duration::from_secs(10);

/// The topic of a message that is retained alone, and the filter of many.
const ONE: &str = "r/n1";
const ALL: &str = "r/#";

/// Asks how large retained messages may be, and at which QoS they are kept.
///
/// # Errors
/// [`Halt`]: nothing more can be asked.
pub async fn ask(bench: &Bench<'_>) -> Result<(), Halt> {
    let both = [Quantity::RetainedBytes, Quantity::RetainedQos0];
    let nothing = [None, Some(Measured::Exactly { value: 0 })];
    let kept = bench.known(Quantity::RetainedMessages);
    if nothing.contains(&kept) || kept.is_some_and(|kept| kept.is_missing()) {
        bench.moot(&both, "nothing is retained");
        return Ok(());
    }
    bench.asks("retained messages");
    let played = asked_for(bench, &experiment(bench.protocol, [0, 1], 8, ONE), 1).await?;
    let kept = if played.came("subscriber", 1).is_empty() { "not kept" } else { "kept" };
    bench.found(Number::new(Quantity::RetainedQos0, Measured::seen(kept), "one was published, and asked for at once"));
    let packet = if bench.protocol == Protocol::V5 { Quantity::PacketBytes } else { Quantity::PacketBytes311 };
    let most = match bench.known(packet) {
        Some(Measured::Exactly { value } | Measured::AtLeast { value }) => value as u32,
        _ => bench.budget.bytes.min(PACKET_BYTES_MAX),
    };
    let found = largest(played.payload_within(bench.protocol, most), async |bytes| {
        let played = asked_for(bench, &experiment(bench.protocol, [1, 1], bytes, ONE), 1).await?;
        Ok(played.works(!played.came("subscriber", 1).is_empty()))
    });
    let found = found.await?;
    let how = match found.fails {
        None => "it came, in as large a packet as any (stopped there)".to_owned(),
        Some((fails, _)) => format!("one with {} bytes does not come", grouped(fails)),
    };
    bench.found(Number::new(Quantity::RetainedBytes, found.measured(|bytes| bytes), how));
    Ok(())
}

/// A retained message, and a subscriber who asks for it at this QoS by this filter.
fn experiment(protocol: Protocol, [qos, granted]: [u8; 2], bytes: u32, filter: &str) -> String {
    format!(
        r#"clients.subscriber = {{ protocol = "{protocol}", clean_session = true }}
clients.publisher = {{ protocol = "{protocol}", clean_session = true }}
steps = [
    {{ connect = "publisher" }},
    {{ publish = "publisher", topic = "{ONE}", qos = {qos}, messages = 1, retain = true, bytes = {bytes} }},
    {{ connect = "subscriber" }},
    {{ subscribe = "subscriber", topic = "{filter}", qos = {granted} }},
    {{ receive = "subscriber" }},
]
"#
    )
}

/// Asks on how many topics messages are retained.
///
/// # Errors
/// [`Halt`]: nothing more can be asked.
pub async fn count(bench: &Bench<'_>) -> Result<(), Halt> {
    bench.asks("how many messages are retained");
    let quantity = Quantity::RetainedMessages;
    // What has QoS 0 takes no room in the queue of whoever asks.
    let many = experiment(bench.protocol, [1, 0], 8, ALL);
    // Each is published and answered before the next.
    let in_time = COUNTED_WITHIN.as_micros() / bench.round_trip().as_micros().max(1);
    let most = (bench.budget.messages / SHARE).min(in_time as u32).max(1);
    let mut seen = Vec::new();
    let mut wanted = vec![most];
    while let Some(topics) = wanted.pop() {
        let played = asked_for(bench, &many, topics).await?;
        let came = played.came("subscriber", 1).len() as u32;
        if played.is_stopped() {
            bench.unknown(quantity, &played);
            return Ok(());
        }
        seen.push((topics, came));
        if topics == most && came < most {
            wanted = [came, came + 1].into_iter().filter(|topics| *topics > 0).collect();
        }
    }
    let first = seen[0].1;
    let one = experiment(bench.protocol, [1, 1], 8, ONE);
    if first == 0 && !asked_for(bench, &one, 1).await?.came("subscriber", 1).is_empty() {
        let how = "one comes for its topic, and none for a filter with a wildcard";
        bench.found(Number::new(quantity, Measured::AtLeast { value: 1 }, how));
        return Ok(());
    }
    let of = |(topics, came): &(u32, u32)| format!("{} of {}", grouped(*came), grouped(*topics));
    let said: Vec<String> = seen.iter().map(of).collect();
    let measured = match first {
        first if first == most => Measured::AtLeast { value: most.into() },
        first if seen.iter().all(|(_, came)| *came == first) => Measured::Exactly { value: first.into() },
        _ => Measured::Unstable { values: seen.iter().map(|(_, came)| u64::from(*came)).collect() },
    };
    bench.found(Number::new(quantity, measured, format!("{} came", said.join(", "))));
    Ok(())
}

/// Plays an experiment with a message on each of so many topics, and again with patience where not all of them came: nothing comes
/// behind what is retained that would show that this was all.
async fn asked_for(bench: &Bench<'_>, experiment: &str, topics: u32) -> Result<Played, Halt> {
    let played = bench.play_altered(experiment, |cell| on_topics(cell, topics)).await?;
    if played.came("subscriber", 1).len() >= topics as usize {
        return Ok(played);
    }
    bench.play_patiently(experiment, |cell| on_topics(cell, topics)).await
}

/// The same cell with a message on each of so many topics.
fn on_topics(cell: &mut Cell, topics: u32) {
    let Some(place) = cell.steps.iter().position(|step| matches!(step.action, Action::Publish(_))) else { return };
    let Step { client, action: Action::Publish(one) } = cell.steps[place].clone() else { return };
    let publish = |topic: u32| {
        let topic = format!("r/n{topic}");
        Step { client, action: Action::Publish(crate::plan::Publication { topic, ..one.clone() }) }
    };
    cell.steps.splice(place..=place, (1..=topics).map(publish));
}
