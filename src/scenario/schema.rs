//! The JSON Schema of the scenario file, with which an editor completes it. It says which keys and words there are; what an
//! experiment may do in which order is the parser's affair.

use serde_json::{Map, Value as Json, json};

use super::keys;
use super::parse::{MESSAGES_MAX, NAME_MAX, STEPS_MAX};
use super::value::{Answers, Point, Words};
use super::{Scenario, Verb};
use crate::connection::End;
use crate::packet::Protocol;
use crate::vocabulary::{BROKER, Ending, FIRST_NODE, NODES_MAX, Timer};

impl Scenario {
    /// The JSON Schema of scenario files.
    pub fn schema() -> Json {
        let mut schema = table(&keys::SCENARIO, &["name", "question"], root);
        let frame = json!({
            "$schema": "https://json-schema.org/draft/2020-12/schema",
            "title": "Scenario",
            "description": "An experiment of mqtt-sessions: who is there, what varies, and what is done in which order.",
            "oneOf": [{ "required": ["clients", "steps"] }, { "required": ["lessons"] }],
        });
        if let (Json::Object(schema), Json::Object(frame)) = (&mut schema, frame) {
            schema.extend(frame);
        }
        schema
    }
}

/// A table with these keys and no others.
fn table(keys: &[&str], required: &[&str], of_key: impl Fn(&str) -> Json) -> Json {
    let properties: Map<String, Json> = keys.iter().map(|key| ((*key).to_owned(), of_key(key))).collect();
    json!({ "type": "object", "properties": properties, "required": required, "additionalProperties": false })
}

/// A schema with what an editor shows.
fn meaning(mut schema: Json, meaning: &str) -> Json {
    schema["description"] = meaning.into();
    schema
}

fn name() -> Json {
    json!({ "type": "string", "pattern": format!("^[a-z][a-z0-9_]{{0,{}}}$", NAME_MAX - 1) })
}

fn sentence() -> Json {
    json!({ "type": "string", "minLength": 1 })
}

/// A value, or the axis that gives it.
fn or_axis(value: Json) -> Json {
    json!({ "anyOf": [value, { "type": "string", "pattern": "^\\$[a-z][a-z0-9_]*$" }] })
}

fn truth() -> Json {
    or_axis(json!({ "type": "boolean" }))
}

fn number(least: u32, most: u32) -> Json {
    or_axis(json!({ "type": "integer", "minimum": least, "maximum": most }))
}

fn words<T: Words>() -> Json {
    or_axis(json!({ "enum": T::ALL.iter().map(|(word, _)| *word).collect::<Vec<_>>() }))
}

fn root(key: &str) -> Json {
    match key {
        "name" => meaning(name(), "the first part of each cell's id"),
        "question" => meaning(sentence(), "what the experiment asks, in one sentence"),
        "axes" => meaning(
            json!({ "type": "object", "additionalProperties": { "type": "array", "minItems": 1, "uniqueItems": true,
                "items": scalar() } }),
            "what varies: each combination of values makes one cell",
        ),
        "except" => meaning(
            json!({ "type": "array", "items": { "type": "object", "additionalProperties":
                { "anyOf": [scalar(), { "type": "array", "items": scalar() }] } } }),
            "combinations of axis values that make no cell",
        ),
        "clients" => meaning(
            json!({ "type": "object", "minProperties": 1,
                "additionalProperties": table(&[&keys::CLIENT[..], &keys::CONNECT].concat(), &["protocol", "clean_session"], client) }),
            "who is there; the first one's fate is what the experiment is about",
        ),
        "steps" => meaning(
            json!({ "type": "array", "minItems": 1, "maxItems": STEPS_MAX, "items": { "anyOf": Verb::ALL.map(step) } }),
            "what is done in which order; each step has one verb with the name of its client",
        ),
        "lessons" => meaning(
            json!({ "type": "array", "minItems": 1,
                "items": table(&keys::LESSON, &["name", "question", "statements", "clients", "steps"], lesson) }),
            "in place of clients and steps: experiments that teach",
        ),
        _ => json!({}),
    }
}

fn scalar() -> Json {
    json!({ "type": ["boolean", "integer", "string"] })
}

fn lesson(key: &str) -> Json {
    match key {
        "title" => meaning(sentence(), "what the lesson is about, in words"),
        "tutorial" | "expected" | "actual" => meaning(sentence(), "what a tutorial says"),
        "conclusion" => meaning(sentence(), "what follows from the statements for what happened"),
        "advice" => meaning(sentence(), "what to do"),
        "statements" => meaning(
            json!({ "type": "array", "minItems": 1, "items": { "type": "string" } }),
            "the ids of the statements that decide",
        ),
        key => root(key),
    }
}

fn client(key: &str) -> Json {
    match key {
        "protocol" => or_axis(json!({ "enum": Protocol::ALL.map(Protocol::name) })),
        "clean_session" => {
            meaning(truth(), "as in 3.1.1; in 5.0 Clean Start and Session Expiry Interval follow from it")
        }
        "client_id" => meaning(
            json!({ "type": "string" }),
            "the client whose identifier this one uses; \"\": the broker assigns one",
        ),
        "will" => table(&keys::WILL, &["qos"], will),
        key => of_step(key),
    }
}

