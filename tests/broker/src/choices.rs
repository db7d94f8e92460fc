//! What the standard leaves to a broker: each field is a liberty that some real broker takes.

use std::time::Duration;

use mqtt_sessions::packet::Packet;

use super::keeping::Keeping;
use super::random::Random;

/// When the retained messages come that a SUBSCRIBE asks for. No statement orders them among the other messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RetainedCopies {
    /// Before the SUBACK: the server may begin to send PUBLISH packets before it (section 3.8.4).
    BeforeSuback,
    AfterSuback,
    /// Behind the next message that matches the subscription, or after [`RETAINED_PATIENCE`] if none comes.
    AfterNextMessage,
    /// So much later.
    Late(Duration),
}

/// How long a retained copy waits for a message to follow.
pub const RETAINED_PATIENCE: Duration = Duration::from_millis(40);

/// How packets are laid into writes. TCP promises bytes, not segments.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Writes {
    EachPacket,
    EachByte,
    /// Everything that is ready within a millisecond in one write.
    Coalesced,
}

/// Which Packet Identifier a new delivery gets. Any that is not in use will do (3.1.1 2.3.1-4, 5.0 2.2.1-4).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PacketIds {
    /// The next one of a counter that runs through the session.
    Counter,
    LowestFree,
}

/// The order in which a returning client gets its backlog. The standard orders only what one publisher published on one
/// topic at one QoS (3.1.1 4.6.0-6, 5.0 4.6.0-5).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BacklogOrder {
    AsPublished,
    /// Topic by topic.
    ByTopic,
    HigherQosFirst,
}

