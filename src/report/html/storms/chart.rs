//! The chart of a return: how many of all sessions were let in, how many of all messages had come, and how many sessions had all of
//! theirs, over time.

use crate::report::storm::took;
use crate::storm::{Sample, StormFile};

/// The axes, in the units of the drawing.
const LEFT: f64 = 40.0;
const RIGHT: f64 = 390.0;
const TOP: f64 = 30.0;
const BOTTOM: f64 = 190.0;
/// More points than a screen can show are left out.
const POINTS_MAX: usize = 400;
/// The axis of time has no more marks than this.
const MARKS_MAX: u64 = 7;

/// The drawing, in numbers that the template writes.
pub struct Chart {
    /// A sentence for people who cannot see the drawing.
    pub said: String,
    pub curves: [Curve; 3],
    /// The marks of the axis of time: where, and which.
    pub times: Vec<(f64, String)>,
    /// Those of the other axis.
    pub shares: [(f64, u32); 5],
}

/// One of the curves.
pub struct Curve {
    /// Its class in the style.
    pub class: &'static str,
    pub name: &'static str,
    /// The horizontal place of its name.
    pub name_x: f64,
    pub points: String,
}

/// A count of a sample.
type Count = fn(&Sample) -> u64;

impl Chart {
    /// The chart of a storm; `None` where there is nothing to be drawn.
    pub fn of(file: &StormFile) -> Option<Chart> {
        let timeline = &file.run.timeline;
        let end = timeline.iter().map(|sample| sample.ms).max().filter(|end| *end > 0)?;
        let curve = |(class, name, name_x, count, all): (&'static str, &'static str, f64, Count, u64)| Curve {
            class,
            name,
            name_x,
            points: points(timeline, end, |sample| count(sample) as f64 / all.max(1) as f64),
        };
        let ledger = &file.ledger;
        Some(Chart {
            said: format!(
                "The return as shares over {}: sessions let in, messages that came, and sessions with all of theirs. The tables \
                 have the numbers.",
                took(end)
            ),
            curves: [
                ("returned", "sessions let in", 66.0, (|own| own.returned) as Count, ledger.parked),
                ("messages", "messages", 192.0, |own| own.messages, ledger.accepted),
                ("drained", "sessions with all", 278.0, |own| own.drained, ledger.parked),
            ]
            .map(curve),
            times: times(end),
            shares: [0, 25, 50, 75, 100].map(|percent| (height(f64::from(percent) / 100.0), percent)),
        })
    }
}

/// The points of a curve, from nothing at the beginning.
fn points(timeline: &[Sample], end: u64, share: impl Fn(&Sample) -> f64) -> String {
    let every = timeline.len().div_ceil(POINTS_MAX).max(1);
    let is_drawn = |place: usize| place.is_multiple_of(every) || place + 1 == timeline.len();
    let drawn = timeline.iter().enumerate().filter(|(place, _)| is_drawn(*place));
    let points = drawn.map(|(_, sample)| (across(sample.ms, end), height(share(sample))));
    let points = [(LEFT, BOTTOM)].into_iter().chain(points);
    points.map(|(x, y)| format!("{x:.1},{y:.1}")).collect::<Vec<_>>().join(" ")
}

fn across(ms: u64, end: u64) -> f64 {
    LEFT + (RIGHT - LEFT) * (ms as f64 / end as f64)
}

fn height(share: f64) -> f64 {
    BOTTOM - (BOTTOM - TOP) * share.clamp(0.0, 1.0)
}

/// Round times, a few of them.
fn times(end: u64) -> Vec<(f64, String)> {
    let steps = (0..).flat_map(|power| [1, 2, 5].map(|step| 10_u64.saturating_pow(power).saturating_mul(step)));
    let step = steps.into_iter().find(|step| end / step < MARKS_MAX).unwrap_or(end);
    (0..=end / step).map(|mark| (across(mark * step, end), seconds(mark * step))).collect()
}

/// `0.25 s`, `3 s`.
fn seconds(ms: u64) -> String {
    format!("{} s", ms as f64 / 1000.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_marks_are_round_and_few() {
        let marks = |end| times(end).into_iter().map(|(_, said)| said).collect::<Vec<_>>();
        assert_eq!(marks(3), ["0 s", "0.001 s", "0.002 s", "0.003 s"]);
        assert_eq!(marks(720), ["0 s", "0.2 s", "0.4 s", "0.6 s"]);
        assert_eq!(marks(64_000), ["0 s", "10 s", "20 s", "30 s", "40 s", "50 s", "60 s"]);
        assert!(marks(u64::MAX).len() < 8);
    }

    #[test]
    fn a_curve_stays_within_the_axes_and_has_its_end() {
        let sample = |ms, messages| Sample { ms, returned: 0, messages, drained: 0 };
        let share = |sample: &Sample| sample.messages as f64 / 10.0;
        let drawn = points(&[sample(100, 5), sample(200, 10), sample(400, u64::MAX)], 400, share);
        assert_eq!(drawn, "40.0,190.0 127.5,110.0 215.0,30.0 390.0,30.0");
        let many: Vec<Sample> = (1..=5000).map(|ms| sample(ms, ms / 500)).collect();
        let drawn = points(&many, 5000, share);
        assert!(drawn.split(' ').count() < 500 && drawn.ends_with("390.0,30.0"));
    }
}
