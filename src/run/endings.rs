//! How clients go away, and the proof that the broker has noticed; and waits for timers of the protocol.

use std::time::Duration;

use tokio::time::Instant;

use super::client::Client;
use super::player::{Player, Stop, Waited};
use crate::connection::{END_AFTER_DISCONNECT, End};
use crate::history::{Awaited, Event};
use crate::packet::Packet;
use crate::scenario::{Answers, Timer};

/// What a timer is given beyond its time before it counts as passed: brokers look at their clocks once a second.
pub const BEYOND_TIMER: Duration = Duration::from_secs(1);
/// How long before the end of a timer the client comes back that comes in its last second.
const SHORT_OF_TIMER: Duration = Duration::from_millis(500);
/// How long a broker gets at least, and at most, for detaching a session: its timers run on meanwhile.
const DETACHED: [Duration; 2] = [Duration::from_millis(400), Duration::from_secs(1)];
/// DISCONNECT with this reason code asks for the will (5.0, section 3.14.2.1).
const DISCONNECT_WITH_WILL: u8 = 0x04;

/// How long a broker may take to end the connection after DISCONNECT before the client half-closes it. An end that comes before that is
/// the answer to DISCONNECT; one behind it may be a proxy's answer to the half-close.
pub fn ending(settle: Duration) -> Duration {
    END_AFTER_DISCONNECT.max(settle)
}

/// How long a broker gets for detaching a session, where the attempt before suggests that it needs time.
pub fn detaching(settle: Duration) -> Duration {
    settle.clamp(DETACHED[0], DETACHED[1])
}