/// Legal oddities. No combination of them breaks a statement; announced limits make experiments unsupported.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Choices {
    /// Messages published at QoS 0 are kept for absent subscribers that were granted more (3.1.1 section 3.1.2.4, 5.0
    /// section 4.1: OPTIONAL).
    pub queue_qos0_publications: bool,
    /// Messages published above QoS 0 are kept for absent subscribers that were granted QoS 0.
    pub queue_qos0_subscriptions: bool,
    pub retained_copies: RetainedCopies,
    /// A returning subscriber gets its backlog so much later than its CONNACK, and so the PINGRESP first.
    pub backlog_delay: Duration,
    /// Each write waits for a random time up to this one.
    pub write_delay: Duration,
    /// Each CONNECT is taken up to so much later: of two that are under way at once either may come first.
    pub connect_delay: Duration,
    /// The seed of what is random.
    pub seed: u64,
    pub writes: Writes,
    /// A copy for each overlapping subscription instead of one (section 3.3.5 of 3.1.1, 3.3.4 of 5.0).
    pub copy_for_each_subscription: bool,
    /// A QoS 2 message goes onward when its PUBREL comes, not when its PUBLISH comes (section 4.3.3, both methods).
    pub qos2_onward_at_pubrel: bool,
    /// 5.0 only: the client that loses its session to another connection is told so by DISCONNECT 0x8E (3.1.4-3).
    pub takeover_disconnect: bool,
    /// A retained message of QoS 0 is stored; it MAY be discarded at any time (3.1.1 3.3.1-7, 5.0 section 3.3.1.3).
    pub keep_retained_qos0: bool,
    /// After DISCONNECT the client is left to close the connection (section 3.14.4: the client MUST, the server
    /// SHOULD).
    pub wait_for_close: bool,
    /// With [`Choices::wait_for_close`]: behind the client's close the broker takes so long for its own (no statement gives it a time).
    pub end_delay: Duration,
    /// The broker knows 3.1.1 only, and refuses 5.0 with the CONNACK of 3.1.1 (3.1.1 3.1.2-2).
    pub refuse_v5: bool,
    /// The highest QoS that a SUBACK grants (3.1.1 3.8.4-5, 5.0 3.8.4-7).
    pub grant_at_most: u8,
    /// The highest QoS of a PUBLISH that is accepted, announced in 5.0 (3.2.2-9). 2 is not announced.
    pub maximum_qos: u8,
    /// The largest packet that is taken in 5.0, where there is one, as CONNACK announces (section 3.2.2.3.6). A larger one
    /// ends its connection.
    pub packet_size_at_most: Option<u32>,
    /// Retained messages are accepted; if not, 5.0 announces it (section 3.2.2.3.5).
    pub retain_available: bool,
    /// The longest Session Expiry Interval that is granted, in seconds; announced where it is less than what was asked
    /// for (5.0 section 3.2.2.3.2).
    pub session_expiry_at_most: u32,
    /// How many messages above QoS 0 may be under way to one client.
    pub window: usize,
    /// The broker knows 5.0 only, and refuses 3.1.1 with CONNACK 0x01.
    pub refuse_v3: bool,
    /// 5.0 only: the Keep Alive that CONNACK sets in the place of a longer one, in seconds.
    pub server_keep_alive: Option<u16>,
    /// 5.0 only: topics have aliases where the client takes them.
    pub topic_aliases: bool,
    /// 5.0 only: what CONNACK announces as not available.
    pub wildcards: bool,
    pub subscription_ids: bool,
    pub shared_subscriptions: bool,
    /// What is queued for a subscription goes with it at UNSUBSCRIBE; it MAY be delivered (section 3.10.4).
    pub unsubscribe_discards_queue: bool,
    /// 5.0 only: a PUBLISH for an absent subscriber with so many messages waiting is refused with 0x97 (sections
    /// 3.4.2.1 and 3.5.2.1). What 3.1.1 publishes cannot be refused, and is kept.
    pub queue_at_most: Option<usize>,
    /// 5.0 only: PUBACK and PUBREC say 0x10 where no subscription matches (sections 3.4.2.1 and 3.5.2.1: MAY).
    pub tell_no_subscribers: bool,
    pub packet_ids: PacketIds,
    pub backlog_order: BacklogOrder,
    /// Messages of QoS 0 have a queue of their own: they go out behind the others, but do not wait for a backlog that
    /// comes late (the same topic at another QoS has an order of its own: 3.1.1 4.6.0-6, 5.0 4.6.0-5).
    pub qos0_apart: bool,
    /// A QoS 2 message becomes the retained message of its topic when its PUBREL comes, not when its PUBLISH comes.
    /// Section 4.3.3 lets the receiver begin its work at either point, and no statement couples storing with routing.
    pub qos2_retained_at_pubrel: bool,
    /// What a client sent right before its connection ended is lost at random, if the broker had not begun to answer it.
    /// Nothing obliges the broker before its answer (3.1.1 4.3.2-2 and 4.3.3-2, 5.0 4.3.2-4 and 4.3.3-8), and the answers
    /// of the client count only once they are received (4.4.0-1).
    pub loses_cut_off: bool,
    /// A QoS 1 message whose PUBACK the broker could not send any more is recognised when its publisher sends it again
    /// with DUP 1. Only after its PUBACK has the identifier to be taken for a new message (3.1.1 4.3.2-2, 5.0 4.3.2-5).
    pub recognises_resent_qos1: bool,
    /// For each message that matches several subscriptions the broker decides anew between one copy and a copy for each
    /// (section 3.3.5 of 3.1.1, 3.3.4 of 5.0: MAY).
    pub overlap_at_random: bool,
    /// 5.0 only: the Subscription Identifiers of one copy stand in reverse (3.3.4-4: their order is not significant).
    pub subscription_ids_reversed: bool,
    /// 5.0 only: one copy for subscriptions that disagree on Retain As Published has the RETAIN flag of any of them
    /// (3.3.1-12 and 3.3.1-13 speak of one subscription).
    pub overlap_flag_at_random: bool,
    /// 5.0 only: expiry is looked for once a second. Intervals are whole seconds (sections 3.1.2.11.2 and 3.3.2.3.3), and
    /// no statement asks for a finer clock.
    pub expiry_sweep: bool,
    /// One in so many deliveries at QoS 0 is lost (section 4.3.1: at most once), and at each look one in so many retained
    /// messages of QoS 0 is dropped (3.1.1 3.3.1-7, 5.0 section 3.3.1.3: at any time).
    pub qos0_lost_once_in: Option<u64>,
    /// 5.0 only: a message for a shared subscription may go to a member that is away although another is there (section
    /// 4.8.2 leaves the choice to the server).
    pub shared_to_absent: bool,
    /// 5.0 only: a QoS 1 delivery for a shared subscription that is broken off goes to another member at once (section
    /// 4.8.2: MAY).
    pub shared_qos1_moves_on: bool,
    /// 3.1.1 only: PUBLISH and PUBREL packets that have no answer are repeated once on the connection that is there.
    /// 4.4.0-1 asks for it on resume, and does not forbid it at other times.
    pub repeats_live: bool,
    /// The retained messages that one SUBSCRIBE asks for come in any order (no statement orders them).
    pub retained_copies_shuffled: bool,
    /// Limits of a configuration: no liberty, and so neither one of [`Choices::each_alone`] nor at random.
    pub keeping: Keeping,
}

