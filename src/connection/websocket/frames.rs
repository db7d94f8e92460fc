//! WebSocket frames (RFC 6455, section 5), without the socket: bytes in, what they carry out.
//!
//! What a data frame carries is passed on as it comes, whether the frame or the message is complete or not: an MQTT stream
//! may be cut into messages anywhere (3.1.1 and 5.0, MQTT-6.0.0-2), and a single one that never ends may carry all of it.
//! So a frame of any length takes no memory.

use std::hash::{BuildHasher, RandomState};

/// The most bytes that a control frame carries (section 5.5).
const CONTROL_BYTES_MAX: usize = 125;
/// The most bytes of a frame's head: two, eight of the length, and no masking key, since only clients mask.
const HEAD_BYTES_MAX: usize = 10;
/// What a Close frame without a status code means (section 7.4.1).
const NO_STATUS: u16 = 1005;

const FINAL: u8 = 0x80;
const MASKED: u8 = 0x80;
const CONTINUATION: u8 = 0x0;
const TEXT: u8 = 0x1;
const BINARY: u8 = 0x2;
const CLOSE: u8 = 0x8;
const PING: u8 = 0x9;
const PONG: u8 = 0xa;

/// What stands next in the bytes.
#[derive(Debug, PartialEq, Eq)]
pub enum Next<'a> {
    /// So many of the bytes are done with, and none of them is part of the MQTT stream.
    Nothing(usize),
    /// Of the bytes done with, the last belong to the MQTT stream.
    Data { done: usize, data: &'a [u8] },
    /// A Ping with these bytes, which are to be sent back.
    Ping { done: usize, content: Vec<u8> },
    /// The other side ends the connection, with this status code.
    Close(u16),
}

/// Reads the frames of a server.
#[derive(Debug, Default)]
pub struct Reader {
    /// The head of the next frame, as far as it is there.
    head: [u8; HEAD_BYTES_MAX],
    filled: usize,
    /// The frame whose content is being read: its first byte without flags, and how much of its content is still to come.
    frame: Option<(u8, u64)>,
    /// The message that is being read is not complete.
    in_message: bool,
    /// The content of a control frame, as far as it is there.
    control: Vec<u8>,
}

impl Reader {
    /// Looks at the head of bytes, of which there is at least one.
    ///
    /// # Errors
    /// No server may send this; completes "a packet that ...".
    pub fn next<'a>(&mut self, bytes: &'a [u8]) -> Result<Next<'a>, String> {
        let Some((opcode, left)) = self.frame else {
            self.head[self.filled] = bytes[0];
            self.filled += 1;
            self.read_head()?;
            // A frame without content ends with its head.
            return self.ended(1);
        };
        let length = bytes.len().min(usize::try_from(left).unwrap_or(usize::MAX));
        let content = &bytes[..length];
        self.frame = Some((opcode, left - length as u64));
        if opcode & CLOSE == 0 {
            if left == length as u64 {
                self.frame = None;
            }
            return Ok(Next::Data { done: length, data: content });
        }
        self.control.extend_from_slice(content);
        self.ended(length)
    }

    /// The head of the frame that no server may send, as far as it was read.
    pub fn head(&self) -> &[u8] {
        &self.head[..self.filled]
    }

    /// What a control frame said, if it is complete.
    fn ended(&mut self, done: usize) -> Result<Next<'static>, String> {
        let Some((opcode, 0)) = self.frame else { return Ok(Next::Nothing(done)) };
        self.frame = None;
        let content = std::mem::take(&mut self.control);
        match opcode {
            PING => Ok(Next::Ping { done, content }),
            CLOSE => Ok(Next::Close(match content[..] {
                [high, low, ..] => u16::from_be_bytes([high, low]),
                _ => NO_STATUS,
            })),
            _ => Ok(Next::Nothing(done)),
        }
    }

    /// Understands the head of a frame as soon as it is complete.
    fn read_head(&mut self) -> Result<(), String> {
        let (first, second) = (self.head[0], self.head[1]);
        if self.filled < 2 {
            return Ok(());
        }
        let short = second & !MASKED;
        let (needed, length) = match short {
            126 => (4, u64::from(u16::from_be_bytes([self.head[2], self.head[3]]))),
            127 => {
                let [_, _, length @ ..] = self.head;
                (HEAD_BYTES_MAX, u64::from_be_bytes(length))
            }
            short => (2, u64::from(short)),
        };
        if self.filled < needed {
            return Ok(());
        }
        self.check(first, second)?;
        if length >> 63 != 0 {
            return Err("came in a WebSocket frame of an impossible length".into());
        }
        (self.head, self.filled) = ([0; HEAD_BYTES_MAX], 0);
        self.frame = Some((first & 0x0f, length));
        Ok(())
    }

    fn check(&mut self, first: u8, second: u8) -> Result<(), String> {
        let (opcode, is_final) = (first & 0x0f, first & FINAL != 0);
        if first & 0x70 != 0 {
            return Err("came in a WebSocket frame with reserved bits".into());
        }
        if second & MASKED != 0 {
            return Err("came in a masked WebSocket frame, as only clients may send".into());
        }
        match opcode {
            TEXT => return Err("came in a WebSocket text frame".into()),
            BINARY if self.in_message => return Err("came in a WebSocket frame within another message".into()),
            CONTINUATION if !self.in_message => return Err("came in a WebSocket frame that continues nothing".into()),
            BINARY | CONTINUATION => self.in_message = !is_final,
            CLOSE | PING | PONG if is_final && usize::from(second) <= CONTROL_BYTES_MAX => {}
            CLOSE | PING | PONG => return Err("came in a WebSocket control frame that is cut or too long".into()),
            _ => return Err(format!("came in a WebSocket frame of the unknown kind {opcode:#x}")),
        }
        Ok(())
    }
}

