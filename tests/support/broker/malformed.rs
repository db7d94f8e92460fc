//! Bytes that no correct broker writes, and that therefore nothing but a lie can encode.

use mqtt_sessions::packet::Publish;

/// PINGRESP with a flag that section 2.2.2 of 3.1.1 and section 2.1.3 of 5.0 reserve.
pub const PINGRESP_WITH_RESERVED_FLAG: [u8; 2] = [0xd1, 0x00];

/// A PUBLISH of 5.0 whose only property is a Will Delay Interval of 0, which section 3.3.2.3 does not know.
pub fn with_will_delay(publish: &Publish) -> Vec<u8> {
    let flags = u8::from(publish.dup) << 3 | publish.qos << 1 | u8::from(publish.retain);
    let mut body = Vec::new();
    body.extend((publish.topic.len() as u16).to_be_bytes());
    body.extend(publish.topic.as_bytes());
    if publish.qos > 0 {
        body.extend(publish.id.to_be_bytes());
    }
    body.extend([5, 0x18, 0, 0, 0, 0]);
    body.extend(&publish.payload);
    let mut bytes = vec![0x30 | flags];
    let mut length = body.len();
    while length > 0x7f {
        bytes.push(0x80 | (length & 0x7f) as u8);
        length >>= 7;
    }
    bytes.push(length as u8);
    bytes.extend(body);
    bytes
}