impl Default for Choices {
    fn default() -> Choices {
        Choices {
            queue_qos0_publications: false,
            queue_qos0_subscriptions: false,
            retained_copies: RetainedCopies::AfterSuback,
            backlog_delay: Duration::ZERO,
            write_delay: Duration::ZERO,
            connect_delay: Duration::ZERO,
            seed: 0,
            writes: Writes::EachPacket,
            copy_for_each_subscription: false,
            qos2_onward_at_pubrel: false,
            takeover_disconnect: true,
            keep_retained_qos0: true,
            wait_for_close: false,
            end_delay: Duration::ZERO,
            refuse_v5: false,
            grant_at_most: 2,
            maximum_qos: 2,
            packet_size_at_most: None,
            retain_available: true,
            session_expiry_at_most: u32::MAX,
            window: 20,
            refuse_v3: false,
            server_keep_alive: None,
            topic_aliases: false,
            wildcards: true,
            subscription_ids: true,
            shared_subscriptions: true,
            unsubscribe_discards_queue: false,
            queue_at_most: None,
            tell_no_subscribers: false,
            packet_ids: PacketIds::Counter,
            backlog_order: BacklogOrder::AsPublished,
            qos0_apart: false,
            qos2_retained_at_pubrel: false,
            loses_cut_off: false,
            recognises_resent_qos1: false,
            overlap_at_random: false,
            subscription_ids_reversed: false,
            overlap_flag_at_random: false,
            expiry_sweep: false,
            qos0_lost_once_in: None,
            shared_to_absent: false,
            shared_qos1_moves_on: false,
            repeats_live: false,
            retained_copies_shuffled: false,
            keeping: Keeping::default(),
        }
    }
}

