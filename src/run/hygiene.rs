//! Leaves nothing behind: ends every session that the run may have left, then clears every retained message, and checks what the
//! protocol lets be checked (`sessions.rs`).

mod sessions;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use tokio::time::{Instant, sleep, timeout_at};

use super::Target;
use super::names::Prefix;
use super::probe;
use super::talk::Talk;
use super::witness::KEEP_ALIVE_S;
use crate::packet::{Filter, Packet, Protocol, Publish, Subscribe};
use crate::plan::Role;
use crate::session_rules::is_failure;
use crate::vocabulary::FIRST_NODE;
use sessions::{Checked, Stage};

/// How many topics are cleared with one write.
const TOPICS_AT_ONCE: usize = 64;
/// How long a retained message may take to come to the subscriber that looks for leftovers.
const LEFTOVER_WAIT: Duration = Duration::from_millis(20);

/// How long a clean-up may take, whatever the broker does.
const BUDGET: Duration = Duration::from_secs(10);
/// How long it may take for each session, where that makes more. Sessions are ended 64 at once, so each has 1.6 s: that is two
/// connections of three round trips of 260 ms.
const BUDGET_PER_SESSION: Duration = Duration::from_millis(25);
/// How long a broker may leave a CONNECT unread whose connection has ended.
const UNREAD_FOR: Duration = Duration::from_millis(500);
/// How many topics with retained messages are looked at.
const TOPICS_MAX: usize = 100_000;

/// What a run leaves on the broker until it is cleaned up.
#[derive(Debug, Default, Clone)]
pub struct Leftovers {
    /// By client identifier.
    pub sessions: BTreeMap<String, SessionLeft>,
    /// Topics that may hold a retained message.
    pub retained: BTreeSet<String>,
    /// How long the clean-up may take at least, where it took long to make all of this.
    pub time: Duration,
}

/// A client identifier under which there may be a session.
#[derive(Debug, Clone)]
pub struct SessionLeft {
    pub client_id: String,
    pub protocol: Protocol,
    /// Whose login ends it.
    pub role: Role,
    /// It was asked to outlive its connection.
    pub persists: bool,
    /// The broker is known to have let the client in.
    pub existed: bool,
}

/// What the clean-up did, and what it could not do.
#[derive(Debug, Default, Clone)]
pub struct Cleanup {
    /// Sessions that may have been left and are gone.
    pub sessions_ended: usize,
    /// Identifiers under which there may have been such a session, and is none.
    pub perhaps_ended: usize,
    pub sessions_failed: usize,
    /// Sessions that were still there after they had been ended.
    pub sessions_left: usize,
    pub sessions_checked: bool,
    pub retained: Retained,
}

/// What the clean-up did with retained messages.
#[derive(Debug, Default, Clone)]
pub struct Retained {
    pub cleared: usize,
    pub failed: usize,
    /// Still there after they had been cleared.
    pub left: usize,
    /// The broker did not let us look for them.
    pub unchecked: bool,
}

impl Leftovers {
    /// Notes a session that there may be.
    pub fn add(&mut self, session: SessionLeft) {
        self.sessions.entry(session.client_id.clone()).or_insert(session);
    }
}

impl Cleanup {
    /// The outcome where the broker is gone: nothing could be cleaned up.
    pub fn of_gone(leftovers: &Leftovers) -> Cleanup {
        let retained = Retained { failed: leftovers.retained.len(), unchecked: true, ..Retained::default() };
        let persistent = leftovers.sessions.values().filter(|session| session.persists).count();
        Cleanup { sessions_failed: persistent, retained, ..Cleanup::default() }
    }

    /// Adds what another clean-up did.
    pub fn add(&mut self, other: &Cleanup) {
        let is_first = self.sessions_ended + self.perhaps_ended + self.sessions_failed + self.sessions_left == 0;
        self.sessions_ended += other.sessions_ended;
        self.perhaps_ended += other.perhaps_ended;
        self.sessions_failed += other.sessions_failed;
        self.sessions_left += other.sessions_left;
        self.sessions_checked = (is_first || self.sessions_checked) && other.sessions_checked;
        self.retained.cleared += other.retained.cleared;
        self.retained.failed += other.retained.failed;
        self.retained.left += other.retained.left;
        self.retained.unchecked |= other.retained.unchecked;
    }

