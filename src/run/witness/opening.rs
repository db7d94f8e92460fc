//! How the witness connects and subscribes.

use std::future::poll_fn;
use std::time::Duration;

use tokio::time::timeout;

use super::watch::Watch;
use super::{KEEP_ALIVE_S, client_id};
use crate::connection::{Connection, Incoming};
use crate::history::{Awaited, Event, WITNESS};
use crate::packet::{Filter, Packet, Subscribe};
use crate::run::neighbours;
use crate::run::probe::{self, RefusalKind};
use crate::session_rules::is_failure;

/// The Packet Identifier of its SUBSCRIBE.
pub const SUBSCRIBE_ID: u16 = 1;

/// Why the witness has no connection.
pub struct Failure {
    /// As half a sentence.
    pub how: String,
    /// SUBSCRIBE was not answered.
    pub is_unanswered: bool,
    /// Nobody answered.
    pub out_of_reach: bool,
    /// The broker refused the filter with the wildcard, or closed the connection on it.
    pub at_wildcard: bool,
}

impl Watch {
    /// Connects and subscribes, and waits so long for the SUBACK.
    ///
    /// # Errors
    /// [`Failure`] says how that failed.
    pub(super) async fn open(&mut self, wait: Duration) -> Result<Connection, Failure> {
        let client_id = client_id(&self.prefix, self.protocol, &self.ears.nonce);
        let mut connect = self.target.connect(self.protocol, client_id, true, KEEP_ALIVE_S);
        let connected = probe::connect(&self.target, connect.clone()).await;
        let (mut connection, connack) = connected.map_err(|refusal| Failure {
            how: format!("its CONNECT: {}", refusal.how),
            is_unanswered: false,
            out_of_reach: refusal.may_be_for_now() || matches!(refusal.kind, RefusalKind::Silence),
            at_wildcard: false,
        })?;
        if connack.wildcards_available == Some(false) {
            self.by_name.get_or_insert_default();
        }
        connection.read_past_undecodable();
        self.opened += 1;
        (connect.client_id, connect.login) = (WITNESS.into(), None);
        self.note(|name| Event::Sent(name, Packet::Connect(connect)));
        self.note(|name| Event::Received(name, Packet::Connack(connack)));
        let subscribe = |filter: String| {
            let filters = vec![Filter::new(filter, 0)];
            Packet::Subscribe(Subscribe { id: SUBSCRIBE_ID, filters, ..Subscribe::default() })
        };
        let filter = if self.by_name.is_some() { neighbours::topic(&self.prefix) } else { self.prefix.filter() };
        let at_wildcard = self.by_name.is_none();
        let failure = |how: String| Failure { how, is_unanswered: false, out_of_reach: false, at_wildcard };
        let granted = |packet: &Packet| match packet {
            Packet::Suback(suback) if suback.id == SUBSCRIBE_ID => Some(suback.codes.first().copied()),
            _ => None,
        };
        connection.send(&subscribe(filter.clone())).map_err(|error| failure(error.to_string()))?;
        connection.flush().await;
        let below = filter.strip_prefix(&self.prefix.topic).unwrap_or(&filter).trim_start_matches('/').to_owned();
        self.note(|name| Event::Sent(name, subscribe(below)));
        let answer = timeout(wait, self.first(&mut connection, granted)).await;
        match answer.map(Option::flatten) {
            Ok(Some(code)) if !is_failure(code) => {
                self.greet(&mut connection);
                // Cells that are under way want to see more.
                let topics = self.mailboxes.topics();
                for packet in self.by_name.iter_mut().flat_map(|by_name| by_name.again(&topics)) {
                    // If the packet is too large, its cells miss copies, and no others.
                    let _ = connection.send(&packet);
                }
                connection.flush().await;
                Ok(connection)
            }
            Ok(Some(code)) => Err(failure(format!("SUBSCRIBE to {filter} was refused with {code:#04x}"))),
            Ok(None) => Err(failure(format!("the connection ended at SUBSCRIBE to {filter}"))),
            Err(_) => {
                self.miss_suback(connection).await;
                let how = format!("SUBSCRIBE to {filter} was not answered");
                Err(Failure { is_unanswered: true, at_wildcard: false, ..failure(how) })
            }
        }
    }

    /// Notes that the SUBACK did not come, and asks for a sign of life, beside which that can be a finding.
    async fn miss_suback(&mut self, mut connection: Connection) {
        self.is_remarkable = true;
        self.note(|name| Event::Missing(name, Awaited::Suback(SUBSCRIBE_ID)));
        // A packet without strings can always be encoded.
        let _ = connection.send(&Packet::Pingreq);
        connection.flush().await;
        self.note(|name| Event::Sent(name, Packet::Pingreq));
        let is_pingresp = |packet: &Packet| (*packet == Packet::Pingresp).then_some(());
        let sign = timeout(self.target.deadline, self.first(&mut connection, is_pingresp)).await;
        if sign.is_ok_and(|sign| sign.is_some()) {
            self.note(|name| Event::Received(name, Packet::Pingresp));
        }
        connection.leave().await;
    }

    /// The first packet of interest; `None` if the connection ends before.
    async fn first<T>(&mut self, connection: &mut Connection, wanted: impl Fn(&Packet) -> Option<T>) -> Option<T> {
        loop {
            let batch = poll_fn(|cx| connection.poll_incoming(cx)).await;
            let found = batch.iter().find_map(|incoming| match incoming {
                Incoming::Packet(packet, _) => wanted(packet),
                _ => None,
            });
            let ended = batch.into_iter().filter_map(|incoming| self.take(connection, incoming)).last();
            if found.is_some() || ended.is_some() {
                return found;
            }
        }
    }
}
