//! Broker files: how a broker is started, as TOML. Those of `brokers/` are built in; a user may have more.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use serde::Deserialize;

use super::started::StartError;
use super::template::Template;
use super::values::{PORT, Values};
use crate::plan::Declared;
use crate::vocabulary::{Ending, NODES_MAX};

/// The built-in files, by the name of the broker.
const BUILT_IN: &[(&str, &str)] = &[
    ("activemq", include_str!("../../brokers/activemq.toml")),
    ("aedes", include_str!("../../brokers/aedes.toml")),
    ("aedes-2", include_str!("../../brokers/aedes-2.toml")),
    ("amqtt", include_str!("../../brokers/amqtt.toml")),
    ("artemis", include_str!("../../brokers/artemis.toml")),
    ("ejabberd", include_str!("../../brokers/ejabberd.toml")),
    ("flashmq", include_str!("../../brokers/flashmq.toml")),
    ("hivemq-ce", include_str!("../../brokers/hivemq-ce.toml")),
    ("mochi", include_str!("../../brokers/mochi.toml")),
    ("mosca", include_str!("../../brokers/mosca.toml")),
    ("mosquitto", include_str!("../../brokers/mosquitto.toml")),
    ("nanomq", include_str!("../../brokers/nanomq.toml")),
    ("nats", include_str!("../../brokers/nats.toml")),
    ("nats-2.9", include_str!("../../brokers/nats-2.9.toml")),
    ("rabbitmq", include_str!("../../brokers/rabbitmq.toml")),
    ("rmqtt", include_str!("../../brokers/rmqtt.toml")),
    ("rumqttd", include_str!("../../brokers/rumqttd.toml")),
];

/// How a file of the user's own ends.
const EXTENSION: &str = "toml";
/// How long a broker may take until it answers a CONNECT, and to stop, where its file does not say.
const READY_WITHIN_S: u32 = 30;
const STOPS_WITHIN_S: u32 = 30;

/// A broker file.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BrokerFile {
    pub name: String,
    /// The command that installs it.
    pub install: Template,
    /// Programs that have to be found in PATH, or where Debian has daemons. The path of each is a value of its name.
    #[serde(default)]
    pub programs: Vec<String>,
    /// Files that have to be there before.
    #[serde(default)]
    pub needs: Vec<Template>,
    /// The command that runs it in the foreground.
    pub start: Vec<Template>,
    #[serde(default)]
    pub environment: BTreeMap<String, Template>,
    /// Configuration, by the name below the broker's own folder.
    #[serde(default)]
    pub files: BTreeMap<String, Template>,
    pub version: Option<VersionCommand>,
    /// Who may log in, where not everybody may.
    pub username: Option<String>,
    pub password: Option<String>,
    /// In seconds.
    #[serde(default = "ready_within_s")]
    pub ready_within_s: u32,
    /// How many messages it keeps for a session, where that is configured.
    pub queue_limit: Option<u32>,
    /// It keeps sessions and retained messages over an end like this, and what it loses fails.
    pub durable: Option<Ending>,
    /// How many nodes are started, each with a folder and ports of its own.
    #[serde(default = "one_node")]
    pub nodes: u32,
    /// The name of the ports through which nodes talk. They find relays there, so that a node can be cut off from the others.
    pub relayed: Option<String>,
    /// Written after the broker's documentation; nobody has started the broker with it yet.
    #[serde(default)]
    pub untried: bool,
    /// In seconds, from SIGTERM on.
    #[serde(default = "stops_within_s")]
    pub stops_within_s: u32,
    /// Texts by name, for `${NAME}` in all texts above.
    #[serde(default)]
    pub values: BTreeMap<String, Template>,
    /// Other configurations of the same broker, by name.
    #[serde(default)]
    pub variants: BTreeMap<String, Variant>,
}

/// How a broker tells its version.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct VersionCommand {
    pub command: Vec<Template>,
    /// The text in front of the version in the command's output.
    #[serde(default)]
    pub behind: String,
}

/// Another configuration of a broker.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Variant {
    /// The behaviour of the broker then, as half a sentence.
    pub about: String,
    /// In place of that of the file.
    pub queue_limit: Option<u32>,
    /// In place of that of the file.
    pub durable: Option<Ending>,
    /// In place of that of the file.
    pub nodes: Option<u32>,
    /// In place of those of the file.
    #[serde(default)]
    pub values: BTreeMap<String, Template>,
}

