//! One line of a history to its event.

mod fields;

use percent_encoding::percent_decode_str;

use super::super::{Awaited, Client, Entry, Event, Excess, Time, Turn};
use crate::packet::{
    Ack, AckKind, Connack, Connect, Filter, Packet, Protocol, Publish, Suback, Subscribe, Unsuback, Unsubscribe,
    Values, Will,
};
use crate::visible::{is_hidden, visible};
use crate::vocabulary::{Ending, Timer};
use fields::Fields;

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
pub fn parse(line: &str) -> Result<Entry, String> {
    if let Some(hidden) = line.chars().find(|character| is_hidden(*character)) {
        let shown = visible(hidden.encode_utf8(&mut [0; 4])).into_owned();
        return Err(format!("it has the character {shown}, which no line has; write the bytes of it as %XX"));
    }
    let (time, line) = match line.split_once(' ') {
        Some((first, rest)) if first.starts_with(|c: char| c.is_ascii_digit()) => (Some(parse_time(first)?), rest),
        _ => (None, line),
    };
    if let Some(event) = parse_of_harness(line)? {
        return Ok(Entry { time, connection: None, event, raw: None });
    }
    let mut parts = line.splitn(3, ' ');
    let (Some(client), Some(arrow), Some(what)) = (parts.next(), parts.next(), parts.next()) else {
        return Err("it has no client, arrow and packet".into());
    };
    let (client, connection) = match client.split_once('#') {
        Some((client, number)) => {
            let number = number.parse().map_err(|_| format!("\"{number}\" is no number of a connection"))?;
            (client, Some(number))
        }
        None => (client, None),
    };
    Ok(Entry { time, connection, event: parse_of_client(client.into(), arrow, what)?, raw: None })
}

/// `12.3`, in milliseconds.
fn parse_time(text: &str) -> Result<Time, String> {
    let tenths = || {
        let (whole, tenth) = text.split_once('.')?;
        let tenth = tenth.parse::<u64>().ok().filter(|_| tenth.len() == 1)?;
        whole.parse::<u64>().ok()?.checked_mul(10)?.checked_add(tenth)
    };
    tenths().map(Time).ok_or_else(|| format!("\"{text}\" is no time in milliseconds like 12.3"))
}

/// What belongs to no client, if the line is of that kind.
fn parse_of_harness(line: &str) -> Result<Option<Event>, String> {
    if line == "stopped" {
        return Ok(Some(Event::Stopped));
    }
    if let Some(event) = line.strip_prefix("broker ").and_then(parse_of_broker) {
        return event.map(Some);
    }
    if let Some(number) = line.strip_prefix("attempt ") {
        return number.parse().map(|number| Some(Event::Attempt(number))).map_err(|_| not_a_number(number));
    }
    if let Some(milliseconds) = line.strip_prefix("late ").and_then(|rest| rest.strip_suffix(" ms")) {
        return milliseconds.parse().map(|ms| Some(Event::Late(ms))).map_err(|_| not_a_number(milliseconds));
    }
    if let Some(step) = line.strip_prefix("step ") {
        return free(step).map(|step| Some(Event::Step(step)));
    }
    line.strip_prefix("broken off: ").map(|why| free(why).map(Event::Broken)).transpose()
}

/// What happened to the broker, or to one node of it.
fn parse_of_broker(what: &str) -> Option<Result<Event, String>> {
    let (node, what) = match what.strip_prefix("node ").map(|rest| rest.split_once(' ')) {
        Some(Some((number, what))) => (Some(number), what),
        Some(None) => return None,
        None => (None, what),
    };
    let turn = match what {
        "stopped" => Turn::Ended(Ending::Stop),
        "killed" => Turn::Ended(Ending::Kill),
        "started" => Turn::Started,
        "cut off from the others" => Turn::CutOff,
        "joined with the others" => Turn::Joined,
        _ => return None,
    };
    let node = node.map(|number| number.parse().map_err(|_| not_a_number(number))).transpose();
    Some(node.map(|node| Event::Broker(turn, node)))
}

fn not_a_number(text: &str) -> String {
    format!("\"{text}\" is no number")
}

fn parse_excess(text: &str) -> Result<Excess, String> {
    let words: Vec<&str> = text.split(' ').collect();
    let number = |number: &str| number.parse().map_err(|_| not_a_number(number));
    match words[..] {
        ["a", "packet", "of", bytes, "bytes"] => number(bytes).map(Excess::Packet),
        [count, "packets"] => number(count).map(Excess::Packets),
        [count, "copies"] => number(count).map(Excess::Copies),
        _ => Err(format!("\"{text}\" does not say how much came")),
    }
}

