//! The folder in which a survey keeps its results, and the page that is made from all that stand there.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow};

use crate::broker::name_and_variant;
use crate::export::Export;
use crate::output::note;
use crate::partition::Partition;
use crate::report::{self, Surveyed};
use crate::results::{BrokerLabel, Results};

/// The option that names the folder.
const OPTION: &str = "--save";
/// The page, which GitHub shows below the files of the folder.
const PAGE: &str = "README.md";
/// How the name of a results file ends.
const EXTENSION: &str = "json";

/// A folder whose page can be written.
pub struct Folder {
    path: PathBuf,
    page: Export,
}

impl Folder {
    /// Makes the folder, before minutes are spent for it.
    ///
    /// # Errors
    /// It cannot be made or written to, or has a page that no survey made.
    pub fn open(path: &Path) -> Result<Folder> {
        fs::create_dir_all(path)
            .with_context(|| format!("cannot make the folder {}; give {OPTION} another one", path.display()))?;
        let page = path.join(PAGE);
        if page.exists() && !fs::read_to_string(&page).is_ok_and(|text| text.starts_with(report::PAGE_MARK)) {
            return Err(anyhow!("{} was made by no survey, which would replace it; {}", page.display(), cure()));
        }
        Ok(Folder { page: Export::open(OPTION, &page)?, path: path.into() })
    }

    /// The results files of these brokers. An earlier one is replaced, but nothing else.
    ///
    /// # Errors
    /// A file that cannot be written, that is no results file, or that two brokers have.
    pub fn places<'a>(
        &self,
        labels: impl Iterator<Item = &'a BrokerLabel>,
        partition: Option<Partition>,
    ) -> Result<Vec<Export>> {
        let mut paths: Vec<PathBuf> = Vec::new();
        for label in labels {
            let path = self.path.join(file_name(label, partition));
            if paths.contains(&path) {
                return Err(anyhow!("two brokers would write {}; give their files different names", path.display()));
            }
            paths.push(path);
        }
        paths.iter().map(|path| place(path)).collect()
    }

    /// Writes the page from all results in the folder, and says so; nothing where there are none.
    ///
    /// # Errors
    /// The folder cannot be read, or the page cannot be written.
    pub fn write_page(&self) -> Result<Option<String>> {
        let folder = || format!("cannot read the folder {}", self.path.display());
        let entries = fs::read_dir(&self.path).with_context(folder)?;
        let paths = entries.map(|entry| Ok(entry?.path())).collect::<Result<Vec<_>>>().with_context(folder)?;
        let is_json = |path: &&PathBuf| path.extension().is_some_and(|extension| extension == EXTENSION);
        let mut surveyed: Vec<Surveyed> = Vec::new();
        for path in paths.iter().filter(is_json) {
            let file = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            match Results::load(path) {
                Ok(results) if results.run.partition.is_some() => {
                    note(&format!(
                        "left out of {PAGE}: {file} is a part of a run; make one file of all with `mqtt-sessions merge`"
                    ));
                }
                Ok(results) => surveyed.push(Surveyed { file, results }),
                Err(why) => note(&format!("warning: left out of {PAGE}: {why}")),
            }
        }
        if surveyed.is_empty() {
            return Ok(None);
        }
        surveyed.sort_by(|one, other| one.file.cmp(&other.file));
        self.page.write(report::side_by_side(&surveyed).as_bytes())?;
        let count = surveyed.len();
        let files =
            if count == 1 { "1 results file".to_owned() } else { format!("{count} results files side by side") };
        Ok(Some(format!("{}: {files}", self.path.join(PAGE).display())))
    }
}

/// A results file that can be written.
fn place(path: &Path) -> Result<Export> {
    if path.exists() {
        Results::load(path).with_context(|| format!("{} would be replaced; {}", path.display(), cure()))?;
    }
    Ok(Export::open(OPTION, path)?)
}

fn cure() -> String {
    format!("move it, or give {OPTION} another folder")
}

/// `mosquitto-persistent-2.0.11.json`, for a part `mosquitto-2.0.11.part-3-of-8.json`; without what has no place in the name of a file.
fn file_name(label: &BrokerLabel, partition: Option<Partition>) -> String {
    let variant = name_and_variant(&label.how).1;
    let parts = [label.name.as_deref(), variant, label.version.as_deref()];
    let name = parts.into_iter().flatten().collect::<Vec<_>>().join("-");
    let fits = |c: char| c.is_ascii_alphanumeric() || "-_.+~".contains(c);
    let name: String = name.chars().map(|c| if fits(c) { c } else { '-' }).collect();
    let part = partition.map(|own| format!(".part-{}-of-{}", own.part, own.of)).unwrap_or_default();
    format!("{name}{part}.{EXTENSION}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_named_after_broker_configuration_and_version() {
        let named = |name: &str, version: Option<&str>, how: &str| {
            let version = version.map(String::from);
            file_name(&BrokerLabel { name: Some(name.into()), version, how: how.into() }, None)
        };
        assert_eq!(named("mosquitto", Some("2.0.11"), "mosquitto"), "mosquitto-2.0.11.json");
        assert_eq!(named("mosquitto", Some("2.0.11"), "mosquitto:persistent"), "mosquitto-persistent-2.0.11.json");
        let mine = BrokerLabel { name: Some("mine".into()), version: None, how: "mine.toml".into() };
        assert_eq!(file_name(&mine, Some(Partition { part: 3, of: 8 })), "mine.part-3-of-8.json");
        assert_eq!(named("mine", None, "../my/own.toml:fast"), "mine-fast.json");
        assert_eq!(named("../mi ne", None, "/x/own.toml"), "..-mi-ne.json");
    }
}