    /// Adds what was done at a further node of the same broker with the same leftovers.
    fn add_node(&mut self, other: &Cleanup) {
        self.sessions_ended = self.sessions_ended.max(other.sessions_ended);
        self.perhaps_ended = self.perhaps_ended.min(other.perhaps_ended);
        self.sessions_failed = self.sessions_failed.max(other.sessions_failed);
        self.sessions_left = self.sessions_left.max(other.sessions_left);
        self.sessions_checked &= other.sessions_checked;
        self.retained.cleared = self.retained.cleared.max(other.retained.cleared);
        self.retained.failed = self.retained.failed.max(other.retained.failed);
        self.retained.left = self.retained.left.max(other.retained.left);
        self.retained.unchecked |= other.retained.unchecked;
    }

    /// Nothing is known to be left.
    pub fn is_clean(&self) -> bool {
        self.sessions_failed + self.sessions_left + self.retained.failed + self.retained.left == 0
    }

    /// One sentence for the report.
    pub fn sentence(&self) -> String {
        let number = |count: usize, what: &str| format!("{count} {what}{}", if count == 1 { "" } else { "s" });
        let sessions = number(self.sessions_ended, "session");
        let topics = number(self.retained.cleared, "retained topic");
        let perhaps = match self.perhaps_ended {
            0 => String::new(),
            more => format!(" and perhaps {more} more"),
        };
        let mut sentence = format!("{sessions}{perhaps} ended, {topics} cleared; ");
        let sessions = self.sessions_failed + self.sessions_left;
        let retained = self.retained.failed + self.retained.left;
        if !self.is_clean() {
            let (sessions, retained) = (number(sessions, "session"), number(retained, "retained message"));
            sentence.push_str(&format!("{sessions} and {retained} may be left"));
            return sentence;
        }
        sentence.push_str(match (self.sessions_checked, self.retained.unchecked) {
            (true, false) => "checked that none of them is left",
            (false, false) => "that the sessions are gone is not verifiable on 3.1.1",
            (_, true) => "the broker does not let anybody look whether something is left",
        });
        sentence
    }
}

/// Cleans up at one node of the broker after the other: where they do not share what they have, each has something of its own.
pub async fn clean(target: &Target, prefix: &Prefix, leftovers: Leftovers, versions: &[Protocol]) -> Cleanup {
    let mut cleanup = clean_at(target, prefix, leftovers.clone(), versions).await;
    for node in FIRST_NODE + 1..=target.nodes() {
        cleanup.add_node(&clean_at(&target.at(node), prefix, leftovers.clone(), versions).await);
    }
    cleanup
}

