//! One Network Connection at packet level.
//!
//! It sends the packet it is given and returns the next packet that comes; it acknowledges nothing, pings nothing and
//! reconnects to nothing by itself. Between packets it keeps no buffer, so an idle connection costs next to nothing.

mod carrier;
pub mod decode;
pub mod encode;
mod end;
mod endpoint;
pub mod frame;
mod not_opened;
pub mod secret;
mod socket;
mod stream;
pub mod tls;
pub mod websocket;

use std::future::poll_fn;
use std::mem::MaybeUninit;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use tokio::io::ReadBuf;
use tokio::time::{Instant, timeout, timeout_at};

pub use end::End;
pub use endpoint::Endpoint;
pub use not_opened::NotOpened;

use crate::packet::{Connect, Packet, Protocol};
pub use frame::FRAME_BYTES_MAX;
use frame::Head;
use stream::{Halt, Stream};

/// How many bytes one read takes from the socket at most.
const READ_BYTES: usize = 4096;
/// How long a write may be held up by a broker that does not read.
pub const WRITE_DEADLINE: Duration = Duration::from_secs(5);
/// How many of the bytes that are no packet are shown.
const UNDECODABLE_BYTES_MAX: usize = 256;

/// How long a broker may take to end the connection after DISCONNECT before the client half-closes it.
pub const END_AFTER_DISCONNECT: Duration = Duration::from_millis(50);

/// What comes in on a Network Connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Incoming {
    /// A packet, and its bytes.
    Packet(Packet, Bytes),
    /// Bytes that are no packet. Nothing is read after them, unless the connection reads past whole frames: where the next
    /// packet would begin is unknown, or the standard orders the receiver to close.
    Undecodable {
        /// The frame, or as much of it as was read, cut to 256 bytes, without the password that was sent.
        bytes: Vec<u8>,
        /// Completes "a packet that ...".
        why: String,
    },
    /// A packet of so many bytes, which are more than this connection reads. Nothing is read after its head.
    TooLong(usize),
    /// The broker ended the Network Connection.
    End(End),
}

