//! The ledger: what each session was owed, and what became of it, in counts.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::fleet::Fleet;
use super::record::{DUP, RETAIN, Sent, Session, Visit};

/// What a session's messages came to. Sessions with the same deviations are alike.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Account {
    pub owed: u32,
    /// Messages that are owed and did not come, although the session came back.
    pub lost: u32,
    /// Copies beyond the first one of a message.
    pub twice: u32,
    /// First copies that came behind a later message.
    pub out_of_order: u32,
    /// First copies with DUP 1 or RETAIN 1.
    pub marked: u32,
    /// Session Present 0 in the first CONNACK of the return, or 1 where the session was made.
    pub wrong_flag: bool,
    /// The subscription was refused, or granted below its QoS.
    pub not_granted: bool,
    /// Something else came, a handshake stayed open, or the broker ended the connection first.
    pub odd: bool,
    pub returned: bool,
}

impl Account {
    /// What one session saw at this QoS.
    pub fn of(session: &Session, qos: u8) -> Account {
        let messages = &session.sent;
        let owed = messages.iter().filter(|sent| sent.is_accepted()).count() as u32;
        let mut came = vec![0_u32; messages.len()];
        let mut account = Account { owed, returned: !session.returned.is_empty(), ..Account::default() };
        let mut latest = 0;
        let returned = session.returned.iter().flat_map(|visit| visit.messages().map(move |own| (visit, own)));
        for (visit, (number, flags)) in returned {
            let Some(count) = came.get_mut(number as usize - 1) else { continue };
            *count += 1;
            if *count > 1 {
                account.twice += 1;
                continue;
            }
            account.out_of_order += u32::from(number < latest);
            latest = latest.max(number);
            // By a CONNECT that was not answered it may have been sent before.
            let wrong = if visit.unanswered.is_some() { RETAIN } else { DUP | RETAIN };
            account.marked += u32::from(flags & wrong != 0);
            account.odd |= flags & 3 != qos;
        }
        let lost = messages.iter().zip(&came).filter(|(sent, count)| sent.is_accepted() && **count == 0).count() as u32;
        account.lost = if account.returned { lost } else { 0 };
        account.odd |= session.returned.len() > 1 || session.visits().any(Visit::is_odd);
        account.odd |= session.returned.iter().any(|visit| visit.has_ended() || visit.open_handshakes() > 0);
        account.not_granted = session.parked.as_ref().is_some_and(|visit| visit.granted() != Some(qos));
        account.wrong_flag =
            session.parked.as_ref().is_some_and(|visit| visit.connack.session_present && visit.unanswered.is_none())
                || session.returned.first().is_some_and(|visit| !visit.connack.session_present);
        account
    }

    /// All came, once and in order, and nothing else did.
    pub fn is_as_it_should_be(&self) -> bool {
        let Account { owed, returned, .. } = *self;
        *self == Account { owed, returned, ..Account::default() }
    }

    /// The same without how many messages were owed, for sessions that deviate alike.
    pub fn kind(self) -> Account {
        let some = |count: u32| count.min(1);
        Account {
            owed: 0,
            lost: some(self.lost) + u32::from(self.lost == self.owed),
            twice: some(self.twice),
            out_of_order: some(self.out_of_order),
            marked: some(self.marked),
            ..self
        }
    }
}

