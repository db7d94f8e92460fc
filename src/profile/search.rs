//! The largest number with which something works.

use super::bench::Halt;
use super::number::{Measured, Number};
use super::quantity::{Quantity, grouped};

/// Whether something works.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Works {
    Yes,
    No,
    /// The broker gave no answer in time: it may have worked later.
    Unanswered,
}

/// What a search has found.
pub struct Largest {
    /// The largest that works, 0 where none does.
    pub works: u32,
    /// The smallest that does not, and how that showed; `None` where the search stopped.
    pub fails: Option<(u32, Works)>,
}

/// Looks for the largest number up to `most` with which something works, if it works with all that are smaller.
///
/// # Errors
/// [`Halt`]: nothing more can be asked.
pub async fn largest(most: u32, mut works: impl AsyncFnMut(u32) -> Result<Works, Halt>) -> Result<Largest, Halt> {
    let (mut good, mut bad) = (0, (most, works(most).await?));
    if bad.1 == Works::Yes {
        return Ok(Largest { works: most, fails: None });
    }
    while bad.0 - good > 1 {
        let next = good + (bad.0 - good) / 2;
        match works(next).await? {
            Works::Yes => good = next,
            answer => bad = (next, answer),
        }
    }
    Ok(Largest { works: good, fails: Some(bad) })
}

impl Largest {
    /// What was found, where `value` tells what a number that was tried stands for.
    pub fn measured(&self, value: impl Fn(u32) -> u32) -> Measured {
        let found = u64::from(value(self.works));
        match self.fails {
            Some((_, Works::No)) => Measured::Exactly { value: found },
            Some(_) | None => Measured::AtLeast { value: found },
        }
    }

    /// The number of something that is accepted or not, with so much more than was searched for.
    pub fn accepted(&self, quantity: Quantity, more: u32) -> Number {
        let how = match self.fails {
            _ if self.works == 0 => return Number::missing(quantity, "nothing was accepted"),
            None => "it was accepted (stopped there)".to_owned(),
            Some((fails, Works::No)) => format!("{} were not accepted", grouped(fails + more)),
            Some((fails, _)) => format!("for {} there was no answer in time", grouped(fails + more)),
        };
        Number::new(quantity, self.measured(|works| works + more), how)
    }
}
