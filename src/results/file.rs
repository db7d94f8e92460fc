//! The file that keeps results: written, read, described by a schema, and refused where it cannot be used.

use std::collections::HashSet;
use std::path::Path;

use serde::Deserialize;

use crate::input::read_text;
use crate::visible::visible_json;

use super::{FORMAT_MAJOR, FORMAT_NAME, Format, Results};

/// Why a results file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ResultsError {
    #[error("cannot read {path}: {why}; give a file that --export-json wrote")]
    Read { path: String, why: std::io::Error },
    #[error("{path} is not a results file of mqtt-sessions: {why}; write one with --export-json")]
    NotResults { path: String, why: String },
    #[error("{path} has format {major}.{minor}, and this version reads {FORMAT_MAJOR}.x; {cure}")]
    OtherMajor { path: String, major: u32, minor: u32, cure: &'static str },
}

/// What helps when the file is newer than this version.
const NEWER_TOOL: &str = "use a newer mqtt-sessions";
/// What helps when the file is older.
const NEWER_FILE: &str = "measure the broker again and write the file anew with --export-json";

impl Results {
    /// Reads a results file of this major format version.
    ///
    /// # Errors
    /// A [`ResultsError`] that names the file and says what to do, for a file that cannot be read, that is cut off, of
    /// another kind, or of another major version.
    pub fn load(path: &Path) -> Result<Results, ResultsError> {
        let name = path.display().to_string();
        let text = read_text(path).map_err(|why| ResultsError::Read { path: name.clone(), why })?;
        Results::parse(&name, &text)
    }

    /// Reads the text of a results file; `path` is only for the error. What a terminal would act on is spelled out in each
    /// of its strings.
    ///
    /// # Errors
    /// As [`Results::load`].
    pub fn parse(path: &str, text: &str) -> Result<Results, ResultsError> {
        #[derive(Deserialize)]
        #[serde(expecting = "an object with its format")]
        struct Header {
            format: Format,
        }
        let not_results = |why: String| ResultsError::NotResults { path: path.into(), why };
        let unreadable = |error: serde_json::Error| {
            let cut = if error.is_eof() { "it is cut off: " } else { "" };
            not_results(format!("{cut}{error}"))
        };
        // Whatever is printed of a file comes by here.
        let text = &visible_json(text);
        let header: Header = serde_json::from_str(text).map_err(unreadable)?;
        let Format { name, major, minor } = header.format;
        if name != FORMAT_NAME {
            return Err(not_results(format!("its format is \"{name}\"")));
        }
        if major != FORMAT_MAJOR {
            let cure = if major > FORMAT_MAJOR { NEWER_TOOL } else { NEWER_FILE };
            return Err(ResultsError::OtherMajor { path: path.into(), major, minor, cure });
        }
        let results: Results = serde_json::from_str(text).map_err(unreadable)?;
        let mut ids = HashSet::new();
        match results.cells.iter().find(|cell| !ids.insert(cell.id.as_str())) {
            Some(twice) => Err(not_results(format!("the cell {} stands there twice", twice.id))),
            None => Ok(results),
        }
    }

    /// The JSON Schema of the results file, as this version writes it: every key is there.
    pub fn schema() -> schemars::Schema {
        schemars::generate::SchemaSettings::default().for_serialize().into_generator().into_root_schema_for::<Results>()
    }

    /// The text of the results file, with a newline at its end.
    ///
    /// # Panics
    /// Never: results hold only strings, numbers, lists, and maps by string.
    pub fn to_json(&self) -> String {
        let mut text =
            serde_json::to_string_pretty(self).expect("results hold only strings, numbers and maps by string");
        text.push('\n');
        text
    }
}
