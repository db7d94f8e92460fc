//! Holds a history against what the relay wrote down: per connection and direction the same packets in the same order, with
//! the same identifiers and flags.

use std::collections::HashMap;

use super::wire::{SharedTap, Tap, body, string};

const NAMES: [&str; 16] = [
    "0",
    "CONNECT",
    "CONNACK",
    "PUBLISH",
    "PUBACK",
    "PUBREC",
    "PUBREL",
    "PUBCOMP",
    "SUBSCRIBE",
    "SUBACK",
    "UNSUBSCRIBE",
    "UNSUBACK",
    "PINGREQ",
    "PINGRESP",
    "DISCONNECT",
    "AUTH",
];

/// One connection of a history.
#[derive(Default)]
pub struct Told {
    sent: Vec<String>,
    received: Vec<String>,
    /// The name of the packet of which only a half was sent.
    half: Option<String>,
}

/// The connections that the lines of an attempt tell of, by client and number.
pub fn told(lines: &[String]) -> Result<HashMap<(String, u32), Told>, String> {
    let mut told: HashMap<(String, u32), Told> = HashMap::new();
    let mut last_time = 0.0;
    for line in lines {
        let (time, rest) = line.split_once(' ').ok_or_else(|| format!("no time: {line}"))?;
        let time: f64 = time.parse().map_err(|_| format!("no time: {line}"))?;
        if time < last_time {
            return Err(format!("goes back in time: {line}"));
        }
        last_time = time;
        let mut words = rest.splitn(3, ' ');
        let (Some(who), Some(arrow @ ("->" | "<-")), Some(what)) = (words.next(), words.next(), words.next()) else {
            continue;
        };
        let (client, number) = who.split_once('#').ok_or_else(|| format!("no connection: {line}"))?;
        if client == "witness" || what.starts_with("end ") || what.starts_with("undecodable ") {
            continue;
        }
        let number = number.parse().map_err(|_| format!("no connection: {line}"))?;
        let own = told.entry((client.into(), number)).or_default();
        match (arrow, what.strip_prefix("half of ")) {
            (_, Some(half)) => own.half = half.split(' ').next().map(String::from),
            ("->", None) => own.sent.push(of_line(what)),
            (_, None) => own.received.push(of_line(what)),
        }
    }
    Ok(told)
}

/// The parts of a line that the relay sees too.
fn of_line(what: &str) -> String {
    let mut words = what.split(' ');
    let name = words.next().unwrap_or_default();
    let mut fields: Vec<(&str, &str)> = words.filter_map(|word| word.split_once('=')).collect();
    fields.retain(|(key, _)| match name {
        "PUBLISH" => ["qos", "retain", "dup", "id", "payload"].contains(key),
        "CONNECT" => ["clean_session", "clean_start", "keep_alive"].contains(key),
        "CONNACK" => ["session_present", "code"].contains(key),
        _ => ["id", "reason", "code"].contains(key),
    });
    let text = fields.iter().map(|(key, value)| match (*key, *value) {
        ("payload", value) => format!(" {}", value.split('~').next().unwrap_or_default()),
        (key, value) => format!(" {key}={value}"),
    });
    let text: String = text.collect();
    format!("{name}{}", text.replace("clean_session", "clean").replace("clean_start", "clean"))
}

