//! Client ids, topics and payloads on the wire, and back to the names of the scenario.
//!
//! Ids and topics follow from prefix, cell, repetition and attempt alone, so that a later `clean --prefix P` finds what
//! a killed run left. Payloads carry the run's nonce besides, so that a message of another run is never taken for ours.

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hasher};
use std::sync::Arc;

use bytes::Bytes;

use crate::connection::secret;
use crate::digest::fnv_1a;
use crate::history::Message;

/// How the client ids and topics of a run begin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Prefix {
    /// With at most 12 characters of `[0-9a-zA-Z]` ids have 23, which a broker must accept (MQTT-3.1.3-5); others show at the
    /// probe, whose id is as long as any.
    pub client_id: String,
    /// Without a slash at its end.
    pub topic: String,
}

/// How the filter of a shared subscription begins.
const SHARE: &str = "$share/";
/// What a payload is filled up with.
const FILLER: u8 = b'-';
/// The longest payload that is not ours and that is kept whole.
const FOREIGN_BYTES_MAX: usize = 1024;
/// How many characters a cell's tag has.
const TAG_CHARS: usize = 10;
/// The longest prefix of client ids and of topics, in bytes. Beyond that the packets of an experiment get larger than the
/// Maximum Packet Size with which it asks for small ones.
const PREFIX_BYTES_MAX: usize = 128;

impl Prefix {
    /// Checks what the user gave.
    ///
    /// # Errors
    /// A sentence that says what is accepted.
    pub fn new(client_id: &str, topic: &str) -> Result<Prefix, String> {
        let topic = topic.trim_end_matches('/');
        for (prefix, what) in [(client_id, "client id"), (topic, "topic")] {
            let refused = |c: char| "+#".contains(c) || c.is_control();
            // A Share Name has the prefix of client ids in it, and knows no levels (5.0 MQTT-4.8.2-1).
            let has_level = what == "client id" && prefix.contains('/');
            if prefix.is_empty() || prefix.len() > PREFIX_BYTES_MAX || prefix.contains(refused) || has_level {
                let levels = if what == "client id" { ", nor /" } else { "" };
                return Err(format!(
                    "\"{prefix}\" cannot begin a {what}; give 1 to {PREFIX_BYTES_MAX} bytes without + and #{levels}"
                ));
            }
        }
        if topic.starts_with('$') {
            return Err(format!(
                "\"{topic}\" cannot begin a topic: what begins with $ is the broker's own; give another \
                 one"
            ));
        }
        Ok(Prefix { client_id: client_id.into(), topic: topic.into() })
    }

    /// A prefix that no other run has.
    pub fn random() -> Prefix {
        let name = format!("ms{}", &random_word()[..6]);
        Prefix { client_id: name.clone(), topic: name }
    }

    /// The prefix of one of several runs that go on side by side below this one. The first has this one itself, so that another
    /// run with it is heard of.
    pub fn lane(&self, number: usize) -> Prefix {
        match number {
            0 => self.clone(),
            _ => Prefix { client_id: format!("{}{number}", self.client_id), topic: format!("{}/{number}", self.topic) },
        }
    }

    /// The prefix of one part of a run whose parts all got this one. A letter on either side of the number keeps the lanes of one
    /// part and those of another apart.
    pub fn part(&self, number: u32) -> Prefix {
        Prefix { client_id: format!("{}p{number}p", self.client_id), topic: format!("{}/p{number}p", self.topic) }
    }

    /// A run with this prefix may have published on the topic.
    pub fn holds(&self, topic: &str) -> bool {
        topic.strip_prefix(&self.topic).is_some_and(|rest| rest.starts_with('/'))
    }

    /// The filter of everything that a run with this prefix publishes.
    pub fn filter(&self) -> String {
        format!("{}/#", self.topic)
    }
}

/// Ten characters that differ from run to run.
pub fn random_word() -> String {
    base36(RandomState::new().build_hasher().finish())
}

/// One attempt at one cell.
#[derive(Debug, Clone)]
pub struct Names {
    prefix: Prefix,
    nonce: String,
    tag: String,
    clients: Vec<ClientName>,
    /// What is not to be shown where a peer sends it back.
    secrets: Arc<[Vec<u8>]>,
}

