//! The one-line text form of an event, written and read.
//!
//! `subscriber -> PUBLISH ...` was sent by the client, `subscriber <- ...` was received by it, `subscriber -- ...` is
//! what the harness observed of it. Values are `key=value`; bytes that would break the line are written `%XX`.

use std::fmt;

use super::{Awaited, Event};
use crate::connection::End;
use crate::packet::{
    Ack, AckKind, Connack, Connect, Filter, Packet, Protocol, Publish, Suback, Subscribe, Unsuback, Unsubscribe,
};

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Event::Attempt(number) => write!(f, "attempt {number}"),
            Event::Step(step) => write!(f, "step {step}"),
            Event::Sent(client, packet) => write!(f, "{client} -> {packet}"),
            Event::Received(client, packet) => write!(f, "{client} <- {packet}"),
            Event::Ended(client, End::Fin) => write!(f, "{client} <- end fin"),
            Event::Ended(client, End::Reset) => write!(f, "{client} <- end reset"),
            Event::Closed(client) => write!(f, "{client} -> end fin"),
            Event::Undecodable(client, bytes) => {
                write!(f, "{client} <- undecodable ")?;
                bytes.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
            }
            Event::Missing(client, Awaited { packet, id: Some(id) }) => write!(f, "{client} -- no {packet} id={id}"),
            Event::Missing(client, Awaited { packet, id: None }) => write!(f, "{client} -- no {packet}"),
            Event::Unreachable(client) => write!(f, "{client} -- no connection"),
            Event::Settled(client) => write!(f, "{client} -- settled"),
            Event::Withheld(client, what) => write!(f, "{client} -- withheld {what}"),
            Event::Stopped => f.write_str("stopped"),
            Event::Broken(why) => write!(f, "broken off: {}", why.replace(['\n', '\r'], " ")),
        }
    }
}

impl fmt::Display for Packet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())?;
        match self {
            Packet::Connect(connect) => write_connect(f, connect),
            Packet::Connack(connack) => write_connack(f, connack),
            Packet::Publish(publish) => {
                write!(f, " topic={} qos={}", Escaped(publish.topic.as_bytes()), publish.qos)?;
                write!(f, " retain={} dup={}", u8::from(publish.retain), u8::from(publish.dup))?;
                if publish.qos > 0 {
                    write!(f, " id={}", publish.id)?;
                }
                write!(f, " payload={}", Escaped(&publish.payload))
            }
            Packet::Ack(Ack { id, reason: 0, .. }) => write!(f, " id={id}"),
            Packet::Ack(Ack { id, reason, .. }) => write!(f, " id={id} reason={reason:#04x}"),
            Packet::Subscribe(Subscribe { id, filters }) => {
                write!(f, " id={id}")?;
                filters.iter().try_for_each(|Filter { filter, qos }| {
                    write!(f, " filter={} qos={qos}", Escaped(filter.as_bytes()))
                })
            }
            Packet::Suback(Suback { id, codes }) | Packet::Unsuback(Unsuback { id, codes }) => {
                write!(f, " id={id}")?;
                codes.iter().try_for_each(|code| write!(f, " code={code:#04x}"))
            }
            Packet::Unsubscribe(Unsubscribe { id, filters }) => {
                write!(f, " id={id}")?;
                filters.iter().try_for_each(|filter| write!(f, " filter={}", Escaped(filter.as_bytes())))
            }
            Packet::Disconnect { reason: 0 } | Packet::Pingreq | Packet::Pingresp => Ok(()),
            Packet::Disconnect { reason } | Packet::Auth { reason } => write!(f, " reason={reason:#04x}"),
        }
    }
}

fn write_connect(f: &mut fmt::Formatter<'_>, connect: &Connect) -> fmt::Result {
    let clean = match connect.protocol {
        Protocol::V3 => "clean_session",
        Protocol::V5 => "clean_start",
    };
    write!(f, " protocol={} {clean}={}", connect.protocol, u8::from(connect.clean))?;
    if let Some(seconds) = connect.session_expiry {
        write!(f, " session_expiry={seconds}")?;
    }
    write!(f, " keep_alive={} client_id={}", connect.keep_alive, Escaped(connect.client_id.as_bytes()))
}

fn write_connack(f: &mut fmt::Formatter<'_>, connack: &Connack) -> fmt::Result {
    write!(f, " session_present={} code={:#04x}", u8::from(connack.session_present), connack.code)?;
    if let Some(seconds) = connack.session_expiry {
        write!(f, " session_expiry={seconds}")?;
    }
    if let Some(maximum) = connack.receive_maximum {
        write!(f, " receive_maximum={maximum}")?;
    }
    if let Some(qos) = connack.maximum_qos {
        write!(f, " maximum_qos={qos}")?;
    }
    if let Some(available) = connack.retain_available {
        write!(f, " retain_available={}", u8::from(available))?;
    }
    Ok(())
}

