//! What is known to fail, as it was asked for.

use anyhow::Result;

use crate::cli::Expected;
use crate::expectations::{Assessment, Known, Place, USUAL_FILE, places};
use crate::output::note;
use crate::results::Results;

/// Reads the known deviations, which may speak of these cells and of those of the built-in scenarios.
///
/// # Errors
/// A file that cannot be read, or has a mistake.
pub fn known(expected: &Expected, accept: bool, own: impl IntoIterator<Item = Place>) -> Result<Known> {
    let known = Known::load(expected.expect.as_deref(), accept, places(own))?;
    known.warning().iter().for_each(|warning| note(warning));
    Ok(known)
}

/// The cells of some results.
pub fn of_results(results: &Results) -> impl Iterator<Item = Place> {
    results.cells.iter().map(Place::from)
}

/// What the results have to do with what is known; where that was asked for, what fails becomes known first.
///
/// # Errors
/// The file cannot be written.
pub fn assess(known: &mut Known, accept: bool, results: &Results) -> Result<Assessment> {
    if accept {
        let added = known.accept(results)?;
        let file = known.file.as_deref().unwrap_or(USUAL_FILE.as_ref()).display();
        note(&match added {
            0 => format!("{file}: nothing fails that is not known"),
            _ => {
                format!("{file}: {added} known deviations added; write their reasons, and links to the broker's issues")
            }
        });
    }
    Ok(known.assess(results))
}
