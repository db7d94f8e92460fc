//! How long a session lives without a connection: what was asked for, what the broker granted, and what really happened.
//!
//! Many sessions go away at once, and each comes back at another time. The last that is still there and the first that is gone
//! are the two ends between which the broker forgets.

use std::time::Duration;

use super::away::Away;
use super::bench::{Bench, Halt};
use super::number::{Measured, Number};
use super::played::Played;
use super::quantity::Quantity;
use crate::history::Event;
use crate::packet::{Packet, Protocol};
use crate::plan::{Action, Cell};

/// How long a session is asked for whose end is waited for, in seconds.
const SHORT_S: u32 = 4;
/// Until when the end of such a session is followed.
const SHORT_UNTIL_S: u32 = 8;
/// Until when one is looked for that has to end with its connection.
const AT_ONCE_UNTIL_S: u32 = 3;
/// The most sessions that come back one after the other for one number.
const RETURNS_MAX: u32 = 30;
/// Brokers look at their clocks once a second.
const TOLERANCE_S: u64 = 1;

/// One kind of session.
struct Kind {
    quantity: Quantity,
    protocol: Protocol,
    /// The Session Expiry Interval of its CONNECT, in seconds; 5.0 only.
    asked: Option<u32>,
    /// It asks for that by saying nothing: an absent interval is 0 (5.0, section 3.1.2.11.2).
    is_absent: bool,
    /// That of its DISCONNECT.
    at_disconnect: Option<u32>,
    /// When the sessions come back: half a second before each of these.
    returns: Vec<u32>,
}

/// Asks how long sessions live.
///
/// # Errors
/// [`Halt`]: nothing more can be asked.
pub async fn ask(bench: &Bench<'_>) -> Result<(), Halt> {
    bench.asks(&format!("how long sessions live, for {} s", bench.wait_s));
    let (spoken, other): (Vec<Kind>, Vec<Kind>) =
        kinds(bench.wait_s).into_iter().partition(|kind| bench.speaks(kind.protocol));
    other.iter().for_each(|kind| bench.moot(&[kind.quantity], &format!("the broker does not speak {}", kind.protocol)));
    let cells = spoken.iter().flat_map(|kind| kind.cells(bench)).collect();
    let mut played = bench.play_cells(cells).await?.into_iter();
    for kind in &spoken {
        let own: Vec<Played> = played.by_ref().take(kind.returns.len()).collect();
        bench.found(kind.number(&own));
    }
    Ok(())
}

fn kinds(wait_s: u32) -> Vec<Kind> {
    let followed = spread(wait_s);
    let short: Vec<u32> = (1..=wait_s.min(SHORT_UNTIL_S)).collect();
    let at_once: Vec<u32> = (1..=wait_s.min(AT_ONCE_UNTIL_S)).collect();
    let of = |quantity, asked, at_disconnect, returns: &[u32]| Kind {
        quantity,
        protocol: Protocol::V5,
        asked: Some(asked),
        is_absent: false,
        at_disconnect,
        returns: returns.to_vec(),
    };
    vec![
        of(Quantity::SessionLong, 3600, None, &followed),
        of(Quantity::SessionShort, SHORT_S, None, &short),
        of(Quantity::SessionAtDisconnect, 3600, Some(SHORT_S), &short),
        of(Quantity::SessionZero, 0, None, &at_once),
        Kind { is_absent: true, ..of(Quantity::SessionAbsent, 0, None, &at_once) },
        of(Quantity::SessionForever, u32::MAX, None, &followed),
        Kind {
            quantity: Quantity::Session311,
            protocol: Protocol::V3,
            asked: None,
            is_absent: false,
            at_disconnect: None,
            returns: followed,
        },
    ]
}

/// Every second up to this one, or as many as may be.
fn spread(wait_s: u32) -> Vec<u32> {
    let count = wait_s.min(RETURNS_MAX);
    (1..=count).map(|place| place * wait_s / count).collect()
}

impl Kind {
    fn cells(&self, bench: &Bench<'_>) -> Vec<Cell> {
        let mut cells = bench.cells(&self.experiment());
        if self.is_absent {
            cells.iter_mut().for_each(without_expiry);
        }
        cells
    }

