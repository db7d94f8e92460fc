//! Surveys: several brokers one after the other, whatever becomes of one of them, and the page that sets them side by side.

use std::fs;
use std::io::BufReader;
use std::path::{Path, PathBuf};
use std::process::Command;

use mqtt_sessions::results::{Results, Summary};
use tempfile::TempDir;

use crate::program::{Ended, QUEUED, end_of, matrix, program, run, signal, wait_for_line};
use crate::started::{DIES_AT, LIE, command};

/// A folder with broker files, and a folder for the results.
struct Study {
    folder: TempDir,
}

impl Study {
    fn new() -> Study {
        Study { folder: tempfile::tempdir().unwrap() }
    }

    /// Adds a broker file of this name. `${out}` is the folder of the study.
    fn broker(&self, name: &str, script: &str, lines: &str) -> &Study {
        let script = script.replace("${out}", self.folder.path().to_str().unwrap());
        let text = format!(
            "name = \"{name}\"\ninstall = \"make up {name}\"\nready_within_s = 60\nstart = [\"sh\", \"-c\", '''{script}''']\n\
             {lines}\n"
        );
        fs::write(self.path(&format!("{name}.toml")), text).unwrap();
        self
    }

    /// Adds one that keeps its promises.
    fn correct(&self, name: &str) -> &Study {
        self.broker(name, &command(), "version.command = [\"echo\", \"1.2\"]")
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// A survey of these, with a cell for each protocol version.
    fn survey(&self, brokers: &[&str], arguments: &[&str]) -> Command {
        let mut survey = program(["survey", "--scenario=matrix", "--save=results", "--patience=100ms"]);
        survey.args(brokers).args(QUEUED).args(arguments).current_dir(self.folder.path());
        survey
    }

    fn results(&self, file: &str) -> Results {
        Results::load(&self.path("results").join(file)).unwrap()
    }

    fn page(&self) -> String {
        fs::read_to_string(self.path("results/README.md")).unwrap()
    }
}

/// The line about this broker, without how many seconds it took.
#[track_caller]
fn line<'a>(ended: &'a Ended, title: &str) -> &'a str {
    let mut lines = ended.stdout.lines().filter_map(|line| line.strip_prefix(title)?.strip_prefix("  "));
    let line = lines.next().unwrap_or_else(|| panic!("no line about {title} in {ended:?}"));
    line.rsplit_once("; ").unwrap().0
}

#[test]
fn what_becomes_of_one_broker_does_not_end_the_survey() {
    let study = Study::new();
    study.broker("lying", &format!("{LIE}=queues-nothing {}", command()), "");
    study.broker("ending", "echo no licence; exit 1", "");
    study.broker("absent", "true", "programs = [\"no-such-program\"]");
    study.broker("dying", &format!("{DIES_AT}=8 {}", command()), "");
    study.correct("correct");
    let files = ["lying.toml", "ending.toml", "absent.toml", "dying.toml", "correct.toml"];
    let ended = run(study.survey(&files, &[]));
    assert_eq!(ended.code, Some(2), "{ended:?}");
    assert_eq!(line(&ended, "lying 1.0"), "2 cells: 2 fail; 1 finding");
    assert_eq!(line(&ended, "correct 1.2"), "2 cells: 2 pass; 0 findings");
    for phrase in [
        "not installed, and left out: absent (`make up absent` installs it)",
        "error: ending was not measured: ending ended before it answered a CONNECT; --keep keeps its files and its log; its last words:\nno licence",
    ] {
        assert!(ended.stderr.contains(phrase), "no \"{phrase}\" in {}", ended.stderr);
    }
    assert_eq!(study.results("lying.json").summary, Summary { fail: 2, ..Summary::default() });
    assert_eq!(study.results("correct-1.2.json").summary, Summary { pass: 2, ..Summary::default() });
    assert!(!study.results("dying.json").run.complete);
    assert!(!study.path("results/ending.json").exists() && !study.path("results/absent.json").exists());
    assert!(ended.stdout.ends_with("results/README.md: 3 results files side by side\n"), "{}", ended.stdout);
    let page = study.page();
    for file in ["lying.json", "dying.json", "correct-1.2.json"] {
        assert!(page.contains(&format!("]({file})")), "{page}");
    }
}

