//! A broker that is started for the run, in a folder and on a port of its own, and ends with it.

use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom};
use std::net::{Ipv4Addr, SocketAddr};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};
use tempfile::TempDir;

use super::file::BrokerFile;
use super::relay::Relay;
use super::values::Values;
use crate::visible::visible_lines;

/// Runs a command and ends all its processes once nobody holds the other end of the standard input: so the broker ends with this
/// program, however that ends. SIGTERM is meant for the broker, and is waited out.
const SUPERVISOR: &str = r#"exec 3<&0
"$@" < /dev/null 3<&- &
broker=$!
{ trap '' TERM; read -r _ <&3; kill -KILL 0; } &
exec 3<&-
trap : TERM
while wait "$broker"; status=$?; kill -0 "$broker" 2> /dev/null; do :; done
exit "$status""#;

/// The name of the file with what the broker says.
const LOG: &str = "output.log";
/// How much of the end of the log a message shows.
const LOG_LINES: usize = 5;
const LOG_BYTES: u64 = 4096;
const LINE_CHARS: usize = 200;

/// A broker, or one node of one, that runs, or has been ended for a while.
pub struct Started {
    command: Launch,
    /// `None` while it is ended.
    running: Option<Running>,
    /// Its own, in that of the broker.
    path: PathBuf,
    folder: Arc<Folder>,
    /// That of the broker, with the number of the node where there are several.
    pub name: String,
    pub address: SocketAddr,
    pub version: Option<String>,
    /// How long it may take until it answers a CONNECT.
    pub ready_within: Duration,
    /// How long it may take to stop.
    pub stops_within: Duration,
}

/// The command that runs the broker.
struct Launch {
    words: Vec<String>,
    environment: Vec<(String, String)>,
}

/// The processes of the broker.
struct Running {
    /// The leader of the process group.
    supervisor: Child,
    /// The supervisor ends the broker when this is closed.
    _held: Option<ChildStdin>,
}

/// The folder with the broker's configuration, data and log.
enum Folder {
    /// Removed in the end.
    Own(TempDir),
    Kept(PathBuf),
}

/// Why a broker was not started.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error(
        "{name} is not installed: there is no {what}; install it with `{install}`{}",
        if *untried { "; nobody has tried its file yet" } else { "" }
    )]
    NotInstalled { name: String, what: String, install: String, untried: bool },
    #[error("the file of {name}: {why}")]
    Unfilled { name: String, why: String },
    #[error("{name} was not started: {why}; see whether there is room in {}", std::env::temp_dir().display())]
    NoFolder { name: String, why: io::Error },
    #[error("{name} was not started, since there is no shell: sh: {why}; put one into PATH")]
    NotRun { name: String, why: io::Error },
}

impl Started {
    /// Starts all nodes of the broker, and the relays between them. They need not be ready yet.
    ///
    /// # Errors
    /// [`StartError`], a sentence for the user.
    pub fn start(file: &BrokerFile, keep: bool) -> Result<(Vec<Started>, Vec<Relay>), StartError> {
        let no_folder = |why| StartError::NoFolder { name: file.name.clone(), why };
        let folder = Arc::new(Folder::make(&file.name, keep).map_err(no_folder)?);
        let paths: Vec<PathBuf> = match file.nodes {
            1 => vec![folder.path().to_owned()],
            nodes => (1..=nodes).map(|node| folder.path().join(format!("node{node}"))).collect(),
        };
        let (values, relays) = Values::of(file, &paths)?;
        let name = |place: usize| {
            if paths.len() == 1 { file.name.clone() } else { format!("node {} of {}", place + 1, file.name) }
        };
        let nodes = paths.iter().zip(&values).enumerate();
        let started = nodes.map(|(place, (path, values))| Started::node(file, name(place), path, &folder, values));
        Ok((started.collect::<Result<_, _>>()?, relays))
    }

