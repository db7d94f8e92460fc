//! Whether a session that is over goes at its time, or when the broker next looks for such sessions.
//!
//! Sessions that are to live equally long leave at different times. A broker that looks only now and then ends them together, so that one
//! lives longer than another.

use std::time::Duration;

use super::bench::{Bench, Halt};
use super::lifetime::untold;
use super::number::{Measured, Number};
use super::played::Played;
use super::quantity::Quantity;
use crate::packet::Protocol;
use crate::plan::{Action, Cell, Step};
use crate::scenario::Timer;

/// How long each session is to live, in seconds.
const ASKED_S: u32 = 2;
/// In which second each is waited for before it leaves: it leaves half a second before the end of that.
const LEAVES_S: [u32; 4] = [0, 1, 2, 3];
/// Until when their ends are followed, in seconds.
const UNTIL_S: u32 = 6;
/// A session that is there so long behind its time is late: brokers look at their clocks once a second.
const LATE: Duration = Duration::from_millis(1500);
/// By how much one has to outlive another. Sessions are looked for once a second.
const LONGER: Duration = Duration::from_millis(900);

/// Asks when a session goes that is over.
///
/// # Errors
/// [`Halt`]: nothing more can be asked.
pub async fn ask(bench: &Bench<'_>) -> Result<(), Halt> {
    let quantity = Quantity::SessionEnd;
    if !bench.speaks(Protocol::V5) {
        bench.moot(&[quantity], "the broker does not speak 5.0");
        return Ok(());
    }
    let looks: Vec<u32> = (1..=bench.wait_s.min(UNTIL_S)).collect();
    let text = experiment(&looks);
    let cells = LEAVES_S.iter().flat_map(|leaves| {
        let mut cells = bench.cells(&text);
        cells.iter_mut().for_each(|cell| stays(cell, *leaves));
        cells
    });
    let played = bench.play_cells(cells.collect()).await?;
    bench.found(number(quantity, &played, looks.len()));
    Ok(())
}

fn experiment(looks: &[u32]) -> String {
    format!(
        r#"axes.seconds = {looks:?}
clients.leaver = {{ protocol = "5.0", clean_session = false, session_expiry = {ASKED_S} }}
steps = [
    {{ connect = "leaver" }},
    {{ subscribe = "leaver", qos = 1 }},
    {{ disconnect = "leaver" }},
    {{ wait = "leaver", timer = "session_expiry", seconds = "$seconds", early = true }},
    {{ connect = "leaver" }},
]
"#
    )
}

/// The same cell in which the client leaves later.
fn stays(cell: &mut Cell, seconds: u32) {
    let is_departure = |step: &Step| matches!(step.action, Action::Disconnect { .. });
    let Some(place) = cell.steps.iter().position(is_departure) else { return };
    let client = cell.steps[place].client;
    let wait = Action::Wait { timer: Timer::SessionExpiry, seconds, early: true };
    cell.steps.insert(place, Step { client, action: wait });
}

/// Some sessions left together: one of them was there for so long at least, and one was gone after so long.
struct Lived {
    there: Duration,
    gone: Option<Duration>,
}

/// The number that the sessions show, of which so many left together.
fn number(quantity: Quantity, played: &[Played], together: usize) -> Number {
    let groups: Vec<Lived> = played.chunks(together.max(1)).filter_map(Lived::of).collect();
    let granted = played.iter().find_map(|played| played.connack("leaver", 1)?.session_expiry);
    let due = Duration::from_secs(granted.unwrap_or(ASKED_S).into());
    if !played.iter().all(|played| look(played).is_some()) {
        return untold(quantity, played);
    }
    if groups.len() < LEAVES_S.len() {
        return Number::moot(quantity, "some sessions were never there again, so that nothing tells when they went");
    }
    let Some(soonest) = groups.iter().filter_map(|lived| lived.gone).min() else {
        return Number::moot(quantity, "no session had ended so far");
    };
    // When it was gone says less: a machine that is busy looks late.
    let longest = groups.iter().map(|lived| lived.there).max().unwrap_or_default();
    let value = match longest {
        longest if longest >= soonest + LONGER => "by a sweep",
        longest if longest >= due + LATE => "late",
        _ => "at its time",
    };
    let said: Vec<String> = groups.iter().map(Lived::said).collect();
    let how = format!("{} left one after the other, for {} s each: {}", groups.len(), due.as_secs(), said.join("; "));
    Number::new(quantity, Measured::seen(value), how)
}

impl Lived {
    /// `None` where none was there at any look, so that nothing tells when it went.
    fn of(played: &[Played]) -> Option<Lived> {
        let looks = || played.iter().filter_map(look);
        let there = looks().filter(|(_, is_there)| *is_there).map(|(away, _)| away).max()?;
        Some(Lived { there, gone: looks().filter(|(_, is_there)| !*is_there).map(|(away, _)| away).min() })
    }

    fn said(&self) -> String {
        let gone = self.gone.map(|gone| format!(" and gone after {:.1} s", gone.as_secs_f64())).unwrap_or_default();
        format!("there after {:.1} s{gone}", self.there.as_secs_f64())
    }
}

/// How long a session was away, and whether it was there again.
fn look(played: &Played) -> Option<(Duration, bool)> {
    let connack = played.connack("leaver", 2)?;
    let away = played.connected("leaver", 2)?.checked_sub(played.over("leaver", 1)?)?;
    (connack.code == 0).then_some((away, connack.session_present))
}
