//! Every cell that is not a pass: what was cited, expected and observed, the events that show it, and the command that
//! repeats it. One cause is told once; with all details, cells that say the same are one block.

use super::causes::{Cause, causes, overview};
use super::{Page, Palette, Told, cells, group, mark, name_cells, scenarios, wrap};
use crate::fold::Domain;
use crate::history::Message;
use crate::printed_command::PrintedCommand;
use crate::results::{CellResult, CellRun, Level, Results, Verdict, Violation};
use crate::statement;

/// Products that say where a finding was seen; with more, the ids have to do.
const PHRASES: usize = 3;
/// So many causes are told whole.
const FEW: usize = 3;
/// Events of one violation that are printed.
const EVENTS: usize = 5;
/// A shorter time than this is at once, in milliseconds.
const TIMES_FROM_MS: u64 = 100;

/// What broke and is not known, worst first: an overview of the causes, or few causes whole, or each finding whole. Then what
/// could not be judged, and what passed late.
pub(super) fn sections(told: &Told<'_>, page: Page) -> Vec<String> {
    let (results, palette) = (told.results, page.palette);
    let mut sections: Vec<String> = of_broker(results, palette).into_iter().collect();
    if page.details {
        sections.extend(each_finding(told, palette));
    } else if let Some(overview) = what_broke(told, palette) {
        let more = "The first command shows one of the cells packet by packet, the second one runs it again; --details tells every \
                    finding whole.";
        sections.push(overview + "\n" + &wrap("", more));
    } else {
        sections.extend(not_known(told).iter().map(|cause| whole(told, cause, palette)));
    }
    for (_, all) in scenarios(results) {
        let found: Vec<&CellResult> = of_verdict(&all, Verdict::Unsupported).collect();
        sections.extend(unsupported(&all, &found, palette));
    }
    let passes: Vec<&CellResult> = results.cells.iter().filter(|cell| cell.verdict == Verdict::Pass).collect();
    sections.extend(late_passes(results, &passes));
    sections
}

/// The causes that are not known, a few lines for each, where they are many.
pub(super) fn what_broke(told: &Told<'_>, palette: Palette) -> Option<String> {
    let causes = not_known(told);
    (causes.len() > FEW).then(|| overview(told, &causes, palette))
}

fn not_known<'a>(told: &Told<'a>) -> Vec<Cause<'a>> {
    causes(told.results.cells.iter().filter(|cell| !told.known.is_known(&cell.id)))
}

/// A block for each group of cells that say the same.
fn each_finding(told: &Told<'_>, palette: Palette) -> Vec<String> {
    let mut blocks = Vec::new();
    for verdict in Verdict::WORST_FIRST.into_iter().filter(|own| !matches!(own, Verdict::Pass | Verdict::Unsupported)) {
        for (_, all) in scenarios(told.results) {
            let found = of_verdict(&all, verdict).filter(|cell| !told.known.is_known(&cell.id));
            let alike = group(found, what_is_said);
            blocks.extend(alike.iter().map(|(_, members)| block(told, &all, members, palette)));
        }
    }
    blocks
}

fn of_verdict<'a>(cells: &[&'a CellResult], verdict: Verdict) -> impl Iterator<Item = &'a CellResult> {
    cells.iter().copied().filter(move |cell| cell.verdict == verdict)
}

/// One cause with the evidence of its first cell.
fn whole(told: &Told<'_>, cause: &Cause<'_>, palette: Palette) -> String {
    let results = told.results;
    let members: Vec<&CellResult> = cause.cells.iter().map(|(cell, _)| *cell).collect();
    let Some((first, number)) = cause.cells.first() else { return String::new() };
    let scenarios = group(members.iter().copied(), |cell| cell.scenario.as_str()).len();
    let all: Vec<&CellResult> = results.cells.iter().filter(|cell| cell.scenario == first.scenario).collect();
    let place = match scenarios {
        1 => place(&all, &members).map(|place| format!(": {place}")).unwrap_or_default(),
        count => format!(" of {count} scenarios"),
    };
    let mut text = headline(told, cause.verdict, &members, &place, palette);
    match number.and_then(|number| Some((number, first.violations.get(number)?))) {
        Some((number, violation)) => {
            let run = results.run.cells.get(&first.id);
            text += &(cited(&cause.cited()) + &said(violation));
            text += &run.map(|run| measured(run, number) + &events(&run.lines_of(number))).unwrap_or_default();
            let alike = |own: &&Violation| kind(own) == kind(violation);
            text += &more_like_it(first.violations.iter().filter(alike).count());
        }
        None => text += &wrap("  Reason       ", first.reason.as_deref().unwrap_or("none was given")),
    }
    text += &cause.advice().map(|advice| wrap("  Advice       ", &format!("{advice}."))).unwrap_or_default();
    text + &attempts(results, &members) + &commands(results, first)
}

