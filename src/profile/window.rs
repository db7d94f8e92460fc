//! A backlog on its way to a client that has come back: how much is under way at once, and how fast it comes.

use std::time::Duration;

use super::away::Away;
use super::bench::{Bench, Halt};
use super::number::{Measured, Number};
use super::played::Played;
use super::quantity::{Quantity, grouped};
use crate::history::Message;
use crate::packet::{Protocol, Publish};

/// How many messages wait for a client that acknowledges none.
const BACKLOG: u32 = 200;
/// How many wait for one that takes them.
const DRAINED: u32 = 500;
/// With fewer no rate is worth a word.
const DRAINED_MIN: u32 = 20;
/// How often the rate is measured.
const TIMES: u32 = 3;
/// So long a pause a timer makes at least, and so many of them in each drain.
const PAUSE_MIN: Duration = Duration::from_millis(10);
const PAUSES_MIN: usize = 3;
/// The Receive Maximum that is asked for.
const ASKED: u32 = 5;

/// Asks about the way of a backlog.
///
/// # Errors
/// [`Halt`]: nothing more can be asked.
pub async fn ask(bench: &Bench<'_>) -> Result<(), Halt> {
    bench.asks("how a backlog comes");
    let kept = match bench.known(Quantity::QueueQos1) {
        Some(Measured::Exactly { value }) => value as u32,
        _ => u32::MAX,
    };
    let backlog = kept.min(BACKLOG);
    let all =
        [Quantity::Window, Quantity::WindowAsked, Quantity::DrainRate, Quantity::DrainPause, Quantity::DrainTimer];
    if backlog == 0 {
        bench.moot(&all, "nothing is kept");
        return Ok(());
    }
    window(bench, backlog).await?;
    asked_window(bench, backlog).await?;
    drain(bench, kept.min(DRAINED)).await
}

/// An experiment with a backlog of so many for a client that connects with these keys, and receives with those.
fn experiment(protocol: Protocol, backlog: u32, connect: &str, receive: &str) -> String {
    Away::usual(protocol, 1).then(&format!(
        r#"    {{ publish = "publisher", qos = 1, messages = {backlog} }},
    {{ connect = "subscriber"{connect} }},
    {{ receive = "subscriber"{receive} }},
"#
    ))
}

/// The messages of the experiment's that came after the return, with their times.
fn arrivals(played: &Played) -> Vec<(Duration, &Publish)> {
    let is_own = |publish: &Publish| matches!(Message::of(&publish.payload), Some(Message::Experiment(_)));
    played.publishes("subscriber", 2).filter(|(_, publish)| is_own(publish)).collect()
}

/// How many messages are under way to a client that acknowledges none.
async fn window(bench: &Bench<'_>, backlog: u32) -> Result<(), Halt> {
    let played = bench.play_patiently(&experiment(bench.protocol, backlog, "", ", answers = \"none\""), |_| ()).await?;
    let count = arrivals(&played).len() as u64;
    let how = format!("{} of {} came to a client that acknowledges nothing", grouped(count), grouped(backlog));
    bench.found(match count {
        0 => played.no_number(Quantity::Window),
        count if count == u64::from(backlog) => {
            Number::new(Quantity::Window, Measured::AtLeast { value: count }, how + " (stopped there)")
        }
        count => Number::new(Quantity::Window, Measured::Exactly { value: count }, how),
    });
    Ok(())
}

/// The same where the client asks for few.
async fn asked_window(bench: &Bench<'_>, backlog: u32) -> Result<(), Halt> {
    let quantity = Quantity::WindowAsked;
    let why = match bench.protocol {
        Protocol::V3 => Some("3.1.1 has none"),
        Protocol::V5 => Some("no more are kept").filter(|_| backlog <= ASKED),
    };
    if let Some(why) = why {
        bench.moot(&[quantity], why);
        return Ok(());
    }
    let connect = format!(", receive_maximum = {ASKED}");
    let played =
        bench.play_patiently(&experiment(bench.protocol, backlog, &connect, ", answers = \"none\""), |_| ()).await?;
    let count = arrivals(&played).len() as u64;
    let is_kept = count <= u64::from(ASKED);
    let how = format!("Receive Maximum {ASKED} is {}", if is_kept { "kept" } else { "not kept" });
    // Fewer are no contradiction.
    let asked = Some(if is_kept { count } else { ASKED.into() });
    bench.found(match count {
        0 => played.no_number(quantity),
        count => Number {
            announced: Some(ASKED.into()),
            ..Number::new(quantity, Measured::Exactly { value: count }, how).announced(asked, 0)
        },
    });
    Ok(())
}