impl Choices {
    /// Each choice taken alone, under its name; the first is the default.
    pub fn each_alone() -> Vec<(&'static str, Choices)> {
        fn with(change: impl FnOnce(&mut Choices)) -> Choices {
            let mut choices = Choices::default();
            change(&mut choices);
            choices
        }
        let ms = Duration::from_millis;
        vec![
            ("default", Choices::default()),
            ("queue-qos0-publications", with(|c| c.queue_qos0_publications = true)),
            ("queue-qos0-subscriptions", with(|c| c.queue_qos0_subscriptions = true)),
            ("retained-before-suback", with(|c| c.retained_copies = RetainedCopies::BeforeSuback)),
            ("retained-after-next-message", with(|c| c.retained_copies = RetainedCopies::AfterNextMessage)),
            ("retained-late", with(|c| c.retained_copies = RetainedCopies::Late(ms(30)))),
            ("backlog-after-pingresp", with(|c| c.backlog_delay = ms(30))),
            ("write-delay", with(|c| c.write_delay = ms(5))),
            ("connects-in-any-order", with(|c| c.connect_delay = ms(5))),
            ("bytes-one-by-one", with(|c| c.writes = Writes::EachByte)),
            ("coalesced", with(|c| c.writes = Writes::Coalesced)),
            ("copy-for-each-subscription", with(|c| c.copy_for_each_subscription = true)),
            ("qos2-onward-at-pubrel", with(|c| c.qos2_onward_at_pubrel = true)),
            ("takeover-without-disconnect", with(|c| c.takeover_disconnect = false)),
            ("retained-qos0-gone", with(|c| c.keep_retained_qos0 = false)),
            ("wait-for-close", with(|c| c.wait_for_close = true)),
            ("refuse-v5", with(|c| c.refuse_v5 = true)),
            ("grant-at-most-1", with(|c| c.grant_at_most = 1)),
            ("grant-at-most-0", with(|c| c.grant_at_most = 0)),
            ("maximum-qos-1", with(|c| c.maximum_qos = 1)),
            ("maximum-qos-0", with(|c| c.maximum_qos = 0)),
            ("retain-unavailable", with(|c| c.retain_available = false)),
            ("packets-of-200-bytes", with(|c| c.packet_size_at_most = Some(200))),
            ("packets-of-40-bytes", with(|c| c.packet_size_at_most = Some(40))),
            ("session-expiry-at-most-60", with(|c| c.session_expiry_at_most = 60)),
            ("session-expiry-at-most-0", with(|c| c.session_expiry_at_most = 0)),
            ("window-of-1", with(|c| c.window = 1)),
            ("refuse-v3", with(|c| c.refuse_v3 = true)),
            ("server-keep-alive", with(|c| c.server_keep_alive = Some(30))),
            ("topic-aliases", with(|c| c.topic_aliases = true)),
            ("no-wildcards", with(|c| c.wildcards = false)),
            ("no-subscription-ids", with(|c| c.subscription_ids = false)),
            ("no-shared-subscriptions", with(|c| c.shared_subscriptions = false)),
            ("unsubscribe-discards-queue", with(|c| c.unsubscribe_discards_queue = true)),
            ("queue-of-10", with(|c| c.queue_at_most = Some(10))),
            ("tell-no-subscribers", with(|c| c.tell_no_subscribers = true)),
            ("lowest-free-id", with(|c| c.packet_ids = PacketIds::LowestFree)),
            ("backlog-by-topic", with(|c| c.backlog_order = BacklogOrder::ByTopic)),
            ("backlog-by-qos", with(|c| c.backlog_order = BacklogOrder::HigherQosFirst)),
            ("qos0-apart", with(|c| (c.qos0_apart, c.backlog_delay) = (true, ms(30)))),
            ("qos2-retained-at-pubrel", with(|c| c.qos2_retained_at_pubrel = true)),
            ("loses-cut-off", with(|c| c.loses_cut_off = true)),
            ("recognises-resent-qos1", with(|c| c.recognises_resent_qos1 = true)),
            ("overlap-at-random", with(|c| c.overlap_at_random = true)),
            ("subscription-ids-reversed", with(|c| c.subscription_ids_reversed = true)),
            ("overlap-flag-at-random", with(|c| c.overlap_flag_at_random = true)),
            ("expiry-sweep", with(|c| c.expiry_sweep = true)),
            ("qos0-lost", with(|c| c.qos0_lost_once_in = Some(20))),
            ("shared-to-absent", with(|c| c.shared_to_absent = true)),
            ("shared-qos1-moves-on", with(|c| c.shared_qos1_moves_on = true)),
            ("repeats-live", with(|c| c.repeats_live = true)),
            ("retained-copies-shuffled", with(|c| c.retained_copies_shuffled = true)),
        ]
    }

