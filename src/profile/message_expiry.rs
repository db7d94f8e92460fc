//! How long a message lives that has a Message Expiry Interval: in the queue of a session that is away, and retained.

use std::time::Duration;

use super::away::Away;
use super::bench::{Bench, Halt};
use super::lifetime::{lived, untold};
use super::number::{Measured, Number};
use super::played::Played;
use super::quantity::Quantity;
use crate::history::Message;
use crate::packet::{Protocol, Publish};

/// The interval whose end is waited for, in seconds.
const ASKED_S: u32 = 4;
/// Until when its end is followed.
const UNTIL_S: u32 = 8;
/// In which second the time that is left is read.
const TOLD_AT_S: u32 = 3;
/// A long interval, to see whether the broker shortens it.
const LONG_S: u32 = 1_000_000;
/// Brokers look at their clocks once a second.
const TOLERANCE_S: u64 = 1;
/// The message that expires; the one behind it does not, and shows that others come.
const EXPIRES: u32 = 1;
const STAYS: u32 = 2;

/// Asks how long messages live.
///
/// # Errors
/// [`Halt`]: nothing more can be asked.
pub async fn ask(bench: &Bench<'_>) -> Result<(), Halt> {
    let all = [
        Quantity::MessageExpiryQueued,
        Quantity::MessageExpiryTold,
        Quantity::MessageExpiryLongest,
        Quantity::MessageExpiryRetained,
    ];
    if !bench.speaks(Protocol::V5) {
        bench.moot(&all, "the broker does not speak 5.0");
        return Ok(());
    }
    let until = bench.wait_s.min(UNTIL_S);
    let looks: Vec<u32> = (1..=until).collect();
    let experiments = [queued(&looks, ASKED_S), queued(&[1], LONG_S), retained(&looks)];
    let played = bench.play_all(&experiments).await?;
    let (of_queue, rest) = played.split_at(looks.len());
    let (long, of_retained) = rest.split_at(1);
    bench.found(number(Quantity::MessageExpiryQueued, of_queue, 2));
    bench.found(told(Quantity::MessageExpiryTold, of_queue, TOLD_AT_S, ASKED_S));
    bench.found(told(Quantity::MessageExpiryLongest, long, 1, LONG_S));
    bench.found(number(Quantity::MessageExpiryRetained, of_retained, 1));
    Ok(())
}

fn queued(looks: &[u32], interval: u32) -> String {
    let steps = Away::usual(Protocol::V5, 1).then(&format!(
        r#"    {{ publish = "publisher", qos = 1, messages = 1, message_expiry = {interval} }},
    {{ publish = "publisher", qos = 1, messages = 1 }},
    {{ wait = "subscriber", timer = "message_expiry", seconds = "$seconds", early = true }},
    {{ connect = "subscriber" }},
    {{ receive = "subscriber" }},
"#
    ));
    format!("axes.seconds = {looks:?}\n{steps}")
}

fn retained(looks: &[u32]) -> String {
    format!(
        r#"axes.seconds = {looks:?}
clients.subscriber = {{ protocol = "5.0", clean_session = true }}
clients.publisher = {{ protocol = "5.0", clean_session = true }}
steps = [
    {{ connect = "publisher" }},
    {{ publish = "publisher", topic = "expires", qos = 1, messages = 1, retain = true, message_expiry = {ASKED_S} }},
    {{ publish = "publisher", topic = "stays", qos = 1, messages = 1, retain = true }},
    {{ wait = "publisher", timer = "message_expiry", seconds = "$seconds", early = true }},
    {{ connect = "subscriber" }},
    {{ subscribe = "subscriber", filters = [{{ topic = "expires", qos = 1 }}, {{ topic = "stays", qos = 1 }}] }},
    {{ receive = "subscriber" }},
]
"#
    )
}

/// How long the message lived that comes on this connection of the subscriber's, if it does.
fn number(quantity: Quantity, played: &[Played], connection: u32) -> Number {
    let look = |played: &Played| {
        let came = played.came("subscriber", connection);
        let is_there = came.contains(&EXPIRES);
        // What comes was there at the CONNECT; what does not may have gone at any time before the message behind it came.
        let seen = if is_there { played.connected("subscriber", connection) } else { stays(played, connection) };
        came.contains(&STAYS).then_some((age(played, seen?)?, is_there))
    };
    let looks: Vec<(Duration, bool)> = played.iter().filter_map(look).collect();
    match lived(&looks) {
        None => untold(quantity, played),
        Some((measured, how)) => Number::new(quantity, measured, how).announced(Some(ASKED_S.into()), TOLERANCE_S),
    }
}

/// How old the message was at a time.
fn age(played: &Played, seen: Duration) -> Option<Duration> {
    seen.checked_sub(played.published("publisher", Message::Experiment(EXPIRES))?)
}

/// When the message came that does not expire.
fn stays(played: &Played, connection: u32) -> Option<Duration> {
    arrival(played, connection, STAYS).map(|(time, _)| time)
}

/// When and how one of the messages came.
fn arrival(played: &Played, connection: u32, message: u32) -> Option<(Duration, &Publish)> {
    let is_it = |payload: &[u8]| Message::of(payload) == Some(Message::Experiment(message));
    played.publishes("subscriber", connection).find(|(_, publish)| is_it(&publish.payload))
}

/// The time that was left by what the broker told, when the subscriber came back in this second; so much was asked for.
fn told(quantity: Quantity, played: &[Played], at: u32, asked: u32) -> Number {
    let Some(own) = played.iter().find(|played| played.axis("seconds") == at) else {
        return Number::moot(quantity, "timers were not followed so far");
    };
    // A broker that has much to do may bring it too late, and has brought it before.
    let looks = played.iter().rev().filter(|played| played.axis("seconds") <= at);
    let told = |look: &'_ Played| arrival(look, 2, EXPIRES).map(|(came, publish)| (age(look, came), publish.clone()));
    let Some((age, publish)) = looks.into_iter().find_map(told) else { return own.no_number(quantity) };
    let age = age.unwrap_or_default().as_secs_f64();
    let left = (f64::from(asked) - age).round().max(0.0) as u64;
    match publish.properties.message_expiry {
        None => Number::new(quantity, Measured::seen("nothing"), format!("told {age:.1} s after it was published")),
        Some(told) => {
            let how = format!("told {age:.1} s after it was published");
            Number::new(quantity, Measured::Exactly { value: told.into() }, how).announced(Some(left), TOLERANCE_S)
        }
    }
}
