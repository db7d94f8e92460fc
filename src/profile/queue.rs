//! How much a broker keeps for a session that is away, and what it does with more.
//!
//! One session is away while as many messages are published as the budget allows; what comes at its return is the limit, if
//! anything is missing. Further sessions, which get exactly so many, one more, and twice as many, confirm it.

mod room;
mod seen;

use super::bench::{Bench, Halt};
use super::number::{Measured, Number};
use super::quantity::{Quantity, grouped};
use super::search::{Largest, Works, largest};
use seen::{Seen, see};

/// How many messages beyond a limit show it.
const BEYOND: u32 = 10;
/// The fewest bytes of a payload with which a limit in bytes is looked for.
const BYTES_MIN: u32 = 128;
/// By what payloads are smaller that are tried after some that are not taken.
const SMALLER: u32 = 8;
/// How many bytes of payload a message has that is filled up to none.
const SHORT_BYTES: std::ops::RangeInclusive<u32> = 20..=40;
/// With so many large messages a limit in bytes is looked for first.
const LARGE: u32 = 32;
/// The largest payload with which that is done.
const LARGE_BYTES: u32 = 512 * 1024;

/// Asks everything about the queue.
///
/// # Errors
/// [`Halt`]: nothing more can be asked.
pub async fn ask(bench: &Bench<'_>) -> Result<(), Halt> {
    let Some(limit) = limit(bench).await? else {
        let unknown = [Quantity::QueueInFlight, Quantity::QueueShared];
        bench.moot(&unknown, "no limit was reached");
        let all = bench.budget.messages;
        messages(bench, Quantity::QueueQos2, 2, all, false).await?;
        messages(bench, Quantity::QueueQos0, 0, all, false).await?;
        return bytes(bench, all).await;
    };
    // A limit that is known needs no budget to be seen again.
    let enough = (2 * limit + BEYOND).min(bench.budget.messages);
    messages(bench, Quantity::QueueQos2, 2, enough, false).await?;
    messages(bench, Quantity::QueueQos0, 0, enough, false).await?;
    room::in_flight(bench, limit).await?;
    room::shared(bench, limit).await?;
    bytes(bench, limit).await
}

/// Asks how many messages at QoS 1 are kept: the limit, if one was found.
///
/// # Errors
/// [`Halt`]: nothing more can be asked.
pub async fn limit(bench: &Bench<'_>) -> Result<Option<u32>, Halt> {
    messages(bench, Quantity::QueueQos1, 1, bench.budget.messages, true).await
}

/// How many messages at this QoS are kept, up to so many. The limit, if there is one, and `None` where nothing is known.
async fn messages(
    bench: &Bench<'_>,
    quantity: Quantity,
    qos: u8,
    most: u32,
    tells_more: bool,
) -> Result<Option<u32>, Halt> {
    bench.asks(&format!("the queue of a session that is away, at QoS {qos}"));
    let first = see(bench, qos, most, None).await?;
    if tells_more {
        tell_policy(bench, &first);
    }
    if first.is_unknown() {
        bench.unknown(quantity, &first.played);
        return Ok(None);
    }
    let limit = first.kept();
    if first.is_full() && !first.cut_off && !first.played.has_settled("subscriber", 3) {
        let how = format!("{}, and more may have been on its way", first.said());
        bench.found(Number::new(quantity, Measured::AtLeast { value: limit.into() }, how));
        return Ok(None);
    }
    if !first.is_full() {
        let how = format!("all of {} came (stopped there)", grouped(most));
        bench.found(Number::new(quantity, Measured::AtLeast { value: most.into() }, how));
        return Ok(None);
    }
    if limit == 0 && !first.cut_off {
        return all_or_nothing(bench, quantity, qos, most).await;
    }
    confirmed(bench, quantity, qos, (&first, most)).await
}

/// A limit that a first look showed, confirmed by sessions that get exactly so much, one more, and twice as much.
async fn confirmed(
    bench: &Bench<'_>,
    quantity: Quantity,
    qos: u8,
    (first, most): (&Seen, u32),
) -> Result<Option<u32>, Halt> {
    let limit = first.kept();
    let mut again = Vec::new();
    for sent in [limit, limit + 1, 2 * limit + BEYOND] {
        if sent > 0 && sent <= most {
            again.push(see(bench, qos, sent, None).await?);
        }
    }
    // One that got fewer messages than the limit cannot show it.
    let values: Vec<u32> = [limit].into_iter().chain(again.iter().map(Seen::kept)).collect();
    let is_steady = values.iter().all(|value| *value == limit) && !again.iter().any(Seen::is_unknown);
    let measured = match is_steady {
        true => Measured::Exactly { value: limit.into() },
        false => Measured::Unstable { values: values.iter().copied().map(u64::from).collect() },
    };
    let short: Vec<String> = again.iter().map(Seen::short).collect();
    let how = format!("{}; then {}", first.said(), short.join(", "));
    // What was acknowledged before a refusal is what the broker said that it keeps.
    let said = first.refused.map(|_| u64::from(first.accepted));
    bench.found(Number::new(quantity, measured, how).announced(said, 0));
    Ok(is_steady.then_some(limit))
}

