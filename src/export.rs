//! Where results are written: a file that is known to be writable before the run, or stdout.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// A place for results.
#[derive(Debug)]
pub enum Export {
    Stdout,
    File(PathBuf),
}

/// Why results cannot be written.
#[derive(Debug, thiserror::Error)]
#[error("cannot write {path}: {source}; give a path in a directory that exists and that you may write to")]
pub struct ExportError {
    path: String,
    source: io::Error,
}

impl Export {
    /// Checks that the file can be written, without touching what it holds.
    ///
    /// # Errors
    /// [`ExportError`] names the file.
    pub fn open(path: &Path) -> Result<Export, ExportError> {
        if path == Path::new("-") {
            return Ok(Export::Stdout);
        }
        let failed = |source| ExportError { path: path.display().to_string(), source };
        if path.is_dir() {
            return Err(failed(io::Error::from(io::ErrorKind::IsADirectory)));
        }
        if is_replaceable(path) {
            let partial = partial(path);
            File::create(&partial).map_err(failed)?;
            fs::remove_file(&partial).map_err(failed)?;
        } else {
            File::options().append(true).open(path).map_err(failed)?;
        }
        Ok(Export::File(path.into()))
    }

    pub fn is_stdout(&self) -> bool {
        matches!(self, Export::Stdout)
    }

    /// Writes the whole text, or leaves what was there before.
    ///
    /// # Errors
    /// [`ExportError`] names the file.
    pub fn write(&self, text: &str) -> Result<(), ExportError> {
        let (path, written) = match self {
            Export::Stdout => ("stdout".into(), io::stdout().write_all(text.as_bytes())),
            Export::File(path) => (path.display().to_string(), replace(path, text)),
        };
        written.map_err(|source| ExportError { path, source })
    }
}

/// A regular file, or none yet, is replaced whole; a device or a pipe is written to.
fn is_replaceable(path: &Path) -> bool {
    fs::metadata(path).map_or(true, |metadata| metadata.is_file())
}

fn replace(path: &Path, text: &str) -> io::Result<()> {
    if !is_replaceable(path) {
        return File::options().append(true).open(path)?.write_all(text.as_bytes());
    }
    let partial = partial(path);
    let written = fs::write(&partial, text).and_then(|()| fs::rename(&partial, path));
    if written.is_err() {
        // A disk that is full leaves half a file behind.
        let _ = fs::remove_file(&partial);
    }
    written
}

fn partial(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".partial");
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
        assert!(Export::open(Path::new("/dev/full")).unwrap().write("text").is_err());
    }
}
