//! Brokers that are started from a file: what is right, what goes wrong, and that nothing of them stays.

use std::env;
use std::fs;
use std::io::BufReader;
use std::path::{Path, PathBuf};
use std::process::{self, Command};
use std::thread;
use std::time::{Duration, Instant};

use mqtt_sessions::results::Verdict;
use tempfile::TempDir;
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};

use crate::program::{Ended, QUEUED, each_cell, end_of, matrix, program, run, signal, wait_for_line};
use test_broker::{Broker, Defect};

/// The port on which this program is a broker.
const PORT: &str = "PORT_OF_THE_TEST_BROKER";
/// The lie that it tells, if any.
pub const LIE: &str = "LIE_OF_THE_TEST_BROKER";
/// The number of the connection at which it dies, from 1.
pub const DIES_AT: &str = "LAST_CONNECTION_OF_THE_TEST_BROKER";
/// The address of the broker to which it relays, in place of being one.
pub const RELAY: &str = "RELAY_OF_THE_TESTS";
/// How long a process may take to end that was killed.
const PATIENCE: Duration = Duration::from_secs(30);

/// This program is a broker here, until somebody ends it.
#[test]
#[ignore = "no test: the other tests start it as a broker"]
fn serves() {
    let port = env::var(PORT).expect("whoever starts the broker gives it a port").parse().expect("a port is a number");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    if let Ok(to) = env::var(RELAY) {
        return runtime.block_on(relays(port, &to));
    }
    let lie = env::var(LIE).ok().map(|lie| Defect::named(&lie).expect("the lie is known"));
    let broker = lie.map_or_else(Broker::correct, Broker::lying);
    let dies_at = env::var(DIES_AT).ok().map(|number| number.parse().expect("it is a number"));
    runtime.block_on(async {
        match dies_at {
            Some(connections) => serves_so_many(&broker, port, connections).await,
            None => broker.listen_on(port).await.unwrap().1.await.unwrap(),
        }
    });
}

/// Relays to a broker, as a node of a cluster may.
async fn relays(port: u16, to: &str) {
    let listener = TcpListener::bind(("127.0.0.1", port)).await.unwrap();
    loop {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut broker = TcpStream::connect(to).await.unwrap();
        // Only speed depends on it.
        let _ = stream.set_nodelay(true).and(broker.set_nodelay(true));
        tokio::spawn(async move { copy_bidirectional(&mut stream, &mut broker).await });
    }
}

/// Dies when the last of so many connections is made.
async fn serves_so_many(broker: &Broker, port: u16, connections: usize) {
    let listener = TcpListener::bind(("127.0.0.1", port)).await.unwrap();
    for _ in 1..connections {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut pipe = broker.pipe();
        tokio::spawn(async move { copy_bidirectional(&mut stream, &mut pipe).await });
    }
    listener.accept().await.unwrap();
    process::exit(1);
}

/// The command of the shell by which this program is a broker.
pub fn command() -> String {
    format!("{PORT}=${{port}} exec '{}' --ignored --exact started::serves", env::current_exe().unwrap().display())
}

/// A folder with a broker file, and with what its broker writes.
pub struct Files {
    folder: TempDir,
}

impl Files {
    /// A file with these lines, to which a name and an `install` are added.
    pub fn with(lines: &str) -> Files {
        let folder = tempfile::tempdir().unwrap();
        let text = format!("name = \"made-up\"\ninstall = \"make up\"\n{lines}\n");
        fs::write(folder.path().join("broker.toml"), text).unwrap();
        Files { folder }
    }

    /// A broker that runs this script of the shell.
    fn script(script: &str) -> Files {
        let files = Files::with("");
        let script = script.replace("${out}", files.path("").to_str().unwrap());
        let lines = format!("start = [\"sh\", \"-c\", '''{script}''']\nready_within_s = 2");
        let text = fs::read_to_string(files.path("broker.toml")).unwrap() + &lines;
        fs::write(files.path("broker.toml"), text).unwrap();
        files
    }