/// Nothing came of very many messages: either nothing is kept, or the limit is where all is lost.
async fn all_or_nothing(bench: &Bench<'_>, quantity: Quantity, qos: u8, most: u32) -> Result<Option<u32>, Halt> {
    let comes = async |sent: u32| {
        let seen = see(bench, qos, sent, None).await?;
        Ok::<Works, Halt>(seen.played.works(seen.kept() == sent))
    };
    let found = match comes(1).await? {
        Works::Yes => largest(most, comes).await?,
        answer => Largest { works: 0, fails: Some((1, answer)) },
    };
    let how = match found.works {
        0 => format!("0 of {} came, and 0 of 1", grouped(most)),
        works => format!(
            "{0} of {0} came, and fewer of {1}, and 0 of {2}",
            grouped(works),
            grouped(works + 1),
            grouped(most)
        ),
    };
    bench.found(Number::new(quantity, found.measured(|works| works), how));
    Ok(Some(found.works).filter(|works| *works > 0))
}

/// What a first look at the queue tells beside its limit.
fn tell_policy(bench: &Bench<'_>, seen: &Seen) {
    let both = [Quantity::QueueFull, Quantity::QueueTold, Quantity::QueueGivenBack];
    match seen.is_unknown() {
        true => return both.iter().for_each(|quantity| bench.unknown(*quantity, &seen.played)),
        false if !seen.is_full() => bench.moot(&both[..2], "no limit was reached"),
        false => {
            bench.found(Number::new(Quantity::QueueFull, Measured::seen(seen.policy()), seen.said()));
            let how = format!("{} of {} were acknowledged", grouped(seen.accepted), grouped(seen.sent));
            bench.found(Number::new(Quantity::QueueTold, Measured::seen(seen.told()), how));
        }
    }
    let [first, second] = [0, 1].map(|at| seen.came[at].len() as u64);
    let how = format!("{} more came at a second return", grouped(second));
    match seen.cut_off {
        true => bench.moot(&both[2..], "the publisher was cut off"),
        false => bench.found(Number::new(Quantity::QueueGivenBack, Measured::Exactly { value: first }, how)),
    }
}

/// How many bytes are kept, looked for with few large messages, and then with as small ones as the limit in messages allows.
async fn bytes(bench: &Bench<'_>, limit: u32) -> Result<(), Halt> {
    let quantity = Quantity::QueueBytes;
    bench.asks("the queue of a session that is away, in bytes");
    if limit == 0 {
        bench.moot(&[quantity], "nothing is kept");
        return Ok(());
    }
    let mut large = (bench.budget.bytes / limit.min(LARGE)).min(LARGE_BYTES);
    let mut few = limit.min(bench.budget.bytes / large);
    let mut coarse = see(bench, 1, few, Some(large)).await?;
    // A message that is too large is none for the queue.
    while coarse.kept() == 0 && large > BYTES_MIN {
        large = (large / SMALLER).max(BYTES_MIN);
        few = limit.min(bench.budget.bytes / large);
        coarse = see(bench, 1, few, Some(large)).await?;
    }
    let said = |seen: &Seen, size: u32| format!("{} with {} bytes came", seen.short(), grouped(size));
    if coarse.is_unknown() {
        bench.unknown(quantity, &coarse.played);
        return Ok(());
    }
    if !coarse.is_full() {
        let value = u64::from(few) * u64::from(large);
        let how = format!("{} (stopped there)", said(&coarse, large));
        bench.found(Number::new(quantity, Measured::AtLeast { value }, how));
        return Ok(());
    }
    let most = (coarse.kept() + 1) * large;
    let small = (most / limit.saturating_sub(1).max(1) + 1).max(BYTES_MIN);
    let fine = see(bench, 1, (most / small + 1).min(limit), Some(small)).await?;
    let least = fine.kept().max(1) * if fine.is_full() { small } else { large };
    if (limit * SHORT_BYTES.start()..=limit * SHORT_BYTES.end()).contains(&least) {
        let counted = [Quantity::QueueQos1, Quantity::QueueQos2, Quantity::QueueQos0];
        bench.weaken(&counted, "so many short ones take all bytes that are kept");
    }
    let (seen, size) = if fine.is_full() { (&fine, small) } else { (&coarse, large) };
    let measured = Measured::between((seen.kept() * size).into(), ((seen.kept() + 1) * size - 1).into());
    bench.found(Number::new(quantity, measured, format!("{}, and {}", said(&coarse, large), said(&fine, small))));
    Ok(())
}