/// A client of the cell, and which client's identifier it uses.
#[derive(Debug, Clone)]
pub struct ClientName {
    pub name: String,
    /// By its place; `None` lets the broker assign one.
    pub client_id: Option<usize>,
    /// The identifier is filled up to so many bytes.
    pub id_bytes: u32,
}

impl Names {
    pub fn new(prefix: &Prefix, nonce: &str, place: Place<'_>, clients: Vec<ClientName>) -> Names {
        Names { prefix: prefix.clone(), nonce: nonce.into(), tag: place.tag(), clients, secrets: Arc::default() }
    }

    /// The same names, with these passwords hidden in whatever is not ours.
    pub fn hiding(self, secrets: Arc<[Vec<u8>]>) -> Names {
        Names { secrets, ..self }
    }

    /// Bytes that are not ours, without the passwords.
    fn shown(&self, bytes: &[u8]) -> Vec<u8> {
        let mut shown = bytes.to_vec();
        secret::hide_all(self.secrets.iter(), &mut shown);
        shown
    }

    /// The bytes of a packet that came, without the passwords.
    pub fn kept(&self, raw: Bytes) -> Bytes {
        if self.secrets.is_empty() { raw } else { self.shown(&raw).into() }
    }

    /// How a payload that is not ours stands in the history: whole, or by its length and a digest.
    fn foreign(&self, payload: &[u8]) -> Vec<u8> {
        if payload.len() <= FOREIGN_BYTES_MAX {
            return [&b"?"[..], &self.shown(payload)].concat();
        }
        format!("?{} bytes, {:016x}", payload.len(), fnv_1a(payload)).into_bytes()
    }

    /// What tells this attempt from all others: the topic level after the prefix.
    pub fn tag(&self) -> &str {
        &self.tag
    }

    /// The client id of the client at this place in the scenario.
    pub fn client_id(&self, client: usize) -> String {
        let Some(place) = self.clients[client].client_id else { return String::new() };
        let id = client_id(&self.prefix, &self.tag, place);
        format!("{id:0<width$}", width = self.clients[client].id_bytes as usize)
    }

    /// The topic or filter on the wire. What is the broker's own, or reaches for it, is left as it is.
    pub fn topic(&self, name: &str) -> String {
        if name.starts_with("$SYS/") || name.starts_with("+/") {
            return name.into();
        }
        match name.strip_prefix(SHARE).and_then(|rest| rest.split_once('/')) {
            // A Share Name is known to the whole broker, so it carries the names of the run too.
            Some((share, filter)) => {
                format!("{SHARE}{}{}{share}/{}", self.prefix.client_id, self.tag, self.topic(filter))
            }
            None => topic(&self.prefix, &self.tag, name),
        }
    }

    /// The payload of a message, filled up to so many bytes.
    pub fn payload(&self, message: Message, bytes: usize) -> Vec<u8> {
        if matches!(message, Message::Clear(_)) {
            return Vec::new();
        }
        let mut payload = format!("{}{}:{message}.", self.nonce, self.tag).into_bytes();
        payload.resize(payload.len().max(bytes), FILLER);
        payload
    }

    /// The scenario's name of a topic or filter; what is not ours begins with a question mark.
    pub fn local_topic(&self, topic: &str) -> String {
        if topic.is_empty() || topic.starts_with("$SYS/") || topic.starts_with("+/") {
            return topic.into();
        }
        if let Some((share, filter)) = topic.strip_prefix(SHARE).and_then(|rest| rest.split_once('/')) {
            let own = format!("{}{}", self.prefix.client_id, self.tag);
            return format!("{SHARE}{}/{}", share.strip_prefix(&own).unwrap_or(share), self.local_topic(filter));
        }
        let Some(rest) = topic.strip_prefix(&self.prefix.topic) else {
            return format!("?{}", String::from_utf8_lossy(&self.shown(topic.as_bytes())));
        };
        match rest.strip_prefix('/').and_then(|rest| rest.strip_prefix(self.tag.as_str())?.strip_prefix('/')) {
            Some(name) => name.into(),
            None => "?elsewhere".into(),
        }
    }

