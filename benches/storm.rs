//! The floor of a storm: the same packets over blocking sockets, 64 connections under way, and nothing is looked at.
//!
//! ```text
//! cargo bench --bench storm -- 127.0.0.1:1883 50000 10
//! ```
//!
//! To be held against `mqtt-sessions storm -V 3.1.1` with as many sessions and messages, and a broker that keeps them: mosquitto with
//! `max_queued_messages 0`. It prints how long each phase took, and asserts nothing.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4, TcpStream};
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use socket2::{Domain, Socket, Type};

const UNDER_WAY: u32 = 64;
const PUBLISHERS: u32 = 4;
const WINDOW: u32 = 64;
const PAYLOAD: usize = 100;

fn main() -> io::Result<()> {
    let mut arguments = std::env::args().skip(1).filter(|argument| argument != "--bench");
    let broker: SocketAddr = arguments.next().and_then(|text| text.parse().ok()).unwrap_or_else(|| {
        eprintln!("give the broker and the numbers of sessions and messages: 127.0.0.1:1883 50000 10");
        std::process::exit(2);
    });
    let mut number = |usual| arguments.next().and_then(|text| text.parse::<u32>().ok()).unwrap_or(usual);
    let (sessions, messages) = (number(1000), number(10));

    let parking = timed(|| each(sessions, UNDER_WAY, |session| park(broker, session)))?;
    println!(
        "parking     {:8.2} s   {:9.0} sessions/s",
        parking.as_secs_f64(),
        f64::from(sessions) / parking.as_secs_f64()
    );
    let publishing =
        timed(|| each(PUBLISHERS, PUBLISHERS, |publisher| publish(broker, publisher, sessions, messages)))?;
    let all = f64::from(sessions) * f64::from(messages);
    println!("publishing  {:8.2} s   {:9.0} messages/s", publishing.as_secs_f64(), all / publishing.as_secs_f64());
    let back = Arc::new(Mutex::new(Vec::new()));
    let returning = timed(|| {
        each(sessions, UNDER_WAY, |session| {
            let stream = come_back(broker, session, messages)?;
            back.lock().expect("nobody panics").push(stream);
            Ok(())
        })
    })?;
    println!("return      {:8.2} s   {:9.0} messages/s", returning.as_secs_f64(), all / returning.as_secs_f64());
    drop(back);
    let cleaning = timed(|| each(sessions, UNDER_WAY, |session| end(broker, session)))?;
    println!("clean-up    {:8.2} s", cleaning.as_secs_f64());
    Ok(())
}

fn timed(work: impl FnOnce() -> io::Result<()>) -> io::Result<Duration> {
    let began = Instant::now();
    work()?;
    Ok(began.elapsed())
}

/// Does the same for each number from 0, so many at a time.
fn each(count: u32, at_once: u32, work: impl Fn(u32) -> io::Result<()> + Sync) -> io::Result<()> {
    let next = AtomicU32::new(0);
    thread::scope(|scope| {
        let one = || -> io::Result<()> {
            loop {
                let number = next.fetch_add(1, Relaxed);
                if number >= count {
                    return Ok(());
                }
                work(number)?;
            }
        };
        let threads: Vec<_> = (0..at_once).map(|_| scope.spawn(one)).collect();
        threads.into_iter().try_for_each(|thread| thread.join().expect("nobody panics"))
    })
}

fn open(broker: SocketAddr, number: u32) -> io::Result<TcpStream> {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
    // One address has too few ports.
    let source = Ipv4Addr::new(127, 0, 0, (number % 8) as u8 + 2);
    socket.bind(&SocketAddrV4::new(source, 0).into())?;
    socket.connect(&broker.into())?;
    socket.set_tcp_nodelay(true)?;
    Ok(socket.into())
}

fn packet(first: u8, body: &[&[u8]]) -> Vec<u8> {
    let body = body.concat();
    let mut length = body.len();
    let mut bytes = vec![first];
    while length > 0x7f {
        bytes.push(0x80 | (length & 0x7f) as u8);
        length >>= 7;
    }
    bytes.push(length as u8);
    bytes.extend(body);
    bytes
}

fn text(text: &str) -> Vec<u8> {
    [&(text.len() as u16).to_be_bytes(), text.as_bytes()].concat()
}

fn connect(stream: &mut TcpStream, id: &str, clean: bool) -> io::Result<()> {
    let flags = if clean { 2 } else { 0 };
    stream.write_all(&packet(0x10, &[&text("MQTT"), &[4, flags, 0, 0], &text(id)]))?;
    stream.read_exact(&mut [0; 4])
}

fn id(session: u32) -> String {
    format!("floor-session-{session:05}")
}

fn topic(session: u32) -> Vec<u8> {
    text(&format!("floor-to/{session:010}/t"))
}

fn leave(stream: &mut TcpStream) -> io::Result<()> {
    stream.write_all(&[0xe0, 0])?;
    stream.read(&mut [0; 4]).map(drop)
}

fn park(broker: SocketAddr, session: u32) -> io::Result<()> {
    let mut stream = open(broker, session)?;
    connect(&mut stream, &id(session), false)?;
    stream.write_all(&packet(0x82, &[&[0, 1], &topic(session), &[1]]))?;
    stream.read_exact(&mut [0; 5])?;
    leave(&mut stream)
}

fn publish(broker: SocketAddr, publisher: u32, sessions: u32, messages: u32) -> io::Result<()> {
    let mut stream = open(broker, publisher)?;
    connect(&mut stream, &format!("floor-publisher-{publisher}"), true)?;
    let own = (publisher..sessions).step_by(PUBLISHERS as usize);
    let mut work = own.flat_map(|session| (0..messages).map(move |_| session));
    let (mut under_way, mut last_id, mut acks) = (0, 0_u16, [0; 4096]);
    let mut partial = 0;
    loop {
        let mut bytes = Vec::new();
        while under_way < WINDOW {
            let Some(session) = work.next() else { break };
            last_id = last_id % u16::MAX + 1;
            bytes.extend(packet(0x32, &[&topic(session), &last_id.to_be_bytes(), &[b'-'; PAYLOAD]]));
            under_way += 1;
        }
        stream.write_all(&bytes)?;
        if under_way == 0 {
            return leave(&mut stream);
        }
        partial += stream.read(&mut acks)?;
        under_way -= (partial / 4) as u32;
        partial %= 4;
    }
}

/// Reads all messages, and acknowledges those that came together with one write.
fn come_back(broker: SocketAddr, session: u32, messages: u32) -> io::Result<TcpStream> {
    let mut stream = open(broker, session)?;
    connect(&mut stream, &id(session), false)?;
    let (mut bytes, mut came) = (Vec::new(), 0);
    let mut buffer = [0; 4096];
    let topic = topic(session).len();
    let whole = 2 + topic + 2 + PAYLOAD;
    while came < messages {
        let count = stream.read(&mut buffer)?;
        if count == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        bytes.extend_from_slice(&buffer[..count]);
        // The Remaining Length takes one or two bytes.
        let head = if whole - 2 > 0x7f { whole + 1 } else { whole };
        let mut acks = Vec::new();
        while bytes.len() >= head {
            let id = &bytes[head - PAYLOAD - 2..head - PAYLOAD];
            acks.extend([0x40, 2, id[0], id[1]]);
            bytes.drain(..head);
            came += 1;
        }
        stream.write_all(&acks)?;
    }
    Ok(stream)
}

fn end(broker: SocketAddr, session: u32) -> io::Result<()> {
    let mut stream = open(broker, session)?;
    connect(&mut stream, &id(session), true)?;
    leave(&mut stream)
}
