//! Where results are written: a file that is known to be writable before the run, or stdout.

mod exports;
mod pages;

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use anyhow::anyhow;
use tempfile::NamedTempFile;

use crate::output;

pub use exports::{Exported, Exports};
pub use pages::Pages;

/// A place for results, and the option that named it.
#[derive(Debug)]
pub struct Export {
    option: &'static str,
    place: Place,
}

#[derive(Debug)]
enum Place {
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
    cure: String,
}

/// How many symbolic links may lead to a file, as with Linux.
const LINKS_MAX: usize = 40;

impl Export {
    /// Checks that the file of this option can be written, without touching what it holds.
    ///
    /// # Errors
    /// [`ExportError`] names the file.
    pub fn open(option: &'static str, path: &Path) -> Result<Export, ExportError> {
        let cure = || format!("give {option} a file that you may write, in a directory that exists");
        let failed = |why| ExportError { path: path.display().to_string(), why, cure: cure() };
        Ok(Export { option, place: Place::open(path).map_err(failed)? })
    }

    pub fn is_stdout(&self) -> bool {
        matches!(self.place, Place::Stdout)
    }

    /// Writes everything, or leaves what was there before.
    ///
    /// # Errors
    /// Says which file, or stdout, could not be written.
    pub fn write(&self, bytes: &[u8]) -> anyhow::Result<()> {
        let (path, written) = match &self.place {
            Place::Stdout => return Ok(output::write(bytes)?),
            Place::File(path) => (path, replace(path, bytes)),
            Place::Device(path, file) => (path, { file }.write_all(bytes)),
        };
        match written {
            // The reader of a pipe went away, as it may.
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
            Err(why) => {
                let option = self.option;
                let cure = format!("it is lost; make room, or give {option} a file elsewhere, and run again");
                Err(ExportError { path: path.display().to_string(), why, cure }.into())
            }
            Ok(()) => Ok(()),
        }
    }
}

/// Checks that no two options name the same file.
///
/// # Errors
/// A sentence that names the two options.
fn each_another(asked_for: &[(&'static str, &Path)]) -> anyhow::Result<()> {
    for (place, (second, path)) in asked_for.iter().enumerate() {
        if let Some((first, _)) = asked_for[..place].iter().find(|(_, other)| other == path) {
            return Err(match *path == Path::new("-") {
                true => anyhow!("{first} and {second} both write to stdout; give one of them a file"),
                false => anyhow!("{first} and {second} both write {}; give each a file", path.display()),
            });
        }
    }
    Ok(())
}

impl Place {
    fn open(path: &Path) -> io::Result<Place> {
        if path == Path::new("-") {
            return Ok(Place::Stdout);
        }
        if path.exists() {
            let file = File::options().append(true).open(path)?;
            if !file.metadata()?.is_file() {
                return Ok(Place::Device(path.into(), file));
            }
        }
        // It is removed when it is dropped.
        partial(&target(path)?)?;
        Ok(Place::File(path.into()))
    }
}

fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let target = target(path)?;
    let mut partial = partial(&target)?;
    partial.write_all(bytes)?;
    if let Ok(before) = fs::metadata(&target) {
        partial.as_file().set_permissions(before.permissions())?;
    }
    partial.persist(&target)?;
    Ok(())
}

/// The file that a path leads to, over symbolic links, which stay: also where the file is not there yet.
fn target(path: &Path) -> io::Result<PathBuf> {
    let mut target = path.to_owned();
    for _ in 0..LINKS_MAX {
        match fs::read_link(&target) {
            // A link leads from the folder in which it stands.
            Ok(link) => target = folder(&target).join(link),
            Err(_) => return Ok(target),
        }
    }
    Err(io::Error::other("the symbolic link leads to itself"))
}

/// The results stand in a new file beside the target until they are complete. It is no file that was there before, nor a
/// link that somebody else laid, and it is removed where it cannot be completed.
fn partial(target: &Path) -> io::Result<NamedTempFile> {
    let mut builder = tempfile::Builder::new();
    builder.prefix(".mqtt-sessions-").suffix(".partial");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        // Any program gives a new file this mode, less the mask of the user: others may be meant to read the results.
        builder.permissions(fs::Permissions::from_mode(0o666));
    }
    builder.tempfile_in(folder(target)).map_err(without_name)
}

/// The error without the name of the new file, which nobody gave.
fn without_name(error: io::Error) -> io::Error {
    match error.to_string().split_once(" at path ") {
        Some((why, _)) => io::Error::new(error.kind(), why.to_owned()),
        None => error,
    }
}

/// The folder of a file.
fn folder(path: &Path) -> &Path {
    path.parent().filter(|folder| *folder != Path::new("")).unwrap_or(Path::new("."))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn open(path: &Path) -> Result<Export, ExportError> {
        Export::open("--export-json", path)
    }

    #[test]
    fn a_file_is_replaced_whole_and_checked_before() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("results.json");
        fs::write(&path, "before").unwrap();
        let export = open(&path).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "before");
        export.write(b"after").unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "after");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    #[cfg(unix)]
    fn a_file_keeps_its_mode_and_a_link_leads_where_it_led() {
        use std::os::unix::fs::{PermissionsExt, symlink};
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        fs::create_dir(path("deep")).unwrap();
        fs::write(path("deep/known.json"), "before").unwrap();
        fs::set_permissions(path("deep/known.json"), fs::Permissions::from_mode(0o640)).unwrap();
        for (link, leads_to) in
            [("one", "deep/two"), ("deep/two", "known.json"), ("new", "deep/new.json"), ("round", "round")]
        {
            symlink(leads_to, path(link)).unwrap();
        }
        for (link, file) in [("one", "deep/known.json"), ("new", "deep/new.json")] {
            open(&path(link)).unwrap().write(b"after").unwrap();
            assert_eq!(fs::read_to_string(path(file)).unwrap(), "after");
            assert!(path(link).is_symlink() && !path(file).is_symlink());
        }
        let mode = |name: &str| fs::metadata(path(name)).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode("deep/known.json"), 0o640);
        fs::write(path("usual"), "").unwrap();
        assert_eq!(mode("deep/new.json"), mode("usual"));
        assert!(open(&path("round")).unwrap_err().to_string().contains("the symbolic link leads to itself"));
    }

    #[test]
    #[cfg(unix)]
    fn no_file_of_somebody_else_is_taken_for_a_new_one() {
        use std::os::unix::fs::symlink;
        let folder = tempfile::tempdir().unwrap();
        let path = |name: String| folder.path().join(name);
        fs::write(path("precious".into()), "precious").unwrap();
        // What one can foretell of the name of the new file.
        for name in ["results.json.partial".into(), format!("results.json.{}.partial", std::process::id())] {
            symlink("precious", path(name)).unwrap();
        }
        open(&path("results.json".into())).unwrap().write(b"results").unwrap();
        assert_eq!(fs::read_to_string(path("precious".into())).unwrap(), "precious");
        assert_eq!(fs::read_to_string(path("results.json".into())).unwrap(), "results");
    }

    #[test]
    fn a_file_that_cannot_be_written_is_known_at_once() {
        let folder = tempfile::tempdir().unwrap();
        assert!(open(folder.path()).is_err());
        assert!(open(&folder.path().join("no/such/folder.json")).is_err());
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
        assert!(open(Path::new("/dev/full")).unwrap().write(b"text").is_err());
    }
}
