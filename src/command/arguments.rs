//! Turns the arguments of the command line into what the stages take.

use anyhow::{Result, anyhow};

use crate::broker::TlsOptions;
use crate::cli::{Amounts, Prefixes, Reach, Tls};
use crate::measure::BrokerRequest;
use crate::plan::Settings;
use crate::results::Options;
use crate::run::Prefix;

impl From<&Amounts> for Settings {
    fn from(amounts: &Amounts) -> Settings {
        Settings { messages: amounts.messages, queue_limit: amounts.queue_limit }
    }
}

impl From<&Amounts> for Options {
    fn from(amounts: &Amounts) -> Options {
        Options { messages: amounts.messages, queue_limit: amounts.queue_limit }
    }
}

impl From<&Reach> for BrokerRequest {
    fn from(reach: &Reach) -> BrokerRequest {
        BrokerRequest {
            broker: reach.broker.clone(),
            username: reach.username.clone(),
            password: reach.password.clone(),
            name: None,
            version: None,
            tls: (&reach.tls).into(),
            deadline: reach.deadline,
            connect_timeout: reach.connect_timeout,
        }
    }
}

impl From<&Tls> for TlsOptions {
    fn from(tls: &Tls) -> TlsOptions {
        TlsOptions {
            cafile: tls.cafile.clone(),
            cert: tls.cert.clone(),
            key: tls.key.clone(),
            insecure: tls.insecure,
            alpn: tls.alpn.clone(),
        }
    }
}

impl Reach {
    /// The broker whose URL stands alone, without an option.
    pub fn at(mut self, url: Option<String>) -> Reach {
        self.broker = url.unwrap_or(self.broker);
        self
    }
}

/// How client ids and topics begin: as was asked for, or at random.
///
/// # Errors
/// A prefix that cannot stand in a client id or in a topic.
pub fn prefix(given: Option<&str>, parts: &Prefixes) -> Result<Prefix> {
    let random = Prefix::random();
    let (client_id, topic) = match given {
        Some(given) => (given, given),
        None => (random.client_id.as_str(), random.topic.as_str()),
    };
    let client_id = parts.client_id_prefix.as_deref().unwrap_or(client_id);
    let topic = parts.topic_prefix.as_deref().unwrap_or(topic);
    Prefix::new(client_id, topic).map_err(|why| anyhow!("prefix: {why}"))
}
