//! Each decision of the broker, with the statement that rules it, the liberty that the standard leaves, and the lies.
//!
//! Without a [`Defect`] every answer given here is one that the standard permits; the rest of the broker only carries
//! the decisions out. Statements are cited as `3.1.1 number, 5.0 number`, or once where both versions agree.

mod answers;
mod delivery;
mod subscriptions;
mod wills;

use std::cell::{Cell, RefCell};
use std::cmp::Reverse;
use std::collections::VecDeque;
use std::time::Duration;

use mqtt_sessions::packet::{Connect, Protocol};
use tokio::time::Instant;

use super::choices::{BacklogOrder, Choices};
use super::defect::{Defect, Fault, Way};
use super::random::Random;
use super::session::{Delivery, ENDS_AT_CLOSE, Lifetime, Message};

pub struct Rules {
    pub choices: Choices,
    pub defect: Option<Defect>,
    /// The first look at the clock, from which the broker counts its seconds.
    started: Cell<Option<Instant>>,
    random: RefCell<Random>,
}

impl Rules {
    pub fn new(choices: Choices, defect: Option<Defect>) -> Rules {
        let random = RefCell::new(Random::new(choices.seed));
        Rules { choices, defect, started: Cell::new(None), random }
    }

    /// A number below `end`, at random.
    pub fn below(&self, end: usize) -> usize {
        self.random.borrow_mut().below(end as u64) as usize
    }

    /// Puts items into any order.
    pub fn shuffle<T>(&self, items: &mut [T]) {
        for place in (1..items.len()).rev() {
            items.swap(place, self.below(place + 1));
        }
    }

    /// The time by which expiry is judged: now, or when the broker last looked.
    pub fn clock(&self, now: Instant) -> Instant {
        let started = self.started.get().unwrap_or(now);
        self.started.set(Some(started));
        let Some(every) = self.looks_every() else { return now };
        let looks = now.saturating_duration_since(started).as_millis() / every.as_millis();
        started + every * looks as u32
    }

    /// How often the broker looks at its clock; all the time where nothing is said.
    fn looks_every(&self) -> Option<Duration> {
        self.choices.keeping.sweeps_every.or(self.choices.expiry_sweep.then_some(Duration::from_secs(1)))
    }

    /// How long it takes from now until the broker notices that a moment has passed.
    pub fn noticed_after(&self, now: Instant, moment: Instant) -> Duration {
        let late = self.looks_every().filter(|_| self.clock(moment) < moment);
        (self.clock(moment) + late.unwrap_or_default()).saturating_duration_since(now)
    }
}

/// What a PUBLISH does to the retained message of its topic.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Retaining {
    Leave,
    Remove,
    Store,
}

/// Sessions.
impl Rules {
    pub fn lies(&self, defect: Defect) -> bool {
        self.defect == Some(defect)
    }

    /// True if there is something wrong with what comes on this way.
    pub fn has_fault(&self, fault: Fault, way: Way) -> bool {
        self.lies(Defect::OnTheWay(fault, way))
    }

    fn keeps_clean_sessions(&self) -> bool {
        self.lies(Defect::KeepsCleanSession) || self.lies(Defect::KeepsCleanSessionOpenly)
    }

    /// 3.1.2-6, 3.1.2-4: Clean Session or Clean Start discards what there was.
    pub fn discards_at_clean_connect(&self) -> bool {
        !self.keeps_clean_sessions()
    }

    /// 3.2.2-1 to 3.2.2-3, 3.2.2-2 and 3.2.2-3: Session Present tells whether an earlier session goes on, here given by
    /// its lifetime.
    pub fn session_present(&self, clean: bool, earlier: Option<Lifetime>) -> bool {
        match self.defect {
            Some(Defect::SessionPresent0) => false,
            Some(Defect::SessionPresent1) => true,
            Some(Defect::KeepsCleanSession) => !clean && earlier.is_some_and(|lifetime| lifetime != ENDS_AT_CLOSE),
            _ => earlier.is_some(),
        }
    }

