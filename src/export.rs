//! Where results are written: a file that is known to be writable before the run, or stdout.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use crate::output;
use crate::results::Results;

/// A place for results.
#[derive(Debug)]
pub enum Export {
    Stdout,
    /// Replaced whole.
    File(PathBuf),
    /// Written to. It stays open from the beginning, since a pipe ends for its reader when it is closed.
    Device(PathBuf, File),
}

/// Why results cannot be written.
#[derive(Debug, thiserror::Error)]
#[error("cannot write {path}: {why}; {cure}")]
pub struct ExportError {
    path: String,
    why: io::Error,
    cure: &'static str,
}

/// The cure for a path that is no good.
const OTHER_PATH: &str = "give --export-json a file that you may write, in a directory that exists";
/// The cure when the run is over.
const OTHER_DISK: &str = "the results are lost; make room, or give --export-json a file elsewhere, and run again";

impl Export {
    /// Checks that the file can be written, without touching what it holds.
    ///
    /// # Errors
    /// [`ExportError`] names the file.
    pub fn open(path: &Path) -> Result<Export, ExportError> {
        if path == Path::new("-") {
            return Ok(Export::Stdout);
        }
        let failed = |why| ExportError { path: path.display().to_string(), why, cure: OTHER_PATH };
        if path.exists() {
            let file = File::options().append(true).open(path).map_err(failed)?;
            if !file.metadata().map_err(failed)?.is_file() {
                return Ok(Export::Device(path.into(), file));
            }
        }
        let partial = partial(path);
        File::create(&partial).and_then(|_| fs::remove_file(&partial)).map_err(failed)?;
        Ok(Export::File(path.into()))
    }

    pub fn is_stdout(&self) -> bool {
        matches!(self, Export::Stdout)
    }

    /// Writes the whole text, or leaves what was there before.
    ///
    /// # Errors
    /// Says which file, or stdout, could not be written.
    pub fn write(&self, text: &str) -> anyhow::Result<()> {
        let (path, written) = match self {
            Export::Stdout => return Ok(output::print(text)?),
            Export::File(path) => (path, replace(path, text)),
            Export::Device(path, file) => (path, { file }.write_all(text.as_bytes())),
        };
        match written {
            // The reader of a pipe went away, as it may.
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
            Err(why) => Err(ExportError { path: path.display().to_string(), why, cure: OTHER_DISK }.into()),
            Ok(()) => Ok(()),
        }
    }
}

/// Prints the text that belongs to the results, and writes the results where they are wanted. Where one of them fails,
/// the other is still done.
///
/// # Errors
/// Says what could not be written.
pub fn deliver(text: &str, results: &Results, export: Option<&Export>) -> anyhow::Result<()> {
    let printed = if export.is_some_and(Export::is_stdout) {
        output::note(text);
        Ok(())
    } else {
        output::println(text)
    };
    if let Some(export) = export {
        export.write(&results.to_json())?;
    }
    Ok(printed?)
}

fn replace(path: &Path, text: &str) -> io::Result<()> {
    let partial = partial(path);
    let written = fs::write(&partial, text).and_then(|()| fs::rename(&partial, path));
    if written.is_err() {
        // A disk that is full leaves half a file behind.
        let _ = fs::remove_file(&partial);
    }
    written
}

/// The results stand here until they are complete. The process is part of the name, so that no file of somebody else's
/// is taken for it.
fn partial(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(format!(".{}.partial", std::process::id()));
    name.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_replaced_whole_and_checked_before() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("results.json");
        fs::write(&path, "before").unwrap();
        let export = Export::open(&path).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "before");
        export.write("after").unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "after");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_file_that_cannot_be_written_is_known_at_once() {
        let folder = tempfile::tempdir().unwrap();
        assert!(Export::open(folder.path()).is_err());
        assert!(Export::open(&folder.path().join("no/such/folder.json")).is_err());
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
        assert!(Export::open(Path::new("/dev/full")).unwrap().write("text").is_err());
    }
}