fn one_node() -> u32 {
    1
}

fn ready_within_s() -> u32 {
    READY_WITHIN_S
}

fn stops_within_s() -> u32 {
    STOPS_WITHIN_S
}

/// Why a broker file cannot be used: what and where, and what is accepted.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    #[error("--broker {typed}: cannot read the broker file: {why}; name one that is there, or one of `list --brokers`")]
    Unreadable { typed: String, why: String },
    #[error("--broker {typed}: {why}; see docs/broker-files.md for the keys")]
    Malformed { typed: String, why: String },
    #[error("--broker {typed}: {name} has no variant {variant}; {known}")]
    NoVariant { typed: String, name: String, variant: String, known: String },
}

/// The parts of `NAME:VARIANT` or `FILE.toml:VARIANT`.
pub fn name_and_variant(typed: &str) -> (&str, Option<&str>) {
    match typed.rsplit_once(':') {
        Some((name, variant)) if !variant.contains('/') => (name, Some(variant)),
        _ => (typed, None),
    }
}

impl BrokerFile {
    /// The file that is meant by what stands behind `--broker`: `NAME`, `NAME:VARIANT`, `FILE.toml` or `FILE.toml:VARIANT`, with the
    /// values of the variant; `None` if no broker file is meant.
    ///
    /// # Errors
    /// [`FileError`], a sentence for the user.
    pub fn find(typed: &str) -> Result<Option<BrokerFile>, FileError> {
        if typed.contains("://") || typed.starts_with("unix:") {
            return Ok(None);
        }
        let (name, variant) = name_and_variant(typed);
        let is_file = Path::new(name).extension().is_some_and(|extension| extension == EXTENSION);
        let built_in = BUILT_IN.iter().find(|(built_in, _)| *built_in == name);
        let text = match built_in {
            Some((_, text)) => (*text).to_owned(),
            None if is_file => crate::input::read_text(Path::new(name))
                .map_err(|error| FileError::Unreadable { typed: typed.into(), why: error.to_string() })?,
            None => return Ok(None),
        };
        let file = BrokerFile::parse(&text).map_err(|why| FileError::Malformed { typed: typed.into(), why })?;
        let Some(variant) = variant else { return Ok(Some(file)) };
        // A port behind a name means a host of this name.
        if built_in.is_some() && variant.parse::<u16>().is_ok() {
            return Ok(None);
        }
        file.with_variant(typed, variant).map(Some)
    }

    /// The built-in ones.
    pub fn built_in() -> impl Iterator<Item = BrokerFile> {
        BUILT_IN.iter().filter_map(|(_, text)| BrokerFile::parse(text).ok())
    }

    fn parse(text: &str) -> Result<BrokerFile, String> {
        let file: BrokerFile = toml::from_str(text).map_err(|error| error.to_string().trim_end().to_owned())?;
        if file.start.is_empty() {
            return Err("start is empty: it is the command that runs the broker in the foreground".into());
        }
        if let Some(name) = file.relayed.as_ref().filter(|name| !name.starts_with(PORT)) {
            return Err(format!("relayed is {name}: it is the name of a port, which begins with {PORT}"));
        }
        let nodes = file.variants.values().filter_map(|variant| variant.nodes).chain([file.nodes]);
        match nodes.into_iter().find(|nodes| !(1..=NODES_MAX).contains(nodes)) {
            Some(nodes) => Err(format!("nodes is {nodes}: a broker has 1 to {NODES_MAX} nodes")),
            None => Ok(file),
        }
    }

    fn with_variant(mut self, typed: &str, variant: &str) -> Result<BrokerFile, FileError> {
        match self.variants.get(variant) {
            Some(found) => {
                self.values.extend(found.values.clone());
                self.queue_limit = found.queue_limit.or(self.queue_limit);
                self.durable = found.durable.or(self.durable);
                self.nodes = found.nodes.unwrap_or(self.nodes);
                Ok(self)
            }
            None => Err(FileError::NoVariant {
                typed: typed.into(),
                name: self.name.clone(),
                variant: variant.into(),
                known: match self.variants.len() {
                    0 => "it has none; write the name alone".into(),
                    _ => format!("it has {}", self.variants.keys().cloned().collect::<Vec<_>>().join(", ")),
                },
            }),
        }
    }