    /// How long a session outlives its connection: with Clean Session 1 not at all (3.1.1 3.1.2-6), else
    /// without limit (3.1.1 3.1.2-4), or for the Session Expiry Interval (5.0 4.1.0-2, 3.1.2-23), which is 0 if it is
    /// absent and endless if it is 0xFFFFFFFF (5.0 section 3.1.2.11.2).
    pub fn lifetime(&self, protocol: Protocol, clean: bool, session_expiry: Option<u32>) -> Lifetime {
        match protocol {
            Protocol::V3 => clean.then_some(Duration::ZERO),
            Protocol::V5 => match self.granted_expiry(session_expiry) {
                u32::MAX => None,
                seconds if self.lies(Defect::ExpiresEarly) => Some(Duration::from_millis(seconds.into())),
                seconds => Some(Duration::from_secs(seconds.into())),
            },
        }
    }

    /// 5.0, section 3.2.2.3.2: the server may grant another interval than was asked for, and says so.
    pub fn granted_expiry(&self, session_expiry: Option<u32>) -> u32 {
        session_expiry.unwrap_or(0).min(self.choices.session_expiry_at_most)
    }

    /// What of a session's lifetime is left at the end of its connection.
    pub fn outlives(&self, lifetime: Lifetime) -> Lifetime {
        match self.defect {
            Some(Defect::LosesSession) => ENDS_AT_CLOSE,
            Some(Defect::IgnoresSessionExpiry) if lifetime != ENDS_AT_CLOSE => None,
            _ if lifetime == ENDS_AT_CLOSE && self.keeps_clean_sessions() => None,
            _ => lifetime,
        }
    }

    /// 3.1.2-4, 3.1.2-5: subscriptions belong to the session that goes on.
    pub fn forgets_subscriptions(&self) -> bool {
        self.lies(Defect::ForgetsSubscriptions)
    }

    /// 3.1.4-2, 3.1.4-3: the connection that has the session ends when another takes it.
    pub fn takes_over(&self) -> bool {
        !self.lies(Defect::NoTakeover)
    }

    /// 3.1.4-2, 3.1.4-3: what the taker finds is the session that was there.
    pub fn loses_session_at_takeover(&self) -> bool {
        self.lies(Defect::TakeoverLosesSession)
    }

    /// 3.1.2-6, 3.1.2-4: of a session that is discarded nothing is used again.
    pub fn ids_outlive_session(&self) -> bool {
        self.lies(Defect::IdsOutliveSession)
    }

    /// 3.1.2-4 and 4.4.0-1, 4.1.0-1 and 4.4.0-1: what is under way belongs to the session.
    pub fn loses_tail_at_end(&self) -> bool {
        self.lies(Defect::LosesTailAtEnd)
    }

    /// A connection has ended when its stream has (section 4.2).
    pub fn notices_breaks(&self) -> bool {
        !self.lies(Defect::NoticesNoBreak)
    }

    /// 3.1.3-2: an identifier that names no session has none.
    pub fn adopts_sessions(&self) -> bool {
        self.lies(Defect::AdoptsSession)
    }

    /// 3.1.1 3.1.3-8: without an identifier a client cannot ask for a session.
    pub fn refuses_nameless_session(&self) -> Option<u8> {
        match self.defect {
            Some(Defect::NamelessSession) => None,
            Some(Defect::WrongCodeForNamelessSession) => Some(0x05),
            _ => Some(0x02),
        }
    }

    /// 3.1.3-5: identifiers of 1 to 23 letters and digits are taken.
    pub fn refuses_id(&self, id: &str) -> bool {
        let most = self.choices.keeping.id_bytes;
        self.lies(Defect::RefusesLongIds) && id.len() > 16 || most.is_some_and(|most| id.len() > most)
    }

