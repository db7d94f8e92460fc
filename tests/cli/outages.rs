//! Brokers that are ended in the middle of a run and started again.

use std::fs;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use mqtt_sessions::results::{Results, Verdict};
use mqtt_sessions::scenario::Ending;

use crate::peers::{assert_nothing_left, serve, url};
use crate::program::{Ended, end_of, program, read_all, run, signal};
use crate::started::Files;
use test_broker::Broker;

/// Three messages wait for a session, in both versions.
const QUEUE: [&str; 2] = ["--filter=what=queue", "--filter=after_ms=0"];

/// `run restart` against this broker.
fn restart(broker: &str, arguments: &[&str]) -> Command {
    let mut command = program(["run", "restart", "--broker", broker, "--patience=100ms", "--export-json=-"]);
    command.args(QUEUE).args(arguments);
    command
}

impl Files {
    fn restart(&self, arguments: &[&str]) -> Command {
        fs::create_dir_all(self.path("tmp")).unwrap();
        let mut command = restart(self.path("broker.toml").to_str().unwrap(), arguments);
        command.env("TMPDIR", self.path("tmp"));
        command
    }
}

/// Each cell's verdict follows from how the broker was ended.
#[track_caller]
fn each(results: &Results, expected: impl Fn(bool) -> Verdict, choice: &str) {
    assert_eq!(results.cells.len(), 4);
    for cell in &results.cells {
        let is_stop = cell.id.contains("by=stop");
        assert_eq!(cell.verdict, expected(is_stop), "{}: {:?} {:?}", cell.id, cell.reason, cell.violations);
        let name = if is_stop { "after_stop" } else { "after_kill" };
        assert_eq!(cell.choices.get(name).map(String::as_str), Some(choice), "{}", cell.id);
    }
}

#[test]
fn a_broker_that_keeps_nothing_is_measured() {
    let files = Files::broker("echo $$ >> ${out}/processes;");
    let ended = run(files.restart(&[]));
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    each(&ended.results(), |is_stop| if is_stop { Verdict::Warn } else { Verdict::Pass }, "lost");
    files.nothing_is_left();
    let processes = fs::read_to_string(files.path("processes")).unwrap();
    assert_eq!(processes.lines().count(), 3, "it was started for two ways to end: {processes}");
}

#[test]
fn a_broker_whose_file_declares_it_durable_and_that_keeps_nothing_fails() {
    let files = Files::broker("echo $$ >> ${out}/processes;");
    let text = fs::read_to_string(files.path("broker.toml")).unwrap();
    fs::write(files.path("broker.toml"), format!("{text}\ndurable = \"kill\"\n")).unwrap();
    let ended = run(files.restart(&["--histories=all"]));
    assert_eq!(ended.code, Some(1), "{}", ended.stderr);
    each(&ended.results(), |_| Verdict::Fail, "lost");
    assert_eq!(ended.results().options.durable, Some(Ending::Kill));
    // The results say it, so that a judge without the file comes to the same.
    fs::write(files.path("results.json"), &ended.stdout).unwrap();
    let again = run(program(["judge".as_ref(), files.path("results.json").as_os_str()]));
    assert_eq!(again.code, Some(1), "{}", again.stderr);
    files.nothing_is_left();
}

#[test]
fn a_broker_that_says_it_kept_the_session_and_lacks_its_messages_fails() {
    let mark = "if [ -e was_here ]; then export LIE_OF_THE_TEST_BROKER=session-present-1; fi; touch was_here;";
    let files = Files::broker(&format!("echo $$ >> ${{out}}/processes; {mark}"));
    // In 5.0 a client without a session closes on Session Present 1; what becomes of the others is judged by hand-written histories.
    let ended = run(files.restart(&["--filter=by=kill", "--filter=protocol=3.1.1"]));
    assert_eq!(ended.code, Some(1), "{}", ended.stderr);
    for cell in ended.results().cells {
        let cited: Vec<&str> = cell.violations.iter().map(|own| own.statement.as_str()).collect();
        // To whom it lies besides is another matter.
        assert!(cited.contains(&"MQTT-3.1.2-5"), "{}: {cited:?}", cell.id);
        assert_eq!(cell.choices.get("after_kill").map(String::as_str), Some("partly"), "{}", cell.id);
    }
    files.nothing_is_left();
}

