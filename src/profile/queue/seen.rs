//! One session that was away, and what it got.

use crate::packet::Protocol;
use crate::profile::away::Away;
use crate::profile::bench::{Bench, Halt};
use crate::profile::played::Played;
use crate::profile::quantity::grouped;
use crate::session_rules::USUAL_WINDOW;

/// How many messages a publisher of 5.0 has under way at once, if the broker announces no fewer. In 3.1.1 it announces nothing.
const WINDOW: u32 = 64;

/// What one session got that was away while so many messages were published.
pub struct Seen {
    pub played: Played,
    pub sent: u32,
    /// The broker acknowledged so many.
    pub accepted: u32,
    /// On the first return, and on the second one.
    pub came: [Vec<u32>; 2],
    /// The publisher was cut off.
    pub cut_off: bool,
    pub refused: Option<u8>,
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
    pub fn kept(&self) -> u32 {
        if self.cut_off { self.accepted } else { self.came.iter().map(|came| came.len() as u32).sum() }
    }

    /// Nothing can be said: the cell did not get to its end, or the broker takes no such message at all.
    pub fn is_unknown(&self) -> bool {
        if self.cut_off { self.accepted == 0 } else { self.played.is_stopped() }
    }

    /// All that was to come on the first return has come, as far as can be told.
    fn is_complete(&self) -> bool {
        let has_settled = || (2..=3).all(|connection| self.played.has_settled("subscriber", connection));
        self.cut_off || self.is_unknown() || self.came[1].is_empty() && (!self.is_full() || has_settled())
    }

    pub fn is_full(&self) -> bool {
        self.kept() < self.sent
    }

    /// `100 of 2,000`.
    pub fn short(&self) -> String {
        format!("{} of {}", grouped(self.kept()), grouped(self.sent))
    }

    /// `100 of 2,000 came, the first lost: message 101`.
    pub fn said(&self) -> String {
        let verb = if self.cut_off { "were acknowledged" } else { "came" };
        let has_come = |seq: &u32| self.came.iter().any(|came| came.contains(seq));
        let lost = (1..=self.sent).find(|seq| !has_come(seq)).filter(|_| !self.cut_off && self.kept() > 0);
        let first = lost.map(|seq| format!(", the first lost: message {}", grouped(seq))).unwrap_or_default();
        format!("{} {verb}{first}", self.short())
    }

    /// What the broker does with a message too many.
    pub fn policy(&self) -> String {
        let came: Vec<u32> = self.came.concat();
        let (kept, sent) = (self.kept(), self.sent);
        let all_of = |mut seqs: std::ops::RangeInclusive<u32>| seqs.all(|seq| came.contains(&seq));
        match (self.refused, self.cut_off) {
            (Some(code), _) => format!("refuses what is new ({code:#04x})"),
            (None, true) => "disconnects the publisher".into(),
            (None, false) if kept == 0 && self.played.cell.session_present == Some(false) => "ends the session".into(),
            (None, false) if kept == 0 => "drops all".into(),
            (None, false) if all_of(1..=kept) => "drops the newest".into(),
            (None, false) if all_of(sent - kept + 1..=sent) => "drops the oldest".into(),
            (None, false) => "drops neither the oldest nor the newest".into(),
        }
    }

    pub fn told(&self) -> String {
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
    // At QoS 0 the subscription could take more: what is not queued is not for want of that.
    let away = Away::usual(bench.protocol, qos.max(1));
    let bytes = bytes.map(|bytes| format!(", bytes = {bytes}")).unwrap_or_default();
    away.then(&format!(
        r#"    {{ publish = "publisher", qos = {qos}, messages = {sent}, window = {window}{bytes} }},
    {{ connect = "subscriber" }},
    {{ receive = "subscriber" }},
    {{ disconnect = "subscriber" }},
    {{ connect = "subscriber" }},
    {{ receive = "subscriber" }},
"#
    ))
}

/// One session that is away while so many messages are published, with payloads of so many bytes; again with patience where more
/// may have been on its way.
pub async fn see(bench: &Bench<'_>, qos: u8, sent: u32, bytes: Option<u32>) -> Result<Seen, Halt> {
    let window = if bench.protocol == Protocol::V5 { WINDOW } else { USUAL_WINDOW };
    let experiment = away(bench, qos, sent, bytes, window);
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
