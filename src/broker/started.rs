//! A broker that is started for the run, in a folder and on a port of its own, and ends with it.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};
use tempfile::TempDir;

use super::file::{BrokerFile, VersionCommand};
use super::template::{Template, literal};
use crate::visible::visible_lines;

/// Runs a command and ends all its processes once nobody holds the other end of the standard input: so the broker ends with this
/// program, however that ends.
const SUPERVISOR: &str = r#"exec 3<&0
"$@" < /dev/null 3<&- &
broker=$!
{ read -r _ <&3; kill -KILL 0; } &
exec 3<&-
wait "$broker""#;

/// Where Debian has daemons, which need not be in the PATH of a user.
const MORE_FOLDERS: [&str; 2] = ["/usr/sbin", "/usr/local/sbin"];
/// The name of the file with what the broker says.
const LOG: &str = "output.log";
/// How much of the end of the log a message shows.
const LOG_LINES: usize = 5;
const LOG_BYTES: u64 = 4096;
const LINE_CHARS: usize = 200;
/// The name of a port begins like this.
const PORT: &str = "port";

/// A broker that runs.
pub struct Started {
    /// The leader of the broker's process group.
    supervisor: Child,
    /// The supervisor ends the broker when this is closed.
    _held: Option<ChildStdin>,
    folder: Folder,
    pub name: String,
    pub address: SocketAddr,
    pub version: Option<String>,
    /// How long it may take until it answers a CONNECT.
    pub ready_within: Duration,
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
    #[error("{name} is not installed: there is no {what}; install it with `{install}`")]
    NotInstalled { name: String, what: String, install: String },
    #[error("the file of {name}: {why}")]
    Unfilled { name: String, why: String },
    #[error("{name} was not started: {why}; see whether there is room in {}", std::env::temp_dir().display())]
    NoFolder { name: String, why: io::Error },
    #[error("{name} was not started: {program}: {why}")]
    NotRun { name: String, program: String, why: io::Error },
}

impl Started {
    /// Starts the broker. It need not be ready yet.
    ///
    /// # Errors
    /// [`StartError`], a sentence for the user.
    pub fn start(file: &BrokerFile, keep: bool) -> Result<Started, StartError> {
        let name = file.name.clone();
        let no_folder = |why| StartError::NoFolder { name: name.clone(), why };
        let folder = Folder::make(&name, keep).map_err(no_folder)?;
        let (port, values) = values(file, folder.path())?;
        let filled = |template: &Template| {
            template.filled(&values).map_err(|why| StartError::Unfilled { name: name.clone(), why })
        };
        for needed in &file.needs {
            let what = filled(needed)?;
            if !Path::new(&what).exists() {
                return Err(StartError::NotInstalled { name: name.clone(), what, install: filled(&install(file)?)? });
            }
        }
        for (path, content) in &file.files {
            let path = folder.path().join(path);
            path.parent().map_or(Ok(()), fs::create_dir_all).map_err(no_folder)?;
            fs::write(path, filled(content)?).map_err(no_folder)?;
        }
        let words = file.start.iter().map(filled).collect::<Result<Vec<_>, _>>()?;
        let log = File::create(folder.path().join(LOG)).map_err(no_folder)?;
        let mut command = Command::new("sh");
        command.args(["-c", SUPERVISOR, "sh"]).args(&words).current_dir(folder.path()).process_group(0);
        for (variable, value) in &file.environment {
            command.env(variable, filled(value)?);
        }
        let errors = log.try_clone().map_err(no_folder)?;
        command.stdin(Stdio::piped()).stdout(log).stderr(errors);
        let not_run = |why| StartError::NotRun { name: name.clone(), program: words[0].clone(), why };
        let mut supervisor = command.spawn().map_err(not_run)?;
        let held = supervisor.stdin.take();
        let version = file.version.as_ref().and_then(|version| told_version(version, &values));
        let address = (Ipv4Addr::LOCALHOST, port).into();
        let ready_within = file.ready_within();
        Ok(Started { supervisor, _held: held, folder, name: name.clone(), address, version, ready_within })
    }

    /// True once the broker has ended by itself.
    pub fn has_ended(&mut self) -> bool {
        !matches!(self.supervisor.try_wait(), Ok(None))
    }

    /// Where its configuration, data and log stand.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The folder stays.
    pub fn is_kept(&self) -> bool {
        matches!(self.folder, Folder::Kept(_))
    }

