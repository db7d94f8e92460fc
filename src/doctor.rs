//! A broker -> what stands between it and a measurement: one check after the other, from its name to a session that is resumed.
//!
//! It judges nothing: whether a broker keeps its promises is the cells' business. It says what will work, what will not, and what
//! to do then.

mod certificate;
mod messages;
mod session;
mod way;

use std::fmt::Display;
use std::time::{Duration, Instant};

use serde::Serialize;

use crate::broker::Broker;
use crate::history::Event;
use crate::measure::{BrokerRequest, Obstacle, Reached, check_reachable, denied, probe_both, until_started};
use crate::output::conceal;
use crate::packet::{Connack, Packet, Protocol};
use crate::plan::Role;
use crate::results::BrokerLabel;
use crate::run::{self, Leftovers, Prefix, Probe, Refusal, SessionLeft, Talk, Target};

/// What tells the doctor's topics and client ids from those of experiments; as long as a cell's tag.
const TAG: &str = "0000doctor";
/// How many times all waits together may take the longest wait for a connection and for an answer.
const BOUND_FACTOR: u32 = 5;

/// What a check came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    Ok,
    /// A run works, and some of its cells will be unsupported or inconclusive, or will find something.
    Warning,
    /// No run works.
    Failed,
    /// The broker gave no answer that tells.
    Unclear,
}

/// One check.
#[derive(Debug, Clone, Serialize)]
pub struct Check {
    pub check: String,
    pub outcome: Outcome,
    pub said: String,
    /// What to do, where something is wrong and `said` does not tell it.
    pub cure: Option<String>,
}

impl Check {
    fn good(check: impl Into<String>, said: impl Into<String>) -> Check {
        Check { check: check.into(), outcome: Outcome::Ok, said: said.into(), cure: None }
    }

    fn bad(outcome: Outcome, check: impl Into<String>, said: impl Into<String>, cure: impl Into<String>) -> Check {
        Check { check: check.into(), outcome, said: said.into(), cure: Some(cure.into()) }
    }

    fn failed(check: &str, obstacle: &Obstacle) -> Check {
        Check::bad(Outcome::Failed, check, conceal(&obstacle.what), obstacle.cure.clone())
    }

    /// The time for all checks was over.
    pub fn out_of_time(bound: Duration) -> Check {
        let said = format!("the checks did not end within {}", humantime::format_duration(bound));
        Check::bad(Outcome::Unclear, "time", said, "the broker answers slowly; give a longer --deadline")
    }

    /// A signal came before all checks were made.
    pub fn interrupted() -> Check {
        Check::bad(Outcome::Unclear, "interrupted", "not all checks were made", "run the doctor again")
    }

    fn warning(check: impl Into<String>, said: impl Into<String>, cure: impl Into<String>) -> Check {
        Check::bad(Outcome::Warning, check, said, cure)
    }
}

/// The round trips of PINGREQ and PINGRESP, in milliseconds.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct RoundTrips {
    pub min: f64,
    pub median: f64,
    pub max: f64,
}

/// All that was found.
#[derive(Debug, Default, Serialize)]
pub struct Examined {
    /// Without credentials; `None` where the broker was not found.
    pub url: Option<String>,
    pub broker: Option<BrokerLabel>,
    pub checks: Vec<Check>,
    pub round_trip_ms: Option<RoundTrips>,
}

impl Examined {
    pub fn has(&self, outcome: Outcome) -> bool {
        self.checks.iter().any(|check| check.outcome == outcome)
    }

    fn add(&mut self, check: Check) {
        self.checks.push(check);
    }
}

/// How long the checks may take together; cleaning up takes ten seconds more at most.
pub fn bound(deadline: Duration, connect_timeout: Duration) -> Duration {
    BOUND_FACTOR * (deadline + connect_timeout)
}

/// A broker that was examined, as long as it is needed, and what the doctor may have left on it.
pub struct Patient {
    reached: Reached,
    prefix: Prefix,
}

/// Finds the broker and looks whether it lets a client in. `None` where the rest makes no sense.
pub async fn admit(request: &BrokerRequest, prefix: &Prefix, examined: &mut Examined) -> Option<Patient> {
    let failed = |check: &str, error: &dyn Display| {
        let said = conceal(&error.to_string());
        Check { check: check.into(), outcome: Outcome::Failed, said, cure: None }
    };
    let broker = match Broker::find(&request.broker, request.given(), request.connect_timeout).await {
        Ok(broker) => broker,
        Err(error) => {
            examined.add(failed("address", &error));
            return None;
        }
    };
    examined.url = Some(broker.url.clone());
    let target = request.target(&broker);
    if let Err(error) = until_started(&broker, &target, prefix).await {
        examined.add(failed("start", &error));
        return None;
    }
    if !way::check(&target, request.tls.insecure, examined).await {
        return None;
    }
    let probes = probe_both(&target, prefix).await;
    if let Err(obstacle) = check_reachable(&probes, &broker.url, target.login.is_some()) {
        examined.add(Check::failed("CONNECT", &obstacle));
        return None;
    }
    probes.iter().for_each(|probe| examined.add(letting_in(probe)));
    let reached = Reached { broker, target, probes };
    examined.broker = Some(reached.label());
    if reached.versions().is_empty() {
        examined.add(Check::bad(
            Outcome::Failed,
            "CONNECT",
            "no protocol version is accepted",
            "see the broker's log: a run would find all cells unsupported",
        ));
        return None;
    }
    Some(Patient { reached, prefix: prefix.clone() })
}