    /// 3.1.1 4.1.0-2, 5.0 4.1.0-1: a session is kept while its client is there.
    pub fn forgets_after(&self) -> Option<Duration> {
        self.lies(Defect::ForgetsWhileConnected).then_some(Duration::from_secs(1))
    }

    /// 5.0, section 3.14.2.2.2: DISCONNECT may not set an interval where CONNECT asked for none.
    pub fn may_change_expiry(&self, asked_at_connect: u32, asked: u32) -> bool {
        asked == 0 || asked_at_connect > 0
    }

    /// 5.0, section 3.14.2.2.2: DISCONNECT may change the Session Expiry Interval.
    pub fn heeds_expiry_of_disconnect(&self) -> bool {
        !self.lies(Defect::IgnoresExpiryOfDisconnect)
    }

    /// 3.1.1 3.1.2-7, 5.0 section 4.1: retained messages are no session's.
    pub fn retained_ends_with_session(&self) -> bool {
        self.lies(Defect::RetainedEndsWithSession)
    }

    /// 5.0, section 3.2.2.3.14: the Keep Alive in force.
    pub fn keep_alive(&self, protocol: Protocol, asked: u16) -> u16 {
        match self.choices.server_keep_alive {
            // A broker that hardly looks at its clock has its way with all clients.
            Some(u16::MAX) if protocol == Protocol::V5 => u16::MAX,
            Some(own) if protocol == Protocol::V5 && (asked == 0 || asked > own) => own,
            _ => asked,
        }
    }

    /// 3.1.2-24, 3.1.2-22: one and a half times the Keep Alive without a packet, and the connection ends.
    pub fn silence_allowed(&self, keep_alive: u16) -> Option<Duration> {
        let limited = keep_alive > 0 && !self.lies(Defect::IgnoresKeepAlive);
        limited.then(|| Duration::from_millis(1500 * u64::from(keep_alive)))
    }
}

/// The queue.
impl Rules {
    /// 3.1.2-5 and 4.5.0-1, 4.5.0-1: what has QoS 1 or 2 for the session is stored. The rest MAY be stored (section
    /// 3.1.2.4, section 4.1).
    pub fn queues(&self, published: u8, granted: u8) -> bool {
        !self.lies(Defect::QueuesNothing)
            && (published > 0 || self.choices.queue_qos0_publications)
            && (granted > 0 || self.choices.queue_qos0_subscriptions)
    }

    /// No correct broker limits what has QoS 1 or 2.
    pub fn limit_queue(&self, queue: &mut VecDeque<Delivery>) {
        match self.defect {
            Some(Defect::KeepsOldest(limit)) => queue.truncate(limit),
            Some(Defect::KeepsNewest(limit)) if queue.len() > limit => drop(queue.pop_front()),
            _ => {}
        }
    }

    /// 5.0, sections 3.4.2.1 and 3.5.2.1: 0x97 refuses what exceeds a quota. 3.1.1 cannot refuse.
    pub fn exceeds_quota(&self, publisher: Protocol, backlog: usize) -> bool {
        publisher == Protocol::V5 && self.choices.queue_at_most.is_some_and(|limit| backlog >= limit)
    }

    /// What is done to the backlog before it is sent: messages of one publisher, topic and QoS keep their order.
    pub fn prepare_backlog(&self, queue: &mut VecDeque<Delivery>) {
        let deliveries = queue.make_contiguous();
        match self.choices.backlog_order {
            BacklogOrder::AsPublished => {}
            BacklogOrder::ByTopic => {
                deliveries.sort_by(|one, other| other.message.publish.topic.cmp(&one.message.publish.topic));
            }
            BacklogOrder::HigherQosFirst => deliveries.sort_by_key(|delivery| Reverse(delivery.qos)),
        }
        match self.defect {
            Some(Defect::LosesFirst) => drop(queue.pop_front()),
            Some(Defect::LosesLast) => drop(queue.pop_back()),
            Some(Defect::ReversesBacklog) => queue.make_contiguous().reverse(),
            Some(Defect::ChangesPayload) => {
                queue.iter_mut().for_each(|delivery| delivery.message.publish.payload.push(b'?'));
            }
            _ => {}
        }
    }

