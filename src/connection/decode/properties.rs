//! The property block of 5.0 packets, cut into its properties (5.0, section 2.2.2).
//!
//! rumqttc's reader counts the identifier of a Subscription Identifier twice, so that the third one of a PUBLISH would
//! become the head of its payload.

use super::{Undecodable, undecodable};

/// One property.
#[derive(Debug, Clone, Copy)]
pub struct Property<'a> {
    pub kind: u8,
    /// Without the length in front, where it has one; a pair keeps both of its lengths.
    value: &'a [u8],
}

impl Property<'_> {
    /// The value of a property that is a number; its kind says how many bytes that are.
    pub fn number(&self) -> u32 {
        match self.kind {
            0x0b => self.value.iter().rev().fold(0, |number, byte| number << 7 | u32::from(byte & 0x7f)),
            _ => self.value.iter().fold(0, |number, byte| number << 8 | u32::from(*byte)),
        }
    }

    pub fn flag(&self) -> bool {
        self.number() != 0
    }

    pub fn data(&self) -> Vec<u8> {
        self.value.to_vec()
    }

    pub fn text(&self) -> Result<String, Undecodable> {
        text(self.value)
    }

    /// The two texts of a User Property.
    pub fn pair(&self) -> Result<(String, String), Undecodable> {
        let (key, rest) = with_length(self.value)?;
        let (value, _) = with_length(rest)?;
        Ok((text(key)?, text(value)?))
    }
}

/// A UTF-8 Encoded String without its length (3.1.1, section 1.5.3; 5.0, section 1.5.4).
pub fn text(bytes: &[u8]) -> Result<String, Undecodable> {
    let text = String::from_utf8(bytes.to_vec()).map_err(|_| Undecodable::IllFormedText)?;
    if text.contains('\0') { Err(Undecodable::NullCharacter) } else { Ok(text) }
}

/// The standard's name of a property that a CONNACK may have once (5.0, section 3.2.2.3).
pub fn name(kind: u8) -> &'static str {
    match kind {
        0x11 => "Session Expiry Interval",
        0x12 => "Assigned Client Identifier",
        0x13 => "Server Keep Alive",
        0x15 => "Authentication Method",
        0x16 => "Authentication Data",
        0x1a => "Response Information",
        0x1c => "Server Reference",
        0x1f => "Reason String",
        0x21 => "Receive Maximum",
        0x22 => "Topic Alias Maximum",
        0x24 => "Maximum QoS",
        0x25 => "Retain Available",
        0x27 => "Maximum Packet Size",
        0x28 => "Wildcard Subscription Available",
        0x29 => "Subscription Identifiers Available",
        0x2a => "Shared Subscription Available",
        _ => "User Property",
    }
}

/// A property block that stands at the head of `bytes`, and what follows it.
pub fn block(bytes: &[u8]) -> Result<(&[u8], &[u8]), Undecodable> {
    let Some((length, length_bytes)) = variable_byte_integer(bytes) else {
        return undecodable("has no readable property length");
    };
    bytes[length_bytes..].split_at_checked(length).ok_or(Undecodable::Other("ends inside its properties".into()))
}

/// The properties of a block. Every text among them is one, also where nobody reads it.
pub fn properties(block: &[u8]) -> Result<Vec<Property<'_>>, Undecodable> {
    let mut properties = Vec::new();
    let mut rest = block;
    while let [kind, after @ ..] = rest {
        let (value, next) = value(*kind, after)?;
        let property = Property { kind: *kind, value };
        match kind {
            0x03 | 0x08 | 0x12 | 0x15 | 0x1a | 0x1c | 0x1f => drop(property.text()?),
            0x26 => drop(property.pair()?),
            _ => {}
        }
        properties.push(property);
        rest = next;
    }
    Ok(properties)
}

/// The value of a property of this kind at the head of `bytes`, and what follows it.
fn value(kind: u8, bytes: &[u8]) -> Result<(&[u8], &[u8]), Undecodable> {
    let length = match kind {
        0x01 | 0x17 | 0x19 | 0x24 | 0x25 | 0x28 | 0x29 | 0x2a => 1,
        0x13 | 0x21 | 0x22 | 0x23 => 2,
        0x02 | 0x11 | 0x18 | 0x27 => 4,
        0x0b => variable_byte_integer(bytes).map_or(usize::MAX, |(_, length)| length),
        0x03 | 0x08 | 0x09 | 0x12 | 0x15 | 0x16 | 0x1a | 0x1c | 0x1f => return with_length(bytes),
        0x26 => {
            let (_, after_key) = with_length(bytes)?;
            let (_, after_value) = with_length(after_key)?;
            bytes.len() - after_value.len()
        }
        kind => return undecodable(format!("has the unknown property {kind:#04x}")),
    };
    bytes.split_at_checked(length).ok_or(Undecodable::Other("ends inside its properties".into()))
}

/// The bytes behind a length of two bytes, and what follows them.
fn with_length(bytes: &[u8]) -> Result<(&[u8], &[u8]), Undecodable> {
    match bytes {
        [high, low, rest @ ..] => rest.split_at_checked(usize::from(u16::from_be_bytes([*high, *low]))),
        _ => None,
    }
    .ok_or(Undecodable::Other("ends inside its properties".into()))
}

/// The number at the head of `bytes`, and how many bytes it takes (5.0, section 1.5.5).
fn variable_byte_integer(bytes: &[u8]) -> Option<(usize, usize)> {
    let mut number = 0usize;
    for (position, &byte) in bytes.iter().take(4).enumerate() {
        number |= usize::from(byte & 0x7f) << (7 * position);
        if byte & 0x80 == 0 {
            return Some((number, position + 1));
        }
    }
    None
}
