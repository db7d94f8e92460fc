//! The messages as one set. `docs/messages.md` shows what the program says to each mistake that needs no broker, and then lists every
//! text of the source that may reach a user, with the test that sees it.

mod source;
mod transcript;

use std::fs;

use crate::program::says_what_to_do;
use source::{File, fragments};
use transcript::Said;

const DOCUMENT: &str = "docs/messages.md";
/// Where the list begins.
const LIST: &str = "\n## Every text\n";
/// A shorter text of a test looks for nothing in particular.
const CHARS_MIN: usize = 11;

/// A shorter word may stand anywhere.
const WORD_MIN: usize = 3;

/// What holds no messages, and why.
const WITHOUT_MESSAGES: [(&str, &str); 26] = [
    ("src/axes.rs", "a type of a schema"),
    ("src/capture", "the comments of a capture"),
    ("src/choice.rs", "what a broker chose"),
    ("src/connection.rs", "why a packet is not sent, in a history"),
    ("src/connection/decode", "why a packet cannot be read, in a history"),
    ("src/connection/encode", "why a packet is not sent, in a history"),
    ("src/connection/end.rs", "how a connection ended, in a history"),
    ("src/connection/frame.rs", "why a packet cannot be read, in a history"),
    ("src/connection/websocket/frames.rs", "why a frame cannot be read, in a history"),
    ("src/control", "why another client did not play a lesson, in its report"),
    ("src/doctor", "a report, in which each check that is not good has a cure of its own"),
    ("src/explore/", "random scenarios"),
    ("src/judge", "findings, and the reasons of verdicts"),
    ("src/profile", "numbers, and how they were found"),
    ("src/progress.rs", "progress"),
    ("src/report", "reports"),
    ("src/run/client.rs", "why a packet is withheld, in a history"),
    ("src/run/endings.rs", "why a cell broke off, in a history"),
    ("src/run/finished.rs", "the reason of a verdict"),
    ("src/run/player.rs", "why a cell broke off, in a history"),
    ("src/run/talk.rs", "how a check of the doctor's ended"),
    ("src/scenario/schema.rs", "a schema"),
    ("src/scenario/written.rs", "comments of a scenario file"),
    ("src/statement/", "what the standard says"),
    ("src/storm/compare.rs", "what changed from storm to storm; a test sees why two are not compared"),
    ("src/cli", "help; what is said to its values stands in the document"),
];

/// Texts that no test sees, and why.
const UNSEEN: [(&str, &str); 45] = [
    (", or log in with --username", "the end of a cure that a test sees"),
    ("before the storm: ", "as \"before the run: \", which a test sees"),
    ("; raise the limit with ulimit -n", "with so few files the program hardly starts"),
    ("TLS cannot be set up", "it would be a fault of this program"),
    ("and stdout is a terminal", "a test has no terminal"),
    ("would be replaced; ", "before a reason that a test sees"),
    ("move it, or give", "the cure for a file that is no results file"),
    ("1 results file", "a count in a sentence that a test sees"),
    ("and something still listens at", "it would be a fault of the operating system"),
    ("it had not ended after", "a minute is too long for a test"),
    ("left out of {PAGE}", "a page of the user's own in the place of results"),
    ("nobody has tried its file yet", "the brokers of such files are not here"),
    ("see what --start-command does", "a minute is too long for a test"),
    ("this build has no embedded broker", "the tests have it"),
    ("came in TLS that cannot be read", "a history has it"),
    ("connections from one address need as many ports", "files come short before ports do"),
    ("sent a publisher DISCONNECT", "a reason beside the end of its connection"),
    (
        "nothing shows that they will not",
        "a broker that gives a session neither its messages nor the fence is unclear by its history",
    ),
    (
        "gone for a time while sessions were parked",
        "as a broker that is started again behind the parking, which a test sees",
    ),
    ("raise the limit with ulimit -u", "with so few threads the tests do not run"),
    ("sessions were not let in when they returned", "as others that the broker did not take"),
    ("connection rate exceeded", "a code as those that tests see"),
    ("does not let a client subscribe", "whoever may not subscribe is told so before"),
    ("failed to start the runtime", "the operating system would have to refuse it"),
    ("give it another one", "a cure for whatever else rustls may find in a certificate"),
    ("it has no address", "it would be a fault of the embedded broker"),
    ("it was ended too often", "a broker that ends the witness's connection again and again has lost its cells before"),
    ("its thread ended", "it would be a fault of the embedded broker"),
    ("no longer seen: ", "a word of the comparison"),
    ("nothing was run", "a word of the results file"),
    ("reach the broker by a name that it knows", "the cure for an alert that few servers send"),
    ("see the broker's log", "a cure for whatever else TLS may say"),
    ("set the clock here or there", "the cure for a certificate of tomorrow"),
    ("shrinking {experiments}", "progress"),
    ("the TLS handshake failed", "whatever else rustls may find"),
    ("the broker does not know the name in the URL", "an alert that few servers send"),
    ("the broker gave up the TLS handshake", "any other alert"),
    ("the broker took a message", "as \"the broker acknowledged a message\", at QoS 0"),
    ("the certificate of the broker cannot be trusted", "whatever else rustls may find in a certificate"),
    ("the certificate of the broker has expired", "rustls says since when"),
    ("the certificate of the broker is not valid yet", "a certificate of tomorrow"),
    ("the nodes are asked whether they are one broker", "a node that ends a connection at that moment"),
    ("the queue limit was not measured", "the broker would have to go between two cells"),
    ("the user of --publisher-username", "a part of a cure that a test sees"),
    ("unsupported protocol version", "a code with which a broker is measured"),
];