    /// This program as a broker, behind this script.
    pub fn broker(script: &str) -> Files {
        let files = Files::script(&format!("{script} {}", command()));
        let text = fs::read_to_string(files.path("broker.toml")).unwrap().replace("within_s = 2", "within_s = 60");
        fs::write(files.path("broker.toml"), text).unwrap();
        files
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// `matrix` against it, with the folders of brokers in a folder of its own.
    fn matrix(&self, arguments: &[&str]) -> Command {
        fs::create_dir_all(self.path("tmp")).unwrap();
        let mut command = matrix(self.path("broker.toml").to_str().unwrap(), &[&QUEUED[..], arguments].concat());
        command.env("TMPDIR", self.path("tmp"));
        command
    }

    /// Nothing of the broker is there any more: no folder, and none of the processes that it told.
    #[track_caller]
    pub fn nothing_is_left(&self) {
        let folders: Vec<_> = fs::read_dir(self.path("tmp")).unwrap().collect();
        assert!(folders.is_empty(), "{folders:?}");
        self.no_process_is_left();
    }

    #[track_caller]
    fn no_process_is_left(&self) {
        let told = fs::read_to_string(self.path("processes")).unwrap_or_default();
        let processes: Vec<&str> = told.split_whitespace().collect();
        assert!(!processes.is_empty(), "the broker told of no process");
        let began = Instant::now();
        while processes.iter().any(|id| is_running(id)) {
            assert!(began.elapsed() < PATIENCE, "still there: {processes:?}");
            thread::sleep(Duration::from_millis(5));
        }
    }
}

/// A process that was killed and that nobody waited for is not running.
fn is_running(id: &str) -> bool {
    let status = fs::read_to_string(Path::new("/proc").join(id).join("status")).unwrap_or_default();
    status.contains("State:") && !status.contains("State:\tZ")
}

#[track_caller]
fn gave_up(ended: &Ended, phrases: &[&str]) {
    assert_eq!(ended.code, Some(2), "{ended:?}");
    for phrase in phrases {
        assert!(ended.stderr.contains(phrase), "no \"{phrase}\" in {}", ended.stderr);
    }
}

#[test]
fn a_broker_is_started_measured_and_ended() {
    let files = Files::broker("echo $$ > ${out}/processes;");
    let ended = run(files.matrix(&["--export-json=-"]));
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    let results = ended.results();
    each_cell(&results, |_| Verdict::Pass);
    assert_eq!(results.broker.name.as_deref(), Some("made-up"));
    assert!(!ended.stderr.contains("mqtt-sessions clean"), "{}", ended.stderr);
    files.nothing_is_left();
}

#[test]
fn what_it_left_stays_where_that_is_asked_for() {
    let files = Files::broker("echo $$ > ${out}/processes; echo hello; echo data > data;");
    let ended = run(files.matrix(&["--keep"]));
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    files.no_process_is_left();
    let kept = fs::read_dir(files.path("tmp")).unwrap().next().unwrap().unwrap().path();
    let said = format!("made-up keeps its configuration, data and log in {}", kept.display());
    assert!(ended.stderr.contains(&said), "{}", ended.stderr);
    assert_eq!(fs::read_to_string(kept.join("data")).unwrap(), "data\n");
    assert!(fs::read_to_string(kept.join("output.log")).unwrap().starts_with("hello\n"));
}

#[test]
fn a_broker_that_ends_at_once_is_told_with_its_last_words() {
    let files = Files::script("echo $$ > ${out}/processes; echo one; printf 'port \\033[31m taken\n' >&2; exit 1");
    let ended = run(files.matrix(&[]));
    gave_up(&ended, &["made-up ended before it answered a CONNECT", "its last words:", "one\nport \\x1b[31m taken"]);
    files.nothing_is_left();
}

#[test]
fn a_broker_that_never_gets_ready_is_told_in_time() {
    // It leaves a child behind, takes no TERM, and fills its log.
    let script = "trap '' TERM; sleep 600 & echo $$ $! > ${out}/processes; yes noise | head -c 5000000; wait";
    let files = Files::script(script);
    let ended = run(files.matrix(&[]));
    gave_up(&ended, &["made-up answered no CONNECT within 2 s", "noise"]);
    assert!(ended.stderr.len() < 1000, "{} bytes", ended.stderr.len());
    files.nothing_is_left();
}

#[test]
fn it_ends_with_the_program_however_that_ends() {
    for (name, code) in [("INT", Some(130)), ("TERM", Some(130)), ("KILL", None)] {
        let files = Files::broker("sleep 600 & echo $$ $! > ${out}/processes;");
        // A Keep Alive that nothing ends holds up the run.
        let mut child = files.matrix(&["--settle=1h"]).spawn().unwrap();
        let mut stderr = BufReader::new(child.stderr.take().unwrap());
        wait_for_line(&mut stderr, "prefix");
        signal(&child, name);
        assert_eq!(end_of(&mut child).code(), code, "{name}");
        match code {
            Some(_) => files.nothing_is_left(),
            None => files.no_process_is_left(),
        }
    }
}

#[test]
fn a_file_that_cannot_be_used_is_told_with_the_place() {
    let typed = |lines: &str| Files::with(lines);
    let cases = [
        ("start = []", &["start is empty"][..]),
        ("start = [1]", &["line 3", "string"]),
        ("strat = [\"x\"]", &["strat", "line 3"]),
        ("start = [\"${prot}\"]", &["${prot} has no value; there are cache, folder, number, port"]),
        (
            "start = [\"x\"]\nprograms = [\"no-such-broker\"]",
            &["no program no-such-broker", "install it with `make up`"],
        ),
        ("start = [\"x\"]\nneeds = [\"/no/such\"]", &["there is no /no/such", "`make up`"]),
        ("start = [\"/no/such/program\"]", &["ended before it answered a CONNECT", "/no/such/program"]),
    ];
    for (lines, phrases) in cases {
        gave_up(&run(typed(lines).matrix(&[])), phrases);
    }
    gave_up(&run(matrix("/no/such.toml", &[])), &["--broker /no/such.toml", "cannot read the broker file"]);
    gave_up(&run(matrix("mosquitto:perfect", &[])), &["mosquitto has no variant perfect; it has max_qos_1"]);
    let files = typed("start = [\"x\"]");
    for (variable, phrase) in
        [("TMPDIR", "see whether there is room in /no/such"), ("PATH", "since there is no shell: sh: ")]
    {
        let mut program = files.matrix(&[]);
        program.env(variable, "/no/such");
        gave_up(&run(program), &["made-up was not started", phrase]);
    }
}

#[test]
fn a_doctor_starts_it_too_and_a_clean_up_has_nothing_to_do() {
    let files = Files::broker("echo $$ > ${out}/processes;");
    fs::create_dir_all(files.path("tmp")).unwrap();
    let mut doctor = program(["doctor".as_ref(), files.path("broker.toml").as_os_str()]);
    doctor.env("TMPDIR", files.path("tmp"));
    let ended = run(doctor);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    files.nothing_is_left();
    run(program(["clean", "--prefix", "x", "--broker", "mosquitto"])).gave_up(2, &["clean needs --broker URL"]);
}

#[test]
fn the_brokers_are_listed_with_how_they_are_installed() {
    let mut list = program(["list", "--brokers"]);
    list.env("XDG_CACHE_HOME", "/no/such");
    let ended = run(list);
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    let aedes = ended.stdout.lines().skip_while(|line| !line.starts_with("aedes ")).take(1).collect::<String>();
    assert!(aedes.contains("is not installed: npm install --prefix"), "{}", ended.stdout);
    assert!(ended.stdout.contains(":queue_limit_20     queues 20 messages for a session"), "{}", ended.stdout);
}