    /// True if the broker looks whether the client is still there before it acts on a packet.
    pub fn looks_ahead(&self, packet: &Packet) -> bool {
        let asks_or_answers = match packet {
            Packet::Publish(publish) => publish.qos > 0,
            Packet::Ack(_) => true,
            _ => false,
        };
        asks_or_answers && (self.loses_cut_off || self.recognises_resent_qos1)
    }

    /// A combination of choices, the same for the same seed. What makes experiments unsupported is rare in it, since a
    /// broker that supports nothing exercises nothing.
    pub fn random(seed: u64) -> Choices {
        let mut random = Random::new(seed);
        let ms = Duration::from_millis;
        let retained = [
            RetainedCopies::BeforeSuback,
            RetainedCopies::AfterSuback,
            RetainedCopies::AfterNextMessage,
            RetainedCopies::Late(ms(random.below(40))),
        ];
        Choices {
            queue_qos0_publications: random.once_in(2),
            queue_qos0_subscriptions: random.once_in(2),
            retained_copies: random.pick(&retained),
            backlog_delay: ms(random.pick(&[0, 0, 10, 40])),
            write_delay: ms(random.pick(&[0, 0, 1, 5])),
            connect_delay: ms(random.pick(&[0, 5])),
            seed,
            writes: random.pick(&[Writes::EachPacket, Writes::EachByte, Writes::Coalesced]),
            copy_for_each_subscription: random.once_in(2),
            qos2_onward_at_pubrel: random.once_in(2),
            takeover_disconnect: random.once_in(2),
            keep_retained_qos0: random.once_in(2),
            wait_for_close: random.once_in(2),
            end_delay: Duration::ZERO,
            refuse_v5: random.once_in(20),
            grant_at_most: random.pick(&[2, 2, 2, 2, 2, 2, 1, 0]),
            maximum_qos: random.pick(&[2, 2, 2, 2, 2, 2, 1, 0]),
            retain_available: !random.once_in(10),
            session_expiry_at_most: random.pick(&[u32::MAX, u32::MAX, u32::MAX, 60, 0]),
            window: random.pick(&[20, 20, 20, 3, 1]),
            // One that refuses both versions would be no broker.
            refuse_v3: false,
            server_keep_alive: random.pick(&[None, Some(30)]),
            topic_aliases: random.once_in(2),
            wildcards: !random.once_in(10),
            subscription_ids: !random.once_in(10),
            shared_subscriptions: !random.once_in(10),
            unsubscribe_discards_queue: random.once_in(2),
            tell_no_subscribers: random.once_in(2),
            queue_at_most: random.pick(&[None, None, None, None, Some(10)]),
            packet_ids: random.pick(&[PacketIds::Counter, PacketIds::LowestFree]),
            backlog_order: random.pick(&[
                BacklogOrder::AsPublished,
                BacklogOrder::AsPublished,
                BacklogOrder::ByTopic,
                BacklogOrder::HigherQosFirst,
            ]),
            qos0_apart: random.once_in(2),
            qos2_retained_at_pubrel: random.once_in(2),
            loses_cut_off: random.once_in(2),
            recognises_resent_qos1: random.once_in(2),
            overlap_at_random: random.once_in(3),
            subscription_ids_reversed: random.once_in(2),
            overlap_flag_at_random: random.once_in(2),
            expiry_sweep: random.once_in(2),
            qos0_lost_once_in: random.pick(&[None, None, None, None, Some(20)]),
            shared_to_absent: random.once_in(2),
            shared_qos1_moves_on: random.once_in(2),
            repeats_live: random.once_in(2),
            retained_copies_shuffled: random.once_in(2),
            packet_size_at_most: random.pick(&[None, None, None, None, None, None, None, None, None, Some(200)]),
            keeping: Keeping::default(),
        }
    }
}
