//! One Network Connection of the broker: bytes to packets, packets to bytes.

use std::future::pending;
use std::time::Duration;

use mqtt_sessions::connection::decode::decode;
use mqtt_sessions::connection::frame::{FRAME_BYTES_MAX, Head, head};
use mqtt_sessions::packet::{Packet, Protocol};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadHalf, WriteHalf};
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::task::yield_now;
use tokio::time::{sleep, timeout};

use super::Broker;
use super::choices::{Choices, Writes};
use super::random::Random;
use super::state::Link;

/// How long a break stays unnoticed by a broker that looks only at the Keep Alive, where there is none.
const LONG_SILENCE: Duration = Duration::from_secs(90);

/// How long a broker that looks ahead waits for what follows a packet.
const LOOK_AHEAD: Duration = Duration::from_millis(1);

/// Serves one connection until either side ends it.
pub async fn serve<S: AsyncRead + AsyncWrite>(broker: Broker, stream: S) {
    if broker.is_dead() {
        return;
    }
    let (reader, writer) = tokio::io::split(stream);
    let (link, outgoing) = broker.open();
    let reading = async {
        read(&broker, link, reader).await;
        broker.ended(link);
        // The writing side goes on until all is written, and then ends both.
        pending::<()>().await;
    };
    tokio::select! {
        // In this order, so that a run repeats itself.
        biased;
        () = reading => {}
        () = write(&broker.choices, link, writer, outgoing) => {}
    }
    broker.ended(link);
}

/// Reads packets until the client ends the stream, sends something that is no packet, or falls silent.
async fn read<S: AsyncRead>(broker: &Broker, link: Link, mut reader: ReadHalf<S>) {
    let mut buffer = Vec::new();
    let mut protocol = None;
    let mut silence_allowed = None;
    let mut random = Random::new(!broker.choices.seed ^ link);
    let mut is_cut_off = false;
    loop {
        while let Head::Frame(length) = head(&buffer, FRAME_BYTES_MAX) {
            let frame: Vec<u8> = buffer.drain(..length).collect();
            let too_large = broker.choices.packet_size_at_most.is_some_and(|most| length > most as usize);
            // 5.0 3.2.2-15: the limit is announced behind the CONNECT.
            if too_large && protocol == Some(Protocol::V5) {
                return;
            }
            let Some(spoken) = protocol.or_else(|| version(&frame)) else { return broker.refuse_version(link) };
            protocol = Some(spoken);
            // 4.8.0-1, 4.13.1-1: after what is no packet the connection is closed.
            let Ok(packet) = decode(spoken, &frame) else { return };
            if let Packet::Connect(connect) = &packet {
                silence_allowed = broker.silence_allowed(connect);
                pause(&mut random, broker.choices.connect_delay).await;
            }
            if !is_cut_off && broker.choices.looks_ahead(&packet) && ends_soon(&mut reader, &mut buffer).await {
                is_cut_off = true;
                if broker.choices.loses_cut_off && !holds_disconnect(&buffer) && random.once_in(2) {
                    return;
                }
                broker.cut_off(link);
            }
            let last = matches!(packet, Packet::Disconnect { .. });
            broker.handle(link, packet);
            if last {
                // 5.0 3.14.4-1: nothing comes after DISCONNECT but the end.
                while reader.read(&mut [0; 64]).await.is_ok_and(|count| count > 0) {}
                sleep(broker.choices.end_delay).await;
                return;
            }
        }
        if is_cut_off || matches!(head(&buffer, FRAME_BYTES_MAX), Head::Broken(_) | Head::TooLong(_)) {
            return;
        }
        let more = reader.read_buf(&mut buffer);
        let count = match silence_allowed {
            Some(silence) => timeout(silence, more).await.unwrap_or(Ok(0)),
            None => more.await,
        };
        if count.is_err() || count.is_ok_and(|count| count == 0) {
            if !broker.notices_breaks() {
                sleep(silence_allowed.unwrap_or(LONG_SILENCE)).await;
            }
            return;
        }
    }
}

/// Waits for a random time up to this one.
async fn pause(random: &mut Random, limit: Duration) {
    if !limit.is_zero() {
        sleep(Duration::from_micros(random.below(limit.as_micros() as u64 + 1))).await;
    }
}

/// Reads on until the client pauses. True if it ends its stream instead.
async fn ends_soon<S: AsyncRead>(reader: &mut ReadHalf<S>, buffer: &mut Vec<u8>) -> bool {
    while let Ok(count) = timeout(LOOK_AHEAD, reader.read_buf(buffer)).await {
        if !count.is_ok_and(|count| count > 0) {
            return true;
        }
    }
    false
}

/// True if a whole DISCONNECT waits to be handled: to act on it is to have read all before it.
fn holds_disconnect(mut buffer: &[u8]) -> bool {
    while let Head::Frame(length) = head(buffer, FRAME_BYTES_MAX) {
        if buffer[0] >> 4 == 14 {
            return true;
        }
        buffer = &buffer[length..];
    }
    false
}

/// The protocol version of a CONNECT: the byte behind the protocol name `MQTT` (section 3.1.2.2 of 3.1.1, 3.1.2.2 of
/// 5.0). Whatever is no CONNECT counts as 3.1.1, so that its fate is decided with the other packets'.
fn version(frame: &[u8]) -> Option<Protocol> {
    let body = 2 + frame[1..].iter().take_while(|byte| **byte & 0x80 != 0).count();
    match (frame[0] >> 4, frame.get(body..body + 7)) {
        (1, Some(b"\x00\x04MQTT\x05")) => Some(Protocol::V5),
        (1, Some(b"\x00\x04MQTT\x04")) => Some(Protocol::V3),
        (1, _) => None,
        _ => Some(Protocol::V3),
    }
}

/// Writes what the broker says, and ends the stream when it says no more.
async fn write<S: AsyncWrite>(
    choices: &Choices,
    link: Link,
    mut writer: WriteHalf<S>,
    mut outgoing: UnboundedReceiver<Vec<u8>>,
) {
    let mut random = Random::new(choices.seed ^ link);
    while let Some(mut bytes) = outgoing.recv().await {
        pause(&mut random, choices.write_delay).await;
        if choices.writes == Writes::Coalesced {
            sleep(Duration::from_millis(1)).await;
            while let Ok(more) = outgoing.try_recv() {
                bytes.extend(more);
            }
        }
        let piece = if choices.writes == Writes::EachByte { 1 } else { bytes.len() };
        for piece in bytes.chunks(piece) {
            if writer.write_all(piece).await.is_err() {
                return;
            }
            yield_now().await;
        }
    }
    // Where the client has gone first there is nobody left to tell.
    let _ = writer.shutdown().await;
}
