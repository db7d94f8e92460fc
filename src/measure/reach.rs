//! The broker is found and answers, or the user reads why not and what to do.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Result, anyhow};
use tokio::sync::watch;
use tokio::time::{Instant, sleep};

use crate::broker::{Broker, Commands, Given, TlsOptions};
use crate::connection::{End, tls};
use crate::interruption::unless_interrupted;
use crate::output::note;
use crate::packet::{Login, Protocol};
use crate::printed_command::option;
use crate::results::BrokerLabel;
use crate::run::{self, Forbidden, Prefix, Probe, Refusal, RefusalKind, Rights, Target};

/// What `--deadline` and `--connect-timeout` are when they are not given.
const USUAL_WAIT: Duration = Duration::from_secs(5);

/// Which broker, and how long it is waited for.
#[derive(Debug, Clone)]
pub struct BrokerRequest {
    /// A URL, or the word for the embedded one.
    pub broker: String,
    pub username: Option<String>,
    pub password: Option<String>,
    /// Where the password stands, if in a file.
    pub password_file: Option<PathBuf>,
    /// The login of clients that publish and never subscribe, where it is another one.
    pub publisher_username: Option<String>,
    pub publisher_password: Option<String>,
    pub publisher_password_file: Option<PathBuf>,
    /// How the results call it.
    pub name: Option<String>,
    pub version: Option<String>,
    pub tls: TlsOptions,
    /// The folder of a broker that is started stays.
    pub keep: bool,
    /// How one that is not started for the run is ended and started.
    pub commands: Option<Commands>,
    /// The longest wait for any answer.
    pub deadline: Duration,
    /// The longest wait for a connection and its CONNACK.
    pub connect_timeout: Duration,
}

impl BrokerRequest {
    /// A broker as it is typed, with nothing else given.
    pub fn of(broker: String, keep: bool, deadline: Duration, connect_timeout: Duration) -> BrokerRequest {
        BrokerRequest {
            broker,
            username: None,
            password: None,
            password_file: None,
            publisher_username: None,
            publisher_password: None,
            publisher_password_file: None,
            name: None,
            version: None,
            tls: TlsOptions::default(),
            keep,
            commands: None,
            deadline,
            connect_timeout,
        }
    }

    /// What the broker is found by.
    pub fn given(&self) -> Given {
        Given {
            user: self.username.clone(),
            password: self.password.clone(),
            publisher_user: self.publisher_username.clone(),
            publisher_password: self.publisher_password.clone(),
            name: self.name.clone(),
            version: self.version.clone(),
            tls: self.tls.clone(),
            keep: self.keep,
            commands: self.commands.clone(),
        }
    }

    /// The broker and the waits for it.
    pub fn target(&self, broker: &Broker) -> Target {
        Target::new(broker.nodes[0].clone(), broker.login.clone(), self.deadline, self.connect_timeout)
            .with_further_nodes(&broker.nodes[1..])
            .with_publisher(broker.publisher_login.clone())
            .with_operator(broker.operator.clone())
    }

    /// The options beside the URL with which a command reaches the same broker. A password that stands in no file is left
    /// out: it comes out of the environment again.
    pub fn reached_with(&self, broker: &Broker) -> Vec<String> {
        let login =
            |login: &Option<Login>, password: &Option<String>, file: &Option<PathBuf>, [user, of_file]: [&str; 2]| {
                let Some(login) = login else { return Vec::new() };
                // One in the URL comes before the file.
                let file = file.as_ref().filter(|_| password.as_ref() == Some(&login.password));
                let file = file.map(|file| option(of_file, &file.display().to_string()));
                [option(user, &login.user), file.unwrap_or_default()].concat()
            };
        // That of a broker's own file is in the file.
        let main_login = broker.login.clone().filter(|_| !broker.is_started() || self.username.is_some());
        let main = ["--username", "--password-file"];
        let publisher = ["--publisher-username", "--publisher-password-file"];
        let wait = |name: &str, wait: Duration| match wait {
            USUAL_WAIT => Vec::new(),
            wait => option(name, &humantime::format_duration(wait).to_string()),
        };
        [
            login(&main_login, &self.password, &self.password_file, main),
            login(&broker.publisher_login, &self.publisher_password, &self.publisher_password_file, publisher),
            self.tls.arguments(),
            wait("--connect-timeout", self.connect_timeout),
            wait("--deadline", self.deadline),
        ]
        .concat()
    }
}

/// A broker that answered.
pub struct Reached {
    pub broker: Broker,
    pub target: Target,
    /// One for each protocol version.
    pub probes: [Probe; 2],
}

