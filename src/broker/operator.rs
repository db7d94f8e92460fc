//! Ends a broker in the middle of a run, and starts it again: the one that was started from its file, or by commands of the user's.

use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::sync::{Mutex, MutexGuard};
use tokio::time::{Instant, sleep, timeout};

use super::relay::Relay;
use super::started::Started;
use crate::vocabulary::{Ending, FIRST_NODE, Trouble};

/// How long a command of the user's may take, and a broker that was killed to be gone.
pub const ENDS_WITHIN: Duration = Duration::from_secs(60);
/// How long a broker that is started by a command may take until it answers a CONNECT.
const READY_WITHIN: Duration = Duration::from_secs(60);
/// The variable with the number of the node that a command ends or starts, from 1; it is empty where that is the whole broker.
const NODE: &str = "NODE";
/// The options whose commands cut a node off, and join it again.
const PARTITION: &str = "--partition-command";
const HEAL: &str = "--heal-command";
/// How often the harness looks whether a process has ended.
const LOOK_EVERY: Duration = Duration::from_millis(2);

/// How a broker is ended and started.
pub enum Operator {
    /// It was started for this run: its nodes, at least one, and the relays between them.
    Started(Vec<Mutex<Started>>, Vec<Relay>),
    /// The shell of a command that is still under way, where nobody waited for its end, stands beside them.
    Commands(Commands, Mutex<Option<Child>>),
}

/// Commands of the user's, for the shell.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Commands {
    pub stop: Option<String>,
    pub kill: Option<String>,
    pub start: Option<String>,
    pub partition: Option<String>,
    pub heal: Option<String>,
}

/// Why the broker was not ended or started.
#[derive(Debug, thiserror::Error)]
pub enum OperatorError {
    #[error("the broker cannot be {done}: give {option} COMMAND, or --broker NAME for one that is started for the run")]
    NoCommand { done: &'static str, option: &'static str },
    #[error(
        "no node of {name} can be cut off from the others: its file does not say through which ports they talk; see `relayed` in \
         docs/broker-files.md"
    )]
    NoRelays { name: String },
    #[error("{option} '{command}': {why}")]
    Failed { option: &'static str, command: String, why: String },
    #[error(
        "{name} had not stopped {seconds} s after SIGTERM; stops_within_s of its file is how long it may take; {words}"
    )]
    DoesNotStop { name: String, seconds: u64, words: String },
    #[error("{name} was killed, and something still listens at {address}")]
    StillThere { name: String, address: SocketAddr },
    #[error(transparent)]
    NotStarted(#[from] super::StartError),
    /// Half a sentence.
    #[error("{0}")]
    NotReady(String),
}

impl Operator {
    pub fn of(nodes: Vec<Started>, relays: Vec<Relay>) -> Operator {
        Operator::Started(nodes.into_iter().map(Mutex::new).collect(), relays)
    }

    pub fn by(commands: Commands) -> Operator {
        Operator::Commands(commands, Mutex::default())
    }

    /// Ends the broker or this node of it, from 1, and waits until it has ended. Where a command of the user's ends it, it has when
    /// that comes back.
    ///
    /// # Errors
    /// [`OperatorError`].
    pub async fn end(&self, how: Ending, node: Option<u32>) -> Result<(), OperatorError> {
        if let Operator::Commands(commands, shell) = self {
            return match how {
                Ending::Stop => run(("stopped", "--stop-command"), &commands.stop, node, shell).await,
                Ending::Kill => run(("killed", "--kill-command"), &commands.kill, node, shell).await,
            };
        }
        let mut nodes = self.started(node).await;
        for started in &mut nodes {
            match how {
                Ending::Stop => started.ask_to_stop(),
                Ending::Kill => started.kill(),
            }
        }
        for started in &mut nodes {
            has_stopped(started).await?;
        }
        Ok(())
    }

    /// Starts the broker or this node of it again, with the data that it has. It need not be ready yet.
    ///
    /// # Errors
    /// [`OperatorError`].
    pub async fn start(&self, node: Option<u32>) -> Result<(), OperatorError> {
        if let Operator::Commands(commands, shell) = self {
            return run(("started", "--start-command"), &commands.start, node, shell).await;
        }
        let mut nodes = self.started(node).await;
        for started in &mut nodes {
            // An interruption may have come while it was being stopped.
            started.kill();
            nobody_listens(started).await?;
        }
        nodes.iter_mut().try_for_each(|started| Ok(started.start_again()?))
    }

    /// Cuts a node off from the others, or joins it with them; its clients reach it all the time.
    ///
    /// # Errors
    /// [`OperatorError`].
    pub async fn partition(&self, node: u32, joins: bool) -> Result<(), OperatorError> {
        match self {
            Operator::Commands(commands, shell) if joins => {
                run(("joined", HEAL), &commands.heal, Some(node), shell).await
            }
            Operator::Commands(commands, shell) => {
                run(("partitioned", PARTITION), &commands.partition, Some(node), shell).await
            }
            Operator::Started(_, relays) => {
                relays.iter().filter(|relay| relay.is_of(node)).for_each(|relay| relay.open(joins));
                Ok(())
            }
        }
    }

