//! The oracle's truth table: each file in `tests/histories` is a history with the verdict that the standard gives it.

mod made_up;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

use mqtt_sessions::history::History;
use mqtt_sessions::judge::judge_again;
use mqtt_sessions::packet::Protocol;
use mqtt_sessions::results::{AttemptRun, CellResult, CellRun, Options, Verdict};
use mqtt_sessions::statement;

/// What a file expects, and what was found.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Said {
    verdict: Verdict,
    statements: BTreeSet<String>,
    /// `None` where the file says nothing about choices.
    choices: Option<BTreeMap<String, String>>,
    published: Option<u32>,
}

impl fmt::Display for Said {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let statements: Vec<&str> = self.statements.iter().map(String::as_str).collect();
        write!(f, "{} [{}]", self.verdict.name(), statements.join(" "))?;
        if let Some(choices) = &self.choices {
            let choices: Vec<String> = choices.iter().map(|(name, value)| format!("{name}={value}")).collect();
            write!(f, ", choices [{}]", choices.join(" "))?;
        }
        self.published.map_or(Ok(()), |published| write!(f, ", published {published}"))
    }
}

/// One file.
#[derive(Debug)]
struct Entry {
    name: String,
    expected: Said,
    /// A part of the sentence that gives the reason.
    reason: Option<String>,
    queue_limit: Option<u32>,
    /// The lines of each attempt.
    attempts: Vec<Vec<String>>,
}

/// The values of the head, by key.
type Head<'a> = BTreeMap<&'a str, &'a str>;

const KEYS: [&str; 7] = ["verdict", "statements", "choices", "attempts", "queue_limit", "published", "reason"];

/// Reads one file. The error is a line and what is wrong there.
fn read(name: &str, text: &str) -> Result<Entry, (usize, String)> {
    let mut head: BTreeMap<&str, (usize, &str)> = BTreeMap::new();
    let mut events: Vec<&str> = Vec::new();
    for (number, line) in (1..).zip(text.lines()) {
        match line.strip_prefix('#') {
            Some(_) if !events.is_empty() => return Err((number, "a comment stands only in the head".into())),
            Some(comment) => {
                let Some((key, value)) = comment.trim().split_once(':').filter(|(key, _)| KEYS.contains(key)) else {
                    continue;
                };
                if head.insert(key, (number, value.trim())).is_some() {
                    return Err((number, format!("{key} stands here twice")));
                }
            }
            None => {
                History::parse([line]).map_err(|error| (number, error.why))?;
                events.push(line);
            }
        }
    }
    if events.is_empty() {
        return Err((text.lines().count(), "there is no event".into()));
    }
    let place = |key: &str| head.get(key).map_or(1, |(number, _)| *number);
    let values: Head = head.iter().map(|(key, (_, value))| (*key, *value)).collect();
    let expected = expected(&values).map_err(|(key, why)| (place(key), why))?;
    let number = |key: &'static str| number(&values, key).map_err(|why| (place(key), why));
    Ok(Entry {
        name: name.into(),
        expected,
        reason: values.get("reason").map(|reason| (*reason).into()),
        queue_limit: number("queue_limit")?,
        attempts: attempts(&events, number("attempts")?.unwrap_or(1)).map_err(|why| (place("attempts"), why))?,
    })
}

/// What the head expects. The error is a key and what is wrong with it.
fn expected(head: &Head<'_>) -> Result<Said, (&'static str, String)> {
    let needed = |key: &'static str| head.get(key).copied().ok_or((key, format!("there is no \"# {key}:\"")));
    let verdict = needed("verdict")?;
    let names = Verdict::WORST_FIRST.map(Verdict::name).join(", ");
    let verdict = Verdict::WORST_FIRST.into_iter().find(|known| known.name() == verdict);
    let verdict = verdict.ok_or(("verdict", format!("a verdict is one of {names}")))?;
    let cited: Vec<&str> = needed("statements")?.split_whitespace().collect();
    let known = |id: &str| Protocol::ALL.into_iter().any(|protocol| statement::find(protocol, id).is_some());
    if let Some(unknown) = cited.iter().find(|id| !known(id)) {
        return Err(("statements", format!("there is no statement {unknown}")));
    }
    if !cited.is_sorted_by(|one, next| one < next) {
        return Err(("statements", "they are not sorted, or one stands there twice".into()));
    }
    let pair = |pair: &str| pair.split_once('=').map(|(name, value)| (name.to_owned(), value.to_owned()));
    let choices = |text: &&str| text.split_whitespace().map(pair).collect::<Option<BTreeMap<_, _>>>();
    let choices = head.get("choices").map(|text| choices(text).ok_or(("choices", "a choice is name=value".into())));
    Ok(Said {
        verdict,
        statements: cited.into_iter().map(str::to_owned).collect(),
        choices: choices.transpose()?,
        published: number(head, "published").map_err(|why| ("published", why))?,
    })
}