    /// The last lines that it said, if it said any.
    pub fn last_words(&self) -> String {
        let lines = last_lines(&self.folder.path().join(LOG)).unwrap_or_default();
        match lines.is_empty() {
            true => "it said nothing".into(),
            false => format!("its last words:\n{}", visible_lines(&lines)),
        }
    }
}

impl Drop for Started {
    fn drop(&mut self) {
        // Its data goes with it, so nothing is lost when it is not asked to stop.
        if let Some(group) = i32::try_from(self.supervisor.id()).ok().and_then(Pid::from_raw) {
            let _ = kill_process_group(group, Signal::KILL);
        }
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

/// The port of MQTT, and the values of all names in the file: those of the file itself, its programs, `folder`, `cache`, and each name
/// that begins with `port`, which gets a free one.
fn values(file: &BrokerFile, folder: &Path) -> Result<(u16, BTreeMap<String, Template>), StartError> {
    let mut values = file.values.clone();
    values.insert("cache".into(), literal(cache(&file.name).display().to_string()));
    values.insert("folder".into(), literal(folder.display().to_string()));
    let templates = [&file.needs, &file.start].into_iter().flatten();
    let templates = templates.chain(file.environment.values()).chain(file.files.values()).chain(file.values.values());
    let mut ports: BTreeSet<&str> = templates.flat_map(Template::names).filter(|name| name.starts_with(PORT)).collect();
    ports.insert(PORT);
    let no_port = |why| StartError::NoFolder { name: file.name.clone(), why };
    let free = free_ports(ports.len()).map_err(no_port)?;
    values.extend(ports.iter().zip(&free).map(|(name, port)| ((*name).to_owned(), literal(port.to_string()))));
    for program in &file.programs {
        let path = in_path(program, &cache(&file.name)).ok_or_else(|| StartError::NotInstalled {
            name: file.name.clone(),
            what: format!("program {program}"),
            install: install(file)
                .and_then(|install| {
                    let unfilled = |why| StartError::Unfilled { name: file.name.clone(), why };
                    install.filled(&values).map_err(unfilled)
                })
                .unwrap_or_default(),
        })?;
        values.insert(program.clone(), literal(path.display().to_string()));
    }
    // The shortest of the names is first.
    Ok((free[0], values))
}

fn install(file: &BrokerFile) -> Result<Template, StartError> {
    Template::try_from(file.install.clone()).map_err(|why| StartError::Unfilled { name: file.name.clone(), why })
}

/// Where a broker is installed that is no package of the system's.
fn cache(name: &str) -> PathBuf {
    let set = |variable: &str| std::env::var_os(variable).filter(|value| !value.is_empty()).map(PathBuf::from);
    let root = set("XDG_CACHE_HOME").or_else(|| set("HOME").map(|home| home.join(".cache")));
    root.unwrap_or_else(std::env::temp_dir).join("mqtt-sessions").join(name)
}

/// Different free ports. Somebody else may take one before the broker does; then it says so and ends.
fn free_ports(count: usize) -> io::Result<Vec<u16>> {
    let listeners = (0..count).map(|_| TcpListener::bind((Ipv4Addr::LOCALHOST, 0))).collect::<io::Result<Vec<_>>>()?;
    listeners.iter().map(|listener| Ok(listener.local_addr()?.port())).collect()
}

/// The program with this name.
fn in_path(program: &str, cache: &Path) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::env::split_paths(&path).chain(MORE_FOLDERS.map(PathBuf::from)).chain([cache.join("bin")]);
    folders.map(|folder| folder.join(program)).find(|path| path.is_file())
}

/// The version that the broker tells about itself.
fn told_version(version: &VersionCommand, values: &BTreeMap<String, Template>) -> Option<String> {
    let words = version.command.iter().map(|word| word.filled(values)).collect::<Result<Vec<_>, _>>().ok()?;
    let (program, arguments) = words.split_first()?;
    let output = Command::new(program).args(arguments).stdin(Stdio::null()).output().ok()?;
    let told = [output.stdout, output.stderr].concat();
    let told = String::from_utf8_lossy(&told);
    let (_, behind) = told.split_once(&version.behind)?;
    let is_part = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '+' | '~');
    let version = behind.split(|c| !is_part(c)).next()?;
    Some(version.to_owned()).filter(|version| !version.is_empty())
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