#[test]
fn the_document_has_each_message_as_it_is_printed_and_every_text_of_the_source() {
    let document = fs::read_to_string(DOCUMENT).unwrap();
    let (examples, _) = document.split_once(LIST).unwrap();
    let (said, examples) = transcript::play(examples);
    let wrong: Vec<&str> = said.iter().filter(|own| !is_right(own)).map(|own| own.message.as_str()).collect();
    assert!(wrong.is_empty(), "these do not say what, where and what to do:\n{}", wrong.concat());
    let expected = format!("{examples}{LIST}{}", list(&examples));
    if document == expected {
        return;
    }
    if std::env::var_os("BLESS").is_some() {
        fs::write(DOCUMENT, expected).unwrap();
        return;
    }
    let differ = document.lines().zip(expected.lines()).find(|(one, other)| one != other);
    panic!("{DOCUMENT} is stale; `BLESS=1 cargo test --test cli messages` writes it anew: {differ:#?}");
}

/// A message names a file or a word of the command, and says what to do.
fn is_right(said: &Said) -> bool {
    let typed = said.command.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| word.len() >= WORD_MIN);
    let names = |word: &str| said.message.contains(word);
    let says_where = typed.chain(said.files.iter().map(String::as_str)).any(names);
    says_where && says_what_to_do(&said.message)
}

/// Every text, with who sees it.
fn list(examples: &str) -> String {
    let tests = source::of_the_tests();
    let mut list = String::from(LIST_HEAD);
    let mut unseen = Vec::new();
    let has_messages = |file: &File| !WITHOUT_MESSAGES.iter().any(|(name, _)| file.name.starts_with(name));
    for file in source::of_the_program().into_iter().filter(has_messages) {
        list += &format!("\n### {}\n\n", file.name);
        let can_be_told = |text: &&String| fragments(text).iter().any(|part| part.trim().len() >= CHARS_MIN);
        for text in file.texts.iter().filter(can_be_told) {
            let excuse = || UNSEEN.iter().find(|(own, _)| text.contains(own)).map(|(_, why)| format!("no test: {why}"));
            let shown = text.trim().replace('\n', " ").replace('`', "'");
            match seen_in(text, examples, &tests).or_else(excuse) {
                Some(place) => list += &format!("- `{shown}` — {place}\n"),
                None => unseen.push(format!("{}: {text}", file.name)),
            }
        }
    }
    assert!(unseen.is_empty(), "no test sees these {}:\n{}", unseen.len(), unseen.join("\n"));
    list
}

const LIST_HEAD: &str = "
Each text of the source that may stand in a message, or is a part of one, with the test that sees it; braces stand for a value. The
list is generated: `BLESS=1 cargo test --test cli messages` writes it anew.
";

/// The document above, or the test that looks for this text.
fn seen_in(text: &str, examples: &str, tests: &[File]) -> Option<String> {
    let fragments: Vec<String> = fragments(text).iter().map(|part| part.trim().to_owned()).collect();
    if examples.lines().any(|line| stands_in(&fragments, line)) {
        return Some("above".into());
    }
    let looks = |own: &&String| fragments.iter().any(|part| is_about(own.trim(), part));
    let looking = tests.iter().flat_map(|file| file.texts.iter().filter(looks).map(|own| (own.len(), &file.name)));
    // The longest text of a test says most.
    looking.max_by_key(|(chars, _)| *chars).map(|(_, name)| name.clone())
}

/// Whether a text of a test has enough of a fragment: one holds the other, or it ends in the value behind the fragment, or begins
/// in the one before.
fn is_about(own: &str, part: &str) -> bool {
    // An option alone looks for no message.
    let is_long = |text: &str| text.len() >= CHARS_MIN && text.contains(' ');
    let overlaps = || {
        let boundaries = own.char_indices().map(|(at, _)| at).skip(CHARS_MIN);
        boundaries.clone().any(|at| part.ends_with(&own[..at])) || {
            let mut beginnings = own.char_indices().map(|(at, _)| at);
            beginnings.any(|at| is_long(&own[at..]) && part.starts_with(&own[at..]))
        }
    };
    is_long(own) && part.contains(own) || is_long(part) && (own.contains(part) || is_long(own) && overlaps())
}

/// Whether the fragments stand in the line, one behind the other.
fn stands_in(fragments: &[String], line: &str) -> bool {
    let mut rest = line;
    let is_long = fragments.iter().any(|part| part.trim().len() >= CHARS_MIN);
    is_long
        && fragments.iter().all(|part| {
            let first_line = part.trim().lines().next().unwrap_or_default();
            let behind = rest.split_once(first_line).map(|(_, behind)| behind);
            rest = behind.unwrap_or_default();
            behind.is_some()
        })
}
