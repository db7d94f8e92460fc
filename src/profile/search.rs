//! The largest number with which something works.

use super::bench::Halt;
use super::number::Measured;

/// What a search has found.
pub struct Largest {
    /// The largest that works, 0 where none does.
    pub works: u32,
    /// The smallest that does not; `None` where the search stopped.
    pub fails: Option<u32>,
}

/// Looks for the largest number up to `most` with which something works, if it works with all that are smaller.
///
/// # Errors
/// [`Halt`]: nothing more can be asked.
pub async fn largest(most: u32, mut works: impl AsyncFnMut(u32) -> Result<bool, Halt>) -> Result<Largest, Halt> {
    if works(most).await? {
        return Ok(Largest { works: most, fails: None });
    }
    let (mut good, mut bad) = (0, most);
    while bad - good > 1 {
        let next = good + (bad - good) / 2;
        match works(next).await? {
            true => good = next,
            false => bad = next,
        }
    }
    Ok(Largest { works: good, fails: Some(bad) })
}

impl Largest {
    pub fn measured(&self) -> Measured {
        match self.fails {
            None => Measured::AtLeast { value: self.works.into() },
            Some(_) => Measured::Exactly { value: self.works.into() },
        }
    }
}