/// Whether a client of this version is let in, and what the broker announces to it.
fn letting_in(probe: &Probe) -> Check {
    let check = format!("MQTT {}", probe.protocol);
    match &probe.outcome {
        Ok(()) => {
            let connack = probe.history.events().find_map(|event| match event {
                Event::Received(_, Packet::Connack(connack)) => Some(announced(connack)),
                _ => None,
            });
            match connack.filter(|announced| !announced.is_empty() && probe.protocol == Protocol::V5) {
                Some(announced) => Check::good(check, format!("accepted; announced: {}", announced.join(", "))),
                None => Check::good(check, "accepted"),
            }
        }
        Err(Refusal { how, .. }) => {
            Check::warning(check, how.clone(), "cells of this version will be unsupported; see the broker's listeners")
        }
    }
}

/// What a CONNACK of 5.0 says of the broker (section 3.2.2.3).
fn announced(connack: &Connack) -> Vec<String> {
    let number = |name: &str, value: Option<u32>| value.map(|value| format!("{name} {value}"));
    let flag = |name: &str, value: Option<bool>| value.map(|value| format!("{name} {}", u8::from(value)));
    [
        number("Maximum QoS", connack.maximum_qos.map(u32::from)),
        flag("Retain Available", connack.retain_available),
        number("Receive Maximum", connack.receive_maximum.map(u32::from)),
        number("Maximum Packet Size", connack.maximum_packet_size),
        number("Topic Alias Maximum", connack.topic_alias_maximum.map(u32::from)),
        number("Session Expiry Interval", connack.session_expiry),
        number("Server Keep Alive", connack.server_keep_alive.map(u32::from)),
        flag("Wildcard Subscription Available", connack.wildcards_available),
        flag("Subscription Identifier Available", connack.subscription_ids_available),
        flag("Shared Subscription Available", connack.shared_available),
    ]
    .into_iter()
    .flatten()
    .collect()
}

impl Patient {
    /// What a client needs for an experiment.
    pub async fn examine(&self, examined: &mut Examined) {
        if let Some(what) = self.reached.forbidden(&self.prefix).await {
            examined.add(Check::failed("rights", &denied(&what, &self.prefix, &self.reached.target)));
            return;
        }
        // 5.0 gives reasons, and comes last.
        let versions = self.reached.versions();
        let Some(protocol) = versions.last().copied() else { return };
        messages::check(self, protocol, examined).await;
        for protocol in versions {
            examined.add(session::check(self, protocol).await);
        }
        messages::round_trips(self, protocol, examined).await;
    }

    /// Ends the sessions, and clears the retained messages.
    pub async fn clean(&self, examined: &mut Examined) {
        let versions = self.reached.versions();
        let sessions = versions.iter().map(|protocol| SessionLeft {
            client_id: self.client_id(session::place(*protocol)),
            protocol: *protocol,
            role: Role::Main,
            persists: true,
            existed: true,
        });
        let mut leftovers = Leftovers { retained: [self.topic(messages::RETAINED)].into(), ..Leftovers::default() };
        sessions.for_each(|session| leftovers.add(session));
        let cleanup = run::clean(&self.reached.target, &self.prefix, leftovers, &versions).await;
        examined.add(match cleanup.is_clean() {
            true => Check::good("clean-up", cleanup.sentence()),
            false => Check::bad(
                Outcome::Unclear,
                "clean-up",
                cleanup.sentence(),
                "what the doctor leaves are a session a version and one retained message, below its prefix",
            ),
        });
    }

    pub fn broker(&self) -> &Broker {
        &self.reached.broker
    }

    fn target(&self) -> &Target {
        &self.reached.target
    }

    fn topic(&self, name: &str) -> String {
        run::topic(&self.prefix, TAG, name)
    }

    fn client_id(&self, place: usize) -> String {
        run::client_id(&self.prefix, TAG, place)
    }

    /// A clean connection of a client of its own.
    async fn talk(&self, protocol: Protocol, role: Role, place: usize) -> Result<Talk, String> {
        let connect = self.target().connect_as(role, protocol, self.client_id(place), true, KEEP_ALIVE_S);
        Talk::open(self.target(), connect).await.map_err(|refusal| refusal.how)
    }

    /// Until when an answer is waited for.
    fn deadline(&self) -> tokio::time::Instant {
        tokio::time::Instant::now() + self.target().deadline
    }
}

/// In seconds.
const KEEP_ALIVE_S: u16 = 60;

/// `0.3 ms`.
fn milliseconds(began: Instant) -> String {
    format!("{:.1} ms", began.elapsed().as_secs_f64() * 1000.0)
}