/// Ends the sessions that may be left, then clears the retained messages. Only by 5.0 can it be checked that a session has ended;
/// that goes on beside the clearing.
async fn clean_at(target: &Target, prefix: &Prefix, leftovers: Leftovers, versions: &[Protocol]) -> Cleanup {
    let checks = versions.contains(&Protocol::V5);
    let version = if versions.contains(&Protocol::V3) { Protocol::V3 } else { Protocol::V5 };
    let until = Instant::now() + budget(leftovers.sessions.len()).max(leftovers.time);
    let (persistent, over): (Vec<_>, Vec<_>) = leftovers.sessions.into_values().partition(|session| session.persists);
    // A client that was never let in has no session, and may not be let in to look for one either.
    let over = over.into_iter().filter(|session| session.existed).collect();
    let unsure: Vec<SessionLeft> = persistent.iter().filter(|session| !session.existed).cloned().collect();
    // A session of 5.0 has ended with the DISCONNECT of its client as a rule, and a check ends it where it has not.
    let (unended, suspects): (Vec<_>, Vec<_>) =
        persistent.into_iter().partition(|session| !checks || session.protocol == Protocol::V3);
    let count = unended.len();
    let ended = sessions::each(target, unended, Stage::End, until).await.succeeded;
    let sessions_failed = count - ended.len();
    let check = async {
        match checks {
            true => sessions::check(target, [ended, suspects].concat(), over, until).await,
            false => Checked { gone: ended, left: 0 },
        }
    };
    let topics: Vec<String> = leftovers.retained.into_iter().collect();
    let clear = async || match timeout_at(until, clear_retained(target, prefix, version, topics.clone())).await {
        Ok(retained) => retained,
        Err(_) => Retained { failed: topics.len(), unchecked: true, ..Retained::default() },
    };
    let (Checked { gone, left }, mut retained) = tokio::join!(check, clear());
    let began = Instant::now();
    for pause in probe::ROOM_PAUSES {
        // The connections of the sessions may have taken all the room there is; a broker that is silent has another reason.
        let was_done = retained.failed + retained.left == 0 || retained.cleared > 0;
        if was_done || gone.is_empty() || began.elapsed() > target.deadline {
            break;
        }
        sleep(pause).await;
        retained = clear().await;
    }
    let left = left + unread(target, unsure, checks, until).await;
    let sessions_ended = gone.iter().filter(|session| session.existed).count();
    let perhaps_ended = gone.len() - sessions_ended;
    Cleanup { sessions_ended, perhaps_ended, sessions_failed, sessions_left: left, sessions_checked: checks, retained }
}

/// Looks again for the sessions whose CONNECT was not answered: a busy broker may read it behind that of the first look. Tells how many
/// may be left.
async fn unread(target: &Target, unsure: Vec<SessionLeft>, checks: bool, until: Instant) -> usize {
    if unsure.is_empty() || Instant::now() + UNREAD_FOR >= until {
        return 0;
    }
    sleep(UNREAD_FOR).await;
    match checks {
        true => sessions::check(target, unsure, Vec::new(), until).await.left,
        false => sessions::each(target, unsure, Stage::End, until).await.unanswered.len(),
    }
}

/// How long a clean-up of so many sessions may take.
pub fn budget(sessions: usize) -> Duration {
    let sessions = u32::try_from(sessions).unwrap_or(u32::MAX);
    BUDGET.max(BUDGET_PER_SESSION.saturating_mul(sessions))
}

/// As [`clean`], where most of the sessions are only guessed: a broker of 5.0 says with one connection for each which of
/// them are there.
pub async fn clean_guessed(
    target: &Target,
    prefix: &Prefix,
    mut leftovers: Leftovers,
    versions: &[Protocol],
) -> Cleanup {
    if versions.contains(&Protocol::V5) {
        let until = Instant::now() + budget(leftovers.sessions.len());
        let guessed: Vec<SessionLeft> = std::mem::take(&mut leftovers.sessions).into_values().collect();
        for node in FIRST_NODE..=target.nodes() {
            let looked = sessions::look(&target.at(node), guessed.clone(), until).await;
            looked.present.into_iter().chain(looked.unanswered).for_each(|session| leftovers.add(session));
        }
    }
    clean(target, prefix, leftovers, versions).await
}

/// Clears retained topics over one connection, then looks over another for what is still retained under the prefix.
async fn clear_retained(target: &Target, prefix: &Prefix, protocol: Protocol, topics: Vec<String>) -> Retained {
    let mut retained = Retained::default();
    if topics.is_empty() {
        return retained;
    }
    // A connection that ends in the middle is opened once more.
    for _ in 0..2 {
        let began = Instant::now();
        if let Some(mut cleaner) = cleaner(target, Role::Publisher, prefix, protocol).await {
            retained.cleared = clear(&mut cleaner, &topics, target).await;
            cleaner.leave().await;
        }
        if retained.cleared > 0 || began.elapsed() > target.deadline {
            break;
        }
    }
    match retained_under(target, prefix, protocol, &topics).await {
        // A broker that takes no retained message ends the connection that clears one, and has nothing to clear.
        Some(left) => retained.left = left.len(),
        None => {
            retained.failed = topics.len() - retained.cleared;
            retained.unchecked = true;
        }
    }
    retained
}

