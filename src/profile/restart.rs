//! What is there again when the broker was stopped and started: asked last, since it ends all connections.

use super::away::Away;
use super::bench::{Bench, Halt};
use super::number::{Measured, Number};
use super::quantity::Quantity;

/// Asks what outlives an end of the broker.
///
/// # Errors
/// [`Halt`]: nothing more can be asked.
pub async fn ask(bench: &Bench<'_>) -> Result<(), Halt> {
    let both = [Quantity::SessionRestart, Quantity::RetainedRestart];
    if !bench.can_restart() {
        bench.moot(&both, "only a broker of --broker NAME or FILE.toml is restarted");
        return Ok(());
    }
    bench.asks("what is there again behind a restart");
    let nothing = [None, Some(Measured::Exactly { value: 0 })];
    let known = bench.known(Quantity::RetainedMessages);
    let retains = !nothing.contains(&known) && known.is_some_and(|known| !known.is_missing());
    let played = bench.play_patiently(&experiment(bench, retains), |_| ()).await?;
    if played.is_stopped() {
        both.iter().for_each(|quantity| bench.unknown(*quantity, &played));
        return Ok(());
    }
    let kept = |is_there: bool| Measured::seen(if is_there { "kept" } else { "gone" });
    let came = played.came("subscriber", 2);
    let is_present = played.connack("subscriber", 2).is_some_and(|connack| connack.session_present);
    let how = match (came.contains(&QUEUED), is_present) {
        (true, _) => "stopped and started: its message came",
        (false, true) => "stopped and started: it is said to be present, and its message did not come",
        (false, false) => "stopped and started: neither is it said to be present, nor did its message come",
    };
    bench.found(Number::new(Quantity::SessionRestart, kept(came.contains(&QUEUED)), how));
    if retains {
        let is_there = played.came("newcomer", 1).contains(&RETAINED);
        let how = "stopped and started; a client asked for it then";
        bench.found(Number::new(Quantity::RetainedRestart, kept(is_there), how));
    } else {
        bench.moot(&both[1..], "nothing is retained");
    }
    Ok(())
}

/// The message that waits for the session, and the one that is retained.
const QUEUED: u32 = 1;
const RETAINED: u32 = 2;

/// A message waits for a session, and another one is retained, where the broker retains any.
fn experiment(bench: &Bench<'_>, retains: bool) -> String {
    let newcomer = format!("clients.newcomer = {{ protocol = \"{}\", clean_session = true }}\n", bench.protocol);
    let of_retained = |steps: &'static str| if retains { steps } else { "" };
    let retain = of_retained(
        r#"    { publish = "publisher", topic = "r", qos = 1, messages = 1, retain = true },
"#,
    );
    let ask = of_retained(
        r#"    { connect = "newcomer" },
    { subscribe = "newcomer", topic = "r", qos = 1 },
    { receive = "newcomer" },
"#,
    );
    let away = Away::usual(bench.protocol, 1).then(&format!(
        r#"    {{ publish = "publisher", qos = 1, messages = 1 }},
{retain}    {{ restart = "broker", by = "stop" }},
    {{ connect = "publisher" }},
    {{ connect = "subscriber" }},
    {{ receive = "subscriber" }},
{ask}"#
    ));
    if retains { newcomer + &away } else { away }
}