/// Bytes as visible ASCII without blanks: everything else, and the percent sign, as `%XX`.
struct Escaped<'a>(&'a [u8]);

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| match byte {
            b'!'..=b'~' if *byte != b'%' => write!(f, "{}", char::from(*byte)),
            byte => write!(f, "%{byte:02x}"),
        })
    }
}

fn unescape(text: &str) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        rest = match (first, tail) {
            (b'%', [high, low, tail @ ..]) => {
                bytes.push(hex_byte(*high, *low)?);
                tail
            }
            (b'%', _) => return Err(format!("\"{text}\" ends inside a %XX")),
            (byte, tail) => {
                bytes.push(*byte);
                tail
            }
        };
    }
    Ok(bytes)
}

fn hex_byte(high: u8, low: u8) -> Result<u8, String> {
    let digit = |digit: u8| char::from(digit).to_digit(16);
    match (digit(high), digit(low)) {
        (Some(high), Some(low)) => Ok((high * 16 + low) as u8),
        _ => Err(format!("\"{}{}\" is no hexadecimal byte", char::from(high), char::from(low))),
    }
}

/// Reads one line.
///
/// # Errors
/// What is wrong with it, in words.
pub fn parse(line: &str) -> Result<Event, String> {
    if line == "stopped" {
        return Ok(Event::Stopped);
    }
    if let Some(number) = line.strip_prefix("attempt ") {
        return number.parse().map(Event::Attempt).map_err(|_| format!("\"{number}\" is no number"));
    }
    if let Some(step) = line.strip_prefix("step ") {
        return Ok(Event::Step(step.into()));
    }
    if let Some(why) = line.strip_prefix("broken off: ") {
        return Ok(Event::Broken(why.into()));
    }
    let mut parts = line.splitn(3, ' ');
    let (Some(client), Some(arrow), Some(what)) = (parts.next(), parts.next(), parts.next()) else {
        return Err("it has no client, arrow and packet".into());
    };
    let client = client.into();
    match (arrow, what) {
        ("<-", "end fin") => Ok(Event::Ended(client, End::Fin)),
        ("<-", "end reset") => Ok(Event::Ended(client, End::Reset)),
        ("->", "end fin") => Ok(Event::Closed(client)),
        ("--", "no connection") => Ok(Event::Unreachable(client)),
        ("--", "settled") => Ok(Event::Settled(client)),
        ("--", what) if what.starts_with("withheld ") => Ok(Event::Withheld(client, what["withheld ".len()..].into())),
        ("--", what) => parse_missing(what).map(|awaited| Event::Missing(client, awaited)),
        ("<-", what) if what.starts_with("undecodable ") => {
            let digits = &what.as_bytes()["undecodable ".len()..];
            let bytes = digits.chunks(2).map(|pair| match pair {
                [high, low] => hex_byte(*high, *low),
                _ => Err("the bytes end inside a byte".into()),
            });
            Ok(Event::Undecodable(client, bytes.collect::<Result<_, _>>()?))
        }
        ("->", what) => parse_packet(what).map(|packet| Event::Sent(client, packet)),
        ("<-", what) => parse_packet(what).map(|packet| Event::Received(client, packet)),
        (arrow, _) => Err(format!("\"{arrow}\" is none of ->, <- and --")),
    }
}

fn parse_missing(what: &str) -> Result<Awaited, String> {
    let what = what.strip_prefix("no ").ok_or("it says nothing that is known about a client")?;
    match what.split_once(" id=") {
        Some((packet, id)) => {
            let id = id.parse().map_err(|_| format!("\"{id}\" is no Packet Identifier"))?;
            Ok(Awaited { packet: packet.into(), id: Some(id) })
        }
        None => Ok(Awaited { packet: what.into(), id: None }),
    }
}

