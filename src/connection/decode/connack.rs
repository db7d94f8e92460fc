//! The CONNACK, with what the standard says of each of its properties (5.0, section 3.2.2.3).

use super::properties::{Property, block, properties};
use super::{Undecodable, undecodable};
use crate::packet::{Connack, Protocol};

/// User Property, which alone may stand more than once (5.0, section 3.2.2.3.10).
const USER_PROPERTY: u8 = 0x26;

/// Reads the body of a CONNACK. A property that the standard calls a Protocol Error makes it none: a client closes then,
/// and what such a CONNACK announces would be no more than a guess.
///
/// # Errors
/// [`Undecodable`] says what is wrong with it.
pub fn connack(protocol: Protocol, body: &[u8]) -> Result<Connack, Undecodable> {
    let &[flags, code, ref rest @ ..] = body else {
        return undecodable("is a CONNACK of less than two bytes");
    };
    if flags & 0xfe != 0 {
        return Err(Undecodable::FlagsOfConnack { flags });
    }
    let mut connack = Connack { session_present: flags == 1, code, ..Connack::default() };
    // Brokers without 5.0 refuse it with a CONNACK in the shape of 3.1.1, which has no properties.
    if protocol == Protocol::V3 || rest.is_empty() {
        return Ok(connack);
    }
    let properties = properties(block(rest)?.0)?;
    for (place, property) in properties.iter().enumerate() {
        let kind = property.kind;
        set(&mut connack, property)?;
        if kind != USER_PROPERTY && properties[..place].iter().any(|before| before.kind == kind) {
            return Err(Undecodable::RepeatedProperty { kind });
        }
    }
    Ok(connack)
}

fn set(connack: &mut Connack, property: &Property<'_>) -> Result<(), Undecodable> {
    let (kind, value) = (property.kind, property.number());
    if is_ruled_out(kind, value) {
        return Err(Undecodable::RuledOutValue { kind, value });
    }
    // How long a number is follows from the kind, so that each fits.
    match kind {
        0x11 => connack.session_expiry = Some(value),
        0x12 => connack.assigned_client_id = Some(property.text()?),
        0x15 => connack.authentication_method = Some(property.text()?),
        0x13 => connack.server_keep_alive = Some(value as u16),
        0x21 => connack.receive_maximum = Some(value as u16),
        0x22 => connack.topic_alias_maximum = Some(value as u16),
        0x24 => connack.maximum_qos = Some(value as u8),
        0x25 => connack.retain_available = Some(property.flag()),
        0x27 => connack.maximum_packet_size = Some(value),
        0x28 => connack.wildcards_available = Some(property.flag()),
        0x29 => connack.subscription_ids_available = Some(property.flag()),
        0x2a => connack.shared_available = Some(property.flag()),
        // Authentication Data, and properties on requests and replies, other servers, and the reader.
        0x16 | 0x1a | 0x1c | 0x1f | USER_PROPERTY => {}
        kind => return Err(Undecodable::ForeignProperty { packet: "CONNACK", kind }),
    }
    Ok(())
}

/// The standard calls this value a Protocol Error: a Receive Maximum or Maximum Packet Size of 0, and any other number than
/// 0 and 1 for Maximum QoS and for what is available or not (5.0, sections 3.2.2.3.3 to 3.2.2.3.6 and 3.2.2.3.11 to 3.2.2.3.13).
fn is_ruled_out(kind: u8, value: u32) -> bool {
    match kind {
        0x21 | 0x27 => value == 0,
        0x24 | 0x25 | 0x28 | 0x29 | 0x2a => value > 1,
        _ => false,
    }
}
