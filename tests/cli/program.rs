//! Runs the program and reads what it says.

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use mqtt_sessions::results::{CellResult, Results, Verdict};

/// A program that takes longer hangs. Nothing here needs a tenth of it on an idle machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// One cell for each protocol version, in which three messages are queued and come.
pub const QUEUED: [&str; 5] = [
    "--filter=clean_session=false",
    "--filter=publish_qos=1",
    "--filter=subscribe_qos=1",
    "--filter=retain=false",
    "--filter=resubscribe=false",
];

/// The program, without whatever the environment of the tests says about brokers and colours.
pub fn program<S: AsRef<std::ffi::OsStr>>(arguments: impl IntoIterator<Item = S>) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_mqtt-sessions"));
    command.args(arguments).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    for name in ["BROKER", "USERNAME", "PASSWORD", "PUBLISHER_USERNAME", "PUBLISHER_PASSWORD"] {
        command.env_remove(format!("MQTT_SESSIONS_{name}"));
    }
    for name in ["NO_COLOR", "CLICOLOR", "CLICOLOR_FORCE", "COLUMNS", "GITHUB_ACTIONS"] {
        command.env_remove(name);
    }
    command
}

/// `matrix` against this broker, with further arguments.
pub fn matrix(url: &str, arguments: &[&str]) -> Command {
    let mut command = program(["matrix", "--broker", url]);
    command.args(arguments);
    command
}

/// How the program ended and what it said.
#[derive(Debug)]
pub struct Ended {
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

/// Runs the program to its end.
pub fn run(mut command: Command) -> Ended {
    let mut child = command.spawn().expect("the program starts");
    let stdout = read_all(child.stdout.take());
    let stderr = read_all(child.stderr.take());
    let status = end_of(&mut child);
    Ended { code: status.code(), stdout: stdout.join().unwrap(), stderr: stderr.join().unwrap() }
}

pub fn read_all<R: Read + Send + 'static>(pipe: Option<R>) -> thread::JoinHandle<String> {
    thread::spawn(move || {
        let mut text = String::new();
        if let Some(mut pipe) = pipe {
            pipe.read_to_string(&mut text).expect("the program writes UTF-8");
        }
        text
    })
}

/// Waits for the end; a program that hangs is killed and fails the test.
pub fn end_of(child: &mut Child) -> ExitStatus {
    let started = Instant::now();
    loop {
        if let Some(status) = child.try_wait().unwrap() {
            return status;
        }
        if started.elapsed() > PATIENCE {
            child.kill().unwrap();
            child.wait().unwrap();
            panic!("the program hangs");
        }
        thread::sleep(Duration::from_millis(5));
    }
}

/// The most memory that the program has had so far, in KiB; 0 where the operating system does not tell.
pub fn peak_kib(child: &Child) -> u64 {
    let text = std::fs::read_to_string(format!("/proc/{}/status", child.id())).unwrap_or_default();
    // For a moment the new process still has the memory of this one.
    let mut lines = text.lines().skip_while(|line| *line != "Name:\tmqtt-sessions");
    let peak = lines.find_map(|line| line.strip_prefix("VmHWM:")?.trim().strip_suffix(" kB")?.parse().ok());
    peak.unwrap_or(0)
}

/// Sends a signal, such as `INT`.
pub fn signal(child: &Child, name: &str) {
    let sent = Command::new("kill").args(["-s", name, &child.id().to_string()]).status().unwrap();
    assert!(sent.success());
}

/// Reads stderr until a line contains this.
pub fn wait_for_line(stderr: &mut BufReader<impl Read>, phrase: &str) {
    let mut line = String::new();
    while !line.contains(phrase) {
        line.clear();
        assert!(stderr.read_line(&mut line).unwrap() > 0, "stderr ended without \"{phrase}\"");
    }
}

impl Ended {
    /// The program gave up: nothing on stdout, and one sentence on stderr that contains each of these phrases.
    #[track_caller]
    pub fn gave_up(&self, code: i32, phrases: &[&str]) {
        assert_eq!((self.code, self.stdout.as_str()), (Some(code), ""), "{}", self.stderr);
        self.complained(phrases);
        assert_eq!(self.stderr.lines().count(), 1, "more than one sentence: {}", self.stderr);
    }

    /// Stderr has exactly one line that begins with `error: `, and it can be read by people.
    #[track_caller]
    pub fn complained(&self, phrases: &[&str]) {
        let errors: Vec<&str> = self.stderr.lines().filter(|line| line.starts_with("error: ")).collect();
        let [error] = errors[..] else { panic!("not one error: {}", self.stderr) };
        for phrase in phrases {
            assert!(error.contains(phrase), "\"{phrase}\" is missing in: {error}");
        }
        for debris in ["Error {", "Err(", "Some(", "Os {", "panicked", "RUST_BACKTRACE", "\\n", "\u{1b}"] {
            assert!(!self.stderr.contains(debris), "{debris} in: {}", self.stderr);
        }
        let words: Vec<&str> = error.split("; ").collect();
        assert!(words.len() >= 2 || error.contains(": "), "it does not say what to do: {error}");
        // An error that is its own source is easily printed twice.
        let repeated = words.iter().any(|part| part.len() > 20 && error.matches(part).count() > 1);
        assert!(!repeated, "said twice: {error}");
    }

    /// The results on stdout, and nothing else there.
    #[track_caller]
    pub fn results(&self) -> Results {
        Results::parse("stdout", &self.stdout).unwrap_or_else(|why| panic!("{why}\n{}\n{}", self.stdout, self.stderr))
    }
}

/// The cells of a run, each decided by its id.
#[track_caller]
pub fn each_cell(results: &Results, expected: impl Fn(&CellResult) -> Verdict) -> Vec<&CellResult> {
    for cell in &results.cells {
        let run = results.run.cells.get(&cell.id);
        assert_eq!(cell.verdict, expected(cell), "{}: {:?}\n{run:#?}", cell.id, cell.reason);
    }
    results.cells.iter().collect()
}
