//! MQTT over WebSocket: the byte stream that the binary frames of a server carry.
//!
//! WebSocket libraries hand over whole messages; here what has come of one is read at once, and no message has to be held,
//! which bounds memory and lets the record say which bytes the operating system took.

pub mod frames;
pub mod upgrade;

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncWrite, ReadBuf};

use super::carrier::Carrier;
use super::end::End;
use super::stream::Halt;
use frames::{Next, Reader};

/// The status code of a client that has said all it had to say (RFC 6455, section 7.4.1).
pub const NORMAL_CLOSURE: u16 = 1000;
/// How many bytes of answers to Pings wait for a server that reads nothing; beyond that Pings are not answered.
const ANSWERS_BYTES_MAX: usize = 1024;

/// A WebSocket connection after its opening handshake.
pub struct WebSocket {
    pub carrier: Carrier,
    reader: Reader,
    /// What came behind the answer to the upgrade.
    early: Vec<u8>,
    /// Control frames that are still to be written.
    answers: Vec<u8>,
    /// What is to be told behind the bytes that came before it.
    halt: Option<Halt>,
}

impl WebSocket {
    /// `early` is what came behind the answer to the upgrade.
    pub fn new(carrier: Carrier, early: Vec<u8>) -> WebSocket {
        WebSocket { carrier, reader: Reader::default(), early, answers: Vec::new(), halt: None }
    }

    /// Reads what has come into the buffer; at least one byte, unless it halts.
    pub fn poll_read(&mut self, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<Result<(), Halt>> {
        loop {
            self.write_answers(cx);
            if let Some(halt) = self.halt.take() {
                return Poll::Ready(Err(halt));
            }
            let filled = buffer.filled().len();
            if self.early.is_empty() {
                ready!(self.carrier.poll_bytes(cx, buffer))?;
            } else {
                let length = self.early.len().min(buffer.remaining());
                buffer.put_slice(&self.early[..length]);
                self.early.drain(..length);
            }
            self.unframe(buffer, filled);
            if buffer.filled().len() > filled {
                return Poll::Ready(Ok(()));
            }
        }
    }

    /// Leaves of what stands in the buffer from this place on only what the frames carry.
    fn unframe(&mut self, buffer: &mut ReadBuf<'_>, from: usize) {
        let bytes = buffer.filled_mut();
        let (mut place, mut kept) = (from, from);
        while place < bytes.len() && self.halt.is_none() {
            let done = match self.reader.next(&bytes[place..]) {
                Ok(Next::Nothing(done)) => done,
                Ok(Next::Data { done, .. }) => {
                    bytes.copy_within(place..place + done, kept);
                    kept += done;
                    done
                }
                Ok(Next::Ping { done, content }) => {
                    if self.answers.len() < ANSWERS_BYTES_MAX {
                        frames::pong(&content, &mut self.answers);
                    }
                    done
                }
                Ok(Next::Close(code)) => {
                    frames::close(NORMAL_CLOSURE, &mut self.answers);
                    self.halt = Some(Halt::End(End::Close(code)));
                    break;
                }
                Err(why) => {
                    // The last byte of the head is the one on which the reader stopped.
                    let bytes = [self.reader.head(), &bytes[place + 1..]].concat();
                    self.halt = Some(Halt::Unreadable { bytes, why });
                    break;
                }
            };
            place += done;
        }
        buffer.set_filled(kept);
    }

    /// Writes answers as far as the operating system takes them now. Packets are written whole before anything is read, so an
    /// answer never stands within one.
    fn write_answers(&mut self, cx: &mut Context<'_>) {
        while !self.answers.is_empty() {
            match Pin::new(&mut self.carrier).poll_write(cx, &self.answers) {
                Poll::Ready(Ok(count)) if count > 0 => drop(self.answers.drain(..count)),
                // That the connection is over is seen by reading.
                Poll::Ready(_) => self.answers.clear(),
                Poll::Pending => return,
            }
            let _ = Pin::new(&mut self.carrier).poll_flush(cx);
        }
    }

    /// Writes a Close frame, behind what is still to be answered.
    pub fn poll_close(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.write_answers(cx);
        if self.answers.is_empty() { Pin::new(&mut self.carrier).poll_flush(cx) } else { Poll::Pending }
    }

    /// Has [`WebSocket::poll_close`] write a Close frame.
    pub fn close(&mut self) {
        frames::close(NORMAL_CLOSURE, &mut self.answers);
    }
}
