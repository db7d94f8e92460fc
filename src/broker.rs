//! The system under test: a URL, a broker that is started from its file, or the embedded broker.

#[cfg(feature = "embedded")]
mod embedded;
mod file;
mod operator;
mod relay;
mod started;
mod template;
mod trust;
mod url;
mod values;

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::lookup_host;
use tokio::time::timeout;

use crate::connection::Endpoint;
use crate::connection::websocket::upgrade::Resource;
use crate::packet::Login;
use crate::results::BrokerLabel;

pub use file::{BrokerFile, FileError, name_and_variant};
pub use operator::{Commands, ENDS_WITHIN, Operator, OperatorError};
pub use started::{StartError, Started};
pub use trust::{TlsOptions, TrustError};
pub use url::without_login;
use url::{Location, Network};

/// The word that names the embedded broker where a URL could stand.
pub const EMBEDDED: &str = BrokerLabel::EMBEDDED;

/// The name and the version of the embedded broker; nothing where this build has none.
pub fn embedded_is() -> Option<(&'static str, &'static str)> {
    #[cfg(feature = "embedded")]
    return Some((embedded::NAME, embedded::VERSION));
    #[cfg(not(feature = "embedded"))]
    return None;
}

/// A broker that can be reached.
pub struct Broker {
    /// One for each node, at least one.
    pub nodes: Vec<Endpoint>,
    pub login: Option<Login>,
    /// The login of clients that only publish, where it is another one.
    pub publisher_login: Option<Login>,
    pub label: BrokerLabel,
    /// Without credentials.
    pub url: String,
    /// How it is ended and started again, where that is known. One that was started for this run ends with it.
    pub operator: Option<Arc<Operator>>,
    #[cfg(feature = "embedded")]
    _embedded: Option<embedded::Embedded>,
}

