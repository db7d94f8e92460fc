//! When things happen that the standard gives a time for, or none: a takeover, a Keep Alive that runs out, a will with a delay.

use std::time::Duration;

use super::bench::{Bench, Halt};
use super::lifetime::untold;
use super::number::{Measured, Number};
use super::played::Played;
use super::quantity::{Quantity, grouped};
use crate::history::{Event, Message};
use crate::packet::{Packet, Protocol};

/// Brokers look at their clocks once a second, and a machine may be busy.
const TOLERANCE_MS: u64 = 2000;
/// How often each is looked at.
const TIMES: usize = 3;
/// In seconds.
const KEEP_ALIVE_S: u32 = 2;
const WILL_DELAY_S: u32 = 2;

/// Asks when things happen.
///
/// # Errors
/// [`Halt`]: nothing more can be asked.
pub async fn ask(bench: &Bench<'_>) -> Result<(), Halt> {
    let speaks_v5 = bench.speaks(Protocol::V5);
    let mut each = vec![takeover(bench.protocol), silence(bench.protocol)];
    each.extend(speaks_v5.then(delayed_will));
    let experiments: Vec<String> = each.iter().flat_map(|one| vec![one.clone(); TIMES]).collect();
    let played = bench.play_all(&experiments).await?;
    let mut each = played.chunks(TIMES);
    let mut next = |quantity, expected, time: fn(&Played) -> Option<Duration>| {
        bench.found(number(quantity, each.next().unwrap_or_default(), expected, time));
    };
    next(Quantity::TakeoverTime, None, |played| played.over("first", 1)?.checked_sub(played.connected("second", 1)?));
    next(Quantity::KeepAliveNoticed, None, |played| {
        let silent_since = played.when("silent", 1, |event| matches!(event, Event::Sent(..)))?;
        let is_end = |event: &Event| matches!(event, Event::Ended(..));
        played.when("silent", 1, is_end)?.checked_sub(silent_since)
    });
    match speaks_v5 {
        false => bench.moot(&[Quantity::WillDelay], "the broker does not speak 5.0"),
        true => next(Quantity::WillDelay, Some(WILL_DELAY_S), |played| {
            let is_will = |event: &Event| match event {
                Event::Received(_, Packet::Publish(publish)) => {
                    matches!(Message::of(&publish.payload), Some(Message::Will(_)))
                }
                _ => false,
            };
            played.when("watcher", 1, is_will)?.checked_sub(played.over("leaver", 1)?)
        }),
    }
    Ok(())
}

fn takeover(protocol: Protocol) -> String {
    format!(
        r#"clients.first = {{ protocol = "{protocol}", clean_session = false }}
clients.second = {{ protocol = "{protocol}", clean_session = false, client_id = "first" }}
steps = [
    {{ connect = "first" }},
    {{ connect = "second" }},
]
"#
    )
}

fn silence(protocol: Protocol) -> String {
    format!(
        r#"clients.silent = {{ protocol = "{protocol}", clean_session = true, keep_alive = {KEEP_ALIVE_S} }}
steps = [
    {{ connect = "silent" }},
    {{ silence = "silent" }},
]
"#
    )
}

fn delayed_will() -> String {
    format!(
        r#"clients.watcher = {{ protocol = "5.0", clean_session = true }}
clients.leaver = {{ protocol = "5.0", clean_session = false, will = {{ topic = "w", qos = 1, delay = {WILL_DELAY_S} }} }}
steps = [
    {{ connect = "watcher" }},
    {{ subscribe = "watcher", topic = "w", qos = 1 }},
    {{ connect = "leaver" }},
    {{ cut = "leaver" }},
    {{ wait = "leaver", timer = "will_delay", seconds = {WILL_DELAY_S} }},
    {{ receive = "watcher" }},
]
"#
    )
}

/// `5,237.4 ms`.
fn to_a_tenth(time: &Duration) -> String {
    let tenths = (time.as_micros() as u64 + 50) / 100;
    format!("{}.{} ms", grouped(tenths / 10), tenths % 10)
}

/// How long it took in each of these cells, in milliseconds; it is to be so many seconds, if anything.
fn number(
    quantity: Quantity,
    played: &[Played],
    expected_s: Option<u32>,
    time: fn(&Played) -> Option<Duration>,
) -> Number {
    let times: Vec<Duration> = played.iter().filter_map(time).collect();
    let (Some(least), Some(most)) = (times.iter().min(), times.iter().max()) else {
        return untold(quantity, played);
    };
    let milliseconds = |time: &Duration| time.as_micros().div_ceil(1000) as u64;
    let each: Vec<String> = times.iter().map(to_a_tenth).collect();
    let measured = Measured::between(milliseconds(least), milliseconds(most));
    Number::new(quantity, measured, each.join(", "))
        .announced(expected_s.map(|seconds| u64::from(seconds) * 1000), TOLERANCE_MS)
}