    fn node(
        file: &BrokerFile,
        name: String,
        folder: &Path,
        of_broker: &Arc<Folder>,
        values: &Values,
    ) -> Result<Started, StartError> {
        let no_folder = |why| StartError::NoFolder { name: name.clone(), why };
        fs::create_dir_all(folder).map_err(no_folder)?;
        for (path, content) in &file.files {
            let path = folder.join(path);
            path.parent().map_or(Ok(()), fs::create_dir_all).map_err(no_folder)?;
            fs::write(path, values.fill(content)?).map_err(no_folder)?;
        }
        let command = Launch {
            words: file.start.iter().map(|word| values.fill(word)).collect::<Result<Vec<_>, _>>()?,
            environment: (file.environment.iter())
                .map(|(variable, value)| Ok((variable.clone(), values.fill(value)?)))
                .collect::<Result<Vec<_>, StartError>>()?,
        };
        let running = Some(command.run(&name, folder)?);
        Ok(Started {
            command,
            running,
            path: folder.to_owned(),
            folder: of_broker.clone(),
            name,
            address: (Ipv4Addr::LOCALHOST, values.port).into(),
            version: values.version(file),
            ready_within: file.ready_within(),
            stops_within: file.stops_within(),
        })
    }

    /// Starts it again, with the data that it has. It need not be ready yet.
    ///
    /// # Errors
    /// [`StartError`].
    pub fn start_again(&mut self) -> Result<(), StartError> {
        self.running = Some(self.command.run(&self.name, &self.path)?);
        Ok(())
    }

    /// Asks its processes to stop (SIGTERM). They may take their time.
    pub fn ask_to_stop(&self) {
        self.running.iter().for_each(|running| running.signal(Signal::TERM));
    }

    /// Ends all its processes at once (SIGKILL).
    pub fn kill(&mut self) {
        self.running = None;
    }

    /// True once the broker has ended by itself.
    pub fn has_ended(&mut self) -> bool {
        self.running.as_mut().is_none_or(|running| !matches!(running.supervisor.try_wait(), Ok(None)))
    }

    /// The folder of the broker, with configuration, data and log, those of each node in one of its own.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The folder stays.
    pub fn is_kept(&self) -> bool {
        matches!(*self.folder, Folder::Kept(_))
    }

    /// The last lines that it said, if it said any.
    pub fn last_words(&self) -> String {
        let lines = last_lines(&self.path.join(LOG)).unwrap_or_default();
        match lines.is_empty() {
            true => "it said nothing".into(),
            false => format!("its last words:\n{}", visible_lines(&lines)),
        }
    }
}

impl Launch {
    fn run(&self, name: &str, folder: &Path) -> Result<Running, StartError> {
        let mut command = Command::new("sh");
        command.args(["-c", SUPERVISOR, "sh"]).args(&self.words).current_dir(folder).process_group(0);
        command.envs(self.environment.iter().map(|(variable, value)| (variable, value)));
        let no_folder = |why| StartError::NoFolder { name: name.to_owned(), why };
        let log = File::options().create(true).append(true).open(folder.join(LOG)).map_err(no_folder)?;
        command.stdin(Stdio::piped()).stderr(log.try_clone().map_err(no_folder)?).stdout(log);
        let mut supervisor = command.spawn().map_err(|why| StartError::NotRun { name: name.to_owned(), why })?;
        Ok(Running { _held: supervisor.stdin.take(), supervisor })
    }
}

impl Running {
    fn signal(&self, signal: Signal) {
        if let Some(group) = i32::try_from(self.supervisor.id()).ok().and_then(Pid::from_raw) {
            // A process that is gone needs no signal.
            let _ = kill_process_group(group, signal);
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.signal(Signal::KILL);
        let _ = self.supervisor.wait();
    }
}

impl Folder {
    fn make(name: &str, keep: bool) -> io::Result<Folder> {
        let folder = tempfile::Builder::new().prefix(&format!("mqtt-sessions-{name}-")).tempdir()?;
        Ok(if keep { Folder::Kept(folder.keep()) } else { Folder::Own(folder) })
    }

    fn path(&self) -> &Path {
        match self {
            Folder::Own(folder) => folder.path(),
            Folder::Kept(path) => path,
        }
    }
}

fn last_lines(path: &Path) -> io::Result<String> {
    let mut log = File::open(path)?;
    let length = log.metadata()?.len();
    log.seek(SeekFrom::Start(length.saturating_sub(LOG_BYTES)))?;
    let mut bytes = Vec::new();
    log.take(LOG_BYTES).read_to_end(&mut bytes)?;
    let text = String::from_utf8_lossy(&bytes);
    let lines: Vec<&str> = text.lines().filter(|line| !line.trim().is_empty()).collect();
    let last = lines[lines.len().saturating_sub(LOG_LINES)..].iter();
    Ok(last.map(|line| line.chars().take(LINE_CHARS).collect()).collect::<Vec<String>>().join("\n"))
}