fn parse_packet(what: &str) -> Result<Packet, String> {
    let (name, rest) = what.split_once(' ').unwrap_or((what, ""));
    let fields = Fields::parse(rest)?;
    if let Some(kind) = AckKind::ALL.into_iter().find(|kind| kind.name() == name) {
        return Ok(Packet::Ack(Ack { kind, id: fields.number("id")?, reason: fields.code("reason")?.unwrap_or(0) }));
    }
    match name {
        "CONNECT" => parse_connect(&fields).map(Packet::Connect),
        "CONNACK" => Ok(Packet::Connack(Connack {
            session_present: fields.flag("session_present")?,
            code: fields.code("code")?.ok_or("it has no code")?,
            session_expiry: fields.optional("session_expiry")?,
            receive_maximum: fields.optional("receive_maximum")?,
            maximum_qos: fields.optional("maximum_qos")?,
            retain_available: fields.optional::<u8>("retain_available")?.map(|available| available != 0),
        })),
        "PUBLISH" => {
            let qos = fields.number("qos")?;
            Ok(Packet::Publish(Publish {
                dup: fields.flag("dup")?,
                qos,
                retain: fields.flag("retain")?,
                topic: fields.string("topic")?,
                id: if qos > 0 { fields.number("id")? } else { 0 },
                payload: unescape(fields.text("payload")?)?,
            }))
        }
        "SUBSCRIBE" => Ok(Packet::Subscribe(Subscribe { id: fields.number("id")?, filters: parse_filters(&fields)? })),
        "SUBACK" => Ok(Packet::Suback(Suback { id: fields.number("id")?, codes: fields.codes()? })),
        "UNSUBSCRIBE" => {
            let filters = fields.all("filter").map(string).collect::<Result<_, _>>()?;
            Ok(Packet::Unsubscribe(Unsubscribe { id: fields.number("id")?, filters }))
        }
        "UNSUBACK" => Ok(Packet::Unsuback(Unsuback { id: fields.number("id")?, codes: fields.codes()? })),
        "PINGREQ" => Ok(Packet::Pingreq),
        "PINGRESP" => Ok(Packet::Pingresp),
        "DISCONNECT" => Ok(Packet::Disconnect { reason: fields.code("reason")?.unwrap_or(0) }),
        "AUTH" => Ok(Packet::Auth { reason: fields.code("reason")?.unwrap_or(0) }),
        other => Err(format!("\"{other}\" is no packet type")),
    }
}

fn parse_connect(fields: &Fields<'_>) -> Result<Connect, String> {
    let protocol = fields.text("protocol")?;
    let protocol: Protocol = protocol.parse().map_err(|()| format!("\"{protocol}\" is no protocol version"))?;
    let clean = match protocol {
        Protocol::V3 => fields.flag("clean_session")?,
        Protocol::V5 => fields.flag("clean_start")?,
    };
    Ok(Connect {
        protocol,
        clean,
        session_expiry: fields.optional("session_expiry")?,
        keep_alive: fields.number("keep_alive")?,
        client_id: fields.string("client_id")?,
        login: None,
    })
}

fn parse_filters(fields: &Fields<'_>) -> Result<Vec<Filter>, String> {
    let filters = fields.all("filter").zip(fields.all("qos"));
    filters
        .map(|(filter, qos)| {
            let qos = qos.parse().map_err(|_| format!("\"{qos}\" is no QoS"))?;
            Ok(Filter { filter: string(filter)?, qos })
        })
        .collect()
}

fn string(text: &str) -> Result<String, String> {
    String::from_utf8(unescape(text)?).map_err(|_| format!("\"{text}\" is not UTF-8"))
}

/// The `key=value` pairs of a line.
struct Fields<'a>(Vec<(&'a str, &'a str)>);