fn headline(told: &Told<'_>, verdict: Verdict, members: &[&CellResult], place: &str, palette: Palette) -> String {
    let words = format!("{} {}", mark(verdict), verdict.name());
    let before = told.as_before(members.iter().copied()).map(|before| format!(", {before}")).unwrap_or_default();
    let text = wrap(&format!("{words} "), &format!("in {}{before}{place}", cells(members.len())));
    let text = text.replacen(&words, &palette.verdict(verdict, &words), 1);
    text + &name_cells(members.iter().map(|cell| cell.id.as_str()))
}

fn more_like_it(count: usize) -> String {
    if count < 2 { String::new() } else { format!("  And          {} more like it in this cell\n", count - 1) }
}

/// The finding of one cell, by itself.
pub(super) fn of_cell(told: &Told<'_>, cell: &CellResult) -> String {
    block(told, &[cell], &[cell], Palette::Plain)
}

/// What two cells have to have in common to be one block. Their events differ in number and are left out.
#[derive(PartialEq)]
struct Said<'a> {
    /// Only where nothing is cited, since a cited statement says more.
    reason: Option<&'a str>,
    /// Each kind once.
    violations: Vec<Kind<'a>>,
}

/// Protocol, statement, expected and observed, whichever message it was.
type Kind<'a> = (&'a str, &'a str, String, String);

fn what_is_said(cell: &CellResult) -> Said<'_> {
    let mut violations: Vec<Kind<'_>> = cell.violations.iter().map(kind).collect();
    violations.sort_unstable();
    violations.dedup();
    Said { reason: cell.reason.as_deref().filter(|_| violations.is_empty()), violations }
}

fn kind(violation: &Violation) -> Kind<'_> {
    let Violation { protocol, statement, expected, observed, .. } = violation;
    (protocol.name(), statement.as_str(), any_message(expected), any_message(observed))
}

/// The text without the numbers of the messages in it: `m2 after fence1` and `m3 after fence1` say the same.
pub(super) fn any_message(text: &str) -> String {
    let without_number = |word: &str| {
        let message = word.trim_end_matches([':', ',', ';']);
        match Message::of(message.as_bytes()) {
            Some(_) => message.trim_end_matches(|c: char| c.is_ascii_digit()).to_owned() + &word[message.len()..],
            None => word.to_owned(),
        }
    };
    text.split(' ').map(without_number).collect::<Vec<_>>().join(" ")
}

fn block(told: &Told<'_>, all: &[&CellResult], members: &[&CellResult], palette: Palette) -> String {
    let (results, Some(first)) = (told.results, members.first()) else { return String::new() };
    let place = place(all, members).map(|place| format!(": {place}")).unwrap_or_default();
    let mut text = headline(told, first.verdict, members, &place, palette);
    // What is broken is the reason of a fail and of a warning alone.
    if first.violations.is_empty() || !matches!(first.verdict, Verdict::Fail | Verdict::Warn) {
        text += &wrap("  Reason       ", first.reason.as_deref().unwrap_or("none was given"));
    }
    let run = results.run.cells.get(&first.id);
    let numbered: Vec<(usize, &Violation)> = first.violations.iter().enumerate().collect();
    // One of each kind is enough to see what is wrong; the file has the others.
    for (_, alike) in group(&numbered, |(_, violation)| kind(violation)) {
        if let Some((number, violation)) = alike.first() {
            text += &violated(violation);
            text += &run.map(|run| measured(run, *number) + &events(&run.lines_of(*number))).unwrap_or_default();
        }
        text += &more_like_it(alike.len());
    }
    text + &attempts(results, members) + &commands(results, first)
}

/// The commands that run a cell alone, and that explain it.
fn commands(results: &Results, cell: &CellResult) -> String {
    let explain = PrintedCommand::explain(results, &cell.id, &cell.scenario);
    format!("  Repeat with  {}\n  Explain with {explain}\n", repeat(results, cell))
}

/// The statement that a violation breaks, what it orders and what was seen.
pub(super) fn violated(violation: &Violation) -> String {
    cited(&[violation]) + &said(violation)
}

/// The statements that are broken, each once with its versions.
fn cited(violations: &[&Violation]) -> String {
    let alike = group(violations.iter().copied(), |own| (own.statement.as_str(), own.level, paraphrase(own)));
    let line = |((statement, level, paraphrase), own): &((&str, Level, &str), Vec<&Violation>)| {
        let versions: Vec<&str> = own.iter().map(|own| own.protocol.name()).collect();
        let place = format!("{statement} (MQTT {}, {})", versions.join(" and "), level.in_words());
        wrap("  Cited        ", &format!("{place}: {paraphrase}"))
    };
    alike.iter().map(line).collect()
}

/// The statement in our words.
pub(super) fn paraphrase(violation: &Violation) -> &'static str {
    statement::find(violation.protocol, &violation.statement).map_or("", |found| found.paraphrase)
}

fn said(violation: &Violation) -> String {
    wrap("  Expected     ", &violation.expected) + &wrap("  Observed     ", &violation.observed)
}

/// How long a violation, by its index, was waited for, until it was seen or in vain, where that is worth telling.
pub(super) fn measured(run: &CellRun, violation: usize) -> String {
    let milliseconds = run.evidence_of(violation).and_then(|evidence| evidence.milliseconds);
    let milliseconds = milliseconds.filter(|time| *time >= TIMES_FROM_MS);
    milliseconds.map(|time| format!("  Waited       {:.1} s\n", time as f64 / 1000.0)).unwrap_or_default()
}