/// Appends a binary frame with this content.
pub fn binary(content: &[u8], wire: &mut Vec<u8>) {
    frame(BINARY, content, wire);
}

/// Appends the answer to a Ping.
pub fn pong(content: &[u8], wire: &mut Vec<u8>) {
    frame(PONG, content, wire);
}

/// Appends a Close frame with this status code.
pub fn close(code: u16, wire: &mut Vec<u8>) {
    frame(CLOSE, &code.to_be_bytes(), wire);
}

/// A client masks each frame with a key that nobody can foresee (section 5.3).
fn frame(opcode: u8, content: &[u8], wire: &mut Vec<u8>) {
    wire.push(FINAL | opcode);
    match content.len() {
        length @ 0..=125 => wire.push(MASKED | length as u8),
        length @ 126..=0xffff => {
            wire.push(MASKED | 126);
            wire.extend_from_slice(&(length as u16).to_be_bytes());
        }
        length => {
            wire.push(MASKED | 127);
            wire.extend_from_slice(&(length as u64).to_be_bytes());
        }
    }
    let key = (RandomState::new().hash_one(0) as u32).to_be_bytes();
    wire.extend_from_slice(&key);
    wire.extend(content.iter().zip(key.iter().cycle()).map(|(byte, key)| byte ^ key));
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the frames say, as a line: data as it is, everything else by name.
    fn said(pieces: &[&[u8]]) -> Result<String, String> {
        let (mut reader, mut said) = (Reader::default(), String::new());
        for piece in pieces {
            let mut rest = *piece;
            while !rest.is_empty() {
                let done = match reader.next(rest)? {
                    Next::Nothing(done) => done,
                    Next::Data { done, data } => {
                        said += str::from_utf8(data).unwrap();
                        done
                    }
                    Next::Ping { done, content } => {
                        said += &format!("<ping {}>", str::from_utf8(&content).unwrap());
                        done
                    }
                    Next::Close(code) => return Ok(said + &format!("<close {code}>")),
                };
                rest = &rest[done..];
            }
        }
        Ok(said)
    }

    #[test]
    fn a_stream_may_be_cut_anywhere() {
        let stream = b"\x02\x02ab\x89\x02hi\x00\x01c\x80\x00\x82\x7e\x00\x03def\x82\x7f\0\0\0\0\0\0\0\x01g\x8a\x00\x88\x02\x03\xe8rest";
        let whole = "ab<ping hi>cdefg<close 1000>";
        assert_eq!(said(&[stream]).unwrap(), whole);
        let bytes: Vec<&[u8]> = stream.chunks(1).collect();
        assert_eq!(said(&bytes).unwrap(), whole);
        for at in 1..stream.len() {
            let (before, after) = stream.split_at(at);
            assert_eq!(said(&[before, after]).unwrap(), whole, "cut at {at}");
        }
        assert_eq!(said(&[b"\x88\x00"]).unwrap(), "<close 1005>");
    }

    #[test]
    fn what_no_server_may_send_is_told() {
        let cases: [(&[u8], &str); 9] = [
            (b"\x81\x01a", "a WebSocket text frame"),
            (b"\x82\x81\0\0\0\0a", "masked"),
            (b"\xc2\x01a", "reserved bits"),
            (b"\x80\x01a", "continues nothing"),
            (b"\x02\x01a\x82\x01b", "within another message"),
            (b"\x09\x00", "cut or too long"),
            (b"\x89\x7e\x00\x80", "cut or too long"),
            (b"\x83\x00", "unknown kind 0x3"),
            (b"\x82\x7f\xff\0\0\0\0\0\0\0", "impossible length"),
        ];
        for (bytes, phrase) in cases {
            let why = said(&[bytes]).unwrap_err();
            assert!(why.contains(phrase), "{phrase}: {why}");
        }
    }

    #[test]
    fn what_is_sent_is_masked_and_can_be_read() {
        for length in [0, 1, 125, 126, 0xffff, 0x10000] {
            let content: Vec<u8> = (0..length).map(|number| number as u8).collect();
            let mut wire = Vec::new();
            binary(&content, &mut wire);
            let head = wire.len() - length - 4;
            assert_eq!((wire[0], wire[1] & MASKED), (0x82, MASKED));
            let (key, masked) = wire[head..].split_at(4);
            let read: Vec<u8> = masked.iter().zip(key.iter().cycle()).map(|(byte, key)| byte ^ key).collect();
            assert!(read == content, "{length}");
        }
    }
}
