//! How much a broker keeps for a session that is away, and what it does with more.
//!
//! One session is away while as many messages are published as the budget allows; what comes at its return is the limit, if
//! anything is missing. Further sessions, which get exactly so many, one more, and twice as many, confirm it.

use super::bench::{Bench, Halt};
use super::number::{Measured, Number};
use super::played::Played;
use super::quantity::{Quantity, grouped};

/// How many messages beyond a limit show it.
const BEYOND: u32 = 10;
/// How many messages a publisher has under way at once, where nothing is said.
const WINDOW: u32 = 8;
/// How many messages are in flight when the session goes away, where that is asked.
const IN_FLIGHT: u32 = 5;
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
    in_flight(bench, limit).await?;
    shared(bench, limit).await?;
    bytes(bench, limit).await
}

/// Asks how many messages at QoS 1 are kept: the limit, if one was found.
///
/// # Errors
/// [`Halt`]: nothing more can be asked.
pub async fn limit(bench: &Bench<'_>) -> Result<Option<u32>, Halt> {
    messages(bench, Quantity::QueueQos1, 1, bench.budget.messages, true).await
}

/// What one session got that was away while so many messages were published.
struct Seen {
    played: Played,
    sent: u32,
    /// The broker acknowledged so many.
    accepted: u32,
    /// On the first return, and on the second one.
    came: [Vec<u32>; 2],
    /// The publisher was cut off.
    cut_off: bool,
    refused: Option<u8>,
    dismissed: Option<u8>,
}

impl Seen {
    fn of(played: Played, sent: u32) -> Seen {
        let cut_off = played.was_cut_off("publisher");
        let first = played.came("subscriber", 2);
        let second = played.came("subscriber", 3).into_iter().filter(|seq| !first.contains(seq)).collect();
        Seen {
            sent,
            accepted: played.cell.published,
            came: [first, second],
            cut_off,
            refused: played.refusal("publisher"),
            dismissed: played.dismissal("publisher").filter(|_| cut_off),
            played,
        }
    }

    /// How many messages the broker had for the session.
    fn kept(&self) -> u32 {
        if self.cut_off { self.accepted } else { self.came.iter().map(|came| came.len() as u32).sum() }
    }

    /// Nothing can be said: the cell did not get to its end, or the broker takes no such message at all.
    fn is_unknown(&self) -> bool {
        if self.cut_off { self.accepted == 0 } else { self.played.is_stopped() }
    }

    /// All that was to come on the first return has come, as far as can be told.
    fn is_complete(&self) -> bool {
        let has_settled = || (2..=3).all(|connection| self.played.has_settled("subscriber", connection));
        self.cut_off || self.is_unknown() || self.came[1].is_empty() && (!self.is_full() || has_settled())
    }

    fn is_full(&self) -> bool {
        self.kept() < self.sent
    }

    /// `100 of 2,000`.
    fn short(&self) -> String {
        format!("{} of {}", grouped(self.kept()), grouped(self.sent))
    }

    /// `100 of 2,000 came, the first lost: message 101`.
    fn said(&self) -> String {
        let verb = if self.cut_off { "were acknowledged" } else { "came" };
        let has_come = |seq: &u32| self.came.iter().any(|came| came.contains(seq));
        let lost = (1..=self.sent).find(|seq| !has_come(seq)).filter(|_| !self.cut_off && self.kept() > 0);
        let first = lost.map(|seq| format!(", the first lost: message {}", grouped(seq))).unwrap_or_default();
        format!("{} {verb}{first}", self.short())
    }

    /// What the broker does with a message too many.
    fn policy(&self) -> String {
        let came: Vec<u32> = self.came.concat();
        let (kept, sent) = (self.kept(), self.sent);
        let all_of = |mut seqs: std::ops::RangeInclusive<u32>| seqs.all(|seq| came.contains(&seq));
        match (self.refused, self.cut_off) {
            (Some(code), _) => format!("refuses what is new ({code:#04x})"),
            (None, true) => "disconnects the publisher".into(),
            (None, false) if all_of(1..=kept) => "drops the newest".into(),
            (None, false) if all_of(sent - kept + 1..=sent) => "drops the oldest".into(),
            (None, false) => "drops neither the oldest nor the newest".into(),
        }
    }

