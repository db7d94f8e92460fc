//! A connection of the harness's own on which one question is asked after the other, apart from any experiment.

use std::collections::VecDeque;
use std::future::poll_fn;

use tokio::time::{Instant, timeout_at};

use super::Target;
use super::client::answer;
use super::probe::{self, Refusal};
use crate::connection::{Connection, Incoming};
use crate::packet::{Connack, Connect, Packet};
use crate::scenario::Answers;

/// An accepted connection.
pub struct Talk {
    connection: Connection,
    pub connack: Connack,
    /// What was read and not looked at yet.
    unread: VecDeque<Incoming>,
    /// The reason code of a DISCONNECT that came.
    disconnected: Option<u8>,
}

/// Why there is no answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unanswered {
    /// The connection ended first.
    Ended {
        /// As half a sentence.
        how: String,
        /// The reason code of the broker's DISCONNECT, if it sent one.
        reason: Option<u8>,
    },
    /// A packet came that is too long to be read.
    TooLong,
    /// The time was over.
    Silence,
}

impl Talk {
    /// Connects.
    ///
    /// # Errors
    /// [`Refusal`] says how that failed.
    pub async fn open(target: &Target, connect: Connect) -> Result<Talk, Refusal> {
        let (mut connection, connack) = probe::connect(target, connect).await?;
        connection.read_past_undecodable();
        Ok(Talk { connection, connack, unread: VecDeque::new(), disconnected: None })
    }

    /// Puts packets on the wire, and tells how many are there: those that the operating system took, without any that is larger
    /// than the broker takes.
    pub async fn say(&mut self, packets: impl IntoIterator<Item = Packet>) -> usize {
        for packet in packets {
            // A packet that is too large is told by the number.
            let _ = self.connection.send(&packet);
        }
        self.connection.flush().await
    }

    /// The first answer of interest; acknowledges whatever comes.
    ///
    /// # Errors
    /// [`Unanswered`].
    pub async fn hear<T>(
        &mut self,
        deadline: Instant,
        mut wanted: impl FnMut(&Packet) -> Option<T>,
    ) -> Result<T, Unanswered> {
        loop {
            while let Some(incoming) = self.unread.pop_front() {
                match incoming {
                    Incoming::Packet(packet, _) => {
                        if let Some(found) = self.take(&packet, &mut wanted).await {
                            return Ok(found);
                        }
                    }
                    Incoming::Undecodable { .. } => {}
                    Incoming::TooLong(_) => return Err(Unanswered::TooLong),
                    Incoming::End(end) => {
                        let (how, reason) = (self.how_it_ended(end.verb()), self.disconnected);
                        return Err(Unanswered::Ended { how, reason });
                    }
                }
            }
            // A broker that sends without end must not hold it up.
            if Instant::now() >= deadline {
                return Err(Unanswered::Silence);
            }
            match timeout_at(deadline, poll_fn(|cx| self.connection.poll_incoming(cx))).await {
                Ok(batch) => self.unread.extend(batch),
                Err(_) => return Err(Unanswered::Silence),
            }
        }
    }

    async fn take<T>(&mut self, packet: &Packet, wanted: &mut impl FnMut(&Packet) -> Option<T>) -> Option<T> {
        if let Packet::Disconnect { reason, .. } = packet {
            self.disconnected = Some(*reason);
        }
        if let Some(answer) = answer(packet, Answers::All) {
            // An acknowledgement of four bytes that is refused shows as the end.
            let _ = self.connection.send(&answer);
            self.connection.flush().await;
        }
        wanted(packet)
    }

    fn how_it_ended(&self, verb: &str) -> String {
        match self.disconnected {
            Some(reason) => format!("DISCONNECT {reason:#04x}"),
            None => format!("the broker {verb} the connection"),
        }
    }

    /// Leaves in good order.
    pub async fn leave(self) {
        self.connection.leave().await;
    }
}
