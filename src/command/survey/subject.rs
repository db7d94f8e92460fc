//! Which brokers a survey is about: those that were named, or all that are installed.

use anyhow::{Result, anyhow};

use crate::broker::{BrokerFile, EMBEDDED, StartError, embedded_is, name_and_variant};
use crate::plan::Declared;
use crate::results::BrokerLabel;

/// A broker in one configuration, which is installed.
pub struct Subject {
    /// As its results will have it.
    pub label: BrokerLabel,
    /// What its file declares.
    pub declared: Declared,
}

/// The brokers of a survey.
pub struct Subjects {
    /// In the order in which they were named.
    pub subjects: Vec<Subject>,
    /// A sentence that says which are not installed, and how they are.
    pub missing: Option<String>,
}

/// Those that were typed, or each that is built in and was tried; with `variants` in all their configurations.
///
/// # Errors
/// A sentence for the user: no broker that can be started was typed, or its file has a mistake.
pub fn subjects(typed: &[String], variants: bool) -> Result<Subjects> {
    let tried = BrokerFile::built_in().filter(|file| !file.untried).map(|file| file.name);
    let typed = if typed.is_empty() { tried.collect() } else { typed.to_vec() };
    let mut subjects: Vec<Subject> = Vec::new();
    let mut missing: Vec<String> = Vec::new();
    for how in with_variants(typed, variants)? {
        match installed(&how)? {
            Ok(subject) if subjects.iter().any(|other| other.label == subject.label) => {
                return Err(anyhow!("{how} is there twice; name each broker once"));
            }
            Ok(subject) => subjects.push(subject),
            Err(broker) if missing.contains(&broker) => {}
            Err(broker) => missing.push(broker),
        }
    }
    let missing = (!missing.is_empty()).then(|| format!("not installed, and left out: {}", missing.join(", ")));
    Ok(Subjects { subjects, missing })
}

/// Each broker, and behind it, where that is wanted, its other configurations.
fn with_variants(typed: Vec<String>, variants: bool) -> Result<Vec<String>> {
    let mut all = Vec::new();
    for how in typed {
        let file = BrokerFile::find(&how)?.filter(|_| variants && name_and_variant(&how).1.is_none());
        let more = file.into_iter().flat_map(|file| file.variants.into_keys()).map(|name| format!("{how}:{name}"));
        let more: Vec<String> = more.collect();
        all.push(how);
        all.extend(more);
    }
    Ok(all)
}

/// The broker, or what it is called and how it is installed.
fn installed(how: &str) -> Result<Result<Subject, String>> {
    if how == EMBEDDED {
        let (name, version) = embedded_is().ok_or_else(|| anyhow!("this build has no embedded broker"))?;
        let label = BrokerLabel { name: Some(name.into()), version: Some(version.into()), how: how.into() };
        return Ok(Ok(Subject { label, declared: Declared::default() }));
    }
    let file = BrokerFile::find(how)?.ok_or_else(|| {
        anyhow!(
            "{how}: survey starts its brokers, and this is none that it can start; `mqtt-sessions list --brokers` names \
             them, and `mqtt-sessions run --all --broker URL` measures one that runs"
        )
    })?;
    match file.installed() {
        Ok(version) => {
            let declared = file.declared();
            let label = BrokerLabel { name: Some(file.name), version, how: how.into() };
            Ok(Ok(Subject { label, declared }))
        }
        Err(StartError::NotInstalled { name, install, .. }) => Ok(Err(format!("{name} (`{install}` installs it)"))),
        Err(other) => Err(other.into()),
    }
}
