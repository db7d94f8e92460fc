//! The Session State of one client (section 3.1.2.4 of 3.1.1, 4.1 of 5.0) and the delivery of messages to it.

mod under_way;

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
use std::time::Duration;

use mqtt_sessions::connection::encode::encode;
use mqtt_sessions::packet::{AckKind, Connect, Packet, Protocol, Publish, Will};
use tokio::time::Instant;

use super::choices::{PacketIds, RetainedCopies};
use super::defect::{Fault, Way};
use super::rules::Rules;
use super::state::Link;
use super::topics;

use under_way::InFlight;
pub use under_way::{Acknowledged, IDENTIFIER_NOT_FOUND, REPEATED_AFTER};

/// How long a session outlives its connection; `None` is for ever.
pub type Lifetime = Option<Duration>;

/// The session ends with its connection.
pub const ENDS_AT_CLOSE: Lifetime = Some(Duration::ZERO);

/// A message that the broker took over, and since when it has it.
#[derive(Debug, Clone)]
pub struct Message {
    pub publish: Publish,
    pub taken_at: Instant,
    /// The client identifier of its publisher.
    pub publisher: String,
    pub is_will: bool,
}

/// A message on its way to one subscriber.
#[derive(Debug, Clone)]
pub struct Delivery {
    pub message: Message,
    /// The QoS of this delivery.
    pub qos: u8,
    /// The RETAIN flag of this delivery.
    pub retain: bool,
    pub subscription_ids: Vec<u32>,
    /// It was queued for an absent subscriber.
    pub queued: bool,
    /// A SUBSCRIBE asked for it.
    pub is_retained_copy: bool,
    /// The filter of the group that it was taken from.
    pub share: Option<String>,
}

impl Delivery {
    /// The way on which its first PUBLISH comes.
    pub fn way(&self) -> Way {
        match self {
            Delivery { share: Some(_), .. } => Way::Shared,
            Delivery { is_retained_copy: true, .. } => Way::RetainedCopy,
            Delivery { queued, .. } => self.message.way_to_subscriber(*queued),
        }
    }
}

impl Message {
    /// The way on which it comes to a subscription, to a client that is there or was away.
    pub fn way_to_subscriber(&self, queued: bool) -> Way {
        match (self.is_will, queued) {
            (true, _) => Way::Will,
            (false, true) => Way::Queued,
            (false, false) => Way::Live,
        }
    }
}

/// A subscription (5.0, section 3.8.3.1; 3.1.1 has the QoS alone).
#[derive(Debug, Clone)]
pub struct Subscription {
    pub granted: u8,
    pub no_local: bool,
    pub retain_as_published: bool,
    pub id: Option<u32>,
}

/// What is still to be done about a QoS 2 message when its PUBREL comes.
#[derive(Debug, Default)]
pub struct Unreleased {
    pub to_retain: Option<Message>,
    pub to_route: Option<Message>,
}

pub struct Session {
    pub protocol: Protocol,
    /// The connection that the session is attached to.
    pub link: Option<Link>,
    pub lifetime: Lifetime,
    /// When the session ends, while it has no connection.
    pub ends_at: Option<Instant>,
    /// By Topic Filter.
    pub subscriptions: BTreeMap<String, Subscription>,
    /// What was unsubscribed, where that is to be forgotten.
    pub unsubscribed: BTreeMap<String, Subscription>,
    /// What was unsubscribed, where some messages come all the same.
    pub ended: BTreeMap<String, Subscription>,
    /// QoS 2 messages from the client whose PUBREL has not come.
    pub incoming: BTreeMap<u16, Unreleased>,
    /// QoS 1 messages from the client that were taken over, and whose PUBACK could not be sent any more.
    pub unanswered: HashSet<u16>,
    /// Identifiers that were used before, by QoS, where that is to be held against them.
    pub used: HashSet<(u8, u16)>,
    /// The will of the connection that is there, or was there last.
    pub will: Option<Will>,
    /// When the will of a connection that has ended goes out.
    pub will_due: Option<Instant>,
    /// Retained copies that come late.
    pub late: Vec<Delivery>,
    /// Nothing of the queue is sent for now.
    pub held: bool,
    /// What was under way is not sent again yet.
    pub put_off: bool,
    /// So many messages are to be lost.
    pub interrupted: usize,
    /// What the client announced for this connection.
    pub receive_maximum: usize,
    pub maximum_packet_size: Option<u32>,
    pub topic_alias_maximum: u16,
    aliases: HashMap<String, u16>,
    /// A topic of which nothing more is sent.
    stuck: Option<String>,
    pub opened_at: Option<Instant>,
    queue: VecDeque<Delivery>,
    /// In the order in which they were sent first.
    in_flight: Vec<InFlight>,
    /// What was acknowledged or refused, where that is to be forgotten.
    acknowledged: Vec<InFlight>,
    last_id: u16,
    /// Identifiers for which an answer may still come on this connection, since they were sent twice on it.
    answered_once: HashSet<u16>,
    /// How many messages are sent beyond the window.
    excess: usize,
    /// Identifiers of deliveries that went to another member of a group. They never had their answer, so they are not
    /// free.
    moved_on: HashSet<u16>,
}

