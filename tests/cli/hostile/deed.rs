//! What a hostile peer does in the place of an answer.

use std::io::{Read, Result, Write};
use std::net::TcpStream;
use std::time::Duration;

use mqtt_sessions::packet::Protocol;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Deed {
    /// Nothing at all.
    Silence,
    /// It closes.
    Fin,
    Reset,
    /// Bytes of something else, and then nothing.
    Bytes(&'static [u8]),
    /// Bytes, and then the end.
    BytesAndFin(&'static [u8]),
    /// The same bytes again and again, as fast as they are read.
    Flood(&'static [u8]),
    /// A packet of which a byte comes every 100 ms.
    Drip,
    /// The SUBACK for another SUBSCRIBE, and PUBACK, PUBREC or PUBCOMP for another PUBLISH.
    OtherIdentifier(u8),
    /// An answer with the right identifier and so many codes.
    Codes(u8, &'static [u8]),
}

/// Long enough that it never ends while a client waits.
const DRIPPED: [u8; 5] = [0x30, 0x90, 0x4e, 0, 1];

impl Deed {
    /// Does it, until the client ends the connection; the packet that waits for an answer has this identifier.
    pub fn done(self, stream: &mut TcpStream, protocol: Protocol, id: u16) -> Result<()> {
        match self {
            Deed::Silence => {}
            Deed::Fin | Deed::Reset => return Ok(()),
            Deed::Bytes(bytes) => stream.write_all(bytes)?,
            Deed::BytesAndFin(bytes) => return stream.write_all(bytes),
            Deed::Flood(bytes) => {
                let many = bytes.repeat((65_536 / bytes.len()).max(1));
                loop {
                    stream.write_all(&many)?;
                }
            }
            Deed::Drip => {
                for byte in DRIPPED.into_iter().chain(std::iter::repeat(b'x')) {
                    stream.write_all(&[byte])?;
                    std::thread::sleep(Duration::from_millis(100));
                }
            }
            Deed::OtherIdentifier(kind) => stream.write_all(&answer(protocol, kind, id.wrapping_add(7), &[0]))?,
            Deed::Codes(kind, codes) => stream.write_all(&answer(protocol, kind, id, codes))?,
        }
        let mut bytes = [0; 512];
        while stream.read(&mut bytes)? > 0 {}
        Ok(())
    }
}

/// An answer that only SUBACK gives with codes.
fn answer(protocol: Protocol, kind: u8, id: u16, codes: &[u8]) -> Vec<u8> {
    let [high, low] = id.to_be_bytes();
    let is_suback = kind == 0x90;
    let properties: &[u8] = if is_suback && protocol == Protocol::V5 { &[0] } else { &[] };
    let codes = if is_suback { codes } else { &[] };
    let body = [&[high, low], properties, codes].concat();
    [&[kind, body.len() as u8][..], &body].concat()
}
