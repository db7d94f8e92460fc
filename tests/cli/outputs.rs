//! What goes where: results to stdout, the rest to stderr, colour to terminals, and nothing to readers that went away.

use std::io::BufReader;
use std::process::Command;

use crate::peers::correct;
use crate::program::{QUEUED, end_of, matrix, program, run, wait_for_line};

fn small() -> Command {
    matrix(&correct(), &QUEUED)
}

#[test]
fn json_on_stdout_is_alone_there() {
    let mut command = small();
    command.args(["--export-json", "-"]);
    let ended = run(command);
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert_eq!(ended.results().summary.pass, 2);
    assert!(ended.stdout.ends_with("}\n"));
    assert!(ended.stderr.contains("2 cells: 2 pass"), "the table is on stderr then: {}", ended.stderr);
}

#[test]
fn colour_is_for_those_who_ask_for_it() {
    let coloured = |change: fn(&mut Command) -> &mut Command| {
        let mut command = small();
        change(&mut command);
        let ended = run(command);
        (ended.stdout + &ended.stderr).contains('\u{1b}')
    };
    assert!(!coloured(|command| command), "a pipe gets plain text");
    assert!(coloured(|command| command.args(["--color", "always"])));
    assert!(coloured(|command| command.env("CLICOLOR_FORCE", "1")));
    assert!(!coloured(|command| command.env("CLICOLOR_FORCE", "1").env("NO_COLOR", "1")));
    assert!(!coloured(|command| command.env("CLICOLOR_FORCE", "1").args(["--color", "never"])));
}

#[test]
fn usage_errors_are_plain_in_a_pipe() {
    let ended = run(program(["matrix", "--no-such-option"]));
    assert_eq!((ended.code, ended.stdout.as_str()), (Some(2), ""));
    ended.complained(&["--no-such-option"]);
}

#[test]
fn a_reader_of_stdout_that_goes_away_is_no_error() {
    let runs: [&[&str]; 3] = [&["list"], &["matrix", "--export-json", "-"], &["matrix", "--help"]];
    for arguments in runs {
        let mut command = program(arguments);
        if arguments.contains(&"-") {
            command.args(["--broker", &correct()]).args(QUEUED);
        }
        // Not one byte can be written.
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let ended = run({
            command.stdout(writer);
            command
        });
        assert_eq!(ended.code, Some(0), "{arguments:?}: {}", ended.stderr);
        assert!(!ended.stderr.contains("error") && !ended.stderr.contains("panicked"), "{}", ended.stderr);
    }
}

#[test]
fn nobody_has_to_read_stderr() {
    let mut child = small().spawn().unwrap();
    let mut stderr = BufReader::new(child.stderr.take().unwrap());
    wait_for_line(&mut stderr, "prefix");
    drop(stderr);
    let stdout = std::io::read_to_string(child.stdout.take().unwrap()).unwrap();
    assert_eq!(end_of(&mut child).code(), Some(0));
    assert!(stdout.contains("2 cells: 2 pass"), "{stdout}");
    // An error, too, has nobody to tell.
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let mut command = matrix("http://localhost", &[]);
    command.stderr(writer);
    assert_eq!(run(command).code, Some(2));
}