fn parse_of_client(client: Client, arrow: &str, what: &str) -> Result<Event, String> {
    match (arrow, what) {
        ("<-", what) if what.starts_with("end ") => what["end ".len()..].parse().map(|end| Event::Ended(client, end)),
        ("->", what) if what.starts_with("end ") => what["end ".len()..].parse().map(|end| Event::Closed(client, end)),
        ("--", "no connection") => Ok(Event::Unreachable(client)),
        ("--", "settled") => Ok(Event::Settled(client)),
        ("--", what) if what.starts_with("at node ") => {
            let number = &what["at node ".len()..];
            number.parse().map(|node| Event::AtNode(client, node)).map_err(|_| not_a_number(number))
        }
        ("--", what) if what.starts_with("withheld ") => {
            free(&what["withheld ".len()..]).map(|what| Event::Withheld(client, what))
        }
        ("--", what) if what.starts_with("without end: ") => {
            parse_excess(&what["without end: ".len()..]).map(|excess| Event::WithoutEnd(client, excess))
        }
        ("--", what) if what.ends_with("passed") => parse_timed(client, what),
        ("--", what) => parse_missing(what).map(|awaited| Event::Missing(client, awaited)),
        ("<-", what) if what.starts_with("undecodable ") => {
            let rest = &what["undecodable ".len()..];
            let (digits, why) = rest.split_once(' ').unwrap_or((rest, ""));
            let bytes = digits.as_bytes().chunks(2).map(|pair| match pair {
                [high, low] => hex_byte(*high, *low),
                _ => Err("the bytes end inside a byte".into()),
            });
            Ok(Event::Undecodable(client, bytes.collect::<Result<_, _>>()?, free(why)?))
        }
        ("->", what) if what.starts_with("half of ") => {
            parse_packet(&what["half of ".len()..]).map(|packet| Event::Half(client, packet))
        }
        ("->", what) => parse_packet(what).map(|packet| Event::Sent(client, packet)),
        ("<-", what) => parse_packet(what).map(|packet| Event::Received(client, packet)),
        (arrow, _) => Err(format!("\"{arrow}\" is none of ->, <- and --")),
    }
}

/// `session_expiry 2 s: passed`.
fn parse_timed(client: Client, what: &str) -> Result<Event, String> {
    let timed = || {
        let (timer, rest) = what.split_once(' ')?;
        let (seconds, passed) = rest.split_once(" s: ")?;
        let passed = match passed {
            "passed" => true,
            "not passed" => false,
            _ => return None,
        };
        Some(Event::Timed { client, timer: Timer::of_name(timer)?, seconds: seconds.parse().ok()?, passed })
    };
    timed().ok_or_else(|| format!("\"{what}\" is no timer with its seconds"))
}

fn parse_missing(what: &str) -> Result<Awaited, String> {
    let what = what.strip_prefix("no ").ok_or("it says nothing that is known about a client")?;
    let (name, id) = match what.split_once(" id=") {
        Some((name, id)) => (name, Some(id.parse().map_err(|_| format!("\"{id}\" is no Packet Identifier"))?)),
        None => (what, None),
    };
    let of_ack = AckKind::ALL.into_iter().find(|kind| kind.name() == name);
    match (name, id) {
        ("CONNACK", None) => Ok(Awaited::Connack),
        ("PINGRESP", None) => Ok(Awaited::Pingresp),
        ("end", None) => Ok(Awaited::ConnectionEnd),
        ("fence", None) => Ok(Awaited::Fence),
        ("will", None) => Ok(Awaited::Will),
        ("SUBACK", Some(id)) => Ok(Awaited::Suback(id)),
        ("UNSUBACK", Some(id)) => Ok(Awaited::Unsuback(id)),
        (_, Some(id)) => of_ack.map(|kind| Awaited::Ack(kind, id)).ok_or_else(|| not_awaited(what)),
        (_, None) => Err(not_awaited(what)),
    }
}

fn not_awaited(what: &str) -> String {
    format!("\"{what}\" is nothing that a client waits for")
}

fn parse_packet(what: &str) -> Result<Packet, String> {
    let (name, rest) = what.split_once(' ').unwrap_or((what, ""));
    let fields = Fields::parse(rest)?;
    let packet = packet_of(name, &fields)?;
    fields.are_all_known(name)?;
    Ok(packet)
}