impl Player<'_> {
    /// Sends DISCONNECT and waits until the broker has ended the connection: only then is the client really gone.
    pub async fn disconnect(
        &mut self,
        client: usize,
        with_will: bool,
        session_expiry: Option<u32>,
    ) -> Result<(), Stop> {
        let reason = if with_will { DISCONNECT_WITH_WILL } else { 0 };
        // Where 0 was granted, anything else would be an error of the client's (5.0, section 3.14.2.2.2).
        let granted_0 = self.clients[client].connack.as_ref().is_some_and(|connack| connack.session_expiry == Some(0));
        let session_expiry = session_expiry.filter(|seconds| *seconds == 0 || !granted_0);
        // From here on a timer of the session may run. That the broker has ended the connection is read later, and much later on a
        // busy machine.
        self.clients[client].gone_since = Some(Instant::now());
        self.send(client, Packet::Disconnect { reason, session_expiry })?;
        self.clients[client].leaving = true;
        if let (Some(seconds), Some(connect)) = (session_expiry, &mut self.clients[client].connect) {
            connect.session_expiry = Some(seconds);
        }
        let deadline = self.deadline();
        let gone = |clients: &[Client]| clients[client].connection.is_none();
        let mut waited = self.pump(Instant::now() + ending(self.settle), gone).await;
        if waited == Waited::Deadline {
            if let Some(connection) = &mut self.clients[client].connection {
                let how = connection.half_close().await;
                self.record.observed(client, |name| Event::Closed(name, how));
            }
            waited = self.pump(deadline, gone).await;
        }
        match waited {
            Waited::Done => {}
            Waited::Ended(_) => return Err(Stop),
            Waited::Deadline => {
                self.record.observed(client, |name| Event::Missing(name, Awaited::ConnectionEnd));
                self.gone(client);
            }
        }
        if with_will {
            self.await_will(client).await?;
        }
        self.detach(client).await;
        Ok(())
    }

    /// Ends the connection without DISCONNECT, and waits for the will as the proof that the broker has noticed.
    pub async fn cut(&mut self, client: usize, how: End) -> Result<(), Stop> {
        self.flush().await;
        let Some(connection) = self.clients[client].connection.take() else {
            return self.cut_already(client).await;
        };
        self.record.observed(client, |name| Event::Closed(name, how));
        self.gone(client);
        // What came and was not looked at is not answered any more.
        self.clients[client].incoming.clear();
        self.meanwhile(connection.cut(how)).await;
        self.await_will(client).await?;
        self.detach(client).await;
        Ok(())
    }

    /// The connection is over already: a client that had stopped was cut off by the broker, or the client had to close.
    async fn cut_already(&mut self, client: usize) -> Result<(), Stop> {
        if self.clients[client].closed_by_rule {
            return Ok(());
        }
        if self.clients[client].ended.is_none() {
            self.record.noted(Event::Broken(format!("{} is not connected", self.clients[client].name)));
            return Err(Stop);
        }
        self.await_will(client).await?;
        self.detach(client).await;
        Ok(())
    }

    /// Sends nothing any more until the broker ends the connection, which it has to after one and a half times the Keep
    /// Alive.
    pub async fn silence(&mut self, client: usize) -> Result<(), Stop> {
        let state = &mut self.clients[client];
        state.answers = Answers::None;
        state.silent = true;
        state.may_end = true;
        let own = state.connect.as_ref().map_or(0, |connect| connect.keep_alive);
        let seconds = state.connack.as_ref().and_then(|connack| connack.server_keep_alive).unwrap_or(own);
        let silent_since = Instant::now();
        let allowed = Duration::from_millis(1500) * u32::from(seconds);
        let gone = |clients: &[Client]| clients[client].connection.is_none();
        // The broker's own Keep Alive may be hours long.
        let longest = self.patience.max(Duration::from_millis(1500) * u32::from(own));
        // Brokers look at their clocks every few seconds.
        let until = match allowed > longest {
            true => silent_since + longest,
            false => silent_since + allowed + self.patience_for_all().max(2 * self.target.deadline),
        };
        let waited = self.pump(until, gone).await;
        let timer = Timer::KeepAlive;
        let passed = silent_since.elapsed() >= Duration::from_secs(1) * u32::from(seconds);
        let seconds = u32::from(seconds);
        self.record.observed(client, |client| Event::Timed { client, timer, seconds, passed });
        if waited == Waited::Deadline {
            if passed {
                self.record.observed(client, |name| Event::Missing(name, Awaited::ConnectionEnd));
            }
            self.hang_up(client);
            return Err(Stop);
        }
        self.await_will(client).await?;
        self.detach(client).await;
        Ok(())
    }

    /// Neither reads nor writes any more. The connection stays open, and the broker cannot know that nobody is there.
    pub async fn stall(&mut self, client: usize) -> Result<(), Stop> {
        self.flush().await;
        self.clients[client].stop();
        self.clients[client].stalled = self.clients[client].connection.take();
        self.gone(client);
        Ok(())
    }

    /// Lets a timer of the protocol run out, and somewhat more.
    pub async fn wait(&mut self, client: usize, timer: Timer, seconds: u32) -> Result<(), Stop> {
        let until = Instant::now() + Duration::from_secs(1) * seconds + BEYOND_TIMER;
        match self.pump(until, |_| false).await {
            Waited::Ended(_) => Err(Stop),
            Waited::Done | Waited::Deadline => {
                self.record.observed(client, |client| Event::Timed { client, timer, seconds, passed: true });
                Ok(())
            }
        }
    }

    /// Lets most of a timer of the protocol pass, up to its last second. Whether it has run out when the client is back
    /// is noted then.
    pub async fn wait_almost(&mut self, seconds: u32) -> Result<(), Stop> {
        let until = Instant::now() + (Duration::from_secs(1) * seconds).saturating_sub(SHORT_OF_TIMER);
        match self.pump(until, |_| false).await {
            Waited::Ended(_) => Err(Stop),
            Waited::Done | Waited::Deadline => Ok(()),
        }
    }

    /// The will at the witness shows that the broker has noticed the end of the connection. One that is delayed shows
    /// nothing.
    pub async fn await_will(&mut self, client: usize) -> Result<(), Stop> {
        let delay = self.clients[client].connect.as_ref().and_then(|connect| connect.will.as_ref()?.delay);
        let Some(will) = self.clients[client].will.filter(|_| delay.is_none_or(|delay| delay == 0)) else {
            return Ok(());
        };
        let deadline = self.deadline();
        if self.witness.is_none() || self.await_witness(&[will], deadline).await != Waited::Deadline {
            return Ok(());
        }
        let awaited = Awaited::Will;
        self.record.observed(client, |name| Event::Missing(name, awaited));
        Err(Stop)
    }

    /// The connection gone is not the session detached: a later attempt gives the broker time for that.
    async fn detach(&mut self, client: usize) {
        if self.attempt > 1 {
            self.pump(Instant::now() + detaching(self.settle), |_| false).await;
            self.record.observed(client, Event::Settled);
        }
    }
}