fn will(key: &str) -> Json {
    match key {
        "delay" => meaning(number(0, u32::MAX), "Will Delay Interval in seconds"),
        key => of_step(key),
    }
}

/// A step with this verb.
fn step(verb: Verb) -> Json {
    let keys: Vec<&str> = [verb.word(), "when"].into_iter().chain(verb.keys().iter().copied()).collect();
    let required: &[&str] = match verb {
        Verb::Publish => &["publish", "qos"],
        Verb::Race => &["race", "stays"],
        Verb::Wait => &["wait", "timer", "seconds"],
        Verb::Partition => &["partition", "node"],
        Verb::Heal => &["heal", "node"],
        other => &[other.word()],
    };
    let actor = if verb.is_of_broker() { json!({ "const": BROKER }) } else { name() };
    let of_key = |key: &str| if key == verb.word() { meaning(actor.clone(), does(verb)) } else { of_step(key) };
    table(&keys, required, of_key)
}

/// What the client does.
fn does(verb: Verb) -> &'static str {
    match verb {
        Verb::Connect => "opens a connection and sends CONNECT",
        Verb::Subscribe => "sends one SUBSCRIBE",
        Verb::Unsubscribe => "sends one UNSUBSCRIBE",
        Verb::Publish => "publishes messages, and waits until they are acknowledged",
        Verb::Receive => "takes what comes, until all that was queued has come",
        Verb::Disconnect => "sends DISCONNECT and waits for the broker to end the connection",
        Verb::Cut => "ends the connection without DISCONNECT",
        Verb::Silence => "sends nothing any more, until the broker ends the connection for it",
        Verb::Stall => "neither reads nor writes, until it connects anew",
        Verb::Race => "connects at the same moment as another client with its identifier",
        Verb::Wait => "lets a timer of the protocol run out",
        Verb::Stop => "stops the broker, or one node, in good order, which ends all connections to it",
        Verb::Kill => "kills the broker, or one node, which ends all connections to it",
        Verb::Start => "starts it again, and waits until it answers a CONNECT",
        Verb::Partition => "cuts a node off from the other nodes; connections of clients stay",
        Verb::Heal => "joins the node with the others, and waits until what is published at each comes to each",
        Verb::Restart => "ends the broker, or one node, and starts it again",
    }
}

/// A key of a step, or one that steps and clients share.
fn of_step(key: &str) -> Json {
    match key {
        "when" => meaning(
            json!({ "anyOf": [{ "type": "boolean" }, { "type": "string", "pattern": "^\\$" }] }),
            "\"$axis\" or \"$axis=value,value\": in the other cells the step is left out",
        ),
        "node" => meaning(number(FIRST_NODE, NODES_MAX), "the node of the broker, from 1"),
        "clean_start" => truth(),
        "will" => meaning(truth(), "false: CONNECT has no will"),
        "session_expiry" => meaning(number(0, u32::MAX), "Session Expiry Interval in seconds"),
        "receive_maximum" => number(1, u16::MAX.into()),
        "maximum_packet_size" => meaning(number(1, u32::MAX), "in bytes"),
        "topic_alias_maximum" => number(0, u16::MAX.into()),
        "keep_alive" => meaning(number(0, u16::MAX.into()), "in seconds"),
        "topic" => meaning(json!({ "type": "string" }), "one level or two; t where it is left out"),
        "share" => meaning(name(), "the Share Name"),
        "qos" => number(0, 2),
        "no_local" | "retain_as_published" => truth(),
        "retain_handling" => number(0, 2),
        "filters" => json!({ "type": "array", "minItems": 1, "items": table(&keys::FILTER, &["qos"], of_step) }),
        "identifier" => meaning(number(1, super::parse::IDENTIFIER_MAX), "the Subscription Identifier"),
        "retain" => truth(),
        "messages" => meaning(number(1, MESSAGES_MAX), "how many; as --messages says where it is left out"),
        "empty" => meaning(truth(), "a payload of zero bytes, which clears a retained message"),
        "bytes" => meaning(number(0, u32::MAX), "fills the payload up to so many bytes"),
        "message_expiry" => meaning(number(0, u32::MAX), "Message Expiry Interval in seconds"),
        "properties" => meaning(truth(), "a value for each property that a broker must pass on"),
        "window" => meaning(number(1, MESSAGES_MAX), "how many messages are left unacknowledged at once"),
        "until" => meaning(words::<Point>(), "the last packet of the handshake that goes through"),
        "message" => meaning(number(1, MESSAGES_MAX), "which message `until` is about"),
        "answers" => meaning(words::<Answers>(), "how the client acknowledges"),
        "with_will" => meaning(truth(), "reason code 0x04: the broker publishes the will"),
        "how" => words::<End>(),
        "stays" => meaning(name(), "the client that stays"),
        "timer" => words::<Timer>(),
        "seconds" => number(0, u32::MAX),
        "by" => meaning(words::<Ending>(), "how the broker is ended; stop where it is left out"),
        "after_ms" => {
            meaning(number(0, super::parse::AFTER_MS_MAX), "how long before that nothing happens, in milliseconds")
        }
        "early" => meaning(truth(), "the wait ends in the last second, before the timer has run out"),
        _ => json!({}),
    }
}