impl<'a> Fields<'a> {
    fn parse(text: &'a str) -> Result<Fields<'a>, String> {
        let pair = |pair: &'a str| pair.split_once('=').ok_or_else(|| format!("\"{pair}\" is no key=value"));
        text.split(' ').filter(|pair| !pair.is_empty()).map(pair).collect::<Result<_, _>>().map(Fields)
    }

    fn all(&self, key: &'static str) -> impl Iterator<Item = &'a str> {
        self.0.iter().filter(move |(name, _)| *name == key).map(|(_, value)| *value)
    }

    fn text(&self, key: &'static str) -> Result<&'a str, String> {
        self.all(key).next().ok_or_else(|| format!("it has no {key}"))
    }

    fn string(&self, key: &'static str) -> Result<String, String> {
        string(self.text(key)?)
    }

    fn number<N: std::str::FromStr>(&self, key: &'static str) -> Result<N, String> {
        let text = self.text(key)?;
        text.parse().map_err(|_| format!("{key}={text} is out of range"))
    }

    fn optional<N: std::str::FromStr>(&self, key: &'static str) -> Result<Option<N>, String> {
        match self.text(key) {
            Ok(_) => self.number(key).map(Some),
            Err(_) => Ok(None),
        }
    }

    fn flag(&self, key: &'static str) -> Result<bool, String> {
        match self.text(key)? {
            "0" => Ok(false),
            "1" => Ok(true),
            other => Err(format!("{key}={other} is neither 0 nor 1")),
        }
    }

    fn code(&self, key: &'static str) -> Result<Option<u8>, String> {
        self.all(key).next().map(parse_code).transpose()
    }

    fn codes(&self) -> Result<Vec<u8>, String> {
        self.all("code").map(parse_code).collect()
    }
}

fn parse_code(text: &str) -> Result<u8, String> {
    text.strip_prefix("0x")
        .and_then(|digits| u8::from_str_radix(digits, 16).ok())
        .ok_or_else(|| format!("\"{text}\" is no reason code like 0x00"))
}

#[cfg(test)]
mod tests {
    use super::super::{History, Message};
    use super::parse;

    #[test]
    fn every_kind_of_line_is_read_as_it_was_written() {
        let lines = [
            "attempt 2",
            "step 3 disconnect subscriber",
            "subscriber -> CONNECT protocol=3.1.1 clean_session=0 keep_alive=60 client_id=subscriber",
            "subscriber -> CONNECT protocol=5.0 clean_start=1 session_expiry=0 keep_alive=60 client_id=subscriber",
            "subscriber <- CONNACK session_present=1 code=0x00",
            "subscriber <- CONNACK session_present=0 code=0x87 session_expiry=9 receive_maximum=20 maximum_qos=1 \
             retain_available=0",
            "subscriber -> SUBSCRIBE id=1 filter=t qos=1 filter=u qos=0",
            "subscriber <- SUBACK id=1 code=0x01 code=0x80",
            "publisher -> PUBLISH topic=t qos=2 retain=1 dup=0 id=1 payload=m1",
            "witness <- PUBLISH topic=t qos=0 retain=0 dup=0 payload=?%00%25x",
            "publisher <- PUBREC id=1",
            "publisher -> PUBREL id=1",
            "publisher <- PUBCOMP id=1 reason=0x92",
            "publisher <- PUBACK id=2 reason=0x10",
            "subscriber -> UNSUBSCRIBE id=2 filter=fence",
            "subscriber <- UNSUBACK id=2",
            "subscriber <- UNSUBACK id=2 code=0x11",
            "subscriber -> PINGREQ",
            "subscriber <- PINGRESP",
            "subscriber -- settled",
            "subscriber -- no PUBREL id=3",
            "subscriber -- no PINGRESP",
            "subscriber -- no connection",
            "publisher -- withheld PUBLISH at QoS 2: Maximum QoS 1",
            "subscriber -> DISCONNECT",
            "subscriber <- DISCONNECT reason=0x8e",
            "subscriber <- AUTH reason=0x18",
            "subscriber <- end fin",
            "subscriber <- end reset",
            "subscriber -> end fin",
            "subscriber <- undecodable 20020001ff",
            "broken off: the CONNECT is too long",
            "stopped",
        ];
        let history = History::parse(lines).unwrap();
        assert_eq!(history.lines(), lines);
    }

    #[test]
    fn a_line_that_is_no_event_is_refused_in_words() {
        let lines = [
            "",
            "subscriber",
            "subscriber => PINGREQ",
            "subscriber -> PING",
            "subscriber -> PUBLISH topic=t qos=1 retain=0 dup=0 payload=m1",
            "subscriber -> PUBLISH topic=t qos=0 retain=2 dup=0 payload=m1",
            "subscriber -> PUBLISH topic=% qos=0 retain=0 dup=0 payload=m1",
            "subscriber <- SUBACK id=1 code=1",
            "subscriber <- undecodable 123",
            "subscriber -> CONNECT protocol=4 clean_session=0 keep_alive=60 client_id=a",
        ];
        for line in lines {
            assert!(parse(line).is_err(), "{line}");
        }
        let error = History::parse(["attempt 1", "nonsense"]).unwrap_err();
        assert_eq!(error.line, 2);
    }

    #[test]
    fn only_our_own_spelling_of_a_message_is_ours() {
        assert_eq!(Message::of(b"m12"), Some(Message::Experiment(12)));
        assert_eq!(Message::of(b"loop1"), Some(Message::LoopBack(1)));
        assert_eq!(Message::of(b"fence3"), Some(Message::Fence(3)));
        for foreign in [&b"m"[..], b"m+1", b"m01", b"M1", b"?m1", b"fence", b"", b"\xff"] {
            assert_eq!(Message::of(foreign), None, "{foreign:?}");
        }
    }
}