    fn experiment(&self) -> String {
        let key =
            |seconds: Option<u32>| seconds.map(|seconds| format!(", session_expiry = {seconds}")).unwrap_or_default();
        let (client, disconnect) = (key(self.asked), key(self.at_disconnect));
        let away = Away { protocol: self.protocol, qos: 1, client: &client, disconnect: &disconnect };
        let steps = away.then(
            r#"    { publish = "publisher", qos = 1, messages = 1 },
    { wait = "subscriber", timer = "session_expiry", seconds = "$seconds", early = true },
    { connect = "subscriber" },
    { receive = "subscriber" },
"#,
        );
        format!("axes.seconds = {:?}\n{steps}", self.returns)
    }

    fn number(&self, played: &[Played]) -> Number {
        let returns: Vec<(Duration, bool)> = played.iter().filter_map(returned).collect();
        let granted = played.iter().find_map(|played| played.connack("subscriber", 1)?.session_expiry);
        // No client asks at DISCONNECT for what was not granted.
        let changed = self.at_disconnect.map(|seconds| seconds.min(granted.unwrap_or(u32::MAX)));
        let announced = changed.or(granted).or(self.asked).map(u64::from);
        match lived(&returns) {
            None => untold(self.quantity, played),
            Some((measured, how)) => Number::new(self.quantity, measured, how).announced(announced, TOLERANCE_S),
        }
    }
}

/// The same cell, in which no CONNECT has a Session Expiry Interval.
fn without_expiry(cell: &mut Cell) {
    for step in &mut cell.steps {
        if let Action::Connect(connect) = &mut step.action {
            connect.session_expiry = None;
        }
    }
}

/// The number that none of these cells tells.
pub fn untold(quantity: Quantity, played: &[Played]) -> Number {
    let of_first = played.first().map(|played| played.no_number(quantity));
    of_first.unwrap_or_else(|| Number::moot(quantity, "timers were not followed so far"))
}

/// How long a session was away, and whether it was there again: it is also there where its message comes, whatever CONNACK says.
/// One that is there was there at the CONNECT; one that is gone may have gone at any time before the CONNACK.
fn returned(played: &Played) -> Option<(Duration, bool)> {
    let connack = played.connack("subscriber", 2)?;
    let is_there = connack.session_present || !played.came("subscriber", 2).is_empty();
    let is_connack = |event: &Event| matches!(event, Event::Received(_, Packet::Connack(_)));
    let seen = if is_there { played.connected("subscriber", 2) } else { played.when("subscriber", 2, is_connack) };
    let away = seen?.checked_sub(played.over("subscriber", 1)?)?;
    (connack.code == 0).then_some((away, is_there))
}

/// How long something lived that was looked at at these times, there or not, and how that was found.
pub fn lived(looks: &[(Duration, bool)]) -> Option<(Measured, String)> {
    let there = looks.iter().filter(|(_, is_there)| *is_there).map(|(time, _)| *time).max();
    let gone = looks.iter().filter(|(_, is_there)| !*is_there).map(|(time, _)| *time).min();
    let seconds = |time: Duration| format!("{:.1} s", time.as_secs_f64());
    let rounded_up = |time: Duration| time.as_secs() + u64::from(time.subsec_nanos() > 0);
    Some(match (there, gone) {
        (None, None) => return None,
        (Some(there), None) => {
            (Measured::AtLeast { value: there.as_secs() }, format!("there after {} (stopped there)", seconds(there)))
        }
        (None, Some(gone)) => (Measured::between(0, gone.as_secs()), format!("gone after {}", seconds(gone))),
        (Some(there), Some(gone)) if there > gone => {
            let how = format!("one was gone after {}, another there after {}", seconds(gone), seconds(there));
            (Measured::Unstable { values: vec![gone.as_secs(), rounded_up(there)] }, how)
        }
        (Some(there), Some(gone)) => {
            let least = rounded_up(there).min(gone.as_secs());
            let how = format!("there after {}, gone after {}", seconds(there), seconds(gone));
            (Measured::between(least, gone.as_secs()), how)
        }
    })
}
