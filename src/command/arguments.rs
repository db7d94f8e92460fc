//! Turns the arguments of the command line into what the stages take.

use std::path::{Path, PathBuf};

use anyhow::{Result, anyhow};

use crate::broker::{BrokerFile, TlsOptions};
use crate::cli::{Amounts, Prefixes, QueueLimit, Reach, Tls};
use crate::input::read_first_line;
use crate::measure::BrokerRequest;
use crate::partition::Partition;
use crate::plan::{Declared, Settings};
use crate::printed_command::option;
use crate::results::Options;
use crate::run::Prefix;

impl From<&Amounts> for Settings {
    fn from(amounts: &Amounts) -> Settings {
        Settings { messages: amounts.messages, declared: Options::from(amounts).declared() }
    }
}

impl From<&Amounts> for Options {
    fn from(amounts: &Amounts) -> Options {
        let queue_limit = amounts.queue_limit.and_then(QueueLimit::messages);
        Options { messages: amounts.messages, queue_limit, durable: amounts.durable }
    }
}

impl Amounts {
    /// With what the file of this broker declares, as far as nothing else was typed.
    ///
    /// # Errors
    /// The mistake in the broker file.
    pub fn as_declared_by(&self, broker: &str) -> Result<Amounts> {
        Ok(BrokerFile::find(broker)?.map_or_else(|| self.clone(), |file| self.with(file.declared())))
    }

    /// With what is declared, as far as nothing else was typed.
    pub fn with(&self, declared: Declared) -> Amounts {
        let queue_limit = self.queue_limit.or(declared.queue_limit.map(QueueLimit::Messages));
        Amounts { queue_limit, durable: declared.durable, ..self.clone() }
    }

    /// Whether the cells can be planned without a look at the broker.
    ///
    /// # Errors
    /// The queue limit is to be measured first.
    pub fn check_planned(&self) -> Result<()> {
        match self.queue_limit {
            Some(QueueLimit::Probe) => Err(anyhow!(
                "--queue-limit probe measures the broker first, as matrix and run do; give the number of messages here"
            )),
            Some(QueueLimit::Messages(_)) | None => Ok(()),
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
    /// The broker as it is asked for, with the passwords that stand in files.
    ///
    /// # Errors
    /// A file that has no password.
    pub fn request(&self) -> Result<BrokerRequest> {
        let of_file = |option, file: &Option<PathBuf>, given: &Option<String>| match file {
            Some(file) => password_of(option, file).map(Some),
            None => Ok(given.clone()),
        };
        Ok(BrokerRequest {
            broker: self.broker.clone(),
            username: self.username.clone(),
            password: of_file("--password-file", &self.password_file, &self.password)?,
            password_file: self.password_file.clone(),
            publisher_username: self.publisher_username.clone(),
            publisher_password: of_file(
                "--publisher-password-file",
                &self.publisher_password_file,
                &self.publisher_password,
            )?,
            publisher_password_file: self.publisher_password_file.clone(),
            name: None,
            version: None,
            tls: (&self.tls).into(),
            keep: self.started.keep,
            commands: None,
            deadline: self.waits.deadline,
            connect_timeout: self.waits.connect_timeout,
        })
    }

    /// The broker whose URL stands alone, without an option.
    pub fn at(mut self, url: Option<String>) -> Reach {
        self.broker = url.unwrap_or(self.broker);
        self
    }
}

fn password_of(option: &str, file: &Path) -> Result<String> {
    let cure = "name a file with the password on its first line";
    read_first_line(file).map_err(|why| anyhow!("{option} {}: {why}; {cure}", file.display()))
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

/// As [`prefix`], for one part of a run: whatever all parts were given becomes another prefix in each.
///
/// # Errors
/// As [`prefix`].
pub fn prefix_of_part(given: Option<&str>, parts: &Prefixes, partition: Option<Partition>) -> Result<Prefix> {
    let prefix = prefix(given, parts)?;
    let is_random = given.is_none() && parts.client_id_prefix.is_none() && parts.topic_prefix.is_none();
    Ok(partition.filter(|_| !is_random).map_or(prefix.clone(), |own| prefix.part(own.part)))
}

/// The options that say how client ids and topics begin, as they were typed.
pub fn names(given: Option<&str>, parts: &Prefixes) -> Vec<String> {
    let typed = [
        ("--prefix", given),
        ("--client-id-prefix", parts.client_id_prefix.as_deref()),
        ("--topic-prefix", parts.topic_prefix.as_deref()),
    ];
    typed.into_iter().filter_map(|(name, value)| Some(option(name, value?))).flatten().collect()
}
