//! Where results are written: a file that is known to be writable before the run, or stdout.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use tempfile::NamedTempFile;

use crate::input::BYTES_MAX;
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
/// How many symbolic links may lead to a file, as with Linux.
const LINKS_MAX: usize = 40;
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
        // It is removed when it is dropped.
        target(path).and_then(|target| partial(&target)).map_err(failed)?;
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
        if text.len() as u64 > BYTES_MAX {
            let bound = BYTES_MAX / (1024 * 1024);
            output::note(&format!(
                "warning: the results have more than {bound} MiB, which no command reads; keep fewer --histories"
            ));
        }
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

/// Writes the results where they are wanted, and then makes and prints the text that belongs to them: a run is not to be
/// lost for its text. Where one of them fails, the other is still done.
///
/// # Errors
/// Says what could not be written.
pub fn deliver(text: impl FnOnce() -> String, results: &Results, export: Option<&Export>) -> anyhow::Result<()> {
    let written = export.map_or(Ok(()), |export| export.write(&results.to_json()));
    let text = text();
    if export.is_some_and(Export::is_stdout) {
        output::note(&text);
        return written;
    }
    let printed = output::println(&text);
    written?;
    Ok(printed?)
}

fn replace(path: &Path, text: &str) -> io::Result<()> {
    let target = target(path)?;
    let mut partial = partial(&target)?;
    partial.write_all(text.as_bytes())?;
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
    builder.tempfile_in(folder(target))
}

/// The folder of a file.
fn folder(path: &Path) -> &Path {
    path.parent().filter(|folder| *folder != Path::new("")).unwrap_or(Path::new("."))
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
            Export::open(&path(link)).unwrap().write("after").unwrap();
            assert_eq!(fs::read_to_string(path(file)).unwrap(), "after");
            assert!(path(link).is_symlink() && !path(file).is_symlink());
        }
        let mode = |name: &str| fs::metadata(path(name)).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode("deep/known.json"), 0o640);
        fs::write(path("usual"), "").unwrap();
        assert_eq!(mode("deep/new.json"), mode("usual"));
        assert!(Export::open(&path("round")).is_err());
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
        Export::open(&path("results.json".into())).unwrap().write("results").unwrap();
        assert_eq!(fs::read_to_string(path("precious".into())).unwrap(), "precious");
        assert_eq!(fs::read_to_string(path("results.json".into())).unwrap(), "results");
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