#[test]
fn the_exit_code_is_that_of_the_worst_broker() {
    let study = Study::new();
    study.correct("correct").broker("lying", &format!("{LIE}=queues-nothing {}", command()), "");
    study.broker("dying", &format!("{DIES_AT}=8 {}", command()), "");
    for (brokers, code) in [
        (&["correct.toml"][..], 0),
        (&["correct.toml", "dying.toml"], 3),
        (&["dying.toml", "lying.toml", "correct.toml"], 1),
    ] {
        let ended = run(study.survey(brokers, &[]));
        assert_eq!(ended.code, Some(code), "{brokers:?}: {ended:?}");
    }
}

#[test]
fn a_results_file_keeps_the_packets_of_one_cell_for_each_finding() {
    let study = Study::new();
    study.broker("lying", &format!("{LIE}=queues-nothing {}", command()), "");
    // Twice the same in each protocol version.
    let two = [
        "--filter=publish_qos=1",
        "--filter=clean_session=false",
        "--filter=subscribe_qos=1,2",
        "--filter=retain=false",
    ];
    let survey = |arguments: &[&str]| {
        let mut survey = program([
            "survey",
            "--scenario=matrix",
            "--filter=resubscribe=false",
            "--save=results",
            "--patience=100ms",
            "lying.toml",
        ]);
        survey.args(two).args(arguments).current_dir(study.folder.path());
        assert_eq!(run(survey).code, Some(1));
        study.results("lying.json")
    };
    let results = survey(&[]);
    assert_eq!(results.summary.fail, 4);
    let kept: Vec<&str> = results.run.cells.keys().map(String::as_str).collect();
    // Both versions break the same rule, so that one cell shows it.
    assert_eq!(
        kept,
        ["matrix[protocol=3.1.1,clean_session=false,publish_qos=1,subscribe_qos=1,retain=false,resubscribe=false]"]
    );
    assert!(
        results.run.cells.values().all(|run| run.has_histories() && run.attempts.iter().all(|a| a.bytes.is_empty()))
    );
    let with_copies: Vec<&str> =
        results.cells.iter().filter(|cell| !cell.received.is_empty()).map(|cell| cell.id.as_str()).collect();
    assert!(with_copies.iter().all(|id| kept.contains(id)), "{with_copies:?}");
    // What is not there is told as nothing by no command.
    let file = study.path("results/lying.json");
    run(program(["judge".as_ref(), file.as_os_str()]))
        .gave_up(2, &["lying.json", "one cell for each finding", "report"]);
    let mut explain = program(["explain", kept[0], "--results"]);
    explain.arg(&file);
    let ended = run(explain);
    assert!(ended.stdout.contains("PUBLISH"), "{ended:?}");
    let unclear = survey(&["--histories=unclear"]);
    assert_eq!(unclear.run.cells.values().filter(|run| run.has_histories()).count(), 4);
}

#[test]
fn a_configuration_has_a_file_and_a_queue_limit_of_its_own() {
    let study = Study::new();
    study.broker(
        "mine",
        &command(),
        "[variants.few]\nabout = \"keeps few\"\nqueue_limit = 7\n[variants.other]\nabout = \"x\"",
    );
    let ended = run(study.survey(&["mine.toml"], &["--variants"]));
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let limit = |file: &str| study.results(file).options.queue_limit;
    assert_eq!([limit("mine.json"), limit("mine-few.json"), limit("mine-other.json")], [None, Some(7), None]);
    let file = study.path("mine.toml:few");
    let ended = run(matrix(file.to_str().unwrap(), &[&QUEUED[..], &["--export-json=-"]].concat()));
    assert_eq!(ended.results().options.queue_limit, Some(7));
    assert!(study.page().contains("### Configurations of mine"), "{}", study.page());
}

