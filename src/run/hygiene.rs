//! Leaves nothing behind: ends every session of the run, then clears every retained message, and checks what the
//! protocol lets be checked.

use std::future::poll_fn;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::{Instant, timeout_at};

use super::Target;
use super::client::answer;
use super::names::Prefix;
use super::probe;
use super::witness::KEEP_ALIVE_S;
use crate::connection::{Connection, Incoming};
use crate::packet::{Connect, Filter, Packet, Protocol, Publish, Subscribe};

/// How many sessions are ended at once.
const SIDE_BY_SIDE: usize = 64;
/// How long a retained message may take to come to the subscriber that looks for leftovers.
const LEFTOVER_WAIT: Duration = Duration::from_millis(20);

/// What a run leaves on the broker until it is cleaned up.
#[derive(Debug, Default, Clone)]
pub struct Leftovers {
    pub sessions: Vec<SessionLeft>,
    /// Topics that may hold a retained message.
    pub retained: Vec<String>,
}

/// A client id that the run used.
#[derive(Debug, Clone)]
pub struct SessionLeft {
    pub client_id: String,
    pub protocol: Protocol,
    /// It was asked to outlive its connection.
    pub persists: bool,
}

/// What the clean-up did, and what it could not do.
#[derive(Debug, Default, Clone)]
pub struct Cleanup {
    pub sessions_ended: usize,
    pub sessions_failed: usize,
    /// Sessions that were still there after they had been ended.
    pub sessions_left: usize,
    pub sessions_checked: bool,
    pub retained_cleared: usize,
    pub retained_failed: usize,
    /// Retained messages that were still there after they had been cleared.
    pub retained_left: usize,
}

impl Cleanup {
    /// Nothing is known to be left.
    pub fn is_clean(&self) -> bool {
        self.sessions_failed + self.sessions_left + self.retained_failed + self.retained_left == 0
    }

    /// One sentence for the report.
    pub fn sentence(&self) -> String {
        let mut sentence =
            format!("{} sessions ended, {} retained topics cleared; ", self.sessions_ended, self.retained_cleared);
        let left = self.sessions_failed + self.sessions_left;
        if !self.is_clean() {
            sentence.push_str(&format!("{left} sessions and {} retained messages may be left", self.retained_left));
        } else if self.sessions_checked {
            sentence.push_str("checked that nothing is left");
        } else {
            sentence.push_str("that the sessions are gone is not verifiable on 3.1.1");
        }
        sentence
    }
}

/// Ends sessions and clears retained messages, side by side: neither has to do with the other. Only by 5.0 can the end
/// of a session be checked.
pub async fn clean(target: &Target, prefix: &Prefix, leftovers: Leftovers, versions: &[Protocol]) -> Cleanup {
    let mut cleanup = Cleanup { sessions_checked: versions.contains(&Protocol::V5), ..Cleanup::default() };
    let version = if versions.contains(&Protocol::V3) { Protocol::V3 } else { Protocol::V5 };
    let (ended, ()) = tokio::join!(
        end_sessions(target, leftovers.sessions, cleanup.sessions_checked),
        clear_retained(target, prefix, version, leftovers.retained, &mut cleanup)
    );
    for session in ended {
        match session {
            Ended::Gone => cleanup.sessions_ended += 1,
            Ended::StillThere => cleanup.sessions_left += 1,
            Ended::Failed => cleanup.sessions_failed += 1,
        }
    }
    cleanup
}

async fn end_sessions(target: &Target, sessions: Vec<SessionLeft>, check: bool) -> Vec<Ended> {
    let mut sessions = sessions.into_iter();
    let mut ending = JoinSet::new();
    let mut ended = Vec::with_capacity(sessions.len());
    loop {
        while ending.len() < SIDE_BY_SIDE {
            let Some(session) = sessions.next() else { break };
            let target = target.clone();
            ending.spawn(async move { end_session(&target, &session, check).await });
        }
        match ending.join_next().await {
            None => return ended,
            Some(end) => ended.push(end.unwrap_or(Ended::Failed)),
        }
    }
}

enum Ended {
    Gone,
    StillThere,
    Failed,
}

/// Ends one session by a clean CONNECT, and checks with a 5.0 CONNECT that would resume it.
async fn end_session(target: &Target, session: &SessionLeft, check: bool) -> Ended {
    if session.persists {
        let connect = target.connect(session.protocol, session.client_id.clone(), true, KEEP_ALIVE_S);
        match probe::connect(target, connect).await {
            Ok((connection, _)) => connection.leave().await,
            Err(_) => return Ended::Failed,
        }
    }
    if !check {
        return Ended::Gone;
    }
    let connect = Connect {
        // Clean Start 0 with Session Expiry Interval 0 resumes what is there, and ends it at the close.
        session_expiry: Some(0),
        clean: false,
        ..target.connect(Protocol::V5, session.client_id.clone(), true, KEEP_ALIVE_S)
    };
    match probe::connect(target, connect).await {
        Ok((connection, connack)) => {
            connection.leave().await;
            if connack.session_present { Ended::StillThere } else { Ended::Gone }
        }
        Err(_) => Ended::Failed,
    }
}

