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

/// What a clause begins with that says what to do.
const CURES: &str = "add allow check connect cut disconnect give install leave make measure move name put raise reach remove \
                     rename renew report run see send set use write";
/// What stands in a clause that says what is accepted, or which command or option helps.
const HELP: &str = "takes |needs |there are |at most|at least| has 1 to |is one of |it has |it holds |it lists |has a reason|\
                    the clients are |are reserved| prints |--";

/// Messages without a cure, and why.
const WITHOUT_CURE: [(&str, &str); 1] =
    [("the file is not valid TOML", "the mark stands under the place, and TOML's own words say what it expects")];

/// Whether a message says what to do: behind the place one of its clauses begins so, or says what is accepted. The mistakes that clap
/// finds end with the word that helps.
pub fn says_what_to_do(message: &str) -> bool {
    let is_cure = |clause: &str| {
        let first = clause.split([' ', ',']).next().unwrap_or_default();
        CURES.split(' ').any(|word| word == first) || HELP.split('|').any(|words| clause.contains(words))
    };
    let clauses = message.lines().flat_map(|line| line.split("; ")).flat_map(|part| part.split(": "));
    let is_excused = WITHOUT_CURE.iter().any(|(own, _)| message.contains(own));
    is_excused || message.contains("try '--help'") || clauses.skip(1).any(is_cure)
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
        // Below a mistake in a file stands the line with a mark.
        let is_excerpt =
            |line: &&str| line.trim_start_matches(|c: char| c == ' ' || c.is_ascii_digit()).starts_with('|');
        let sentences = self.stderr.lines().filter(|line| !is_excerpt(line)).count();
        assert_eq!(sentences, 1, "more than one sentence: {}", self.stderr);
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
        assert!(says_what_to_do(&self.stderr), "it does not say what to do: {}", self.stderr);
        let words: Vec<&str> = error.split("; ").collect();
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