/// Why a packet cannot be sent; completes "the packet ...".
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum Unsendable {
    /// MQTT cannot carry it.
    #[error(transparent)]
    Unencodable(#[from] encode::Unencodable),
    /// It is larger than the broker takes (5.0, MQTT-3.2.2-15).
    #[error("has more than {maximum} bytes, the Maximum Packet Size of the broker")]
    TooLarge { maximum: u32 },
}

/// An open Network Connection.
pub struct Connection {
    stream: Stream,
    protocol: Protocol,
    /// Bytes that were read and do not make a frame yet.
    partial: Vec<u8>,
    /// Bytes that wait for [`Connection::flush`], as the stream has them on the wire.
    unsent: Vec<u8>,
    /// The place in `unsent` at which each packet ends, or the half of one.
    packet_ends: Vec<usize>,
    /// Whatever comes after the end, or after undecodable bytes, is the end.
    ended: Option<End>,
    /// What comes after a whole frame that cannot be decoded is read all the same.
    reads_past: bool,
    /// Half of a packet was sent, so that nothing can follow it.
    is_in_a_packet: bool,
    /// The longest packet that is read, in bytes.
    longest: usize,
    /// The password that was sent, which is not to be shown where the peer sends it back.
    password: Vec<u8>,
    /// Those of the other clients.
    secrets: Arc<[Vec<u8>]>,
    /// The largest packet that the broker takes, as its CONNACK said.
    maximum_packet_size: Option<u32>,
    /// Packets that were read and given back.
    unread: Vec<Incoming>,
}

impl Connection {
    /// Opens a Network Connection; no packet is sent.
    ///
    /// # Errors
    /// [`NotOpened`]; also because the deadline was over.
    pub async fn open(endpoint: &Endpoint, protocol: Protocol, deadline: Duration) -> Result<Connection, NotOpened> {
        Ok(Connection {
            stream: endpoint.open(deadline).await?,
            protocol,
            partial: Vec::new(),
            unsent: Vec::new(),
            packet_ends: Vec::new(),
            ended: None,
            reads_past: false,
            is_in_a_packet: false,
            longest: FRAME_BYTES_MAX,
            password: Vec::new(),
            secrets: endpoint.secrets.clone(),
            maximum_packet_size: None,
            unread: Vec::new(),
        })
    }

    /// Reads on behind a whole frame that cannot be decoded. A client that takes part in an experiment must not: the
    /// standard orders it to close.
    pub fn read_past_undecodable(&mut self) {
        self.reads_past = true;
    }

    /// Reads no packet of more than so many bytes.
    pub fn read_up_to(&mut self, bytes: usize) {
        self.longest = bytes.min(FRAME_BYTES_MAX);
    }

    /// Takes a packet for sending, and gives its bytes; [`Connection::flush`] puts it on the wire.
    ///
    /// # Errors
    /// [`Unsendable`] where MQTT cannot carry the packet, or the broker has said that it takes none so large.
    pub fn send(&mut self, packet: &Packet) -> Result<Bytes, Unsendable> {
        if let Packet::Connect(Connect { login: Some(login), .. }) = packet {
            self.password = login.password.clone().into_bytes();
        }
        let bytes = self.encoded(packet)?;
        self.queue(&bytes);
        Ok(bytes.into())
    }

    /// Takes the first half of a packet for sending, as it is on the wire when a connection breaks in the middle, and gives
    /// its bytes.
    ///
    /// # Errors
    /// As [`Connection::send`], for the whole packet.
    pub fn send_half(&mut self, packet: &Packet) -> Result<Bytes, Unsendable> {
        let mut bytes = self.encoded(packet)?;
        bytes.truncate(bytes.len() / 2);
        self.is_in_a_packet = true;
        self.queue(&bytes);
        Ok(bytes.into())
    }

    fn queue(&mut self, bytes: &[u8]) {
        self.stream.wrap(bytes, &mut self.unsent);
        self.packet_ends.push(self.unsent.len());
    }

    fn encoded(&self, packet: &Packet) -> Result<Vec<u8>, Unsendable> {
        let mut bytes = Vec::new();
        encode::encode(self.protocol, packet, &mut bytes)?;
        match self.maximum_packet_size {
            Some(maximum) if bytes.len() > maximum as usize => Err(Unsendable::TooLarge { maximum }),
            _ => Ok(bytes),
        }
    }

    /// Half of a packet was sent: what follows would be read as the rest of it.
    pub fn is_in_a_packet(&self) -> bool {
        self.is_in_a_packet
    }

    /// Writes what was sent, and tells how many of the packets, oldest first, the operating system took as a whole; the
    /// others are never sent. A failed write shows as the end of the connection when the next packet is asked for.
    pub async fn flush(&mut self) -> usize {
        if self.unsent.is_empty() {
            return 0;
        }
        let unsent = std::mem::take(&mut self.unsent);
        let packet_ends = std::mem::take(&mut self.packet_ends);
        let deadline = Instant::now() + WRITE_DEADLINE;
        let mut written = 0;
        while written < unsent.len() {
            match timeout_at(deadline, self.stream.write(&unsent[written..])).await {
                // What the broker sent before it closed is still to be read.
                Ok(Ok(0) | Err(_)) => break,
                Ok(Ok(more)) => written += more,
                Err(_) => {
                    self.ended = Some(End::Reset);
                    break;
                }
            }
        }
        packet_ends.into_iter().take_while(|end| *end <= written).count()
    }

    /// Reads what has come, as packets in wire order. Ready with at least one element; the last may be the end.
    pub fn poll_incoming(&mut self, cx: &mut Context<'_>) -> Poll<Vec<Incoming>> {
        if !self.unread.is_empty() {
            return Poll::Ready(std::mem::take(&mut self.unread));
        }
        loop {
            if let Some(end) = self.ended {
                return Poll::Ready(vec![Incoming::End(end)]);
            }
            let mut bytes = [MaybeUninit::uninit(); READ_BYTES];
            let mut buffer = ReadBuf::uninit(&mut bytes);
            let read = ready!(self.stream.poll_read(cx, &mut buffer));
            let mut incoming = Vec::new();
            match read {
                Ok(()) => self.cut_frames(buffer.filled(), &mut incoming),
                Err(Halt::End(end)) => self.end(end, &mut incoming),
                Err(Halt::Unreadable { bytes, why }) => self.stop_at(&bytes, why, &mut incoming),
            }
            if !incoming.is_empty() {
                return Poll::Ready(incoming);
            }
        }
    }

    /// Gives back what was read behind the packet that was waited for; it comes again before all else.
    pub fn give_back(&mut self, rest: Vec<Incoming>) {
        self.unread = rest;
    }

    /// The head of a packet whose rest has not come, without the passwords of the tool's clients.
    pub fn unfinished(&self) -> Vec<u8> {
        self.without_password(&self.partial)
    }

    fn without_password(&self, bytes: &[u8]) -> Vec<u8> {
        let mut shown = bytes.to_vec();
        secret::hide_all(self.secrets.iter().chain([&self.password]), &mut shown);
        shown
    }

    fn undecodable(&self, bytes: &[u8], why: String) -> Incoming {
        let mut bytes = self.without_password(bytes);
        bytes.truncate(UNDECODABLE_BYTES_MAX);
        Incoming::Undecodable { bytes, why }
    }

    /// Tells the broker in good order that nothing more will be sent, and goes on reading. Gives what was put on the wire.
    pub async fn half_close(&mut self) -> End {
        // Where the broker has closed already there is nothing left to tell it.
        let _ = timeout(WRITE_DEADLINE, self.stream.close()).await;
        self.stream.orderly_end()
    }

    /// Ends the connection by a reset or a FIN, without DISCONNECT and without a word of TLS or WebSocket, as where the network
    /// or the client is gone. Whatever the broker still sends is not looked at.
    pub async fn cut(mut self, how: End) {
        match how {
            End::Reset => self.stream.reset_when_dropped(),
            _ => {
                // As in [`Connection::half_close`].
                let _ = timeout(WRITE_DEADLINE, self.stream.fin()).await;
                // A socket that is closed with bytes unread sends a reset instead of a FIN.
                let ended = poll_fn(|cx| self.poll_end(cx));
                let _ = timeout(END_AFTER_DISCONNECT, ended).await;
            }
        }
    }

    /// Ready when the broker has ended the connection; what comes before is not looked at.
    pub fn poll_end(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        loop {
            let batch = ready!(self.poll_incoming(cx));
            if self.ended.is_some() || matches!(batch.last(), Some(Incoming::End(_))) {
                return Poll::Ready(());
            }
        }
    }

    /// Sends DISCONNECT and waits a moment for the broker to end the connection, which leaves TIME_WAIT to the broker.
    pub async fn leave(self) {
        self.leave_with(&Packet::disconnect(0)).await;
    }

    /// As [`Connection::leave`]; a session of 5.0 ends, whatever it asked for.
    pub async fn leave_for_good(self) {
        let session_expiry = (self.protocol == Protocol::V5).then_some(0);
        self.leave_with(&Packet::Disconnect { reason: 0, session_expiry }).await;
    }

    async fn leave_with(mut self, disconnect: &Packet) {
        if self.ended.is_some() {
            return;
        }
        if self.send(disconnect).is_err() {
            // One without a reason can always be encoded, and is never too large.
            let _ = self.send(&Packet::disconnect(0));
        }
        self.flush().await;
        let ended = poll_fn(|cx| self.poll_end(cx));
        if timeout(END_AFTER_DISCONNECT, ended).await.is_err() {
            self.half_close().await;
        }
    }

    fn cut_frames(&mut self, bytes: &[u8], incoming: &mut Vec<Incoming>) {
        let whole;
        let mut rest = bytes;
        if !self.partial.is_empty() {
            self.partial.extend_from_slice(bytes);
            whole = std::mem::take(&mut self.partial);
            rest = &whole;
        }
        loop {
            match frame::head(rest, self.longest) {
                Head::Incomplete => break,
                Head::TooLong(bytes) => {
                    incoming.push(Incoming::TooLong(bytes));
                    self.ended = Some(End::Reset);
                    return;
                }
                Head::Broken(why) => return self.stop_at(rest, why, incoming),
                Head::Frame(length) => {
                    match decode::decode(self.protocol, &rest[..length]) {
                        Ok(packet) => {
                            if let Packet::Connack(connack) = &packet {
                                self.maximum_packet_size = connack.maximum_packet_size;
                            }
                            incoming.push(Incoming::Packet(packet, Bytes::copy_from_slice(&rest[..length])));
                        }
                        Err(error) if self.reads_past => {
                            incoming.push(self.undecodable(&rest[..length], error.to_string()));
                        }
                        Err(error) => return self.stop_at(&rest[..length], error.to_string(), incoming),
                    }
                    rest = &rest[length..];
                }
            }
        }
        self.partial = rest.to_vec();
    }

    fn stop_at(&mut self, bytes: &[u8], why: String, incoming: &mut Vec<Incoming>) {
        incoming.push(self.undecodable(bytes, why));
        self.ended = Some(End::Reset);
    }

    fn end(&mut self, end: End, incoming: &mut Vec<Incoming>) {
        self.ended = Some(end);
        if self.partial.is_empty() {
            incoming.push(Incoming::End(end));
        } else {
            let bytes = std::mem::take(&mut self.partial);
            self.stop_at(&bytes, "was cut off by the end of the connection".into(), incoming);
            self.ended = Some(end);
        }
    }
}