    /// Whether it can have this befall the broker, and have it pass.
    ///
    /// # Errors
    /// [`OperatorError::NoCommand`], [`OperatorError::NoRelays`].
    pub async fn can(&self, trouble: Trouble, begins: bool, passes: bool) -> Result<(), OperatorError> {
        let commands = match self {
            Operator::Commands(commands, _) => commands,
            Operator::Started(nodes, relays) if trouble == Trouble::Partition && relays.is_empty() => {
                let name = match nodes.first() {
                    Some(first) => first.lock().await.name.clone(),
                    None => String::new(),
                };
                return Err(OperatorError::NoRelays { name });
            }
            Operator::Started(..) => return Ok(()),
        };
        let lacks = |command: &Option<String>, done, option| match command {
            Some(_) => Ok(()),
            None => Err(OperatorError::NoCommand { done, option }),
        };
        if begins {
            match trouble {
                Trouble::End(Ending::Stop) => lacks(&commands.stop, "stopped", "--stop-command")?,
                Trouble::End(Ending::Kill) => lacks(&commands.kill, "killed", "--kill-command")?,
                Trouble::Partition => lacks(&commands.partition, "partitioned", PARTITION)?,
            }
        }
        match trouble {
            _ if !passes => Ok(()),
            Trouble::End(_) => lacks(&commands.start, "started", "--start-command"),
            Trouble::Partition => lacks(&commands.heal, "joined", HEAL),
        }
    }

    /// The broker was started for this run.
    pub fn is_of_run(&self) -> bool {
        matches!(self, Operator::Started(..))
    }

    /// The nodes that were started for this run, or one of them, from 1; none where commands of the user's start them.
    pub async fn started(&self, node: Option<u32>) -> Vec<MutexGuard<'_, Started>> {
        let Operator::Started(nodes, _) = self else { return Vec::new() };
        let mut started = Vec::new();
        for (number, own) in (FIRST_NODE..).zip(nodes) {
            if node.is_none_or(|node| node == number) {
                started.push(own.lock().await);
            }
        }
        started
    }

    /// How long it may take until it answers a CONNECT.
    pub async fn ready_within(&self) -> Duration {
        self.started(None).await.first().map_or(READY_WITHIN, |started| started.ready_within)
    }
}

/// Waits for the end of one that was asked to stop, or was killed.
async fn has_stopped(started: &mut Started) -> Result<(), OperatorError> {
    let deadline = Instant::now() + started.stops_within;
    while !started.has_ended() {
        if Instant::now() >= deadline {
            let words = started.last_words();
            return Err(OperatorError::DoesNotStop {
                name: started.name.clone(),
                seconds: started.stops_within.as_secs(),
                words,
            });
        }
        sleep(LOOK_EVERY).await;
    }
    // The rest of its processes goes with it.
    started.kill();
    nobody_listens(started).await
}

/// A process that has ended may hold its port for a moment.
async fn nobody_listens(started: &Started) -> Result<(), OperatorError> {
    let address = started.address;
    let deadline = Instant::now() + ENDS_WITHIN;
    while let Ok(Ok(_)) = timeout(ENDS_WITHIN, TcpStream::connect(address)).await {
        if Instant::now() >= deadline {
            return Err(OperatorError::StillThere { name: started.name.clone(), address });
        }
        sleep(LOOK_EVERY).await;
    }
    Ok(())
}

/// Runs a command of the user's to its end, behind the end of the one before. It finds the number of the node in its environment.
async fn run(
    (done, option): (&'static str, &'static str),
    command: &Option<String>,
    node: Option<u32>,
    shell: &Mutex<Option<Child>>,
) -> Result<(), OperatorError> {
    let Some(command) = command else { return Err(OperatorError::NoCommand { done, option }) };
    let failed = |why: String| OperatorError::Failed { option, command: command.clone(), why };
    let mut shell = shell.lock().await;
    if let Some(mut before) = shell.take() {
        // Its outcome was for those who did not wait.
        ended(&mut before).await;
    }
    let mut sh = Command::new("sh");
    sh.env(NODE, node.map_or(String::new(), |node| node.to_string()));
    // A process that it starts may live on, and must not hold a pipe of this program's.
    sh.args(["-c", command]).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let child = shell.insert(sh.spawn().map_err(|error| failed(format!("sh: {error}")))?);
    let code = ended(child).await;
    *shell = None;
    match code {
        Some(0) => Ok(()),
        Some(code) => Err(failed(format!("it ended with code {code}"))),
        None => Err(failed(format!("it had not ended after {} s", ENDS_WITHIN.as_secs()))),
    }
}

/// The code of a process that ends in time, -1 for one that a signal ended; one that does not is killed.
async fn ended(child: &mut Child) -> Option<i32> {
    let deadline = Instant::now() + ENDS_WITHIN;
    while Instant::now() < deadline {
        if let Ok(Some(status)) = child.try_wait() {
            return Some(status.code().unwrap_or(-1));
        }
        sleep(LOOK_EVERY).await;
    }
    // It has had its time.
    let _ = child.kill().and_then(|()| child.wait());
    None
}
