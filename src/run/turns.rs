//! The turns of those who open a connection: only so many connections come about side by side, and a cell that has begun does not stand
//! behind all those that have not. Its timers run.

use tokio::sync::{Semaphore, SemaphorePermit};

/// How many connections come about side by side at most. Beyond the broker's listen backlog (100 for mosquitto) a SYN is lost
/// and sent again only after a second.
const OPENING_MAX: usize = 64;
/// How many of them may be the first ones of a cell.
const FIRST_MAX: usize = 48;

/// The turns of all who open connections to one broker.
pub struct Turns {
    all: Semaphore,
    first: Semaphore,
}

/// Somebody's turn, until it is dropped.
pub struct Turn<'a> {
    _permits: [Option<SemaphorePermit<'a>>; 2],
}

impl Turns {
    pub fn new() -> Turns {
        Turns { all: Semaphore::new(OPENING_MAX), first: Semaphore::new(FIRST_MAX) }
    }

    /// Waits for the turn to open a connection.
    pub async fn next(&self) -> Turn<'_> {
        Turn { _permits: [None, self.all.acquire().await.ok()] }
    }

    /// Waits for the turn to open the first connection of a cell.
    pub async fn next_for_first(&self) -> Turn<'_> {
        let first = self.first.acquire().await.ok();
        Turn { _permits: [first, self.all.acquire().await.ok()] }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::future::join_all;
    use futures_util::{FutureExt, pin_mut};

    use super::*;

    #[tokio::test]
    async fn who_has_begun_does_not_stand_behind_those_who_have_not() {
        let turns = Turns::new();
        let opening = join_all((0..FIRST_MAX).map(|_| turns.next_for_first())).await;
        let waiting = turns.next_for_first();
        pin_mut!(waiting);
        assert!(waiting.as_mut().now_or_never().is_none());
        let going_on = join_all((FIRST_MAX..OPENING_MAX).map(|_| turns.next())).now_or_never();
        assert!(going_on.is_some());
        assert!(turns.next().now_or_never().is_none());
        drop(opening);
        assert!(waiting.now_or_never().is_some());
    }
}
