//! The file that keeps a profile: told from results, and refused where it cannot be used.

use std::path::Path;

use serde::Deserialize;

use super::number::{FORMAT_MAJOR, FORMAT_NAME, Profile};
use crate::input::read_text;
use crate::results::Format;
use crate::visible::visible_json;

/// Why a profile cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ProfileError {
    #[error("{path} is not a whole profile: {why}; write one with `mqtt-sessions probe --export-json`")]
    NotWhole { path: String, why: String },
    #[error("{path} is a profile of format {major}.{minor}, and this version reads {FORMAT_MAJOR}.x; write it anew")]
    OtherMajor { path: String, major: u32, minor: u32 },
}

impl Profile {
    /// Reads a profile; `None` where the file is none, and whoever reads results says what is wrong with it.
    ///
    /// # Errors
    /// [`ProfileError`] for a profile that is cut off, or of another major version.
    pub fn read(path: &Path) -> Result<Option<Profile>, ProfileError> {
        #[derive(Deserialize)]
        struct Header {
            format: Format,
        }
        let Ok(text) = read_text(path) else { return Ok(None) };
        // Whatever is printed of a file comes by here.
        let text = visible_json(&text);
        let Ok(Header { format }) = serde_json::from_str::<Header>(&text) else { return Ok(None) };
        let path = path.display().to_string();
        match format {
            Format { name, .. } if name != FORMAT_NAME => Ok(None),
            Format { major, minor, .. } if major != FORMAT_MAJOR => {
                Err(ProfileError::OtherMajor { path, major, minor })
            }
            _ => serde_json::from_str(&text)
                .map(Some)
                .map_err(|why| ProfileError::NotWhole { path, why: why.to_string() }),
        }
    }

    /// What the other profile contradicts: what this one says, and what that one says.
    pub fn changes<'p>(&'p self, other: &'p Profile) -> Vec<(&'p super::Number, &'p super::Number)> {
        let pairs = self.numbers.iter().filter_map(|number| Some((number, other.number(number.quantity)?)));
        pairs.filter(|(before, after)| !before.agrees_with(after)).collect()
    }
}
