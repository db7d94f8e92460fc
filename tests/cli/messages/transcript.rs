//! Commands of a document with what they say on stderr, as a terminal shows both. Each block has a folder of its own.

use std::fs;

use crate::program::{Ended, program, run};

/// How a block begins and ends.
const BEGIN: &str = "```console";
const END: &str = "```";

/// A command with its message.
pub struct Said {
    pub command: String,
    /// Names of files that the block has, which a message may name in place of a word of the command.
    pub files: Vec<String>,
    pub message: String,
}

/// Runs all commands of the document: what was said, and the document with that in place of what stood there.
pub fn play(document: &str) -> (Vec<Said>, String) {
    let (mut said, mut written) = (Vec::new(), String::new());
    let mut lines = document.lines().peekable();
    while let Some(line) = lines.next() {
        written += &format!("{line}\n");
        if line != BEGIN {
            continue;
        }
        let folder = tempfile::tempdir().unwrap();
        let mut files = Vec::new();
        while let Some(line) = lines.next_if(|line| *line != END) {
            written += &format!("{line}\n");
            let mut below = Vec::new();
            while let Some(line) = lines.next_if(|line| *line != END && !line.starts_with("$ ")) {
                below.push(line);
            }
            let text: String = below.iter().map(|line| format!("{line}\n")).collect();
            match line.strip_prefix("$ cat ") {
                Some(file) => {
                    let path = folder.path().join(file);
                    fs::create_dir_all(path.parent().unwrap()).unwrap();
                    fs::write(path, &text).unwrap();
                    files.push(file.to_owned());
                    written += &text;
                }
                None => {
                    let command = line.strip_prefix("$ mqtt-sessions ").unwrap_or_else(|| panic!("{line}"));
                    let message = message(command, folder.path());
                    written += &message;
                    said.push(Said { command: command.into(), files: files.clone(), message });
                }
            }
        }
    }
    (said, written)
}

/// What the command says on stderr.
fn message(command: &str, folder: &std::path::Path) -> String {
    let mut program = program(words(command));
    program.current_dir(folder);
    let Ended { code, stderr, .. } = run(program);
    assert_ne!(code, Some(101), "{command}: {stderr}");
    stderr
}

/// The words of a command, as a shell takes them: quoted ones have spaces.
fn words(command: &str) -> Vec<String> {
    let parts = command.split('\'').enumerate();
    let words = parts.flat_map(|(place, part)| match place % 2 {
        1 => vec![part],
        _ => part.split_whitespace().collect(),
    });
    words.map(String::from).collect()
}