impl Session {
    pub fn new(protocol: Protocol) -> Session {
        Session {
            protocol,
            link: None,
            lifetime: ENDS_AT_CLOSE,
            ends_at: None,
            subscriptions: BTreeMap::new(),
            unsubscribed: BTreeMap::new(),
            ended: BTreeMap::new(),
            incoming: BTreeMap::new(),
            unanswered: HashSet::new(),
            used: HashSet::new(),
            will: None,
            will_due: None,
            late: Vec::new(),
            held: false,
            put_off: false,
            interrupted: 0,
            receive_maximum: 0,
            maximum_packet_size: None,
            topic_alias_maximum: 0,
            aliases: HashMap::new(),
            stuck: None,
            opened_at: None,
            queue: VecDeque::new(),
            in_flight: Vec::new(),
            acknowledged: Vec::new(),
            last_id: 0,
            answered_once: HashSet::new(),
            excess: 0,
            moved_on: HashSet::new(),
        }
    }

    /// A connection takes the session: what its CONNECT announces holds for this connection alone.
    pub fn attach(&mut self, rules: &Rules, link: Link, connect: &Connect, now: Instant) {
        self.protocol = connect.protocol;
        self.link = Some(link);
        self.ends_at = None;
        let asked = connect.session_expiry.or(rules.choices.keeping.unasked_expiry);
        self.lifetime = rules.lifetime(connect.protocol, connect.clean, asked);
        self.receive_maximum = rules.receive_maximum(self.receive_maximum, connect);
        self.maximum_packet_size = connect.maximum_packet_size;
        self.topic_alias_maximum = connect.topic_alias_maximum.unwrap_or(0);
        self.opened_at = Some(now);
        self.answered_once.clear();
        self.excess = 0;
        if !rules.keeps_aliases() {
            self.aliases.clear();
        }
    }

    /// Whether something waits to be sent.
    pub fn has_backlog(&self) -> bool {
        !self.queue.is_empty()
    }

    /// Whether something was sent and has not had its last answer.
    pub fn is_under_way(&self) -> bool {
        !self.in_flight.is_empty()
    }

    /// The subscriptions of this client alone that match the topic of a message.
    fn matching(&self, rules: &Rules, message: &Message, id: &str) -> Vec<Subscription> {
        let way = message.way_to_subscriber(self.link.is_none());
        let local = message.publisher == id && !rules.ignores_no_local(way);
        let ended = self.ended.iter().filter(|_| rules.has_fault(Fault::AfterUnsubscribe, way));
        let own = self.subscriptions.iter().chain(ended).filter(|(filter, subscription)| {
            let shared = topics::shared(filter).is_some();
            !shared && rules.matches(filter, &message.publish.topic) && !(local && subscription.no_local)
        });
        own.map(|(_, subscription)| subscription.clone()).collect()
    }