/// All sessions together.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Ledger {
    pub sessions: u64,
    /// Sessions that were made, with their subscriptions.
    pub parked: u64,
    /// Messages that were sent.
    pub sent: u64,
    /// Those that the broker acknowledged without a code that refuses.
    pub accepted: u64,
    /// Those that it refused.
    pub refused: u64,
    /// Sessions to which the broker answered with a CONNACK that accepts when they returned.
    pub returned: u64,
    /// Sessions that got all that was accepted for them.
    pub complete: u64,
    /// Messages that came, each counted once.
    pub delivered: u64,
    /// Accepted messages that did not come to sessions that were back.
    pub lost: u64,
    pub lost_in_sessions: u64,
    /// Copies beyond the first one of a message.
    pub twice: u64,
    pub twice_in_sessions: u64,
    /// First copies that came behind a later message.
    pub out_of_order: u64,
    pub out_of_order_in_sessions: u64,
    /// First copies with DUP 1 or RETAIN 1.
    pub marked: u64,
    pub marked_in_sessions: u64,
    /// Sessions with Session Present 0 at the return, or 1 where they were made.
    pub wrong_session_present: u64,
    /// Sessions whose subscription was refused, or granted below its QoS.
    pub not_granted: u64,
    /// Sessions that saw something else, such as the end of a connection before all had come, or a handshake without PUBREL.
    pub otherwise: u64,
    /// CONNECTs that failed, and those that were tried again.
    pub refused_connections: u64,
    pub retried_connections: u64,
    /// Connections of the return that broke before their session had all.
    pub broken_connections: u64,
}

impl Ledger {
    /// What all sessions of a fleet saw.
    pub fn of(fleet: &Fleet<'_>) -> Ledger {
        use std::sync::atomic::Ordering::Relaxed;
        let counts = &fleet.common.counts;
        let mut ledger = Ledger {
            sessions: fleet.sessions.len() as u64,
            refused_connections: counts.refused.load(Relaxed),
            retried_connections: counts.retried.load(Relaxed),
            broken_connections: counts.broken.load(Relaxed),
            ..Ledger::default()
        };
        for session in &fleet.sessions {
            ledger.add(session, Account::of(session, fleet.request.qos));
        }
        ledger
    }

    /// Adds what the sessions of another part of the storm saw.
    pub fn add_all(&mut self, part: &Ledger) {
        let mut part = part.clone();
        for (count, more) in self.counts().into_iter().zip(part.counts()) {
            *count = count.saturating_add(*more);
        }
    }

    /// Every count.
    fn counts(&mut self) -> [&mut u64; 22] {
        let Ledger {
            sessions,
            parked,
            sent,
            accepted,
            refused,
            returned,
            complete,
            delivered,
            lost,
            lost_in_sessions,
            twice,
            twice_in_sessions,
            out_of_order,
            out_of_order_in_sessions,
            marked,
            marked_in_sessions,
            wrong_session_present,
            not_granted,
            otherwise,
            refused_connections,
            retried_connections,
            broken_connections,
        } = self;
        [
            sessions,
            parked,
            sent,
            accepted,
            refused,
            returned,
            complete,
            delivered,
            lost,
            lost_in_sessions,
            twice,
            twice_in_sessions,
            out_of_order,
            out_of_order_in_sessions,
            marked,
            marked_in_sessions,
            wrong_session_present,
            not_granted,
            otherwise,
            refused_connections,
            retried_connections,
            broken_connections,
        ]
    }

    fn add(&mut self, session: &Session, account: Account) {
        let messages = &session.sent;
        let of = |is: fn(&Sent) -> bool| messages.iter().filter(|sent| is(sent)).count() as u64;
        self.parked += u64::from(session.parked.is_some());
        self.sent += of(|sent| sent.sent > 0);
        self.accepted += u64::from(account.owed);
        self.refused += of(Sent::is_refused);
        self.returned += u64::from(account.returned);
        self.complete += u64::from(account.returned && account.lost == 0);
        if account.returned {
            self.delivered += u64::from(account.owed - account.lost);
        }
        for (count, total, sessions) in [
            (account.lost, &mut self.lost, &mut self.lost_in_sessions),
            (account.twice, &mut self.twice, &mut self.twice_in_sessions),
            (account.out_of_order, &mut self.out_of_order, &mut self.out_of_order_in_sessions),
            (account.marked, &mut self.marked, &mut self.marked_in_sessions),
        ] {
            *total += u64::from(count);
            *sessions += u64::from(count > 0);
        }
        self.wrong_session_present += u64::from(account.wrong_flag);
        self.not_granted += u64::from(account.not_granted);
        self.otherwise += u64::from(account.odd);
    }
}