/// Lines of a history, as far as there is room for them.
pub(super) fn events(lines: &[(usize, &str)]) -> String {
    let mut text = String::new();
    for (place, (event, line)) in lines.iter().take(EVENTS).enumerate() {
        let head = if place == 0 { "Events" } else { "" };
        text += &wrap(&format!("  {head:<11}{event:>4}  "), line);
    }
    if lines.len() > EVENTS {
        text += &format!("  {:<11}      and {} more\n", "", lines.len() - EVENTS);
    }
    text
}

/// What the broker broke beside the cells.
pub(super) fn of_broker(results: &Results, palette: Palette) -> Option<String> {
    let violations = &results.broker_findings.violations;
    let worst = if violations.iter().any(|v| v.level == Level::Must) { Verdict::Fail } else { Verdict::Warn };
    let verdict = format!("{} {}", mark(worst), worst.name());
    let mut text = format!("{} on connections of the tool's own, beside the cells\n", palette.verdict(worst, &verdict));
    for (number, violation) in violations.iter().enumerate() {
        text += &violated(violation);
        text += &events(&results.run.helpers.lines_of(number));
    }
    (!violations.is_empty()).then_some(text)
}

/// Which values of which axes, if that is said in few words.
fn place(all: &[&CellResult], members: &[&CellResult]) -> Option<String> {
    let domain = Domain::with_gaps(all.iter().map(|cell| &cell.axes));
    let products = domain.fold(members.iter().map(|cell| &cell.axes));
    let phrases: Vec<String> = products.iter().map(|product| domain.describe(product)).collect();
    let few = phrases.len() <= PHRASES && members.len() > 1;
    (few && phrases.iter().all(|phrase| !phrase.is_empty())).then(|| phrases.join("; "))
}

/// How often these cells were tried, and which attempt at the first one the events are from.
fn attempts(results: &Results, members: &[&CellResult]) -> String {
    let runs = || members.iter().filter_map(|cell| results.run.cells.get(&cell.id));
    let tried = || runs().map(|run| run.attempts.len());
    let (Some(least), Some(most)) = (tried().min(), tried().max().filter(|most| *most > 1)) else {
        return String::new();
    };
    let range = if least == most { most.to_string() } else { format!("{least} to {most}") };
    let shown = runs().next().and_then(|run| run.evidence.first()).map(|evidence| evidence.attempt);
    let shown = shown.map(|attempt| format!("; the events are those of attempt {attempt}")).unwrap_or_default();
    wrap("  Attempts     ", &format!("each was played {range} times, with names of its own each time{shown}"))
}

/// The cells that lacked evidence at first, and had it when they were tried again.
fn late_passes(results: &Results, passes: &[&CellResult]) -> Option<String> {
    let tried_again = |cell: &&&CellResult| results.run.cells.get(&cell.id).is_some_and(|run| run.attempts.len() > 1);
    let late: Vec<&CellResult> = passes.iter().filter(tried_again).copied().collect();
    let count = cells(late.len());
    let text = "passed only when played again, with fewer cells side by side and a longer settle window, which is how long \
                the tool waits for what may still come.";
    let shown = late.iter().find_map(|cell| {
        let advice =
            "A broker that loses a message now and then looks like one that is late; --repeat 20 tells them apart.";
        Some(wrap("  One showed   ", cell.reason.as_deref()?) + &wrap("", advice))
    });
    let ids = late.iter().map(|cell| cell.id.as_str());
    (!late.is_empty()).then(|| wrap("", &format!("{count} {text}")) + &name_cells(ids) + &shown.unwrap_or_default())
}

fn unsupported(all: &[&CellResult], found: &[&CellResult], palette: Palette) -> Option<String> {
    let mut text = String::new();
    for (reason, members) in group(found.iter().copied(), |cell| cell.reason.as_deref()) {
        let verdict = format!("{} {}", mark(Verdict::Unsupported), Verdict::Unsupported.name());
        let place = place(all, &members).map(|place| format!(" ({place})")).unwrap_or_default();
        let reason = reason.unwrap_or("no reason was given");
        let line = wrap(&format!("{verdict} "), &format!("in {}: {reason}{place}", cells(members.len())));
        text += &line.replacen(&verdict, &palette.verdict(Verdict::Unsupported, &verdict), 1);
    }
    (!text.is_empty()).then_some(text)
}

/// The command that runs this cell alone.
pub(super) fn repeat(results: &Results, cell: &CellResult) -> PrintedCommand {
    let filter = ["--filter", &cell.id];
    PrintedCommand::run(results, &cell.scenario).with(filter).measuring_as(results)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn which_message_it_was_makes_no_other_kind() {
        assert_eq!(any_message("m12 after fence1"), "m after fence");
        assert_eq!(any_message("RETAIN 0 on m1: no SUBSCRIBE"), "RETAIN 0 on m: no SUBSCRIBE");
        assert_eq!(any_message("QoS 2 for m1x and mm1"), "QoS 2 for m1x and mm1");
    }
}
