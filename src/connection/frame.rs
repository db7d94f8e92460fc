//! Cuts the byte stream into frames by the fixed header, and does nothing else.
//!
//! The announced length is checked before anything is allocated for it, and a complete frame is never mistaken for an
//! incomplete one, whatever its content.

/// The longest packet that is sent or read, in bytes. The experiments send short messages; a broker that announces more is
/// talking of something else, or is not a broker.
pub const FRAME_BYTES_MAX: usize = 1024 * 1024;

/// What stands at the head of a buffer.
#[derive(Debug, PartialEq, Eq)]
pub enum Head {
    /// The frame is not here yet.
    Incomplete,
    /// A whole frame of so many bytes.
    Frame(usize),
    /// A frame of so many bytes, which are too many.
    TooLong(usize),
    /// No frame can begin like this; the reason completes "a packet that ...".
    Broken(String),
}

/// Looks at the fixed header at the head of `buffer` (3.1.1 and 5.0, section 2.1.1 to 2.1.4). Frames of more than `longest`
/// bytes are too long.
pub fn head(buffer: &[u8], longest: usize) -> Head {
    let mut remaining = 0usize;
    for (position, &byte) in buffer.iter().skip(1).take(4).enumerate() {
        remaining |= usize::from(byte & 0x7f) << (7 * position);
        if byte & 0x80 == 0 {
            let whole = 2 + position + remaining;
            return match whole {
                whole if whole > longest => Head::TooLong(whole),
                whole if whole > buffer.len() => Head::Incomplete,
                whole => Head::Frame(whole),
            };
        }
    }
    if buffer.len() >= 5 {
        return Head::Broken("has a remaining length of more than four bytes".into());
    }
    Head::Incomplete
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_is_cut_at_its_announced_length() {
        assert_eq!(head(&[], 1000), Head::Incomplete);
        assert_eq!(head(&[0xd0], 1000), Head::Incomplete);
        assert_eq!(head(&[0xd0, 0], 1000), Head::Frame(2));
        assert_eq!(head(&[0x20, 2, 0], 1000), Head::Incomplete);
        assert_eq!(head(&[0x20, 2, 0, 0, 0xd0, 0], 1000), Head::Frame(4));
        assert_eq!(head(&[0x30, 0x80], 1000), Head::Incomplete);
    }

    #[test]
    fn an_announced_length_is_refused_before_it_is_waited_for() {
        assert_eq!(head(&[0x30, 0xff, 0xff, 0xff, 0x7f], 1000), Head::TooLong(268_435_460));
        assert!(matches!(head(&[0x30, 0xff, 0xff, 0xff, 0xff], 1000), Head::Broken(_)));
    }
}