/// Clears retained topics over one connection, then looks for what is still retained under the prefix.
async fn clear_retained(
    target: &Target,
    prefix: &Prefix,
    protocol: Protocol,
    topics: Vec<String>,
    cleanup: &mut Cleanup,
) {
    if topics.is_empty() {
        return;
    }
    let Some(mut connection) = cleaner(target, prefix, protocol).await else {
        cleanup.retained_failed += topics.len();
        return;
    };
    cleanup.retained_cleared = clear(&mut connection, &topics, target).await;
    cleanup.retained_failed = topics.len() - cleanup.retained_cleared;
    let left = retained_under(&mut connection, prefix, target).await;
    cleanup.retained_left = left.len();
    connection.leave().await;
}

/// A clean connection for the clean-up's own use.
async fn cleaner(target: &Target, prefix: &Prefix, protocol: Protocol) -> Option<Connection> {
    let connect = target.connect(protocol, format!("{}cleaner", prefix.client_id), true, KEEP_ALIVE_S);
    probe::connect(target, connect).await.ok().map(|(connection, _)| connection)
}

/// Publishes an empty retained message to each topic (3.1.1 MQTT-3.3.1-10, 5.0 MQTT-3.3.1-6), and gives how many the
/// broker is known to have read.
async fn clear(connection: &mut Connection, topics: &[String], target: &Target) -> usize {
    for (number, topic) in topics.iter().enumerate() {
        let publish = Publish { dup: false, qos: 0, retain: true, topic: topic.clone(), id: 0, payload: Vec::new() };
        // Our own topics are short enough.
        let _ = connection.send(&Packet::Publish(publish));
        if number % 64 == 63 {
            connection.flush().await;
        }
    }
    let _ = connection.send(&Packet::Pingreq);
    connection.flush().await;
    let answered = until(connection, Instant::now() + target.deadline, |packet| *packet == Packet::Pingresp).await;
    if answered { topics.len() } else { 0 }
}

/// The topics under the prefix that hold a retained message.
async fn retained_under(connection: &mut Connection, prefix: &Prefix, target: &Target) -> Vec<String> {
    let filter = Filter { filter: prefix.filter(), qos: 0 };
    // These packets have no string that could be too long.
    let _ = connection.send(&Packet::Subscribe(Subscribe { id: 1, filters: vec![filter] }));
    connection.flush().await;
    let mut topics: Vec<String> = Vec::new();
    let mut look = |packet: &Packet| {
        if let Packet::Publish(publish) = packet
            && publish.retain
            && !publish.payload.is_empty()
        {
            topics.push(publish.topic.clone());
        }
        matches!(packet, Packet::Suback(_))
    };
    if until(connection, Instant::now() + target.deadline, &mut look).await {
        let _ = connection.send(&Packet::Pingreq);
        connection.flush().await;
        until(connection, Instant::now() + target.deadline, |packet| {
            look(packet);
            *packet == Packet::Pingresp
        })
        .await;
        until(connection, Instant::now() + LEFTOVER_WAIT, |packet| {
            look(packet);
            false
        })
        .await;
    }
    topics
}

/// Reads, and acknowledges, until a packet of interest has come.
async fn until(connection: &mut Connection, deadline: Instant, mut found: impl FnMut(&Packet) -> bool) -> bool {
    loop {
        let Ok(batch) = timeout_at(deadline, poll_fn(|cx| connection.poll_incoming(cx))).await else { return false };
        let mut done = false;
        for incoming in batch {
            match incoming {
                Incoming::Packet(packet) => {
                    if let Some(answer) = answer(&packet) {
                        let _ = connection.send(&answer);
                    }
                    done |= found(&packet);
                }
                Incoming::Undecodable { .. } | Incoming::End(_) => return false,
            }
        }
        if done {
            return true;
        }
        connection.flush().await;
    }
}

/// Clears whatever is retained under the prefix, for a run that could not do it itself.
pub async fn clear_all_retained(target: &Target, prefix: &Prefix, protocol: Protocol, cleanup: &mut Cleanup) {
    let Some(mut connection) = cleaner(target, prefix, protocol).await else {
        cleanup.retained_failed += 1;
        return;
    };
    let topics = retained_under(&mut connection, prefix, target).await;
    connection.leave().await;
    clear_retained(target, prefix, protocol, topics, cleanup).await;
}
