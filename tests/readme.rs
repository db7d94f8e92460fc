//! Each command in the README and in the documents is one that the program takes. What the README shows of their output is
//! compared by `.ci/readme`, which has a real broker.

use std::fs;
use std::path::Path;
use std::process::Command;

use mqtt_sessions::typed;

/// A command in a code block, as its reader would copy it.
#[derive(Debug)]
struct Shown {
    document: String,
    line: usize,
    text: String,
}

fn documents() -> Vec<String> {
    let docs = fs::read_dir(root().join("docs"))
        .unwrap()
        .map(|entry| format!("docs/{}", entry.unwrap().file_name().display()));
    // These show what is typed wrongly.
    let documents = docs.filter(|name| name.ends_with(".md") && name != "docs/messages.md");
    ["README.md".into(), "CONTRIBUTING.md".into()].into_iter().chain(documents).collect()
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The lines in code blocks that call the program, each with those that continue it.
fn commands(document: &str, text: &str) -> Vec<Shown> {
    let mut shown = Vec::new();
    let mut is_code = false;
    let mut lines = text.lines().enumerate();
    while let Some((number, line)) = lines.next() {
        if line.trim_start().starts_with("```") {
            is_code = !is_code;
            continue;
        }
        let command = line.trim_start().trim_start_matches("- ").trim_start_matches("$ ");
        if !is_code || !command.starts_with("mqtt-sessions ") {
            continue;
        }
        let mut text = command.to_owned();
        while text.ends_with('\\') {
            text.pop();
            text.push_str(lines.next().expect("a line that continues").1);
        }
        shown.push(Shown { document: document.to_owned(), line: number + 1, text });
    }
    shown
}

/// The arguments that a shell would give to the program; `None` where it does not understand the line.
///
/// The shell runs the line in an empty folder without any other program and without redirections, so that no file is touched.
fn arguments(text: &str) -> Option<Vec<String>> {
    let folder = tempfile::tempdir().ok()?;
    let text = text.split(" > ").next()?;
    let program = "mqtt-sessions() { printf '%s\\0' \"$@\" >&3; }";
    let script = format!("PATH=; exec 3>&1 >/dev/null 2>&1\n{program}\n{text}\n");
    let output = Command::new("bash").args(["-c", &script]).current_dir(folder.path()).output().ok()?;
    let given = String::from_utf8(output.stdout).ok()?;
    Some(given.split_terminator('\0').map(str::to_owned).collect())
}

/// What is wrong with a command that the program does not take.
fn refusal(shown: &Shown) -> Option<String> {
    let given = arguments(&shown.text)?;
    let typed: Vec<_> = ["mqtt-sessions".to_owned()].into_iter().chain(given).map(Into::into).collect();
    let error = typed::parse(&typed).err().filter(|error| error.use_stderr())?;
    let first = error.to_string().lines().next().unwrap_or_default().to_owned();
    Some(format!("{}:{}: {}: {first}", shown.document, shown.line, shown.text))
}

#[test]
fn each_command_that_is_shown_is_one_that_can_be_typed() {
    let mut all = Vec::new();
    for document in documents() {
        let text = fs::read_to_string(root().join(&document)).unwrap();
        all.extend(commands(&document, &text));
    }
    assert!(all.len() > 30, "{} commands", all.len());
    let refused: Vec<String> = all.iter().filter_map(refusal).collect();
    assert!(refused.is_empty(), "{}", refused.join("\n"));
}

#[test]
fn a_command_that_cannot_be_typed_is_found() {
    let text = "```\n$ mqtt-sessions matrix --nosuch 1   # a comment\nmqtt-sessions list \\\n    --cells 'a b'\n```\nmqtt-sessions prose\n";
    let shown = commands("here.md", text);
    assert_eq!(shown.len(), 2);
    assert_eq!(arguments(&shown[1].text).unwrap(), ["list", "--cells", "a b"]);
    assert_eq!(arguments("mqtt-sessions report a.json > nowhere/README.md | cat").unwrap(), ["report", "a.json"]);
    assert!(fs::read_to_string(root().join("README.md")).unwrap().len() > 10_000);
    let refused = refusal(&shown[0]).expect("an option that is not there");
    assert!(refused.starts_with("here.md:2: ") && refused.contains("--nosuch"), "{refused}");
}