/// How fast a backlog comes to a client that takes it.
async fn drain(bench: &Bench<'_>, backlog: u32) -> Result<(), Halt> {
    let all = [Quantity::DrainRate, Quantity::DrainPause, Quantity::DrainTimer];
    if backlog < DRAINED_MIN {
        bench.moot(&all, "the queue holds too few messages");
        return Ok(());
    }
    let (mut rates, mut pauses, mut drains) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..TIMES {
        let played = bench.play(&experiment(bench.protocol, backlog, "", "")).await?;
        let times: Vec<Duration> = arrivals(&played).iter().map(|(time, _)| *time).collect();
        let (Some(first), Some(last)) = (times.first(), times.last()) else {
            all.iter().for_each(|quantity| bench.unknown(*quantity, &played));
            return Ok(());
        };
        // A tenth of a millisecond is as fine as a history tells the time.
        let took = (*last - *first).max(Duration::from_micros(100));
        rates.push(two_digits((times.len() as f64 / took.as_secs_f64()) as u64));
        let gaps: Vec<Duration> = times.windows(2).map(|pair| pair[1] - pair[0]).collect();
        pauses.push(gaps.iter().max().map_or(0, |longest| longest.as_micros().div_ceil(1000) as u64));
        drains.push(gaps);
    }
    let how = format!("{} messages came to a client that takes them, {TIMES} times", grouped(backlog));
    for (quantity, values) in all.into_iter().zip([rates, pauses]) {
        let (least, most) = (values.iter().min(), values.iter().max());
        let measured = Measured::between(least.copied().unwrap_or_default(), most.copied().unwrap_or_default());
        bench.found(Number::new(quantity, measured, how.as_str()));
    }
    bench.found(timer(&drains, bench.round_trip()));
    Ok(())
}

/// Whether a backlog comes by a timer, by the times between its messages in each of some drains.
fn timer(drains: &[Vec<Duration>], round_trip: Duration) -> Number {
    // Where the window is full, a round trip passes.
    let shortest = PAUSE_MIN.max(4 * round_trip);
    let is_pause = |gap: &&Duration| **gap >= shortest;
    let mut pauses: Vec<Duration> = drains.iter().flatten().filter(is_pause).copied().collect();
    pauses.sort();
    let usual = pauses.get(pauses.len() / 2).copied().unwrap_or_default();
    let alike = pauses.iter().filter(|pause| pause.abs_diff(usual) <= usual / 5).count();
    let is_often = drains.iter().all(|gaps| gaps.iter().filter(is_pause).count() >= PAUSES_MIN);
    let is_steady = alike * 10 >= pauses.len() * 9;
    let is_most = pauses.iter().sum::<Duration>() * 10 >= drains.iter().flatten().sum::<Duration>() * 8;
    let by_timer = is_often && is_steady && is_most;
    let how = match by_timer {
        true => {
            format!("{} pauses, as a rule of {} ms", grouped(pauses.len() as u64), grouped(usual.as_millis() as u64))
        }
        false => format!("no steady pauses of {} ms or more", grouped(shortest.as_millis() as u64)),
    };
    Number::new(Quantity::DrainTimer, Measured::Exactly { value: by_timer.into() }, how)
}

/// A rate is no finer than that.
fn two_digits(rate: u64) -> u64 {
    let unit = 10_u64.pow(rate.max(1).ilog10().saturating_sub(1));
    rate / unit * unit
}
