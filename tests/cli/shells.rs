//! Completions and manual pages.

use std::fs;
use std::io::Write;
use std::process::{Command, Stdio};

use crate::program::{program, run};

#[test]
fn completions_are_scripts_that_bash_reads_and_that_know_the_options() {
    let ended = run(program(["completions", "bash"]));
    assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""));
    let mut bash = Command::new("bash").arg("-n").stdin(Stdio::piped()).spawn().unwrap();
    bash.stdin.take().unwrap().write_all(ended.stdout.as_bytes()).unwrap();
    assert!(bash.wait().unwrap().success());
    for option in ["--export-json", "--statements", "--queue-limit"] {
        assert!(ended.stdout.contains(option), "{option}");
    }
    for shell in ["elvish", "fish", "powershell", "zsh"] {
        assert!(run(program(["completions", shell])).stdout.contains("mqtt-sessions"), "{shell}");
    }
}

#[test]
fn each_command_has_its_manual_page() {
    let folder = tempfile::tempdir().unwrap();
    let pages = folder.path().join("man/man1");
    let ended = run(program(["man", pages.to_str().unwrap()]));
    assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""));
    for name in ["mqtt-sessions", "mqtt-sessions-matrix", "mqtt-sessions-probe", "mqtt-sessions-explain"] {
        let page = fs::read_to_string(pages.join(name).with_extension("1")).unwrap();
        assert!(page.contains(".SH SYNOPSIS") && page.contains(".SH OPTIONS"), "{name}");
    }
}

#[test]
fn manual_pages_need_a_folder_that_can_be_written() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let place = file.path().to_str().unwrap();
    run(program(["man", place])).gave_up(2, &["cannot write", place, "; give a folder that you may write"]);
}