#[test]
fn a_broker_that_does_not_come_back_is_told() {
    let files =
        Files::broker("echo $$ >> ${out}/processes; [ -e was_here ] && { echo no more; exit 1; }; touch was_here;");
    let ended = run(files.restart(&["--filter=by=kill"]));
    assert_eq!(ended.code, Some(3), "{}", ended.stderr);
    for cell in ended.results().cells {
        assert_eq!(cell.verdict, Verdict::Error, "{}", cell.id);
        let reason = cell.reason.unwrap_or_default();
        assert!(
            reason.contains("made-up ended before it answered a CONNECT") && reason.contains("no more"),
            "{reason}"
        );
    }
    files.nothing_is_left();
}

#[test]
fn a_broker_that_takes_no_term_is_told() {
    let files = Files::broker("echo $$ >> ${out}/processes; trap '' TERM;");
    let text = fs::read_to_string(files.path("broker.toml")).unwrap();
    fs::write(files.path("broker.toml"), format!("{text}\nstops_within_s = 1\n")).unwrap();
    let ended = run(files.restart(&["--filter=by=stop"]));
    assert_eq!(ended.code, Some(3), "{}", ended.stderr);
    for cell in ended.results().cells {
        assert!(cell.reason.unwrap_or_default().contains("made-up had not stopped 1 s after SIGTERM"), "{}", cell.id);
    }
    files.nothing_is_left();
}

/// The broker is stopped, and stays away for an hour.
const LONG_PAUSE: &str = r#"
name = "pause"
question = "What if the user does not wait?"
clients.one = { protocol = "3.1.1", clean_session = false }
steps = [{ connect = "one" }, { stop = "broker" }, { start = "broker", after_ms = 3600000 }, { connect = "one" }]
"#;

/// Runs that scenario, interrupts it when the broker has been told to stop, and waits for the end.
#[track_caller]
fn interrupted(files: &Files, broker: &str, arguments: &[&str], is_away: impl Fn() -> bool) -> String {
    fs::write(files.path("pause.toml"), LONG_PAUSE).unwrap();
    fs::create_dir_all(files.path("tmp")).unwrap();
    let mut command = program(["run", files.path("pause.toml").to_str().unwrap(), "--broker", broker]);
    let mut child = command.args(arguments).env("TMPDIR", files.path("tmp")).spawn().unwrap();
    let stderr = read_all(child.stderr.take());
    let began = Instant::now();
    while !is_away() {
        assert!(began.elapsed() < Duration::from_secs(50), "the broker was not stopped");
        thread::sleep(Duration::from_millis(5));
    }
    signal(&child, "INT");
    assert_eq!(end_of(&mut child).code(), Some(130));
    stderr.join().unwrap()
}

#[test]
fn a_run_that_is_interrupted_while_its_broker_is_away_leaves_nothing() {
    let files = Files::broker("echo $$ >> ${out}/processes; trap 'touch ${out}/stopped; exit' TERM;");
    // The shell is the broker's parent here, so that it hears SIGTERM.
    let text = fs::read_to_string(files.path("broker.toml")).unwrap().replace(" exec '", " '");
    fs::write(files.path("broker.toml"), text).unwrap();
    let stopped = files.path("stopped");
    interrupted(&files, files.path("broker.toml").to_str().unwrap(), &[], || stopped.exists());
    files.nothing_is_left();
}