/// Why a broker cannot be measured: what, where, and what to do.
#[derive(Debug, thiserror::Error)]
pub enum BrokerError {
    #[error(
        "--broker {given}: {why}; write mqtt://[USER[:PASSWORD]@]HOST[:PORT], or {EMBEDDED}; other transports are \
             mqtts://, ws://, wss:// and unix:PATH"
    )]
    Url { given: String, why: String },
    #[error("--broker: the name {host} cannot be resolved ({why}); check its spelling, or give an address")]
    Name { host: String, why: String },
    #[error("a password is given, but no user name; add --username NAME, or MQTT_SESSIONS_USERNAME")]
    NoUser,
    #[error(
        "a password of the publisher is given, but no user name; add --publisher-username NAME, or \
         MQTT_SESSIONS_PUBLISHER_USERNAME"
    )]
    NoPublisher,
    #[error(transparent)]
    Trust(#[from] TrustError),
    #[error(transparent)]
    File(#[from] FileError),
    #[error(transparent)]
    Start(#[from] StartError),
    #[error("{option} is for TLS, which {how} does not speak; write mqtts://HOST or wss://HOST")]
    NoTls { option: &'static str, how: String },
    #[error("this build has no embedded broker; name one with --broker mqtt://HOST[:PORT]")]
    NotBuiltIn,
    #[error("the embedded broker did not start: {0}; name another with --broker mqtt://HOST[:PORT]")]
    Embedded(String),
}

/// The options of a broker that the user gives beside its URL.
#[derive(Debug, Clone, Default)]
pub struct Given {
    /// The URL's own user name and password come first.
    pub user: Option<String>,
    pub password: Option<String>,
    pub publisher_user: Option<String>,
    pub publisher_password: Option<String>,
    pub name: Option<String>,
    pub version: Option<String>,
    pub tls: TlsOptions,
    /// The folder of a broker that is started stays.
    pub keep: bool,
    /// How one that is not started for the run is ended and started.
    pub commands: Option<Commands>,
}

impl Broker {
    /// Finds the broker; no packet is sent yet.
    ///
    /// # Errors
    /// [`BrokerError`], a sentence that says what to do.
    pub async fn find(broker: &str, given: Given, connect_timeout: Duration) -> Result<Broker, BrokerError> {
        if broker == EMBEDDED {
            speaks_no_tls(&given.tls, "the embedded broker")?;
            return Broker::embedded(given);
        }
        if let Some(file) = BrokerFile::find(broker)? {
            speaks_no_tls(&given.tls, &file.name)?;
            return Broker::start(&file, broker, given);
        }
        let location = url::parse(broker).map_err(|why| BrokerError::Url { given: without_login(broker), why })?;
        match location {
            Location::Unix(path) => Broker::of_unix(path, given),
            Location::Hosts(nodes) => Broker::at(nodes, given, connect_timeout).await,
        }
    }

    #[cfg(feature = "embedded")]
    fn embedded(given: Given) -> Result<Broker, BrokerError> {
        let embedded = embedded::Embedded::start().map_err(BrokerError::Embedded)?;
        let address = embedded.address();
        Ok(Broker {
            nodes: vec![Endpoint::tcp([address])],
            login: None,
            publisher_login: None,
            label: BrokerLabel {
                name: given.name.or(Some(embedded::NAME.into())),
                version: given.version.or(Some(embedded::VERSION.into())),
                how: EMBEDDED.into(),
            },
            url: format!("mqtt://{address}"),
            operator: None,
            _embedded: Some(embedded),
        })
    }

    #[cfg(not(feature = "embedded"))]
    fn embedded(_given: Given) -> Result<Broker, BrokerError> {
        Err(BrokerError::NotBuiltIn)
    }

    /// Nothing of it stays.
    pub fn ends_with_the_run(&self) -> bool {
        self.is_started() || self.label.how == EMBEDDED
    }

    /// It was started for this run.
    pub fn is_started(&self) -> bool {
        self.operator.as_ref().is_some_and(|operator| operator.is_of_run())
    }

    fn start(file: &BrokerFile, typed: &str, given: Given) -> Result<Broker, BrokerError> {
        let (nodes, relays) = Started::start(file, given.keep)?;
        let label = BrokerLabel {
            name: given.name.clone().or(Some(file.name.clone())),
            version: given.version.clone().or(nodes[0].version.clone()),
            how: typed.into(),
        };
        let addresses: Vec<SocketAddr> = nodes.iter().map(|node| node.address).collect();
        let url = format!("mqtt://{}", addresses.iter().map(SocketAddr::to_string).collect::<Vec<_>>().join(","));
        let given = Given {
            user: given.user.or(file.username.clone()),
            password: given.password.or(file.password.clone()),
            ..given
        };
        let endpoints = addresses.into_iter().map(|address| Endpoint::tcp([address])).collect();
        let broker = Broker::named(endpoints, given, url)?;
        Ok(Broker { label, operator: Some(Arc::new(Operator::of(nodes, relays))), ..broker })
    }

    fn of_unix(path: PathBuf, given: Given) -> Result<Broker, BrokerError> {
        let url = format!("unix:{}", path.display());
        speaks_no_tls(&given.tls, &url)?;
        Broker::named(vec![Endpoint::unix(path)], given, url)
    }

    async fn at(nodes: Vec<Network>, given: Given, connect_timeout: Duration) -> Result<Broker, BrokerError> {
        let url = nodes[0].without_credentials(&nodes[1..]);
        let mut endpoints = Vec::new();
        for node in &nodes {
            if !node.scheme.tls {
                speaks_no_tls(&given.tls, &url)?;
            }
            endpoints.push(endpoint(node, &given.tls, connect_timeout).await?);
        }
        // All nodes have the login of the URL.
        let Network { user, password, .. } = nodes.into_iter().next().expect("a URL has a host");
        let given = Given { user: user.or(given.user), password: password.or(given.password), ..given };
        Broker::named(endpoints, given, url)
    }

    fn named(nodes: Vec<Endpoint>, given: Given, url: String) -> Result<Broker, BrokerError> {
        Ok(Broker {
            nodes,
            login: login(given.user, given.password, BrokerError::NoUser)?,
            publisher_login: login(given.publisher_user, given.publisher_password, BrokerError::NoPublisher)?,
            label: BrokerLabel { name: given.name, version: given.version, how: BrokerLabel::BY_URL.into() },
            url,
            operator: given.commands.map(|commands| Arc::new(Operator::by(commands))),
            #[cfg(feature = "embedded")]
            _embedded: None,
        })
    }
}

fn login(user: Option<String>, password: Option<String>, no_user: BrokerError) -> Result<Option<Login>, BrokerError> {
    match (user, password) {
        (None, Some(_)) => Err(no_user),
        (user, password) => Ok(user.map(|user| Login { user, password: password.unwrap_or_default() })),
    }
}

async fn endpoint(node: &Network, tls: &TlsOptions, connect_timeout: Duration) -> Result<Endpoint, BrokerError> {
    let tls = if node.scheme.tls { Some(tls.tls(&node.host)?) } else { None };
    let mut endpoint = Endpoint::tcp(addresses(node, connect_timeout).await?);
    endpoint.tls = tls;
    if node.scheme.websocket {
        endpoint.websocket = Some(Arc::new(Resource { host: node.host_and_port(), path: node.path.clone() }));
    }
    Ok(endpoint)
}

/// All addresses of the host, in the order of the resolver.
async fn addresses(network: &Network, connect_timeout: Duration) -> Result<Vec<SocketAddr>, BrokerError> {
    let Network { host, port, .. } = network;
    if let Ok(address) = host.parse::<IpAddr>() {
        return Ok(vec![(address, *port).into()]);
    }
    let why = match timeout(connect_timeout, lookup_host((host.as_str(), *port))).await {
        Ok(Ok(addresses)) => return Ok(addresses.collect()),
        Ok(Err(error)) => error.to_string(),
        Err(_) => format!("no answer within {} s", connect_timeout.as_secs_f32()),
    };
    Err(BrokerError::Name { host: host.clone(), why })
}

/// Options of TLS are a mistake where there is none.
fn speaks_no_tls(options: &TlsOptions, how: &str) -> Result<(), BrokerError> {
    match options.any() {
        Some(option) => Err(BrokerError::NoTls { option, how: how.into() }),
        None => Ok(()),
    }
}
