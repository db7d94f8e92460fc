//! What this machine lacks for a storm, said before it begins: files, ports, memory.

use std::fs;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use super::Request;

/// Memory for a session with its connection, in bytes.
const BYTES_PER_SESSION: u64 = 2048;
/// Memory for what is kept of a message, in bytes.
const BYTES_PER_MESSAGE: u64 = 48;
/// Files that are needed beside the connections of the sessions.
const SPARE_FILES: u64 = 160;
/// How many of the ports of an address are counted on: others use some, and ended connections hold some for a minute.
const SHARE_OF_PORTS: f64 = 0.85;
/// Where addresses cost nothing, each gets so small a part of what it can bear: the fewer ports are left, the longer the kernel looks for
/// one. With 19,000 connections from one address that took most of the time.
const AT_EASE: u64 = 5;
/// The first and the last port that the operating system chooses, where it does not tell.
const PORTS: (u32, u32) = (32_768, 60_999);

/// What a machine has too little of; a sentence for the user.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Lack {
    #[error(
        "{needed} connections at once need as many files, and this process may open {has}; raise the limit with `ulimit -n {needed}`, or give fewer --sessions"
    )]
    Files { needed: u64, has: u64 },
    #[error(
        "{needed} connections from one address need as many ports, and this machine has {has}; give further addresses of it with --source, or fewer --sessions"
    )]
    Ports { needed: u64, has: u64 },
    #[error(
        "the sessions need about {needed_mib} MiB of memory, and {has_mib} MiB are free; give fewer --sessions or --messages"
    )]
    Memory { needed_mib: u64, has_mib: u64 },
}

/// The addresses from which the clients connect: those that were given, or so many of 127.0.0.0/8 that a free port is soon found, where
/// the broker is on this machine. None leaves it to the operating system.
pub fn sources(sessions: usize, broker: &[SocketAddr], given: &[IpAddr]) -> Vec<IpAddr> {
    let is_here = !broker.is_empty() && broker.iter().all(|address| address.is_ipv4() && address.ip().is_loopback());
    let needed = (sessions as u64 + SPARE_FILES).div_ceil((ports() / AT_EASE).max(1));
    match (given, is_here && needed > 1) {
        ([], true) => (1..=needed).map(|number| IpAddr::V4(loopback(number))).collect(),
        (given, _) => given.to_vec(),
    }
}

/// The n-th address of 127.0.0.0/8, from 1.
fn loopback(number: u64) -> Ipv4Addr {
    let [.., second, third] = (number / 250).to_be_bytes();
    Ipv4Addr::new(127, second, third, (number % 250) as u8 + 1)
}

/// What this machine lacks for a storm to a broker at these addresses, which are none where it is not reached by TCP.
pub fn lacks(request: &Request, broker: &[SocketAddr], sources: usize) -> Vec<Lack> {
    let sessions = request.sessions.len() as u64;
    let needed = sessions + SPARE_FILES;
    let files = rlimit::increase_nofile_limit(u64::MAX).unwrap_or(1024);
    let ports = ports() * sources.max(1) as u64;
    let bytes = sessions * (BYTES_PER_SESSION + u64::from(request.messages) * BYTES_PER_MESSAGE);
    let memory = free_memory().filter(|free| *free < bytes);
    let mut lacks = Vec::new();
    if files < needed {
        lacks.push(Lack::Files { needed, has: files });
    }
    if !broker.is_empty() && ports < needed {
        lacks.push(Lack::Ports { needed, has: ports });
    }
    let mib = |bytes: u64| bytes.div_ceil(1024 * 1024);
    lacks.extend(memory.map(|free| Lack::Memory { needed_mib: mib(bytes), has_mib: mib(free) }));
    lacks
}

/// How many ports of one address connections to one place can have.
fn ports() -> u64 {
    let text = fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range").unwrap_or_default();
    let mut numbers = text.split_whitespace().filter_map(|word| word.parse::<u32>().ok());
    let (first, last) = numbers.next().zip(numbers.next()).unwrap_or(PORTS);
    (f64::from((last + 1).saturating_sub(first)) * SHARE_OF_PORTS) as u64
}

/// The memory that programs can still have, in bytes; `None` where the operating system does not tell.
fn free_memory() -> Option<u64> {
    let text = fs::read_to_string("/proc/meminfo").ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("MemAvailable:"))?;
    line.trim().strip_suffix(" kB")?.parse::<u64>().ok().map(|kib| kib * 1024)
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;
    use std::time::Duration;

    use super::*;
    use crate::packet::Protocol;

    fn request(sessions: u32, messages: u32) -> Request {
        Request {
            protocol: Protocol::V5,
            sessions: (1..=sessions).collect(),
            messages,
            qos: 1,
            size: 100,
            return_rate: None,
            away: Duration::ZERO,
            start_at: None,
            patience: Duration::ZERO,
            settle: Duration::ZERO,
        }
    }

    #[test]
    fn a_broker_on_this_machine_is_reached_from_as_many_addresses_as_the_ports_call_for() {
        let here = [SocketAddr::from(([127, 0, 0, 1], 1883))];
        let elsewhere = [SocketAddr::from(([192, 0, 2, 1], 1883))];
        assert!(sources(1000, &here, &[]).is_empty());
        assert!(sources(19_000, &here, &[]).len() > 1);
        let many = sources(3_000_000, &here, &[]);
        assert!(many.len() > 50 && many.iter().all(IpAddr::is_loopback));
        assert_eq!(many.iter().collect::<HashSet<_>>().len(), many.len());
        assert!(sources(1_000_000, &elsewhere, &[]).is_empty());
        let given = [IpAddr::from([192, 0, 2, 7])];
        assert_eq!(sources(1_000_000, &elsewhere, &given), given);
    }

    #[test]
    fn what_is_lacking_is_said() {
        let elsewhere = [SocketAddr::from(([192, 0, 2, 1], 1883))];
        assert_eq!(lacks(&request(10, 10), &elsewhere, 0), []);
        let lacks = lacks(&request(100_000, 4_000_000_000), &elsewhere, 1);
        assert!(lacks.iter().any(|lack| matches!(lack, Lack::Ports { needed: 100_160, .. })), "{lacks:?}");
        let memory = lacks.iter().find(|lack| matches!(lack, Lack::Memory { .. })).map(ToString::to_string);
        assert!(memory.is_none_or(|said| said.contains("give fewer --sessions or --messages")));
    }
}
