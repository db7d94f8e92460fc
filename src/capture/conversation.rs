//! One Network Connection as segments of TCP over IPv4, with sequence numbers that add up.

use etherparse::{PacketBuilder, PacketBuilderStep, TcpHeader};

use crate::connection::End;

/// An address that is kept for documentation (RFC 5737).
const BROKER: [u8; 4] = [192, 0, 2, 1];
const BROKER_PORT: u16 = 1883;
/// The network of the clients, kept for documentation too.
const CLIENTS: [u8; 3] = [198, 51, 100];
/// The first port of a client, and how many it has.
const PORTS: (usize, usize) = (1024, 64_000);
/// How many addresses the clients have.
const ADDRESSES: usize = 254;
/// The room in a datagram of 65,535 bytes behind the headers of IPv4 and TCP.
const SEGMENT_BYTES_MAX: usize = 65_535 - 40;
const WINDOW: u16 = 65_535;
const TTL: u8 = 64;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    Client,
    Broker,
}

/// A connection and how far it has come.
pub struct Conversation {
    client: ([u8; 4], u16),
    /// The next sequence numbers of client and broker.
    next: [u32; 2],
    /// Client and broker have sent a FIN.
    finished: [bool; 2],
    /// After a reset nothing follows.
    is_reset: bool,
}

impl Conversation {
    /// The n-th connection of a capture, from 0.
    pub fn new(number: usize) -> Conversation {
        let (first, ports) = PORTS;
        let [a, b, c] = CLIENTS;
        let host = 1 + (number / ports % ADDRESSES) as u8;
        let port = (first + number % ports) as u16;
        Conversation { client: ([a, b, c, host], port), next: [0, 0], finished: [false; 2], is_reset: false }
    }

    /// SYN, SYN with ACK, and ACK.
    pub fn open(&mut self) -> Vec<Vec<u8>> {
        let syn = self.segment(Side::Client, |tcp| tcp.syn(), &[]);
        self.advance(Side::Client, 1);
        let answer = self.segment(Side::Broker, |tcp| tcp.syn(), &[]);
        self.advance(Side::Broker, 1);
        vec![syn, answer, self.acknowledgement(Side::Client)]
    }

    /// The bytes in as many segments as they need. A segment that is not the last is acknowledged, since no window holds two
    /// of them.
    pub fn send(&mut self, from: Side, bytes: &[u8]) -> Vec<Vec<u8>> {
        let mut segments = Vec::new();
        if self.is_reset {
            return segments;
        }
        let last = bytes.len().div_ceil(SEGMENT_BYTES_MAX);
        for (number, part) in (1..).zip(bytes.chunks(SEGMENT_BYTES_MAX)) {
            segments.push(self.segment(from, |tcp| tcp.psh(), part));
            self.advance(from, part.len() as u32);
            if number < last {
                segments.push(self.acknowledgement(from.other()));
            }
        }
        segments
    }

    /// A reset, or a FIN and its acknowledgement.
    pub fn end(&mut self, by: Side, how: End) -> Vec<Vec<u8>> {
        if self.is_reset || self.finished[by as usize] {
            return Vec::new();
        }
        if how == End::Reset {
            self.is_reset = true;
            return vec![self.segment(by, |tcp| tcp.rst(), &[])];
        }
        self.finished[by as usize] = true;
        let fin = self.segment(by, |tcp| tcp.fin(), &[]);
        self.advance(by, 1);
        vec![fin, self.acknowledgement(by.other())]
    }

    fn acknowledgement(&self, from: Side) -> Vec<u8> {
        self.segment(from, |tcp| tcp, &[])
    }

    fn advance(&mut self, side: Side, bytes: u32) {
        let next = &mut self.next[side as usize];
        *next = next.wrapping_add(bytes);
    }

    fn segment(&self, from: Side, flags: impl FnOnce(Headers) -> Headers, payload: &[u8]) -> Vec<u8> {
        let broker = (BROKER, BROKER_PORT);
        let (source, destination) = match from {
            Side::Client => (self.client, broker),
            Side::Broker => (broker, self.client),
        };
        let (sequence, acknowledged) = (self.next[from as usize], self.next[from.other() as usize]);
        let tcp = PacketBuilder::ipv4(source.0, destination.0, TTL).tcp(source.1, destination.1, sequence, WINDOW);
        // The first segment of all has nothing to acknowledge.
        let is_first = from == Side::Client && sequence == 0;
        let tcp = if is_first { tcp } else { tcp.ack(acknowledged) };
        let mut bytes = Vec::new();
        // Only a writer can fail, and memory does not; the payload fits.
        let _ = flags(tcp).write(&mut bytes, payload);
        bytes
    }
}

/// The headers of a segment, which can still be given flags.
type Headers = PacketBuilderStep<TcpHeader>;

impl Side {
    fn other(self) -> Side {
        match self {
            Side::Client => Side::Broker,
            Side::Broker => Side::Client,
        }
    }
}