    /// 4.5.0-1 in both versions: a message is added to the session of each client with a matching subscription. Returns
    /// what goes out now, or `None` where no subscription matches.
    pub fn offer(&mut self, rules: &Rules, message: &Message, id: &str, now: Instant) -> Option<Vec<Packet>> {
        let matching = self.matching(rules, message, id);
        let way = message.way_to_subscriber(self.link.is_none());
        if matching.is_empty() || !rules.forwards(&message.publish, way) {
            return None;
        }
        let queued = self.link.is_none();
        let mut packets = Vec::new();
        for copy in rules.copies(&message.publish, &matching, way) {
            if (queued && !rules.queues(message.publish.qos, copy.granted)) || self.is_interrupted() {
                continue;
            }
            let delivery = Delivery {
                message: message.clone(),
                qos: copy.qos,
                retain: copy.retain,
                subscription_ids: copy.subscription_ids,
                queued,
                is_retained_copy: false,
                share: None,
            };
            packets.extend(self.take(rules, delivery, now));
        }
        if rules.choices.retained_copies == RetainedCopies::AfterNextMessage {
            self.release_late();
        }
        packets.extend(self.flush(rules, now));
        Some(packets)
    }

    /// Takes one message for the client, or lets it overtake what waits.
    pub fn take(&mut self, rules: &Rules, delivery: Delivery, now: Instant) -> Vec<Packet> {
        if !delivery.queued && rules.overtakes(self.held) {
            self.held = false;
            return self.send(rules, delivery, now).into_iter().collect();
        }
        self.enqueue(rules, delivery);
        Vec::new()
    }

    fn is_interrupted(&mut self) -> bool {
        let interrupted = self.interrupted > 0;
        self.interrupted = self.interrupted.saturating_sub(1);
        interrupted
    }

    /// Puts the retained copies that come late behind the rest.
    pub fn release_late(&mut self) {
        self.queue.extend(self.late.drain(..));
    }

    /// Adds a message behind what is queued. It goes out with [`Session::flush`].
    pub fn enqueue(&mut self, rules: &Rules, delivery: Delivery) {
        let delivery = Delivery { qos: rules.qos_on_the_way(&delivery), ..delivery };
        self.queue.extend(vec![delivery.clone(); rules.copies_on_the_way(&delivery)]);
        if self.link.is_none() {
            rules.limit_queue(&mut self.queue);
            rules.choices.keeping.limit(&mut self.queue, self.in_flight.len());
        }
    }

    /// How many messages wait to be sent.
    pub fn backlog(&self) -> usize {
        self.queue.len()
    }

    /// Whether a message of this publisher would be stored for the absent client.
    pub fn stores(&self, rules: &Rules, message: &Message, id: &str) -> bool {
        let matching = self.matching(rules, message, id);
        self.link.is_none() && matching.iter().any(|own| rules.queues(message.publish.qos, own.granted))
    }

    /// Removes what is queued for a Topic Filter and for no subscription that is left.
    pub fn discard_unsubscribed(&mut self, rules: &Rules, filter: &str) {
        let left: Vec<&String> = self.subscriptions.keys().collect();
        let wanted = |topic: &str| left.iter().any(|own| rules.matches(topics::unshared(own), topic));
        self.queue.retain(|delivery| {
            let topic = &delivery.message.publish.topic;
            !rules.matches(topics::unshared(filter), topic) || wanted(topic)
        });
    }

    /// Removes what is queued for a Topic Filter.
    pub fn discard_queued(&mut self, rules: &Rules, filter: &str) {
        self.queue.retain(|delivery| !rules.matches(filter, &delivery.message.publish.topic));
    }

    /// Sends what is queued, in order, as far as the window has room. QoS 0 needs no room.
    pub fn flush(&mut self, rules: &Rules, now: Instant) -> Vec<Packet> {
        let apart = rules.choices.qos0_apart;
        if self.link.is_none() || (self.held && !apart) {
            return Vec::new();
        }
        let mut packets = Vec::new();
        let room = rules.window().min(self.receive_maximum) + self.excess;
        if !self.held {
            // What belongs to the resumed session goes first, and takes its room.
            packets.extend(self.resend_more(rules, room, now));
        }
        let (first, behind): (VecDeque<_>, VecDeque<_>) =
            std::mem::take(&mut self.queue).into_iter().partition(|delivery| !apart || delivery.qos > 0);
        let mut full = self.held;
        for delivery in first.into_iter().chain(behind) {
            full |= self.under_way() >= room;
            match full && delivery.qos > 0 && !rules.goes_beyond_window(self.protocol, delivery.way()) {
                true => self.queue.push_back(delivery),
                false => packets.extend(self.send(rules, delivery, now)),
            }
        }
        packets
    }