/// Finds the broker and asks for both protocol versions: a broker that refuses one shows by the other that it is a
/// broker.
///
/// # Errors
/// Why nothing can be measured: no version is answered, or a CONNECT is refused for another reason than its version.
pub async fn reach(request: &BrokerRequest, prefix: &Prefix) -> Result<Reached> {
    let found = Instant::now();
    let broker = Broker::find(&request.broker, request.given(), request.connect_timeout).await?;
    if request.tls.insecure {
        note(&format!(
            "warning: --insecure: whoever answers at {} is trusted; --cafile FILE trusts one authority alone",
            broker.url
        ));
    }
    let mut target = request.target(&broker);
    until_started(&broker, &target, prefix).await?;
    if broker.is_started() {
        target = target.with_start(found.elapsed());
    }
    let probes = probe_both(&target, prefix).await;
    check_reachable(&probes, &broker.url, target.login.is_some())
        .map_err(|obstacle| cannot_measure(&broker, &obstacle))?;
    Ok(Reached { broker, target, probes })
}

/// Finds a broker for experiments in several lanes, whose client identifiers are the longest, and checks that the user may use the
/// topics; `None` if a signal came.
///
/// # Errors
/// As [`reach`] and [`Reached::check_rights`].
pub async fn reach_for_lanes(
    request: &BrokerRequest,
    prefix: &Prefix,
    interrupted: &watch::Receiver<bool>,
) -> Result<Option<Reached>> {
    let reaching = async {
        let reached = reach(request, &prefix.lane(1)).await?;
        reached.check_rights(prefix).await?;
        Ok(reached)
    };
    unless_interrupted(interrupted, reaching).await.transpose()
}

/// Waits until a broker that was started answers a CONNECT; one that was not started is left alone.
///
/// # Errors
/// The broker has ended, or does not get ready in time: a sentence for the user.
pub async fn until_started(broker: &Broker, target: &Target, prefix: &Prefix) -> Result<()> {
    let Some(operator) = broker.operator.as_ref().filter(|operator| operator.is_of_run()) else { return Ok(()) };
    if let Some(started) = operator.started(None).await.first().filter(|started| started.is_kept()) {
        let name = broker.label.name.as_deref().unwrap_or(&started.name);
        note(&format!("{name} keeps its configuration, data and log in {}", started.folder().display()));
    }
    Ok(run::until_ready(operator, target, prefix, None).await?)
}

fn cannot_measure(broker: &Broker, obstacle: &Obstacle) -> anyhow::Error {
    anyhow!("cannot measure {}: {obstacle}", broker.url)
}

/// Asks for both protocol versions.
pub async fn probe_both(target: &Target, prefix: &Prefix) -> [Probe; 2] {
    let [v3, v5] = Protocol::ALL;
    let (v3, v5) = tokio::join!(run::probe(target, prefix, v3), run::probe(target, prefix, v5));
    let mut probes = [v3, v5];
    if probes.iter().any(|probe| probe.outcome.is_ok()) {
        for probe in &mut probes {
            ask_again(target, prefix, probe).await;
        }
    }
    probes
}

/// Where only one version was let in, there may have been no room for two, and a broker may take a moment to see that one has left.
async fn ask_again(target: &Target, prefix: &Prefix, probe: &mut Probe) {
    for pause in run::ROOM_PAUSES {
        if !probe.outcome.as_ref().is_err_and(Refusal::may_be_for_now) {
            return;
        }
        sleep(pause).await;
        *probe = run::probe(target, prefix, probe.protocol).await;
    }
}

impl Reached {
    /// Whether the user may publish and subscribe below the prefix. It costs nothing where a message of a probe's came back.
    ///
    /// # Errors
    /// A sentence for the user: not with any protocol version.
    pub async fn check_rights(&self, prefix: &Prefix) -> Result<()> {
        match self.forbidden(prefix).await {
            None => Ok(()),
            Some(what) => Err(cannot_measure(&self.broker, &denied(&what, prefix, &self.target))),
        }
    }

    /// Whether the nodes of the broker are one broker: what is published at each reaches each. One that was started gets as long as
    /// it may take to be ready.
    ///
    /// # Errors
    /// A sentence for the user.
    pub async fn check_joined(&self, prefix: &Prefix) -> Result<()> {
        let within = match &self.broker.operator {
            Some(operator) if operator.is_of_run() => operator.ready_within().await,
            _ => self.target.deadline,
        };
        let joined = run::until_joined(&self.target, prefix, within).await;
        joined.map_err(|why| anyhow!("cannot measure {}: {why}", self.broker.url))
    }

    /// What the user may not do below the prefix, whatever the protocol version.
    pub async fn forbidden(&self, prefix: &Prefix) -> Option<Forbidden> {
        if self.probes.iter().any(|probe| probe.came_back) {
            return None;
        }
        let look = |protocol| async move {
            match self.versions().contains(&protocol) {
                true => Some(run::look_at_rights(&self.target, prefix, protocol).await),
                false => None,
            }
        };
        let [v3, v5] = Protocol::ALL;
        let (v3, v5) = tokio::join!(look(v3), look(v5));
        let mut forbidden = None;
        // 5.0 gives reasons.
        for rights in [v3, v5].into_iter().flatten() {
            match rights {
                Rights::Granted | Rights::Unclear => return None,
                Rights::Forbidden(what) => forbidden = Some(what),
            }
        }
        forbidden
    }

