//! The numbers of a broker, a line each: what it announces, and what was measured.

mod answers;

use super::grid::{Drawing, Grid};
use super::measured;
use super::page::{Page, wrap};
use crate::profile::{Group, Measured, Number, Profile, grouped};
use crate::visible::visible;

/// On a page so wide there is room for how each number was found.
const WIDE: usize = 110;
/// No line is drawn between the columns.
const DRAWING: Drawing = Drawing { gap: 2, right: 0..0 };

/// The profile as a page.
pub fn profile(profile: &Profile, page: Page) -> String {
    let how = format!("Clients of MQTT {}; timers were followed for {} s.", profile.protocol, profile.wait_s);
    let mut text = measured(&profile.broker, &profile.run.url) + "\n" + &wrap("", &how);
    if let Some(why) = &profile.run.cut_short {
        text += &wrap("Not all was asked: ", &visible(why));
    }
    let widths = widths(profile, page);
    let columns = ["", ANNOUNCED, MEASURED, HOW][..widths.len()].iter().map(|column| (*column).to_owned()).collect();
    text += &Grid { head: Vec::new(), rows: vec![columns] }.drawn(&DRAWING, &widths);
    let mut group = None;
    for number in &profile.numbers {
        let own = number.quantity.group();
        if group.replace(own) != Some(own) {
            text += &head(own, &widths, page);
        }
        text += &line(number, profile.run.cut_short.as_deref(), &widths, page);
    }
    text += &answers::section(profile, page);
    let differs = profile.numbers.iter().any(|number| number.differs);
    let is_short = page.width < WIDE && !page.details;
    let notes = [(differs, MARKED), (is_short, "--details says how each number was found.\n")];
    let notes: String = notes.into_iter().filter(|(applies, _)| *applies).map(|(_, note)| note).collect();
    if !notes.is_empty() {
        text += &format!("\n{notes}");
    }
    page.lay_out(&text)
}

/// The columns: the quantity, what is announced, what was measured, and on a wide page how.
fn widths(profile: &Profile, page: Page) -> Vec<usize> {
    let widest = |of: fn(&Number) -> String| {
        let widths = profile.numbers.iter().map(|number| of(number).chars().count());
        widths.max().unwrap_or(0)
    };
    let title = widest(|number| number.quantity.title().into()) + INDENT.len();
    let announced = widest(announced).max(ANNOUNCED.len());
    let left = page.width.saturating_sub(title + announced + 2 * DRAWING.gap);
    let is_wide = page.width >= WIDE;
    let measured = if is_wide { MEASURED_WIDTH } else { left };
    let mut widths = vec![title, announced, measured];
    widths.extend(is_wide.then(|| left.saturating_sub(measured + DRAWING.gap)));
    widths
}

/// How many columns there are on a wide page; a narrow one lacks the last.
const COLUMNS: usize = 4;
/// What stands before the titles of the quantities.
const INDENT: &str = "  ";
/// The heads of the columns.
const ANNOUNCED: &str = "announced";
const MEASURED: &str = "measured";
const HOW: &str = "how it was found";
/// What the mark before a value says.
const MARKED: &str = "≠ what was measured is not what was announced\n";
/// How wide a measured value is, where how it was found stands beside it.
const MEASURED_WIDTH: usize = 30;

fn head(group: Group, widths: &[usize], page: Page) -> String {
    let row = [group.title(), "", "", ""][..widths.len()].iter().map(|text| (*text).to_owned()).collect();
    let title = [widths[0].max(group.title().len())];
    let drawn = Grid { head: Vec::new(), rows: vec![row] }.drawn(&DRAWING, &[&title, &widths[1..]].concat());
    let text = drawn.trim_end();
    format!("\n{}\n", page.palette.heading(text))
}

/// The line of a number. What cut the probe short stands above, and not at each number that it left open.
fn line(number: &Number, cut_short: Option<&str>, widths: &[usize], page: Page) -> String {
    let title = format!("{INDENT}{}", number.quantity.title());
    let how = Some(why(number)).filter(|why| Some(*why) != cut_short).unwrap_or_default();
    let how = visible(how).into_owned();
    let has_room = widths.len() == COLUMNS;
    let measured = match has_room {
        false if number.measured.is_missing() && !how.is_empty() => format!("{} ({how})", value(number)),
        _ => value(number),
    };
    let row: [String; COLUMNS] = [title, announced(number), measured, how.clone()];
    let mut text = Grid { head: Vec::new(), rows: vec![row[..widths.len()].to_vec()] }.drawn(&DRAWING, widths);
    if !has_room && page.details && !number.measured.is_missing() && !how.is_empty() {
        text += &wrap("      ", &how);
    }
    text
}

/// How a number was found, or why there is none.
fn why(number: &Number) -> &str {
    match &number.measured {
        Measured::DoesNotApply { why } | Measured::NotMeasured { why } => why,
        _ => &number.how,
    }
}

fn announced(number: &Number) -> String {
    number.announced.map(|value| number.quantity.unit().shown(value)).unwrap_or_default()
}

/// What was measured, with a mark where it is not what was announced.
pub fn value(number: &Number) -> String {
    let of = |value: u64| number.quantity.unit().shown(value);
    let said = match &number.measured {
        Measured::Exactly { value } => of(*value),
        Measured::AtLeast { value } => format!("at least {}", of(*value)),
        Measured::Between { least, most } => format!("{} to {}", grouped(*least), of(*most)),
        Measured::Unstable { values } => {
            format!("unstable: {}", values.iter().map(|value| of(*value)).collect::<Vec<_>>().join(", "))
        }
        Measured::Seen { value } => visible(value).into_owned(),
        Measured::DoesNotApply { .. } => "-".into(),
        Measured::NotMeasured { .. } => "not measured".into(),
    };
    if number.differs { format!("≠ {said}") } else { said }
}