fn packet_of(name: &str, fields: &Fields<'_>) -> Result<Packet, String> {
    if let Some(kind) = AckKind::ALL.into_iter().find(|kind| kind.name() == name) {
        return Ok(Packet::Ack(Ack { kind, id: fields.number("id")?, reason: fields.code("reason")?.unwrap_or(0) }));
    }
    match name {
        "CONNECT" => parse_connect(fields).map(Packet::Connect),
        "CONNACK" => Ok(Packet::Connack(Connack {
            session_present: fields.flag("session_present")?,
            code: fields.code("code")?.ok_or("it has no code")?,
            session_expiry: fields.optional("session_expiry")?,
            receive_maximum: fields.optional("receive_maximum")?,
            maximum_qos: fields.optional("maximum_qos")?,
            retain_available: fields.optional_flag("retain_available")?,
            assigned_client_id: fields.optional_string("assigned_client_id")?,
            authentication_method: fields.optional_string("authentication_method")?,
            server_keep_alive: fields.optional("server_keep_alive")?,
            maximum_packet_size: fields.optional("maximum_packet_size")?,
            topic_alias_maximum: fields.optional("topic_alias_maximum")?,
            wildcards_available: fields.optional_flag("wildcards_available")?,
            subscription_ids_available: fields.optional_flag("subscription_ids_available")?,
            shared_available: fields.optional_flag("shared_available")?,
        })),
        "PUBLISH" => parse_publish(fields).map(Packet::Publish),
        "SUBSCRIBE" => Ok(Packet::Subscribe(Subscribe {
            id: fields.number("id")?,
            subscription_id: fields.optional("subscription_id")?,
            filters: parse_filters(fields)?,
        })),
        "SUBACK" => Ok(Packet::Suback(Suback { id: fields.number("id")?, codes: fields.codes()? })),
        "UNSUBSCRIBE" => {
            let filters = fields.all("filter").map(string).collect::<Result<_, _>>()?;
            Ok(Packet::Unsubscribe(Unsubscribe { id: fields.number("id")?, filters }))
        }
        "UNSUBACK" => Ok(Packet::Unsuback(Unsuback { id: fields.number("id")?, codes: fields.codes()? })),
        "PINGREQ" => Ok(Packet::Pingreq),
        "PINGRESP" => Ok(Packet::Pingresp),
        "DISCONNECT" => Ok(Packet::Disconnect {
            reason: fields.code("reason")?.unwrap_or(0),
            session_expiry: fields.optional("session_expiry")?,
        }),
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
        receive_maximum: fields.optional("receive_maximum")?,
        maximum_packet_size: fields.optional("maximum_packet_size")?,
        topic_alias_maximum: fields.optional("topic_alias_maximum")?,
        keep_alive: fields.number("keep_alive")?,
        client_id: fields.string("client_id")?,
        will: match fields.optional_string("will_topic")? {
            Some(topic) => Some(Will {
                topic,
                payload: unescape(fields.text("will_payload")?)?,
                qos: fields.number("will_qos")?,
                retain: fields.flag("will_retain")?,
                delay: fields.optional("will_delay")?,
            }),
            None => None,
        },
        login: None,
    })
}

fn parse_publish(fields: &Fields<'_>) -> Result<Publish, String> {
    let qos = fields.number("qos")?;
    let user = fields.pairs("user_key", "user_value")?;
    let properties = Values {
        payload_format: fields.optional("payload_format")?,
        message_expiry: fields.optional("message_expiry")?,
        topic_alias: fields.optional("topic_alias")?,
        content_type: fields.optional_string("content_type")?,
        response_topic: fields.optional_string("response_topic")?,
        correlation_data: fields.one("correlation_data")?.map(unescape).transpose()?,
        user: user.map(|(key, value)| Ok((string(key)?, string(value)?))).collect::<Result<_, String>>()?,
        subscription_ids: fields
            .all("subscription_id")
            .map(|id| id.parse().map_err(|_| format!("\"{id}\" is no Subscription Identifier")))
            .collect::<Result<_, _>>()?,
    };
    Ok(Publish {
        dup: fields.flag("dup")?,
        qos,
        retain: fields.flag("retain")?,
        topic: fields.string("topic")?,
        id: if qos > 0 { fields.number("id")? } else { 0 },
        payload: unescape(fields.text("payload")?)?,
        properties: properties.into(),
    })
}

fn parse_filters(fields: &Fields<'_>) -> Result<Vec<Filter>, String> {
    let filters = fields.pairs("filter", "qos")?;
    filters
        .map(|(filter, options)| {
            let mut options = options.split(',');
            let qos = options.next().unwrap_or_default();
            let qos = qos.parse().map_err(|_| format!("\"{qos}\" is no QoS"))?;
            let mut filter = Filter::new(string(filter)?, qos);
            for option in options {
                match option {
                    "no_local" => filter.no_local = true,
                    "retain_as_published" => filter.retain_as_published = true,
                    "retain_handling=1" => filter.retain_handling = 1,
                    "retain_handling=2" => filter.retain_handling = 2,
                    other => return Err(format!("\"{other}\" is no Subscription Option")),
                }
            }
            Ok(filter)
        })
        .collect()
}

/// Words at the end of a line. A percent sign that opens no `%XX` is one.
fn free(text: &str) -> Result<String, String> {
    let bytes = percent_decode_str(text).collect::<Vec<u8>>();
    String::from_utf8(bytes).map_err(|_| format!("\"{text}\" is not UTF-8"))
}

fn string(text: &str) -> Result<String, String> {
    String::from_utf8(unescape(text)?).map_err(|_| format!("\"{text}\" is not UTF-8"))
}