/// A clean connection for the clean-up's own use, to publish or to subscribe.
pub async fn cleaner(target: &Target, role: Role, prefix: &Prefix, protocol: Protocol) -> Option<Talk> {
    let connect = target.connect_as(role, protocol, format!("{}cleaner", prefix.client_id), true, KEEP_ALIVE_S);
    Talk::open(target, connect).await.ok()
}

/// Publishes an empty retained message to each topic (3.1.1 MQTT-3.3.1-10, 5.0 MQTT-3.3.1-6), and gives how many the
/// broker is known to have read.
async fn clear(cleaner: &mut Talk, topics: &[String], target: &Target) -> usize {
    let empty = |topic: &String| Packet::Publish(Publish { retain: true, topic: topic.clone(), ..Publish::default() });
    let mut sent = 0;
    for topics in topics.chunks(TOPICS_AT_ONCE) {
        match cleaner.say(topics.iter().map(empty)).await {
            // The connection has ended, or the broker takes no packet of this size.
            0 => return 0,
            some => sent += some,
        }
    }
    cleaner.say([Packet::Pingreq]).await;
    let answered = cleaner.hear(Instant::now() + target.deadline, is_pingresp).await;
    if answered.is_ok() { sent } else { 0 }
}

fn is_pingresp(packet: &Packet) -> Option<()> {
    (*packet == Packet::Pingresp).then_some(())
}

/// The topics under the prefix that hold a retained message, or nothing where the broker does not let us look. Where it grants no
/// wildcard, those that are known are looked at by name.
async fn retained_under(target: &Target, prefix: &Prefix, protocol: Protocol, known: &[String]) -> Option<Vec<String>> {
    let mut cleaner = cleaner(target, Role::Main, prefix, protocol).await?;
    let below = prefix.filter();
    let is_available = cleaner.connack.wildcards_available != Some(false);
    let wildcard = std::slice::from_ref(&below).chunks(1).filter(|_| is_available);
    let mut topics: Vec<String> = Vec::new();
    let mut look = |packet: &Packet| match packet {
        // What is not below the prefix is none of ours, whatever the broker sends.
        Packet::Publish(publish)
            if publish.retain
                && !publish.payload.is_empty()
                && prefix.holds(&publish.topic)
                && topics.len() < TOPICS_MAX =>
        {
            topics.push(publish.topic.clone());
            None
        }
        Packet::Suback(suback) => Some(!suback.codes.iter().any(|code| is_failure(*code))),
        _ => None,
    };
    let mut granted = false;
    for filters in wildcard.chain(known.chunks(TOPICS_AT_ONCE)) {
        let filters: Vec<Filter> = filters.iter().map(|filter| Filter::new(filter.as_str(), 0)).collect();
        let is_wildcard = filters[0].filter == below;
        cleaner.say([Packet::Subscribe(Subscribe { id: 1, filters, ..Subscribe::default() })]).await;
        granted = cleaner.hear(Instant::now() + target.deadline, &mut look).await.ok()?;
        // One grant of the wildcard is enough, and so is one refusal of a name.
        if granted == is_wildcard {
            break;
        }
    }
    cleaner.say([Packet::Pingreq]).await;
    let answered = cleaner
        .hear(Instant::now() + target.deadline, |packet| {
            look(packet);
            is_pingresp(packet)
        })
        .await;
    // What is still to come until then is looked at, and the end of this wait means nothing.
    let _ = cleaner.hear(Instant::now() + LEFTOVER_WAIT, |packet| look(packet).and(None::<()>)).await;
    cleaner.leave().await;
    (granted && answered.is_ok()).then_some(topics)
}

/// Clears whatever is retained under the prefix, for a run that could not do it itself.
pub async fn clear_all_retained(target: &Target, prefix: &Prefix, protocol: Protocol) -> Retained {
    match retained_under(target, prefix, protocol, &[]).await {
        Some(topics) => clear_retained(target, prefix, protocol, topics).await,
        None => Retained { unchecked: true, ..Retained::default() },
    }
}
