//! The broker under test, who logs in to it, and how long it is waited for.

use std::sync::Arc;
use std::time::Duration;

use super::turns::Turns;
use crate::broker::{ENDS_WITHIN, Operator};
use crate::connection::Endpoint;
use crate::packet::{Connect, Login, Protocol};
use crate::plan::Role;
use crate::session_rules::LONG_EXPIRY_S;
use crate::vocabulary::FIRST_NODE;

/// How many times as long as its first start an end or a start of a broker may take, and how long at least, as far as a run counts on it.
const TURN_FACTOR: u32 = 3;
const TURN_MIN: Duration = Duration::from_secs(5);

/// The broker, and how long it is waited for.
#[derive(Clone)]
pub struct Target {
    /// The node to which clients connect that belong to no cell.
    pub endpoint: Endpoint,
    /// One for each node, at least one.
    nodes: Vec<Endpoint>,
    pub login: Option<Login>,
    /// The login of clients that publish and never subscribe, where they have one of their own.
    publisher_login: Option<Login>,
    pub deadline: Duration,
    pub connect_timeout: Duration,
    /// How the broker is ended and started again, where that is known.
    pub operator: Option<Arc<Operator>>,
    /// How long it takes to end it or to start it, as far as is known; no run waits longer for it than the operator does.
    pub turn: Duration,
    pub(super) turns: Arc<Turns>,
}

impl Target {
    pub fn new(endpoint: Endpoint, login: Option<Login>, deadline: Duration, connect_timeout: Duration) -> Target {
        let turns = Arc::new(Turns::new());
        let nodes = vec![endpoint.clone()];
        let target = Target {
            endpoint,
            nodes,
            login,
            publisher_login: None,
            deadline,
            connect_timeout,
            operator: None,
            turn: ENDS_WITHIN,
            turns,
        };
        target.with_publisher(None)
    }

    /// The same broker with further nodes.
    #[must_use]
    pub fn with_further_nodes(mut self, further: &[Endpoint]) -> Target {
        self.nodes.extend_from_slice(further);
        self.with_secrets()
    }

    /// The same broker, reached from these addresses of this machine in turn.
    #[must_use]
    pub fn from_sources(mut self, sources: &[std::net::IpAddr]) -> Target {
        let endpoints = self.nodes.iter_mut().chain([&mut self.endpoint]);
        endpoints.for_each(|endpoint| *endpoint = endpoint.clone().from_sources(sources));
        self
    }

    /// How many nodes the broker has.
    pub fn nodes(&self) -> u32 {
        self.nodes.len() as u32
    }

    /// The same broker for those who connect to this node, from 1.
    ///
    /// # Panics
    /// If the broker has no such node.
    #[must_use]
    pub fn at(&self, node: u32) -> Target {
        Target { endpoint: self.node(node).clone(), ..self.clone() }
    }

    /// Where a node is, from 1.
    ///
    /// # Panics
    /// If the broker has no such node.
    pub fn node(&self, node: u32) -> &Endpoint {
        &self.nodes[(node - FIRST_NODE) as usize]
    }

    /// The same broker, to which clients that only publish log in like this.
    pub fn with_publisher(mut self, login: Option<Login>) -> Target {
        self.publisher_login = login;
        self.with_secrets()
    }

    fn with_secrets(mut self) -> Target {
        let logins = self.login.iter().chain(&self.publisher_login);
        let secrets: Arc<[Vec<u8>]> = logins.map(|login| login.password.clone().into_bytes()).collect();
        let endpoints = self.nodes.iter_mut().chain([&mut self.endpoint]);
        endpoints.for_each(|endpoint| endpoint.secrets = secrets.clone());
        self
    }

    /// The same broker, which can be ended and started like this.
    pub fn with_operator(self, operator: Option<Arc<Operator>>) -> Target {
        Target { operator, ..self }
    }

    /// The same broker, which was ready so long after its start.
    #[must_use]
    pub fn with_start(self, took: Duration) -> Target {
        Target { turn: (TURN_FACTOR * took).clamp(TURN_MIN, ENDS_WITHIN), ..self }
    }

    /// The login of clients with this role.
    pub fn login_of(&self, role: Role) -> Option<&Login> {
        match role {
            Role::Publisher if self.publisher_login.is_some() => self.publisher_login.as_ref(),
            Role::Publisher | Role::Main => self.login.as_ref(),
        }
    }

    /// Clients that only publish log in as somebody else.
    pub fn has_two_logins(&self) -> bool {
        self.publisher_login.is_some()
    }

    /// The same broker, for connections that do not wait for those of others to come about.
    pub(super) fn apart(&self) -> Target {
        Target { turns: Arc::new(Turns::new()), ..self.clone() }
    }

    /// The CONNECT of a client with the main login. In 5.0 a session that shall outlive its connection asks for
    /// [`LONG_EXPIRY_S`].
    pub(super) fn connect(&self, protocol: Protocol, client_id: String, clean: bool, keep_alive: u16) -> Connect {
        self.connect_as(Role::Main, protocol, client_id, clean, keep_alive)
    }

    /// As [`Target::connect`], with the login of this role.
    pub fn connect_as(
        &self,
        role: Role,
        protocol: Protocol,
        client_id: String,
        clean: bool,
        keep_alive: u16,
    ) -> Connect {
        let expiry = if clean { 0 } else { LONG_EXPIRY_S };
        Connect {
            clean,
            session_expiry: (protocol == Protocol::V5).then_some(expiry),
            keep_alive,
            login: self.login_of(role).cloned(),
            ..Connect::new(protocol, client_id)
        }
    }
}