/// The same of a frame.
fn of_frame(v5: bool, frame: &[u8]) -> String {
    let (first, rest) = (frame[0], body(frame));
    let name = NAMES[usize::from(first >> 4)];
    let id = |bytes: &[u8]| u16::from_be_bytes([bytes[0], bytes[1]]);
    let reason = |byte: Option<&u8>| match byte {
        Some(reason) if *reason != 0 => format!(" reason={reason:#04x}"),
        _ => String::new(),
    };
    match first >> 4 {
        1 => {
            let (_, rest) = string(rest);
            format!("CONNECT clean={} keep_alive={}", rest[1] >> 1 & 1, id(&rest[2..]))
        }
        2 => format!("CONNACK session_present={} code={:#04x}", rest[0] & 1, rest[1]),
        3 => {
            let (_, rest) = string(rest);
            let qos = first >> 1 & 3;
            let (id, rest) = if qos > 0 { (format!(" id={}", id(rest)), &rest[2..]) } else { (String::new(), rest) };
            let rest = if v5 { &rest[1 + usize::from(rest[0])..] } else { rest };
            let payload = String::from_utf8_lossy(rest);
            let message =
                payload.rsplit_once(':').and_then(|(_, text)| text.split_once('.')).map_or("", |(name, _)| name);
            format!("PUBLISH qos={qos} retain={} dup={}{id} {message}", first & 1, first >> 3 & 1)
        }
        4..=7 => format!("{name} id={}{}", id(rest), reason(rest.get(2).filter(|_| v5))),
        8 | 10 => format!("{name} id={}", id(rest)),
        9 | 11 => {
            let codes = if v5 { &rest[3 + usize::from(rest[2])..] } else { &rest[2..] };
            let codes: String = codes.iter().map(|code| format!(" code={code:#04x}")).collect();
            format!("{name} id={}{codes}", id(rest))
        }
        14 | 15 => format!("{name}{}", reason(rest.first())),
        _ => name.into(),
    }
}

/// Compares the connections of one client identifier, the history's and the relay's, and gives how many packets were the
/// same. Clients that share an identifier may have been opened at the same moment, so each of the history's connections
/// takes the first of the relay's that fits.
pub fn compare(told: Vec<(String, &Told)>, taps: &[SharedTap]) -> Result<usize, String> {
    let mut left: Vec<&SharedTap> = taps.iter().collect();
    let mut packets = 0;
    for (name, own) in told {
        let fits = left.iter().position(|tap| difference(own, &tap.lock().unwrap()).is_none());
        let Some(fits) = fits else {
            // The one that is the same for longest is the one that was meant.
            let nearest = left.iter().filter_map(|tap| difference(own, &tap.lock().unwrap())).max();
            let why = nearest.map_or("the relay saw no such connection".into(), |(_, why)| why);
            return Err(format!("{name}: {why}"));
        };
        left.remove(fits);
        packets += own.sent.len() + own.received.len();
    }
    Ok(packets)
}

/// How the history differs from the bytes of a connection, behind how many packets are the same.
fn difference(told: &Told, tap: &Tap) -> Option<(usize, String)> {
    let of_frames = |frames: &[Vec<u8>]| frames.iter().map(|frame| of_frame(tap.v5, frame)).collect::<Vec<_>>();
    let (mut sent, received) = (of_frames(&tap.to_broker), of_frames(&tap.from_broker));
    // When a cell is over the harness leaves in good order, and the history has ended.
    if sent.len() == told.sent.len() + 1 && sent.last().is_some_and(|last| last == "DISCONNECT") {
        sent.pop();
    }
    let same = |one: &[String], other: &[String]| one.iter().zip(other).take_while(|(one, other)| one == other).count();
    let (forth, back) = (same(&told.sent, &sent), same(&told.received, &received));
    let (from, own, wire) = if told.sent != sent {
        (forth, &told.sent, &sent)
    } else if told.received.len() > back {
        // A client that was cut off, or does nothing any more, does not see what still comes.
        (back, &told.received, &received)
    } else {
        let begun = tap.unfinished.first().map(|first| NAMES[usize::from(first >> 4)].to_owned());
        let why = format!("half of a packet: told {:?}, wire {begun:?}", told.half);
        return (begun != told.half).then_some((forth + back, why));
    };
    let rest = |all: &[String]| all.iter().skip(from).take(4).cloned().collect::<Vec<_>>().join(", ");
    let why = format!("behind {from} packets\n  told  {}\n  wire  {}", rest(own), rest(wire));
    Some((forth + back, why))
}
