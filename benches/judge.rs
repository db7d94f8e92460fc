//! How long the judge takes over long backlogs, and how much memory.
//!
//! ```text
//! cargo bench --bench judge
//! cargo bench --bench judge -- CutInTheMiddle     one way alone
//! ```
//!
//! Each history is a subscriber that was away while so many messages were published, in the ways a broker may treat them.
//! This prints milliseconds and bytes and asserts nothing, since time belongs to the machine.

use std::fmt::Write;
use std::fs;
use std::time::Instant;

use mqtt_sessions::history_file::HistoryFile;

const MESSAGES: [usize; 3] = [1_000, 10_000, 100_000];
/// How many Packet Identifiers the clients use in turn.
const IDS: usize = 9;

/// A way in which a broker treats the backlog.
#[derive(Debug, Clone, Copy)]
enum Way {
    /// Each message comes once, in order.
    AllInOrder,
    /// A queue limit: the oldest thousand come.
    OnlyTheFirst,
    /// Each comes once, in reverse.
    Reversed,
    /// The first half comes, the connection is reset before the answers, and all come on the next one.
    CutInTheMiddle,
}

const WAYS: [Way; 4] = [Way::AllInOrder, Way::OnlyTheFirst, Way::Reversed, Way::CutInTheMiddle];

fn main() {
    println!(
        "{:<16} {:>3} {:>9} {:>12} {:>14}  verdict",
        "the backlog", "QoS", "messages", "judging, ms", "bytes/message"
    );
    let wanted: Vec<String> = std::env::args().skip(1).filter(|argument| !argument.starts_with('-')).collect();
    let is_wanted = |way: &Way| wanted.is_empty() || wanted.contains(&format!("{way:?}"));
    for way in WAYS.into_iter().filter(is_wanted) {
        for qos in [1, 2] {
            MESSAGES.into_iter().for_each(|messages| measure(way, qos, messages));
        }
    }
}

fn measure(way: Way, qos: u8, messages: usize) {
    let text = history(way, qos, messages);
    let file = match HistoryFile::parse("backlog", &text) {
        Ok(file) => file,
        Err((line, why)) => return println!("line {line}: {why}"),
    };
    drop(text);
    let before = resident_after_reset();
    let began = Instant::now();
    let judged = file.judged();
    let took = began.elapsed().as_secs_f64() * 1000.0;
    let bytes = match (before, peak()) {
        (Some(before), Some(peak)) => (peak.saturating_sub(before) / messages as u64).to_string(),
        _ => "?".into(),
    };
    let way = format!("{way:?}");
    println!("{way:<16} {qos:>3} {messages:>9} {took:>12.1} {bytes:>14}  {:?}", judged.result.verdict);
}

/// The memory of this process now, in bytes, from where its peak is measured anew; only Linux tells.
fn resident_after_reset() -> Option<u64> {
    fs::write("/proc/self/clear_refs", "5").ok()?;
    of_status("VmRSS:")
}

/// The most memory that this process had since then, in bytes.
fn peak() -> Option<u64> {
    of_status("VmHWM:")
}

fn of_status(key: &str) -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix(key))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib * 1024)
}

/// The text of a history in which the broker treats a backlog in this way.
fn history(way: Way, qos: u8, messages: usize) -> String {
    let mut text = String::new();
    connect(&mut text, 1, "subscriber", 0, 0);
    text += "step 2 subscribe subscriber\n";
    let _ = writeln!(text, "subscriber -> SUBSCRIBE id=1 filter=t qos={qos}");
    let _ = writeln!(text, "subscriber <- SUBACK id=1 code=0x0{qos}");
    text += "step 3 disconnect subscriber\nsubscriber -> DISCONNECT\nsubscriber <- end fin\n";
    connect(&mut text, 4, "publisher", 1, 0);
    text += "step 5 publish publisher\n";
    for number in 1..=messages {
        publication(&mut text, qos, number);
    }
    connect(&mut text, 6, "subscriber", 0, 1);
    text += "step 7 receive subscriber\n";
    match way {
        Way::AllInOrder => (1..=messages).for_each(|number| delivery(&mut text, qos, number, 0)),
        Way::OnlyTheFirst => (1..=messages.min(1000)).for_each(|number| delivery(&mut text, qos, number, 0)),
        Way::Reversed => (1..=messages).rev().for_each(|number| delivery(&mut text, qos, number, 0)),
        Way::CutInTheMiddle => cut_in_the_middle(&mut text, qos, messages),
    }
    text += "subscriber -> PINGREQ\nsubscriber <- PINGRESP\n";
    text += "publisher -> PUBLISH topic=t qos=0 retain=0 dup=0 payload=fence1\n";
    text += "subscriber <- PUBLISH topic=t qos=0 retain=0 dup=0 payload=fence1\nsubscriber -- settled\n";
    text
}

fn connect(text: &mut String, step: u32, client: &str, clean: u8, present: u8) {
    let _ = writeln!(text, "step {step} connect {client}");
    let _ = writeln!(text, "{client} -> CONNECT protocol=3.1.1 clean_session={clean} keep_alive=60 client_id={client}");
    let _ = writeln!(text, "{client} <- CONNACK session_present={present} code=0x00");
}

fn publication(text: &mut String, qos: u8, number: usize) {
    let id = id(number);
    let _ = writeln!(text, "publisher -> PUBLISH topic=t qos={qos} retain=0 dup=0 id={id} payload=m{number}");
    let _ = match qos {
        1 => writeln!(text, "publisher <- PUBACK id={id}"),
        _ => writeln!(text, "publisher <- PUBREC id={id}\npublisher -> PUBREL id={id}\npublisher <- PUBCOMP id={id}"),
    };
}

fn delivery(text: &mut String, qos: u8, number: usize, dup: u8) {
    let id = id(number);
    let _ = writeln!(text, "subscriber <- PUBLISH topic=t qos={qos} retain=0 dup={dup} id={id} payload=m{number}");
    let _ = match qos {
        1 => writeln!(text, "subscriber -> PUBACK id={id}"),
        _ => {
            writeln!(text, "subscriber -> PUBREC id={id}\nsubscriber <- PUBREL id={id}\nsubscriber -> PUBCOMP id={id}")
        }
    };
}

/// The identifiers are all different until the cut, since nothing is answered.
fn cut_in_the_middle(text: &mut String, qos: u8, messages: usize) {
    let begun = (messages / 2).min(60_000);
    let publish = |text: &mut String, number: usize, dup: u8| {
        let _ =
            writeln!(text, "subscriber <- PUBLISH topic=t qos={qos} retain=0 dup={dup} id={number} payload=m{number}");
    };
    (1..=begun).for_each(|number| publish(text, number, 0));
    text.push_str("step 8 cut subscriber\nsubscriber -> end reset\n");
    connect(text, 9, "subscriber", 0, 1);
    text.push_str("step 10 receive subscriber\n");
    for number in 1..=begun {
        publish(text, number, 1);
        let _ = match qos {
            1 => writeln!(text, "subscriber -> PUBACK id={number}"),
            _ => writeln!(
                text,
                "subscriber -> PUBREC id={number}\nsubscriber <- PUBREL id={number}\nsubscriber -> PUBCOMP id={number}"
            ),
        };
    }
    (begun + 1..=messages).for_each(|number| delivery(text, qos, number, 0));
}

fn id(number: usize) -> usize {
    number % IDS + 1
}
