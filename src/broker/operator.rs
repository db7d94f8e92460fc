//! Ends a broker in the middle of a run, and starts it again: the one that was started from its file, or by commands of the user's.

use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::sync::Mutex;
use tokio::time::{Instant, sleep, timeout};

use super::started::Started;
use crate::vocabulary::Ending;

/// How long a command of the user's may take, and a broker that was killed to be gone.
pub const ENDS_WITHIN: Duration = Duration::from_secs(60);
/// How long a broker that is started by a command may take until it answers a CONNECT.
const READY_WITHIN: Duration = Duration::from_secs(60);
/// How often the harness looks whether a process has ended.
const LOOK_EVERY: Duration = Duration::from_millis(2);

/// How a broker is ended and started.
pub enum Operator {
    /// It was started for this run.
    Started(Box<Mutex<Started>>),
    /// The shell of a command that is still under way, where nobody waited for its end, stands beside them.
    Commands(Commands, Mutex<Option<Child>>),
}

/// Commands of the user's, for the shell.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Commands {
    pub stop: Option<String>,
    pub kill: Option<String>,
    pub start: Option<String>,
}

/// Why the broker was not ended or started.
#[derive(Debug, thiserror::Error)]
pub enum OperatorError {
    #[error("the broker cannot be {done}: give {option} COMMAND, or --broker NAME for one that is started for the run")]
    NoCommand { done: &'static str, option: &'static str },
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
    pub fn of(started: Started) -> Operator {
        Operator::Started(Box::new(Mutex::new(started)))
    }

    pub fn by(commands: Commands) -> Operator {
        Operator::Commands(commands, Mutex::default())
    }

    /// Ends the broker, and waits until it has ended. Where a command of the user's ends it, it has when that comes back.
    ///
    /// # Errors
    /// [`OperatorError`].
    pub async fn end(&self, how: Ending) -> Result<(), OperatorError> {
        match (self, how) {
            (Operator::Started(started), Ending::Stop) => stop(&mut *started.lock().await).await,
            (Operator::Started(started), Ending::Kill) => {
                let mut started = started.lock().await;
                started.kill();
                nobody_listens(&started).await
            }
            (Operator::Commands(commands, shell), Ending::Stop) => {
                run("stopped", "--stop-command", &commands.stop, shell).await
            }
            (Operator::Commands(commands, shell), Ending::Kill) => {
                run("killed", "--kill-command", &commands.kill, shell).await
            }
        }
    }

    /// Starts the broker again, with the data that it has. It need not be ready yet.
    ///
    /// # Errors
    /// [`OperatorError`].
    pub async fn start(&self) -> Result<(), OperatorError> {
        match self {
            Operator::Started(started) => {
                let mut started = started.lock().await;
                // An interruption may have come while it was being stopped.
                started.kill();
                nobody_listens(&started).await?;
                Ok(started.start_again()?)
            }
            Operator::Commands(commands, shell) => run("started", "--start-command", &commands.start, shell).await,
        }
    }

    /// True if it can do all of this.
    ///
    /// # Errors
    /// [`OperatorError::NoCommand`].
    pub fn can(&self, ends: Option<Ending>, starts: bool) -> Result<(), OperatorError> {
        let Operator::Commands(commands, _) = self else { return Ok(()) };
        let lacks = |command: &Option<String>, done, option| match command {
            Some(_) => Ok(()),
            None => Err(OperatorError::NoCommand { done, option }),
        };
        match ends {
            Some(Ending::Stop) => lacks(&commands.stop, "stopped", "--stop-command")?,
            Some(Ending::Kill) => lacks(&commands.kill, "killed", "--kill-command")?,
            None => {}
        }
        if starts { lacks(&commands.start, "started", "--start-command") } else { Ok(()) }
    }

    /// The broker that was started for this run.
    pub fn started(&self) -> Option<&Mutex<Started>> {
        match self {
            Operator::Started(started) => Some(started),
            Operator::Commands(..) => None,
        }
    }

    /// How long it may take until it answers a CONNECT.
    pub async fn ready_within(&self) -> Duration {
        match self.started() {
            Some(started) => started.lock().await.ready_within,
            None => READY_WITHIN,
        }
    }
}

async fn stop(started: &mut Started) -> Result<(), OperatorError> {
    started.ask_to_stop();
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

/// Runs a command of the user's to its end, behind the end of the one before.
async fn run(
    done: &'static str,
    option: &'static str,
    command: &Option<String>,
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