#[test]
fn a_broker_of_the_users_is_started_again_when_the_run_is_interrupted() {
    let files = Files::with("");
    let said = files.path("said");
    let (stop, start) = (
        format!("echo stop >> '{0}'; sleep 1; echo stopped >> '{0}'", said.display()),
        format!("echo start >> '{}'", said.display()),
    );
    let broker = Broker::correct();
    let url = url(serve(&broker));
    let commands = ["--stop-command", &stop, "--start-command", &start];
    // The command is still under way when the signal comes.
    let stderr = interrupted(&files, &url, &commands, || said.exists());
    assert_eq!(fs::read_to_string(&said).unwrap(), "stop\nstopped\nstart\n", "{stderr}");
    assert_nothing_left(&broker);
}

/// A broker of this process, and commands that take it away and bring it back.
#[test]
fn commands_of_the_users_end_and_start_a_broker() {
    let files = Files::with("");
    let said = files.path("said");
    let say = |word: &str| format!("echo {word} >> '{}'", said.display());
    let url = url(serve(&Broker::correct()));
    let [stop, kill, start] = ["stop", "kill", "start"].map(say);
    let commands = ["--stop-command", &stop, "--kill-command", &kill, "--start-command", &start];
    let ended = run(restart(&url, &commands));
    // To this broker nothing happens: its connections stay, which is no finding, and so do its sessions.
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    each(&ended.results(), |_| Verdict::Pass, "kept");
    assert_eq!(fs::read_to_string(&said).unwrap(), "stop\nstart\nkill\nstart\n");
}

#[test]
fn what_cannot_be_done_is_told_before_the_cells_run() {
    let url = url(serve(&Broker::correct()));
    let gave_up = |ended: Ended, phrase: &str| {
        assert_eq!(ended.code, Some(2), "{}", ended.stderr);
        assert!(ended.stderr.contains(phrase), "{}", ended.stderr);
    };
    gave_up(run(restart(&url, &[])), "the broker cannot be stopped: give --stop-command COMMAND, or --broker NAME");
    let stop = ["--stop-command=true", "--start-command=true"];
    gave_up(run(restart(&url, &stop)), "the broker cannot be killed: give --kill-command COMMAND");
    gave_up(
        run(restart(&url, &["--kill-command=true", "--filter=by=kill"])),
        "cannot be started: give --start-command",
    );
    let fails = ["--filter=by=kill", "--kill-command=exit 7", "--start-command=true"];
    let ended = run(restart(&url, &fails));
    assert_eq!(ended.code, Some(3), "{}", ended.stderr);
    let reasons: Vec<String> = ended.results().cells.into_iter().filter_map(|cell| cell.reason).collect();
    assert!(reasons.iter().all(|why| why.contains("--kill-command 'exit 7': it ended with code 7")), "{reasons:?}");
}

/// Histories are written by hand, and what a broker did in them is read off.
#[test]
fn what_a_broker_kept_is_told_as_its_choice() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/histories/");
    for (history, choice, value) in [
        ("killed-and-kept", "after_kill", "kept"),
        ("killed-and-forgotten", "after_kill", "lost"),
        ("killed-session-without-its-messages", "after_kill", "partly"),
        ("killed-and-gone-back", "delivered_again_after_kill", "some"),
        ("stopped-and-kept", "after_stop", "kept"),
        ("stopped-and-forgotten", "after_stop", "lost"),
        ("stopped-and-retained-gone", "retained_after_stop", "lost"),
        ("killed-and-will-published", "will_after_kill", "published"),
        ("killed-and-will-dropped", "will_after_kill", "dropped"),
        ("killed-and-expired-kept", "expired_while_the_broker_was_away", "kept"),
        ("killed-and-expired-gone", "expired_while_the_broker_was_away", "gone"),
    ] {
        let ended = run(program(["judge", &format!("{folder}{history}-5.0.txt"), "--export-json", "-"]));
        let results = ended.results();
        assert_eq!(results.cells[0].choices.get(choice).map(String::as_str), Some(value), "{history}");
    }
}