    /// The scenario's name of the client with this id.
    pub fn local_client(&self, id: &str) -> String {
        if id.is_empty() {
            return String::new();
        }
        let place = (0..self.clients.len()).find(|client| self.client_id(*client) == id);
        place.map_or_else(|| format!("?{id}"), |client| self.clients[client].name.clone())
    }

    /// A payload as it stands in the history, for a message that is ours.
    pub fn history_payload(&self, message: Message, payload: &[u8]) -> Vec<u8> {
        match payload.len() > self.payload(message, 0).len() {
            true => message.filled(payload.len()),
            false => message.to_string().into_bytes(),
        }
    }

    /// The message in a payload; `Err` is how a foreign payload stands in the history.
    pub fn local_payload(&self, payload: &[u8]) -> Result<Message, Vec<u8>> {
        let ours = std::str::from_utf8(payload).ok().and_then(|text| text.strip_prefix(&self.nonce));
        let Some(ours) = ours else { return Err(self.foreign(payload)) };
        let of_cell = ours.strip_prefix(&self.tag).and_then(|text| text.strip_prefix(':'));
        let message = of_cell.and_then(|text| text.split_once('.')?.0.parse().ok());
        match message {
            Some(message) if self.payload(message, payload.len()) == payload => Ok(message),
            Some(_) => Err(self.foreign(payload)),
            None => Err(b"?elsewhere".to_vec()),
        }
    }

    /// The message of ours whose payload stands at the end of bytes that are no packet.
    pub fn message_at_the_end(&self, bytes: &[u8]) -> Option<Message> {
        let head = format!("{}{}:", self.nonce, self.tag).into_bytes();
        let start = bytes.windows(head.len()).rposition(|window| window == head)?;
        self.local_payload(&bytes[start..]).ok()
    }
}

/// What a tag is made from.
#[derive(Debug, Clone, Copy)]
pub struct Place<'a> {
    pub cell: &'a str,
    /// From 1.
    pub repetition: u32,
    /// From 1.
    pub attempt: u32,
}

impl Place<'_> {
    /// Ten characters of `[0-9a-z]`, the same in every run.
    pub fn tag(self) -> String {
        let text = format!("{}#{}#{}", self.cell, self.repetition, self.attempt);
        let hash = fnv_1a(text.as_bytes());
        base36(hash)
    }
}

/// The client id of the client at a place of the scenario, in the attempt with this tag.
pub fn client_id(prefix: &Prefix, tag: &str, client: usize) -> String {
    format!("{}{tag}{client}", prefix.client_id)
}

/// The client id of a helper of the harness's, as long as those of experiments, so that what a broker does not accept shows at
/// the helper.
pub fn helper_id(prefix: &Prefix, name: &str) -> String {
    format!("{}{name:0>width$}", prefix.client_id, width = TAG_CHARS + 1)
}

/// The topic of a scenario's topic name, in the attempt with this tag.
pub fn topic(prefix: &Prefix, tag: &str, name: &str) -> String {
    format!("{}/{tag}/{name}", prefix.topic)
}

