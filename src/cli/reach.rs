//! Options about the broker: where it is, who logs in, whom TLS trusts, and how names begin there.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

use super::positive_duration;
use crate::broker::EMBEDDED;

/// How to reach the broker.
#[derive(Debug, Args)]
#[command(next_help_heading = "Broker")]
pub struct Reach {
    /// mqtt://[USER[:PASSWORD]@]HOST[:PORT], with HOST,HOST for the nodes of a cluster, or embedded; also mqtts:// (TLS), ws:// and
    /// wss:// (WebSocket, /mqtt where the URL has no path), and unix:PATH; or a broker that is started for the run: mosquitto and others (`list --brokers`), or FILE.toml
    #[arg(long, short, value_name = "URL", env = "MQTT_SESSIONS_BROKER", default_value = EMBEDDED, hide_env_values = true)]
    pub broker: String,
    /// User name, where the URL has none
    #[arg(long, short, value_name = "NAME", env = "MQTT_SESSIONS_USERNAME", hide_env_values = true)]
    pub username: Option<String>,
    /// Password; better in the environment, where other users cannot see it
    #[arg(long, short = 'P', value_name = "PASSWORD", env = "MQTT_SESSIONS_PASSWORD", hide_env_values = true)]
    pub password: Option<String>,
    /// Read the password from the first line of this file; it comes before MQTT_SESSIONS_PASSWORD
    #[arg(long, value_name = "FILE")]
    pub password_file: Option<PathBuf>,
    /// User name of the clients that publish and never subscribe, if not the one above
    #[arg(long, value_name = "NAME", env = "MQTT_SESSIONS_PUBLISHER_USERNAME", hide_env_values = true)]
    pub publisher_username: Option<String>,
    /// Password of the clients that publish and never subscribe
    #[arg(long, value_name = "PASSWORD", env = "MQTT_SESSIONS_PUBLISHER_PASSWORD", hide_env_values = true)]
    pub publisher_password: Option<String>,
    /// Read the password of these clients from the first line of this file
    #[arg(long, value_name = "FILE")]
    pub publisher_password_file: Option<PathBuf>,
    #[command(flatten)]
    pub started: StartedBroker,
    #[command(flatten)]
    pub tls: Tls,
    #[command(flatten)]
    pub waits: Waits,
}

/// The options of a broker that is started.
#[derive(Debug, Args)]
#[command(next_help_heading = "Broker")]
pub struct StartedBroker {
    /// Keep the folder of a broker that is started, with its configuration, data and log
    #[arg(long)]
    pub keep: bool,
}

/// How long a broker is waited for.
#[derive(Debug, Args)]
#[command(next_help_heading = "Broker")]
pub struct Waits {
    /// How long any answer is waited for
    #[arg(long, value_name = "TIME", default_value = "5s", value_parser = positive_duration)]
    pub deadline: Duration,
    /// How long a connection and its CONNACK are waited for
    #[arg(long, value_name = "TIME", default_value = "5s", value_parser = positive_duration)]
    pub connect_timeout: Duration,
}

/// Whom TLS trusts, and as whom it presents itself.
#[derive(Debug, Args)]
#[command(next_help_heading = "Broker")]
pub struct Tls {
    /// TLS: trust the authorities of this PEM file, in place of the system's
    #[arg(long, value_name = "FILE")]
    pub cafile: Option<PathBuf>,
    /// TLS: the client's certificate, PEM
    #[arg(long, value_name = "FILE")]
    pub cert: Option<PathBuf>,
    /// TLS: the client's private key, PEM
    #[arg(long, value_name = "FILE")]
    pub key: Option<PathBuf>,
    /// TLS: trust whoever answers
    #[arg(long)]
    pub insecure: bool,
    /// TLS: offer these application protocols (ALPN), the best first
    #[arg(long, value_name = "PROTOCOL", value_delimiter = ',', value_parser = alpn)]
    pub alpn: Vec<String>,
}

/// How client ids and topics begin.
#[derive(Debug, Args)]
#[command(next_help_heading = "Names on the broker")]
pub struct Prefixes {
    /// How client ids begin, if not with the prefix; a broker must accept up to 12 of 0-9, a-z and A-Z
    #[arg(long, value_name = "P")]
    pub client_id_prefix: Option<String>,
    /// How topics begin, if not with the prefix: a topic of any depth below which the user may publish and subscribe
    #[arg(long, value_name = "P")]
    pub topic_prefix: Option<String>,
}

/// The name of a protocol has a byte for its length (RFC 7301, section 3.1).
fn alpn(text: &str) -> Result<String, String> {
    match text.len() {
        1..=255 => Ok(text.to_owned()),
        _ => Err("a protocol has 1 to 255 bytes; write mqtt".into()),
    }
}