#[test]
fn an_interruption_ends_the_survey_with_what_is_there() {
    let study = Study::new();
    study.correct("first").broker("third", &format!("echo > ${{out}}/third; {}", command()), "");
    study.broker("second", &format!("{LIE}=queues-nothing {}", command()), "");
    assert_eq!(run(study.survey(&["first.toml"], &[])).code, Some(0));
    // A settle window that nothing ends holds up the cells, in which something is absent.
    let mut child = study.survey(&["second.toml", "third.toml"], &["--settle=1h"]).spawn().unwrap();
    let mut stderr = BufReader::new(child.stderr.take().unwrap());
    wait_for_line(&mut stderr, "prefix");
    signal(&child, "INT");
    assert_eq!(end_of(&mut child).code(), Some(130));
    assert!(!study.results("second.json").run.complete);
    assert!(!study.path("third").exists());
    let page = study.page();
    assert!(page.contains("](first-1.2.json)") && page.contains("cut short"), "{page}");
}

#[test]
fn what_others_wrote_is_not_replaced() {
    for (file, cure) in [("README.md", "was made by no survey"), ("correct-1.2.json", "is not a results file")] {
        let study = Study::new();
        study.broker(
            "correct",
            &format!("echo > ${{out}}/started; {}", command()),
            "version.command = [\"echo\", \"1.2\"]",
        );
        fs::create_dir(study.path("results")).unwrap();
        fs::write(study.path("results").join(file), "precious").unwrap();
        run(study.survey(&["correct.toml"], &[])).gave_up(2, &[file, cure, "--save"]);
        assert_eq!(fs::read_to_string(study.path("results").join(file)).unwrap(), "precious");
        assert!(!study.path("started").exists());
    }
}

#[test]
fn what_no_survey_can_start_is_told_before_anything_runs() {
    let study = Study::new();
    study.correct("correct").broker("same", &command(), "");
    fs::copy(study.path("same.toml"), study.path("again.toml")).unwrap();
    for (brokers, phrases) in [
        (&["mqtt://localhost"][..], &["mqtt://localhost", "list --brokers", "run --all --broker URL"][..]),
        (&["correct.toml:fast"], &["correct has no variant fast"]),
        (&["/no/such.toml"], &["/no/such.toml", "cannot read the broker file"]),
        (&["same.toml", "again.toml"], &["two brokers would write", "same.json"]),
        (&["same.toml", "same.toml"], &["same.toml is there twice"]),
    ] {
        run(study.survey(brokers, &[])).gave_up(2, phrases);
    }
    let ended = run(study.survey(&["correct.toml"], &["--filter=publish_qos=0"]));
    assert_eq!(ended.code, Some(4), "{ended:?}");
    assert!(!Path::new(&study.path("results/correct-1.2.json")).exists());
}

#[test]
fn a_report_is_the_page_of_a_survey() {
    let study = Study::new();
    study.correct("one").broker("two", &format!("{LIE}=queues-nothing {}", command()), "");
    run(study.survey(&["one.toml", "two.toml"], &[]));
    let mut report = program(["report", "two.json", "one-1.2.json"]);
    report.current_dir(study.path("results"));
    let ended = run(report);
    assert_eq!((ended.code, ended.stdout.as_str()), (Some(0), study.page().as_str()));
    run(program(["report", "/no/such.json"])).gave_up(2, &["cannot read /no/such.json"]);
}

#[test]
fn a_report_goes_into_files_instead() {
    let study = Study::new();
    study.correct("one");
    run(study.survey(&["one.toml"], &[]));
    let report = |arguments: &[&str]| {
        let mut command = program([&["report", "one-1.2.json"], arguments].concat());
        command.current_dir(study.path("results"));
        run(command)
    };
    let printed = report(&[]).stdout;
    let ended = report(&["--export-html", "page.html", "--export-markdown", "page.md"]);
    assert_eq!((ended.code, ended.stdout.as_str(), ended.stderr.as_str()), (Some(0), "", ""));
    let written = |name: &str| fs::read_to_string(Path::new(&study.path("results")).join(name)).unwrap();
    assert_eq!(written("page.md"), printed);
    assert!(written("page.html").starts_with("<!doctype html>"));
    let ended = report(&["--export-html", "-"]);
    assert_eq!((ended.code, ended.stdout), (Some(0), written("page.html")));
    report(&["--export-html", "-", "--export-markdown", "-"])
        .gave_up(2, &["--export-html and --export-markdown both write to stdout; give one of them a file"]);
    report(&["--export-html", "/no/such/page.html"]).gave_up(2, &["cannot write /no/such/page.html", "--export-html"]);
}