    fn told(&self) -> String {
        match (self.refused, self.cut_off, self.dismissed) {
            (Some(code), ..) => format!("the publisher, by {code:#04x}"),
            (None, true, Some(code)) => format!("the publisher, by DISCONNECT {code:#04x}"),
            (None, true, None) => "the publisher, by the end of its connection".into(),
            (None, false, _) => "nobody".into(),
        }
    }
}

/// An experiment with one session that is away, and comes back twice.
fn away(bench: &Bench<'_>, qos: u8, sent: u32, bytes: Option<u32>, window: u32) -> String {
    let protocol = bench.protocol;
    // At QoS 0 the subscription could take more: what is not queued is not for want of that.
    let granted = qos.max(1);
    let bytes = bytes.map(|bytes| format!(", bytes = {bytes}")).unwrap_or_default();
    format!(
        r#"clients.subscriber = {{ protocol = "{protocol}", clean_session = false }}
clients.publisher = {{ protocol = "{protocol}", clean_session = true }}
steps = [
    {{ connect = "subscriber" }},
    {{ connect = "publisher" }},
    {{ subscribe = "subscriber", qos = {granted} }},
    {{ disconnect = "subscriber" }},
    {{ publish = "publisher", qos = {qos}, messages = {sent}, window = {window}{bytes} }},
    {{ connect = "subscriber" }},
    {{ receive = "subscriber" }},
    {{ disconnect = "subscriber" }},
    {{ connect = "subscriber" }},
    {{ receive = "subscriber" }},
]
"#
    )
}

async fn see(bench: &Bench<'_>, qos: u8, sent: u32, bytes: Option<u32>) -> Result<Seen, Halt> {
    let experiment = away(bench, qos, sent, bytes, WINDOW);
    let seen = Seen::of(bench.play(&experiment).await?, sent);
    if !seen.is_complete() {
        return Ok(Seen::of(bench.play_patiently(&experiment, |_| ()).await?, sent));
    }
    if !seen.cut_off {
        return Ok(seen);
    }
    // One message at a time shows which one it was.
    Ok(Seen::of(bench.play(&away(bench, qos, sent, bytes, 1)).await?, sent))
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

/// Whether what is in flight takes room in the queue.
async fn in_flight(bench: &Bench<'_>, limit: u32) -> Result<(), Halt> {
    let quantity = Quantity::QueueInFlight;
    let protocol = bench.protocol;
    let sent = limit + IN_FLIGHT + BEYOND;
    if sent + IN_FLIGHT > bench.budget.messages || limit <= IN_FLIGHT {
        bench.moot(&[quantity], "the limit is too near to what is in flight, or to the budget");
        return Ok(());
    }
    let experiment = format!(
        r#"clients.subscriber = {{ protocol = "{protocol}", clean_session = false }}
clients.publisher = {{ protocol = "{protocol}", clean_session = true }}
steps = [
    {{ connect = "subscriber" }},
    {{ connect = "publisher" }},
    {{ subscribe = "subscriber", qos = 1 }},
    {{ disconnect = "subscriber" }},
    {{ publish = "publisher", qos = 1, messages = {IN_FLIGHT} }},
    {{ connect = "subscriber" }},
    {{ receive = "subscriber", answers = "none" }},
    {{ disconnect = "subscriber" }},
    {{ publish = "publisher", qos = 1, messages = {sent} }},
    {{ connect = "subscriber" }},
    {{ receive = "subscriber" }},
]
"#
    );
    let played = bench.play(&experiment).await?;
    if played.is_stopped() {
        bench.unknown(quantity, &played);
        return Ok(());
    }
    let came = played.came("subscriber", 3);
    let resent = came.iter().filter(|seq| **seq <= IN_FLIGHT).count() as u32;
    let queued = came.len() as u32 - resent;
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
async fn shared(bench: &Bench<'_>, limit: u32) -> Result<(), Halt> {
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
    let is_refused = played.cell.published < 2 * sent;
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