    /// How long the backlog waits after CONNACK. No statement sets a time.
    pub fn backlog_delay(&self) -> Duration {
        match self.defect {
            Some(Defect::OvertakesBacklog) => Duration::from_millis(50),
            Some(Defect::ResubscribeDiscardsQueue) => Duration::from_millis(500),
            Some(Defect::ResendsLate) => Duration::from_secs(29),
            _ => self.choices.backlog_delay,
        }
    }

    /// 4.4.0-1: what was not acknowledged is sent again when the client is back.
    pub fn holds_back(&self, has_backlog: bool, is_under_way: bool) -> bool {
        match self.defect {
            Some(Defect::ResendsLate) => is_under_way,
            _ => has_backlog && !self.backlog_delay().is_zero(),
        }
    }

    /// 5.0 3.3.4-9: not more than Receive Maximum messages above QoS 0 are under way; a lower number is free in both
    /// versions.
    pub fn window(&self) -> usize {
        self.choices.window
    }

    /// 5.0 3.3.4-9 and 4.9.0-1: the Receive Maximum of this connection, 65,535 where there is none.
    pub fn receive_maximum(&self, before: usize, connect: &Connect) -> usize {
        let announced = connect.receive_maximum.map_or(65_535, usize::from);
        match self.defect {
            Some(Defect::IgnoresReceiveMaximum) => 65_535,
            Some(Defect::ReceiveMaximumOfFirstConnection) if (1..65_535).contains(&before) => before.max(announced),
            _ => announced,
        }
    }

    /// 5.0 3.3.4-10: only PUBLISH packets above QoS 0 wait for room.
    pub fn holds_up_pingresp(&self) -> bool {
        self.lies(Defect::WindowHoldsUpPingresp)
    }

    /// 5.0 3.3.2-5: what has expired is not delivered any more.
    pub fn has_expired(&self, message: &Message, now: Instant) -> bool {
        let expiry = message.publish.properties.message_expiry.map(|seconds| Duration::from_secs(seconds.into()));
        let waited = self.clock(now).saturating_duration_since(message.taken_at);
        // What goes out at once has not waited, however short its interval.
        let passed = expiry.is_some_and(|expiry| !waited.is_zero() && waited >= expiry);
        passed && !self.lies(Defect::IgnoresMessageExpiry)
    }

    /// 5.0 4.3.3-7: but not once its delivery has begun.
    pub fn expires_under_way(&self, message: &Message, now: Instant) -> bool {
        self.lies(Defect::ExpiresUnderWay) && self.has_expired(message, now)
    }

    /// 5.0 3.1.2-24: no packet is larger than the client's maximum.
    pub fn heeds_packet_size(&self, way: Way) -> bool {
        !self.lies(Defect::SendsTooLarge) && !self.has_fault(Fault::TooLarge, way)
    }

    /// 5.0 3.1.2-25: what is too large counts as delivered.
    pub fn stops_at_too_large(&self) -> bool {
        self.lies(Defect::StopsAtTooLarge)
    }

    /// How long the queue waits when an acknowledgement has made room.
    pub fn refill_delay(&self) -> Duration {
        match self.choices.keeping.refills_after {
            Some(delay) => delay,
            None if self.lies(Defect::OvertakesWindow) => Duration::from_millis(20),
            None => Duration::ZERO,
        }
    }

    /// 4.6.0-6, 4.6.0-5: a new message goes behind those that wait.
    pub fn overtakes(&self, held: bool) -> bool {
        (self.lies(Defect::OvertakesBacklog) && held) || self.lies(Defect::OvertakesWindow)
    }
}
