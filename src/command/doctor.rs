//! `doctor`: will a run against this broker work, and what has to be done first?

use anyhow::Result;
use serde::Serialize;
use tokio::time::{Instant, timeout_at};

use super::arguments::{names, prefix};
use crate::broker::Broker;
use crate::cli::Doctor;
use crate::doctor::{self, Check, Examined, Outcome};
use crate::exit_code::ExitCode;
use crate::export::Export;
use crate::interruption::{interruption, unless_interrupted};
use crate::measure::BrokerRequest;
use crate::output::{note, page, print};
use crate::printed_command::PrintedCommand;
use crate::report;
use crate::results::Tool;
use crate::visible::visible_json;

/// Examines a broker, and cleans up after itself, also after an interruption.
///
/// # Errors
/// A sentence for the user, wherever the command line or a file does not allow to go on. A broker that cannot be reached is a
/// finding.
pub async fn doctor(mut typed: Doctor) -> Result<ExitCode> {
    typed.broker = typed.broker.at(typed.url.take());
    let prefix = prefix(typed.prefix.as_deref(), &typed.prefixes)?;
    let request = typed.broker.request()?;
    let export = typed.export_json.as_deref().map(|path| Export::open("--export-json", path)).transpose()?;
    let interrupted = interruption();
    let mut examined = Examined::default();
    let bound = doctor::bound(request.deadline, request.connect_timeout);
    let until = Instant::now() + bound;
    let admitting = timeout_at(until, doctor::admit(&request, &prefix, &mut examined));
    let Some(admitted) = unless_interrupted(&interrupted, admitting).await else {
        return Ok(ExitCode::Interrupted);
    };
    let is_late = admitted.is_err();
    let patient = admitted.ok().flatten();
    let mut is_interrupted = false;
    if let Some(patient) = &patient {
        let examining = timeout_at(until, patient.examine(&mut examined));
        let ended = unless_interrupted(&interrupted, examining).await;
        is_interrupted = ended.is_none();
        if is_interrupted {
            examined.checks.push(Check::interrupted());
        }
        if ended.is_some_and(|ended| ended.is_err()) {
            examined.checks.push(Check::out_of_time(bound));
        }
        // A check that failed has kept the doctor from leaving anything.
        if !examined.has(Outcome::Failed) {
            patient.clean(&mut examined).await;
        }
    } else if is_late {
        examined.checks.push(Check::out_of_time(bound));
    }
    let command = patient.map(|patient| measuring(patient.broker(), &request, &typed));
    tell(&examined, command.as_ref(), export.as_ref())?;
    Ok(match (is_interrupted, examined.has(Outcome::Failed), examined.has(Outcome::Unclear)) {
        (true, ..) => ExitCode::Interrupted,
        (_, true, _) => ExitCode::Usage,
        (_, _, true) => ExitCode::Unclear,
        _ => ExitCode::Success,
    })
}

/// The command that measures the broker.
fn measuring(broker: &Broker, request: &BrokerRequest, typed: &Doctor) -> PrintedCommand {
    let url = broker.label.typed(&broker.url);
    let names = names(typed.prefix.as_deref(), &typed.prefixes);
    PrintedCommand::new("matrix").at(url, &[request.reached_with(broker), names].concat())
}

/// The file that `--export-json` writes.
#[derive(Serialize)]
struct Exported<'e> {
    format: Format,
    tool: Tool,
    #[serde(flatten)]
    examined: &'e Examined,
}

/// The format of that; major changes break, minor ones add.
#[derive(Serialize)]
struct Format {
    name: &'static str,
    major: u32,
    minor: u32,
}

fn tell(examined: &Examined, command: Option<&PrintedCommand>, export: Option<&Export>) -> Result<()> {
    let written = export.map_or(Ok(()), |export| {
        let format = Format { name: "mqtt-sessions-doctor", major: 1, minor: 0 };
        let json = serde_json::to_string_pretty(&Exported { format, tool: Tool::default(), examined })?;
        export.write((visible_json(&json) + "\n").as_bytes())
    });
    let text = report::examined(examined, command, page());
    if export.is_some_and(Export::is_stdout) {
        note(&text);
        return written;
    }
    print(&text)?;
    written
}
