//! `clean`: what a killed run left on a broker.

use anyhow::{Result, anyhow};

use super::arguments::prefix;
use super::selection::{check_repeat, load, select};
use crate::broker::{BrokerFile, EMBEDDED};
use crate::cli::Clean;
use crate::exit_code::ExitCode;
use crate::interruption::{interruption, unless_interrupted};
use crate::measure::{check_unused, clear_what_runs_left, reach};
use crate::output::println;
use crate::plan::Settings;
use crate::scenario::Scenario;
use crate::storm;

/// Ends what runs with this prefix left.
///
/// # Errors
/// A sentence for the user, wherever the command line, a file or the broker does not allow to go on.
pub async fn clean(clean: Clean) -> Result<ExitCode> {
    if clean.broker.broker == EMBEDDED || BrokerFile::find(&clean.broker.broker)?.is_some() {
        return Err(anyhow!(
            "clean needs --broker URL: a broker that is embedded or started ends with its run, and leaves nothing; give the \
             URL that the run had"
        ));
    }
    let broker = clean.broker.request()?;
    let prefix = prefix(Some(&clean.prefix), &clean.prefixes)?;
    let built_in = Scenario::built_in_names().map(String::from);
    let scenarios = if clean.scenarios.is_empty() { built_in.collect() } else { clean.scenarios };
    // Client ids and topics do not depend on how many messages there were.
    let cells = select(&load(&scenarios)?, Settings::of(1), &[])?;
    check_repeat(&cells, clean.repeat)?;
    let interrupted = interruption();
    let cleaning = unless_interrupted(&interrupted, async {
        let reached = reach(&broker, &prefix).await?;
        let cleanup = match clean.storm {
            Some(sessions) => {
                check_unused(&reached, &prefix).await?;
                storm::clear_what_it_left(&reached.target, &prefix, 1..=sessions, &reached.versions()).await
            }
            None => clear_what_runs_left(&reached, &prefix, &cells, clean.repeat).await?,
        };
        Ok::<_, anyhow::Error>((reached.broker.url, cleanup))
    });
    let Some(cleaned) = cleaning.await else { return Ok(ExitCode::Interrupted) };
    let (url, cleanup) = cleaned?;
    println(&format!("{url}: {}", cleanup.sentence()))?;
    Ok(if cleanup.is_clean() && !cleanup.retained.unchecked { ExitCode::Success } else { ExitCode::Unclear })
}