    /// The version of the broker that is installed here, where it tells one.
    ///
    /// # Errors
    /// It is not installed; the sentence says how it is.
    pub fn installed(&self) -> Result<Option<String>, StartError> {
        Ok(Values::of(self, &[std::env::temp_dir()])?.0[0].version(self))
    }

    /// What it declares about the broker.
    pub fn declared(&self) -> Declared {
        Declared { queue_limit: self.queue_limit, durable: self.durable }
    }

    /// How long the broker may take to stop.
    pub fn stops_within(&self) -> Duration {
        Duration::from_secs(self.stops_within_s.into())
    }

    /// How long it may take until it answers a CONNECT.
    pub fn ready_within(&self) -> Duration {
        Duration::from_secs(self.ready_within_s.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_built_in_file_has_the_name_of_its_broker() {
        for (name, text) in BUILT_IN {
            let file = BrokerFile::parse(text).unwrap_or_else(|why| panic!("{name}: {why}"));
            assert_eq!(file.name, *name);
        }
    }

    #[test]
    fn each_file_of_the_folder_is_built_in() {
        let folder = std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/brokers")).unwrap();
        let paths = folder.map(|entry| entry.unwrap().path()).filter(|path| path.extension().is_some());
        let mut files: Vec<String> =
            paths.map(|path| path.file_stem().unwrap().to_string_lossy().into_owned()).collect();
        files.sort();
        assert_eq!(files, BUILT_IN.iter().map(|(name, _)| *name).collect::<Vec<_>>());
    }

    #[test]
    fn each_name_in_a_built_in_file_has_a_value() {
        for file in BrokerFile::built_in() {
            let of_file = |name: &str| file.programs.iter().any(|own| own == name) || file.values.contains_key(name);
            let of_tool = |name: &str| matches!(name, "folder" | "cache" | "number") || name.starts_with("port");
            // node, the program of JavaScript, was once taken for the number of a node.
            assert!(!file.programs.iter().chain(file.values.keys()).any(|name| of_tool(name)), "{}", file.name);
            let has_value = |name: &str| of_tool(name) || of_file(name);
            let version = file.version.iter().flat_map(|version| &version.command);
            let texts = [&file.install].into_iter().chain(&file.needs).chain(&file.start).chain(version);
            let texts = texts.chain(file.environment.values()).chain(file.files.values()).chain(file.values.values());
            let texts = texts.chain(file.variants.values().flat_map(|variant| variant.values.values()));
            for name in texts.flat_map(Template::names) {
                assert!(has_value(name), "{}: {name}", file.name);
            }
            // A variant can replace only a value that is there.
            let replaced = file.variants.values().flat_map(|variant| variant.values.keys());
            assert!(replaced.into_iter().all(|name| file.values.contains_key(name)), "{}", file.name);
        }
    }

    #[test]
    fn a_variant_has_values_of_its_own() {
        let plain = BrokerFile::find("mosquitto").unwrap().unwrap();
        let persistent = BrokerFile::find("mosquitto:persistent").unwrap().unwrap();
        assert_ne!(plain.values["settings"], persistent.values["settings"]);
        let error = BrokerFile::find("mosquitto:perfect").unwrap_err().to_string();
        assert!(error.starts_with("--broker mosquitto:perfect: mosquitto has no variant perfect; it has "), "{error}");
    }

    #[test]
    fn a_host_is_no_broker_file() {
        for typed in
            ["localhost", "mqtt://mosquitto", "mosquitto:1883", "[::1]:1883", "unix:/tmp/x.toml", "ws://host/x.toml"]
        {
            assert_eq!(BrokerFile::find(typed).unwrap(), None, "{typed}");
        }
    }

    #[test]
    fn a_mistake_in_a_file_is_told_with_its_line() {
        let why = BrokerFile::parse("name = \"x\"\ninstall = \"y\"\nstart = [\"x\"]\nprogram = 1\n").unwrap_err();
        assert!(why.contains("line 4") && why.contains("program"), "{why}");
        let why = BrokerFile::parse("name = \"x\"\ninstall = \"y\"\nstart = [\"${\"]\n").unwrap_err();
        assert!(why.contains("line 3") && why.contains("${"), "{why}");
    }
}
