//! Files of ours beside results, told from each other by the format that they name: each kind is read in the same way.

use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::input::read_text;
use crate::results::Format;
use crate::visible::visible_json;

/// A kind of file.
#[derive(Debug, Clone, Copy)]
pub struct Kind {
    /// The name of its format.
    pub name: &'static str,
    /// The major version that is read.
    pub major: u32,
    /// The kind of file, in a word.
    pub what: &'static str,
    /// The command that writes one with --export-json.
    pub command: &'static str,
}

/// Reads a file of one kind; `None` where it is of another one.
pub type Read<T> = fn(&Path) -> Result<Option<T>, FormatError>;

/// Reads all files, and names each; `None` where not all are of the kind that `read` takes.
///
/// # Errors
/// [`FormatError`] for a file of this kind that cannot be used.
pub fn read_all<T>(files: &[PathBuf], read: Read<T>) -> Result<Option<Vec<(String, T)>>, FormatError> {
    let named = |file: &PathBuf| Ok(read(file)?.map(|content| (file.display().to_string(), content)));
    files.iter().map(named).collect()
}

/// Why a file of a kind cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum FormatError {
    #[error("{path} is not a whole {}: {why}; write one with `{} --export-json`", kind.what, kind.command)]
    NotWhole { path: String, kind: Kind, why: String },
    #[error("{path} is a {} of format {major}.{minor}, and this version reads {}.x; write it anew", kind.what, kind.major)]
    OtherMajor { path: String, kind: Kind, major: u32, minor: u32 },
}

impl Kind {
    /// Reads a file of this kind; `None` where it is of another one, and whoever reads results says what is wrong with it.
    ///
    /// # Errors
    /// [`FormatError`] for a file of this kind that is cut off, or of another major version.
    pub fn read<T: DeserializeOwned>(self, path: &Path) -> Result<Option<T>, FormatError> {
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
            Format { name, .. } if name != self.name => Ok(None),
            Format { major, minor, .. } if major != self.major => {
                Err(FormatError::OtherMajor { path, kind: self, major, minor })
            }
            _ => serde_json::from_str(&text).map(Some).map_err(|why| FormatError::NotWhole {
                path,
                kind: self,
                why: why.to_string(),
            }),
        }
    }
}
