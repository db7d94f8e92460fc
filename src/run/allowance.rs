//! How much a broker may send: what the harness keeps of it is bounded, so that a broker that sends without end ends a cell, and
//! neither the run nor the machine.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::plan::{Action, Cell};

/// The packets that a client takes in an attempt, whatever its cell is about.
const PACKETS: usize = 200;
/// Those that it takes for each message of its cell: several copies, each sent again a few times, with their handshakes.
const PACKETS_PER_MESSAGE: usize = 16;
/// The bytes of a packet without its payload.
const BYTES_PER_PACKET: usize = 256;
/// The packets beyond that which all clients of a run take together.
const COMMON_PACKETS: usize = 20_000;
/// The bytes beyond that which all clients of a run take together.
const COMMON_BYTES: usize = 16 * 1024 * 1024;
/// The longest packet that is read where the cell publishes none that is longer.
const PACKET_BYTES: usize = 64 * 1024;

/// What all clients of a run may take beyond their own allowances.
#[derive(Debug)]
pub struct Common {
    packets: AtomicUsize,
    bytes: AtomicUsize,
}

impl Default for Common {
    fn default() -> Common {
        Common { packets: AtomicUsize::new(COMMON_PACKETS), bytes: AtomicUsize::new(COMMON_BYTES) }
    }
}

impl Common {
    /// Takes a packet of so many bytes. False if that is too much.
    fn take(&self, bytes: usize) -> bool {
        let take = |left: &AtomicUsize, wanted: usize| {
            let less = left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(wanted));
            less.is_ok()
        };
        take(&self.packets, 1) && take(&self.bytes, bytes)
    }
}

/// What one client may still take in an attempt.
#[derive(Debug, Clone)]
pub struct Allowance {
    packets: usize,
    bytes: usize,
    taken: usize,
    common: Arc<Common>,
}

impl Allowance {
    /// The allowance of each client of a cell.
    pub fn of(cell: &Cell, common: &Arc<Common>) -> Allowance {
        let packets = PACKETS + PACKETS_PER_MESSAGE * messages(cell);
        let bytes = packets * (BYTES_PER_PACKET + longest_payload(cell));
        Allowance { packets, bytes, taken: 0, common: common.clone() }
    }

    /// Takes a packet of so many bytes. False if that is too much.
    pub fn take(&mut self, bytes: usize) -> bool {
        self.taken += 1;
        match (self.packets.checked_sub(1), self.bytes.checked_sub(bytes)) {
            (Some(packets_left), Some(bytes_left)) => {
                (self.packets, self.bytes) = (packets_left, bytes_left);
                true
            }
            _ => self.common.take(bytes),
        }
    }

    /// How many packets were taken, the ones that were too much included.
    pub fn taken(&self) -> usize {
        self.taken
    }
}

/// The longest packet that a client of this cell reads, in bytes.
pub fn longest_packet(cell: &Cell) -> usize {
    PACKET_BYTES.max(2 * longest_payload(cell))
}

/// The messages of the cell: those that it publishes, and a will for each time that a client connects.
fn messages(cell: &Cell) -> usize {
    let of_step = |action: &Action| match action {
        Action::Publish(publication) => publication.messages as usize,
        Action::Connect(_) | Action::Race { .. } => 1,
        _ => 0,
    };
    cell.steps.iter().map(|step| of_step(&step.action)).sum()
}

fn longest_payload(cell: &Cell) -> usize {
    let of_step = |action: &Action| match action {
        Action::Publish(publication) => publication.bytes.unwrap_or(0) as usize,
        _ => 0,
    };
    cell.steps.iter().map(|step| of_step(&step.action)).max().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_takes_its_own_first_and_then_what_is_common() {
        let common = Arc::new(Common::default());
        let mut first = Allowance { packets: 2, bytes: 1000, taken: 0, common: common.clone() };
        let mut second = first.clone();
        assert!(first.take(600) && first.take(400));
        assert!((0..COMMON_PACKETS).all(|_| first.take(1)));
        assert!(!first.take(1) && second.take(1000) && !second.take(1));
        assert_eq!([first.taken(), second.taken()], [COMMON_PACKETS + 3, 2]);
        let mut third = Allowance { packets: 2, bytes: 1000, taken: 0, common: Arc::default() };
        assert!(third.take(COMMON_BYTES) && !third.take(COMMON_BYTES));
    }
}
