//! What takes room in a queue whose limit is known: what is in flight, and the queues of other sessions.

use super::BEYOND;
use crate::profile::away::Away;
use crate::profile::bench::{Bench, Halt};
use crate::profile::number::{Measured, Number};
use crate::profile::quantity::{Quantity, grouped};

/// How many messages are in flight when the session goes away, where that is asked.
const IN_FLIGHT: u32 = 5;

/// Whether what is in flight takes room in the queue.
///
/// # Errors
/// [`Halt`]: nothing more can be asked.
pub async fn in_flight(bench: &Bench<'_>, limit: u32) -> Result<(), Halt> {
    let quantity = Quantity::QueueInFlight;
    let sent = limit + IN_FLIGHT + BEYOND;
    if sent + IN_FLIGHT > bench.budget.messages || limit <= IN_FLIGHT {
        bench.moot(&[quantity], "the limit is too near to what is in flight, or to the budget");
        return Ok(());
    }
    let experiment = Away::usual(bench.protocol, 1).then(&format!(
        r#"    {{ publish = "publisher", qos = 1, messages = {IN_FLIGHT} }},
    {{ connect = "subscriber" }},
    {{ receive = "subscriber", answers = "none" }},
    {{ disconnect = "subscriber" }},
    {{ publish = "publisher", qos = 1, messages = {sent} }},
    {{ connect = "subscriber" }},
    {{ receive = "subscriber" }},
"#
    ));
    let played = bench.play(&experiment).await?;
    if played.is_stopped() {
        bench.unknown(quantity, &played);
        return Ok(());
    }
    let came = played.came("subscriber", 3);
    let resent = came.iter().filter(|seq| **seq <= IN_FLIGHT).count() as u32;
    let queued = came.len() as u32 - resent;
    if came.is_empty() {
        bench.moot(&[quantity], "nothing comes where there is too much");
        return Ok(());
    }
    let how = format!(
        "{IN_FLIGHT} were in flight when the session went away: {resent} of them came again, and {} of {} behind them",
        grouped(queued),
        grouped(sent)
    );
    let measured = match queued {
        queued if queued == limit => Measured::seen("counts apart"),
        queued if queued + resent == limit && resent > 0 => Measured::seen("counts"),
        _ => Measured::Unstable { values: vec![limit.into(), queued.into()] },
    };
    bench.found(Number::new(quantity, measured, how));
    Ok(())
}

/// Whether each session has the limit for itself.
///
/// # Errors
/// [`Halt`]: nothing more can be asked.
pub async fn shared(bench: &Bench<'_>, limit: u32) -> Result<(), Halt> {
    let quantity = Quantity::QueueShared;
    let protocol = bench.protocol;
    let sent = limit / 2 + 1;
    if limit < 2 || 2 * sent > bench.budget.messages {
        bench.moot(&[quantity], "a limit so small is no one's share, and one so large is beyond the budget");
        return Ok(());
    }
    let experiment = format!(
        r#"clients.one = {{ protocol = "{protocol}", clean_session = false }}
clients.other = {{ protocol = "{protocol}", clean_session = false }}
clients.publisher = {{ protocol = "{protocol}", clean_session = true }}
steps = [
    {{ connect = "one" }},
    {{ connect = "other" }},
    {{ connect = "publisher" }},
    {{ subscribe = "one", topic = "one", qos = 1 }},
    {{ subscribe = "other", topic = "other", qos = 1 }},
    {{ disconnect = "one" }},
    {{ disconnect = "other" }},
    {{ publish = "publisher", topic = "one", qos = 1, messages = {sent} }},
    {{ publish = "publisher", topic = "other", qos = 1, messages = {sent} }},
    {{ connect = "one" }},
    {{ receive = "one" }},
    {{ connect = "other" }},
    {{ receive = "other" }},
]
"#
    );
    let played = bench.play(&experiment).await?;
    let [one, other] = ["one", "other"].map(|client| played.came(client, 2).len() as u32);
    let how = format!(
        "two sessions were away, with {} messages for each: {} and {} came",
        grouped(sent),
        grouped(one),
        grouped(other)
    );
    // Where the broker takes no more, two sessions have one limit.
    let is_turned_away = played.refusal("publisher").is_some() || played.was_cut_off("publisher");
    let is_refused = is_turned_away && played.cell.published < 2 * sent;
    if played.is_stopped() && !is_refused {
        bench.unknown(quantity, &played);
        return Ok(());
    }
    let measured = match one + other {
        _ if is_refused => Measured::seen("all sessions share it"),
        all if all == 2 * sent => Measured::seen("each session has its own"),
        all if all == limit => Measured::seen("all sessions share it"),
        _ => Measured::Unstable { values: vec![one.into(), other.into()] },
    };
    bench.found(Number::new(quantity, measured, how));
    Ok(())
}
