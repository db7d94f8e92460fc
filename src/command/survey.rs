//! `survey`: brokers are started one after the other, and what is measured of each is set side by side.

mod folder;
mod subject;

use anyhow::Result;
use tokio::sync::watch;

use super::measure::keep_histories;
use super::selection::{check_repeat, load, nothing_selected, part_of, select, usual};
use crate::cli::{Amounts, Histories, Survey};
use crate::exit_code::ExitCode;
use crate::expectations::Assessment;
use crate::export::Export;
use crate::interruption::interruption;
use crate::measure::{self, BrokerRequest, Lessons, Measured, RunRequest};
use crate::output::{note, page, print, println};
use crate::report;
use crate::run::Prefix;
use crate::scenario::Scenario;
use folder::Folder;
use subject::{Subject, Subjects};

/// Measures brokers one after the other. What goes wrong with one of them does not end the survey.
///
/// # Errors
/// A sentence for the user, wherever the command line or a file does not allow to begin.
pub async fn survey(typed: Survey) -> Result<ExitCode> {
    typed.plan.amounts.check_planned()?;
    let scenarios = if typed.scenario.is_empty() { usual() } else { typed.scenario.clone() };
    let loaded = load(&scenarios)?;
    let settings = (&typed.plan.amounts).into();
    let cells = select(&loaded, settings, &typed.plan.filter)?;
    check_repeat(&cells, typed.running.repeat)?;
    if cells.is_empty() {
        return Ok(nothing_selected(&loaded, settings, &typed.plan.filter));
    }
    let Subjects { subjects, missing } = subject::subjects(&typed.brokers, typed.variants)?;
    missing.iter().for_each(|sentence| note(sentence));
    let folder = Folder::open(&typed.save)?;
    let places = folder.places(subjects.iter().map(|subject| &subject.label), typed.plan.partition)?;
    let study = Study { typed: &typed, scenarios: &scenarios, loaded: &loaded, interrupted: interruption() };
    // A broker that was asked for and is not here was not measured.
    let is_missing = missing.is_some() && (!typed.brokers.is_empty() || subjects.is_empty());
    let mut codes: Vec<ExitCode> = is_missing.then_some(ExitCode::Usage).into_iter().collect();
    for (subject, place) in subjects.iter().zip(&places) {
        codes.push(study.told(subject, place).await);
        if codes.ends_with(&[ExitCode::Interrupted]) {
            break;
        }
    }
    // A part alone makes no page.
    if typed.plan.partition.is_none()
        && let Some(said) = folder.write_page()?
    {
        println(&said)?;
    }
    Ok(ExitCode::of_several(&codes))
}

/// The means that all brokers of a survey share.
struct Study<'a> {
    typed: &'a Survey,
    scenarios: &'a [String],
    loaded: &'a [(&'a str, Scenario)],
    interrupted: watch::Receiver<bool>,
}

impl Study<'_> {
    /// Measures one broker, and tells what became of that.
    async fn told(&self, subject: &Subject, place: &Export) -> ExitCode {
        let title = report::title(&subject.label);
        note(&format!("measuring {title}"));
        match self.measured(subject, place).await {
            Ok(code) => code,
            Err(error) => {
                note(&format!("error: {title} was not measured: {error:#}"));
                ExitCode::Usage
            }
        }
    }

    /// Measures one broker and writes its results.
    ///
    /// # Errors
    /// A sentence for the user: it cannot be measured, or its results cannot be written.
    async fn measured(&self, subject: &Subject, place: &Export) -> Result<ExitCode> {
        let typed = self.typed;
        let settings = (&self.amounts(subject)).into();
        let cells = select(self.loaded, settings, &typed.plan.filter)?;
        let (cells, part) = part_of(cells, typed.plan.partition);
        let request = RunRequest { part, ..self.request(subject) };
        let measured = measure::measure(&request, cells, &Lessons::default(), &self.interrupted).await?;
        let Some(Measured { mut results, is_clean, interrupted, .. }) = measured else {
            return Ok(ExitCode::Interrupted);
        };
        keep_histories(&mut results, typed.histories);
        place.write(results.to_json().as_bytes())?;
        print(&report::surveyed(&results, page().palette))?;
        Ok(match ExitCode::of_results(&results, &Assessment::default()) {
            _ if interrupted => ExitCode::Interrupted,
            ExitCode::Success if !is_clean => ExitCode::Unclear,
            code => code,
        })
    }

    fn request(&self, subject: &Subject) -> RunRequest {
        let Survey { started, waits, running, histories, .. } = self.typed;
        let how = subject.label.how.clone();
        let broker = BrokerRequest::of(how, started.keep, waits.deadline, waits.connect_timeout);
        let options = (&self.amounts(subject)).into();
        let request = running.request(broker, Prefix::random(), options, self.scenarios.to_vec(), self.loaded);
        RunRequest { keep_all_histories: *histories == Histories::All, ..request }
    }

    /// Those that were typed, with what the broker's file declares.
    fn amounts(&self, subject: &Subject) -> Amounts {
        self.typed.plan.amounts.with(subject.declared)
    }
}