    /// The first PUBLISH of a delivery, unless it has expired or is too large for the client.
    pub fn send(&mut self, rules: &Rules, delivery: Delivery, now: Instant) -> Option<Packet> {
        // 5.0 3.3.2-5.
        if rules.has_expired(&delivery.message, now) && !rules.has_fault(Fault::Expired, delivery.way()) {
            return None;
        }
        if delivery.qos == 0 && rules.loses_qos0(&delivery.message.publish.topic) {
            return None;
        }
        let mut packet = rules.forwarded(&delivery, delivery.way(), now);
        packet.dup = rules.dup_of_first(&delivery);
        let mut aliases = self.aliases.clone();
        if self.protocol == Protocol::V5 {
            rules.alias(&mut packet, self.topic_alias_maximum, &mut aliases);
        }
        // 5.0 3.1.2-24 and 3.1.2-25.
        if self.is_too_large(rules, &packet, delivery.way()) {
            self.stuck = rules.stops_at_too_large().then_some(delivery.message.publish.topic);
            return None;
        }
        if self.stuck.as_ref() == Some(&delivery.message.publish.topic) {
            return None;
        }
        self.aliases = aliases;
        if delivery.qos > 0 {
            packet.id = self.next_id(rules, delivery.way());
            let awaits = if delivery.qos == 1 { AckKind::Puback } else { AckKind::Pubrec };
            self.in_flight.push(InFlight {
                id: packet.id,
                delivery,
                awaits,
                resent: true,
                sent_at: now,
                repeated: false,
            });
        }
        Some(Packet::Publish(packet))
    }

    /// Whether a PUBLISH exceeds the Maximum Packet Size of this connection.
    fn is_too_large(&self, rules: &Rules, packet: &Publish, way: Way) -> bool {
        let Some(maximum) = self.maximum_packet_size.filter(|_| rules.heeds_packet_size(way)) else { return false };
        // The identifier, which may not have been given yet, takes the same room whatever it is.
        let packet = Publish { id: packet.id.max(1), ..packet.clone() };
        let mut bytes = Vec::new();
        encode(self.protocol, &Packet::Publish(packet), &mut bytes).expect("what was read can be written");
        bytes.len() > maximum as usize
    }

    /// 3.1.1 2.3.1-4, 5.0 2.2.1-4: a new PUBLISH gets a Packet Identifier that is not in use, and never 0.
    fn next_id(&mut self, rules: &Rules, way: Way) -> u16 {
        match self.in_flight.first() {
            Some(in_flight) if rules.has_fault(Fault::IdInUse, way) => in_flight.id,
            _ => self.unused_id(rules),
        }
    }

    fn unused_id(&mut self, rules: &Rules) -> u16 {
        if rules.reuses_ids() {
            return 1;
        }
        if rules.choices.packet_ids == PacketIds::LowestFree {
            self.last_id = 0;
        }
        loop {
            self.last_id = self.last_id.wrapping_add(1).max(1);
            let in_use = self.in_flight.iter().any(|own| own.id == self.last_id && rules.is_in_use(own.awaits));
            if !in_use && !self.answered_once.contains(&self.last_id) && !self.moved_on.contains(&self.last_id) {
                return self.last_id;
            }
        }
    }

    /// Nothing above QoS 0 has room.
    pub fn is_full(&self, rules: &Rules) -> bool {
        self.under_way() >= rules.window().min(self.receive_maximum)
    }

    /// Gives what waits for an absent subscriber into the hands of the rules.
    pub fn prepare_backlog(&mut self, rules: &Rules) {
        rules.prepare_backlog(&mut self.queue);
        self.queue.truncate(rules.choices.keeping.gives_back.unwrap_or(usize::MAX));
    }
}