fn base36(mut number: u64) -> String {
    (0..TAG_CHARS)
        .map(|_| {
            let digit = (number % 36) as u32;
            number /= 36;
            char::from_digit(digit, 36).unwrap_or('0')
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    fn names() -> Names {
        let name = |name: &str, place| ClientName { name: name.into(), client_id: Some(place), id_bytes: 0 };
        let prefix = Prefix::new("ms1", "ms1").unwrap();
        let place = Place { cell: "matrix[a=1]", repetition: 1, attempt: 1 };
        Names::new(&prefix, "nonce", place, vec![name("subscriber", 0), name("publisher", 1)])
    }

    #[test]
    fn names_go_to_the_wire_and_back() {
        let names = names();
        assert_eq!(names.local_topic(&names.topic("t")), "t");
        assert_eq!(names.local_client(&names.client_id(1)), "publisher");
        for (bytes, filter) in [(0, "#"), (200, "$share/g/t"), (1, "$SYS/broker/version"), (0, "+/broker/version")] {
            assert_eq!(names.local_topic(&names.topic(filter)), filter);
            let payload = names.payload(Message::Fence(2), bytes);
            assert!(payload.len() >= bytes);
            assert_eq!(names.local_payload(&payload), Ok(Message::Fence(2)));
            assert_eq!(names.message_at_the_end(&[b"\x30\x09t", &payload[..]].concat()), Some(Message::Fence(2)));
        }
        assert!(names.client_id(1).len() <= 23);
    }

    #[test]
    fn what_is_not_ours_is_marked() {
        let names = names();
        assert_eq!(names.local_topic("other/t"), "?other/t");
        assert_eq!(names.local_topic("ms1/zzzzzzzzzz/t"), "?elsewhere");
        assert_eq!(names.local_payload(b"m1"), Err(b"?m1".to_vec()));
        assert_eq!(names.local_payload(b"noncezzz:m1."), Err(b"?elsewhere".to_vec()));
        let changed = [names.payload(Message::Experiment(1), 0), b"x".to_vec()].concat();
        assert!(names.local_payload(&changed).is_err());
    }

    #[test]
    fn bytes_are_kept_without_the_passwords() {
        let came = Bytes::from_static(b"\x20\x09 a secret");
        assert_eq!(names().kept(came.clone()), came);
        assert_eq!(names().hiding([b"secret".to_vec()].into()).kept(came), &b"\x20\x09 a ******"[..]);
    }

    #[test]
    fn a_prefix_that_cannot_stand_in_names_is_refused() {
        let long = "a".repeat(PREFIX_BYTES_MAX + 1);
        for (client_id, topic) in
            [("", "t"), ("a/b", "t"), ("a+", "t"), (&long, "t"), ("a", ""), ("a", "//"), ("a", "#")]
                .into_iter()
                .chain([("a", "a/+/b"), ("a", "$SYS/a"), ("a", "a\0"), ("a", &long)])
        {
            assert!(Prefix::new(client_id, topic).is_err(), "{client_id} {topic}");
        }
    }

    #[test]
    fn lanes_differ_and_the_prefix_holds_the_topics_of_all() {
        let prefix = Prefix::new("ms1", "some/ms1").unwrap();
        let lanes: Vec<Prefix> = (0..8).map(|number| prefix.lane(number)).collect();
        assert_eq!(lanes[0], prefix);
        for (number, lane) in lanes.iter().enumerate() {
            assert!(prefix.holds(&topic(lane, "tag", "t")));
            assert!(
                lanes[..number]
                    .iter()
                    .all(|other| { other.client_id != lane.client_id && other.filter() != lane.filter() })
            );
        }
    }

    /// Neither do helpers, whose names begin with a letter.
    #[test]
    fn the_lanes_of_all_parts_differ() {
        let prefix = Prefix::new("ms1", "some/ms1").unwrap();
        let lanes = (1..=120).flat_map(|part| (0..=12).map(move |lane| (part, lane)));
        let all: Vec<Prefix> = lanes.map(|(part, lane)| prefix.part(part).lane(lane)).collect();
        let ids: HashSet<&str> = all.iter().map(|own| own.client_id.as_str()).collect();
        let topics: HashSet<&str> = all.iter().map(|own| own.topic.as_str()).collect();
        assert_eq!((ids.len(), topics.len()), (all.len(), all.len()));
        assert!(all.iter().all(|own| prefix.holds(&topic(own, "tag", "t"))));
        assert!(!prefix.part(1).holds(&topic(&prefix.part(11), "tag", "t")));
    }

    #[test]
    fn a_topic_of_any_depth_begins_topics() {
        for (given, topic) in [("a/b/c/d/e/", "a/b/c/d/e"), ("/a", "/a"), ("a b/\u{fc}", "a b/\u{fc}"), ("a//", "a")] {
            let prefix = Prefix::new("device-1_x.", given).unwrap();
            assert_eq!(prefix.topic, topic);
            let place = Place { cell: "matrix[a=1]", repetition: 1, attempt: 1 };
            let names = Names::new(&prefix, "nonce", place, Vec::new());
            assert_eq!(names.local_topic(&names.topic("t/u")), "t/u");
            assert_eq!(names.local_topic(&names.topic("$share/g/t")), "$share/g/t");
        }
    }
}
