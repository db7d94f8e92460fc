//! The system under test: a URL, or the embedded broker.

#[cfg(feature = "embedded")]
mod embedded;
mod url;

use std::net::IpAddr;
use std::time::Duration;

use tokio::net::lookup_host;
use tokio::time::timeout;

use crate::connection::Endpoint;
use crate::packet::Login;
use crate::results::BrokerLabel;

pub use url::without_login;

/// The word that names the embedded broker where a URL could stand.
pub const EMBEDDED: &str = "embedded";

/// A broker that can be reached.
pub struct Broker {
    pub endpoint: Endpoint,
    pub login: Option<Login>,
    pub label: BrokerLabel,
    /// Without credentials.
    pub url: String,
    #[cfg(feature = "embedded")]
    _embedded: Option<embedded::Embedded>,
}

/// Why a broker cannot be measured: what, where, and what to do.
#[derive(Debug, thiserror::Error)]
pub enum BrokerError {
    #[error("--broker {given}: {why}: write mqtt://[USER[:PASSWORD]@]HOST[:PORT], or {EMBEDDED}")]
    Url { given: String, why: String },
    #[error("--broker: the name {host} cannot be resolved ({why}); check its spelling, or give an address")]
    Name { host: String, why: String },
    #[error("a password is given, but no user name; add --username NAME, or MQTT_SESSIONS_USERNAME")]
    NoUser,
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
    pub name: Option<String>,
    pub version: Option<String>,
}

impl Broker {
    /// Finds the broker; no packet is sent yet.
    ///
    /// # Errors
    /// [`BrokerError`], a sentence that says what to do.
    pub async fn find(broker: &str, given: Given, connect_timeout: Duration) -> Result<Broker, BrokerError> {
        if broker == EMBEDDED { Broker::embedded(given) } else { Broker::at(broker, given, connect_timeout).await }
    }

    #[cfg(feature = "embedded")]
    fn embedded(given: Given) -> Result<Broker, BrokerError> {
        let embedded = embedded::Embedded::start().map_err(BrokerError::Embedded)?;
        let address = embedded.address();
        Ok(Broker {
            endpoint: Endpoint::Tcp(vec![address]),
            login: None,
            label: BrokerLabel {
                name: given.name.or(Some(embedded::NAME.into())),
                version: given.version.or(Some(embedded::VERSION.into())),
                how: EMBEDDED.into(),
            },
            url: format!("mqtt://{address}"),
            _embedded: Some(embedded),
        })
    }

    #[cfg(not(feature = "embedded"))]
    fn embedded(_given: Given) -> Result<Broker, BrokerError> {
        Err(BrokerError::NotBuiltIn)
    }

    async fn at(broker: &str, given: Given, connect_timeout: Duration) -> Result<Broker, BrokerError> {
        let location = url::parse(broker).map_err(|why| BrokerError::Url { given: without_login(broker), why })?;
        let host = location.host.clone();
        let unresolved = |why: String| BrokerError::Name { host: host.clone(), why };
        let addresses = match host.parse::<IpAddr>() {
            Ok(address) => vec![(address, location.port).into()],
            Err(_) => match timeout(connect_timeout, lookup_host((host.as_str(), location.port))).await {
                Ok(Ok(addresses)) => addresses.collect(),
                Ok(Err(error)) => return Err(unresolved(error.to_string())),
                Err(_) => return Err(unresolved(format!("no answer within {} s", connect_timeout.as_secs_f32()))),
            },
        };
        let user = location.user.clone().or(given.user);
        let password = location.password.clone().or(given.password);
        if user.is_none() && password.is_some() {
            return Err(BrokerError::NoUser);
        }
        let password = password.unwrap_or_default();
        Ok(Broker {
            endpoint: Endpoint::Tcp(addresses),
            login: user.map(|user| Login { user, password }),
            label: BrokerLabel { name: given.name, version: given.version, how: "url".into() },
            url: location.without_credentials(),
            #[cfg(feature = "embedded")]
            _embedded: None,
        })
    }
}