fn number(head: &Head<'_>, key: &str) -> Result<Option<u32>, String> {
    let number = |text: &&str| text.parse().map_err(|_| format!("{key} is a number, not \"{text}\""));
    head.get(key).map(number).transpose()
}

/// The events of each attempt: so many that all went the same, or those that the file itself opens.
fn attempts(events: &[&str], count: u32) -> Result<Vec<Vec<String>>, String> {
    let lines = |events: &[&str]| events.iter().map(|line| (*line).to_owned()).collect::<Vec<String>>();
    let opens = |line: &&str| line.starts_with("attempt ");
    match (events.iter().any(opens), opens(&events[0]), count) {
        (false, _, 1..) => Ok(vec![lines(events); count as usize]),
        (true, true, 1) => Ok(events.split(opens).skip(1).map(lines).collect()),
        _ => {
            Err("either the head says how many attempts there were, or each is opened by a line, the first too".into())
        }
    }
}

/// What the judge says, as far as the file says something about it.
fn said(cell: &CellResult, expected: &Said) -> Said {
    Said {
        verdict: cell.verdict,
        statements: cell.violations.iter().map(|violation| violation.statement.clone()).collect(),
        choices: expected.choices.as_ref().map(|_| cell.choices.clone()),
        published: expected.published.map(|_| cell.published),
    }
}

/// What is wrong with the judge's word on one file.
fn complaint(entry: &Entry) -> Option<String> {
    let cell = made_up::matrix().cells.remove(0);
    let attempts =
        entry.attempts.iter().map(|history| AttemptRun { history: history.clone(), ..AttemptRun::default() });
    let run = CellRun { attempts: attempts.collect(), ..CellRun::default() };
    let options = Options { messages: 1, queue_limit: entry.queue_limit };
    let judged = judge_again(&cell, &run, &options).expect("its lines were read").expect("it has lines").result;
    let found = said(&judged, &entry.expected);
    let reason = judged.reason.unwrap_or_default();
    let reasoned = entry.reason.as_ref().is_none_or(|part| reason.contains(part));
    (found != entry.expected || !reasoned).then(|| {
        let part = entry.reason.as_ref().map(|part| format!(", because \"{part}\"")).unwrap_or_default();
        format!("{}\n  expected {}{part}\n  found    {found}: {reason}", entry.name, entry.expected)
    })
}

/// The files of the folder, by name. `HISTORIES` names another folder.
fn files() -> Vec<PathBuf> {
    let folder = std::env::var_os("HISTORIES").map_or("tests/histories".into(), PathBuf::from);
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
    let entries = fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.expect("the folder can be listed").path()).collect();
    files.retain(|path| path.extension().is_some_and(|extension| extension == "txt"));
    files.sort();
    files
}

#[test]
fn each_history_is_judged_as_the_standard_says() {
    let mut entries = Vec::new();
    let mut complaints = Vec::new();
    for path in files() {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let text = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{name}: {error}"));
        match read(&name, &text) {
            Ok(entry) => entries.push(entry),
            Err((line, why)) => complaints.push(format!("{name}:{line}: {why}")),
        }
    }
    complaints.extend(entries.iter().filter_map(complaint));
    assert!(complaints.is_empty(), "{} of {}:\n{}", complaints.len(), entries.len(), complaints.join("\n"));
    for verdict in [Verdict::Pass, Verdict::Fail] {
        assert!(entries.iter().any(|entry| entry.expected.verdict == verdict), "no file for {}", verdict.name());
    }
}

#[test]
fn a_malformed_file_is_refused_with_its_line() {
    let refused = |text: &str| read("a.txt", text).expect_err(text);
    let head = "# What it shows.\n# verdict: pass\n# statements:\n";
    assert!(read("a.txt", &format!("{head}step 1 connect subscriber\n")).is_ok());
    assert_eq!(refused(&format!("{head}step 1 connect subscriber\nsubscriber => PINGREQ\n")).0, 5);
    assert_eq!(refused(&format!("{head}stopped\n# late\n")), (5, "a comment stands only in the head".into()));
    assert_eq!(refused(&format!("{head}# verdict: fail\nstopped\n")), (4, "verdict stands here twice".into()));
    assert_eq!(refused(head), (3, "there is no event".into()));
    assert_eq!(refused("# verdict: good\n# statements:\nstopped\n").0, 1);
    assert_eq!(refused("# verdict: pass\nstopped\n"), (1, "there is no \"# statements:\"".into()));
    assert_eq!(refused("#\n# verdict: fail\n# statements: MQTT-9.9.9-9\nstopped\n").0, 3);
    assert_eq!(refused("# verdict: fail\n# statements: MQTT-3.2.0-1 MQTT-3.1.2-5\nstopped\n").0, 2);
    assert_eq!(refused(&format!("{head}# choices: queue_full\nstopped\n")).0, 4);
    assert_eq!(refused(&format!("{head}# attempts: many\nstopped\n")).0, 4);
    assert_eq!(refused(&format!("{head}# attempts: 2\nattempt 1\nstopped\n")).0, 4);
}
