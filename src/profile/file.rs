//! The file that keeps a profile, and what one says that another contradicts.

use std::path::Path;

use super::number::{FORMAT_MAJOR, FORMAT_NAME, Number, Profile};
use crate::file_format::{FormatError, Kind};

/// What this file is, for whoever reads one.
const KIND: Kind = Kind { name: FORMAT_NAME, major: FORMAT_MAJOR, what: "profile", command: "mqtt-sessions probe" };

impl Profile {
    /// Reads a profile; `None` where the file is none.
    ///
    /// # Errors
    /// [`FormatError`] for a profile that is cut off, or of another major version.
    pub fn read(path: &Path) -> Result<Option<Profile>, FormatError> {
        KIND.read(path)
    }

    /// What the other profile contradicts: what this one says, and what that one says.
    pub fn changes<'p>(&'p self, other: &'p Profile) -> Vec<(&'p Number, &'p Number)> {
        let pairs = self.numbers.iter().filter_map(|number| Some((number, other.number(number.quantity)?)));
        pairs.filter(|(before, after)| !before.agrees_with(after)).collect()
    }
}