    /// True if a message that the tool publishes comes back to it, given time. Without that there is nothing to measure.
    pub async fn passes_messages_on(&self, prefix: &Prefix, protocol: Protocol) -> bool {
        self.probes.iter().any(|probe| probe.came_back)
            || run::look_at_rights(&self.target, prefix, protocol).await == Rights::Granted
    }

    /// The protocol versions that the broker accepts.
    pub fn versions(&self) -> Vec<Protocol> {
        self.probes.iter().filter(|probe| probe.outcome.is_ok()).map(|probe| probe.protocol).collect()
    }

    /// The broker's label, completed by what it says of itself.
    pub fn label(&self) -> BrokerLabel {
        let mut label = self.broker.label.clone();
        let mut versions = self.probes.iter().filter_map(|probe| probe.version.as_deref());
        // "mosquitto version 2.0.11"
        if let Some((name, version)) = versions.next().and_then(|said| said.split_once(" version ")) {
            label.name.get_or_insert_with(|| name.trim().into());
            label.version.get_or_insert_with(|| version.trim().into());
        }
        label
    }
}

/// Why nothing can be measured.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what}; {cure}")]
pub struct Obstacle {
    /// Half a sentence.
    pub what: String,
    /// Half a sentence that says what to do.
    pub cure: String,
}

/// The obstacle of a user who may not do this.
pub fn denied(what: &Forbidden, prefix: &Prefix, target: &Target) -> Obstacle {
    let below = |verb: &str, how: &str| format!("not authorised to {verb} below {}/ ({how})", prefix.topic);
    let login = if target.login.is_none() { ", or log in with --username" } else { "" };
    let usable_by = |whom: &str| format!("give --topic-prefix with a topic that {whom} may use");
    let (what, cure) = match what {
        Forbidden::Subscribe(how) => (below("subscribe", how), usable_by("this user") + login),
        Forbidden::Publish(how) if target.has_two_logins() => {
            (below("publish", how), usable_by("the user of --publisher-username"))
        }
        Forbidden::Publish(how) => (below("publish", how), usable_by("this user") + login),
        Forbidden::Login(how) => {
            (format!("{how} for the publisher"), "check --publisher-username and its password".to_owned())
        }
    };
    Obstacle { what, cure }
}

/// Whether a broker that was probed so can be measured.
///
/// # Errors
/// [`Obstacle`].
pub fn check_reachable(probes: &[Probe], url: &str, with_login: bool) -> Result<(), Obstacle> {
    let refusals: Vec<_> =
        probes.iter().filter_map(|probe| Some((probe.protocol, probe.outcome.as_ref().err()?))).collect();
    let fatal = |(_, refusal): &&(Protocol, &Refusal)| !refusal.is_of_version();
    // Who answers by a CONNACK is a broker, and the cells say what is wrong with it.
    let is_connack =
        |(_, refusal): &(Protocol, &Refusal)| matches!(refusal.kind, RefusalKind::Code(_) | RefusalKind::Malformed(..));
    let (version, refusal) = match (refusals.iter().find(fatal), &refusals[..]) {
        (Some(refusal), _) => *refusal,
        (None, [first, second]) if !is_connack(first) && !is_connack(second) => *first,
        _ => return Ok(()),
    };
    // A refusal that both versions meet has nothing to do with the version.
    let how = match &refusals[..] {
        [(_, first), (_, second)] if first.how == second.how => first.how.clone(),
        [(_, first), (_, second)] => format!("3.1.1: {}; 5.0: {}", first.how, second.how),
        _ => format!("MQTT {version}: {}", refusal.how),
    };
    Err(Obstacle { what: how, cure: advice(&refusal.kind, url, with_login).into() })
}

/// The cure for a broker that cannot be measured.
fn advice<'a>(kind: &'a RefusalKind, url: &str, with_login: bool) -> &'a str {
    match kind {
        RefusalKind::Unreachable(cure) => cure,
        RefusalKind::Code(0x04 | 0x05 | 0x86 | 0x87) if with_login => "check user name and password",
        RefusalKind::Code(0x04 | 0x05 | 0x86 | 0x87) => {
            "give --username and MQTT_SESSIONS_PASSWORD, or mqtt://USER:PASSWORD@HOST"
        }
        RefusalKind::Code(0x02 | 0x85) => "give --client-id-prefix with how client identifiers begin on this broker",
        RefusalKind::Code(_) => "the broker does not let this client in; see its log",
        RefusalKind::Unencodable => "give a shorter user name or password",
        RefusalKind::Closed(End::Alert(number)) => tls::cure_of_alert(*number),
        RefusalKind::NotMqtt(bytes) if bytes.starts_with(b"\x15\x03") => {
            "write mqtts:// in place of mqtt://, or wss://"
        }
        RefusalKind::NotMqtt(bytes) if bytes.starts_with(b"HTTP/") => {
            "give the port of MQTT over TCP, usually 1883, or write ws:// or wss://"
        }
        _ if url.starts_with("mqtt://") => {
            "give the port of MQTT over TCP, usually 1883; for a port of TLS write mqtts://"
        }
        _ if url.starts_with("mqtts://") => "give the port of MQTT over TLS, usually 8883",
        _ => "give the place where the broker speaks MQTT",
    }
}
