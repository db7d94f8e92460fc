//! The plot: a command line becomes a command, and a command ends with an exit code.

use std::ffi::OsString;
use std::process;

use anyhow::{Context, Result};
use mqtt_sessions::cli::Command;
use mqtt_sessions::command;
use mqtt_sessions::exit_code::ExitCode;
use mqtt_sessions::output::{conceal, note, print};
use mqtt_sessions::typed;
use mqtt_sessions::visible::visible_lines;

/// A history has an allocation for each topic and payload: with the allocator of glibc, and more so of musl, a run takes a
/// quarter more processor time.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> process::ExitCode {
    let arguments: Vec<OsString> = std::env::args_os().collect();
    let cli = match typed::parse(&arguments) {
        Ok(cli) => cli,
        Err(message) => return usage(&message),
    };
    anstream::ColorChoice::from(cli.color).write_global();
    match execute(cli.command) {
        Ok(code) => code.into(),
        Err(error) => {
            note(&format!("error: {}", visible_lines(&conceal(&format!("{error:#}")))));
            ExitCode::Usage.into()
        }
    }
}

/// The help that was asked for, or what is wrong with the command line.
fn usage(message: &clap::Error) -> process::ExitCode {
    let text = message.render();
    if message.use_stderr() {
        note(conceal(&text.ansi().to_string()).trim_end());
        return ExitCode::Usage.into();
    }
    // Help that cannot be shown helps nobody.
    let _ = print(&text.ansi().to_string());
    ExitCode::Success.into()
}

fn execute(command: Command) -> Result<ExitCode> {
    match command {
        Command::Matrix { url, measure } => on_runtime(command::matrix(url, measure)),
        Command::Run { scenarios, all, client, measure } => on_runtime(command::run(scenarios, all, client, measure)),
        Command::List { scenarios, listed, plan } => command::list(scenarios, listed, &plan),
        Command::Explain(options) => on_runtime(command::explain(options)),
        Command::Explore(options) => on_runtime(command::explore(options)),
        Command::Probe(options) => on_runtime(command::probe(options)),
        Command::Storm(options) => on_runtime(command::storm(options)),
        Command::Survey(options) => on_runtime(command::survey(options)),
        Command::Report(options) => command::report(&options),
        Command::Compare { baseline, results, fail_on, expected } => {
            command::compare(&baseline, &results, &fail_on, &expected)
        }
        Command::Merge { files, exports, details, expected } => command::merge(&files, &exports, details, &expected),
        Command::Judge { files, exports, details, expected, accept } => {
            command::judge(&files, &exports, details, &expected, &accept)
        }
        Command::Doctor(options) => on_runtime(command::doctor(options)),
        Command::Clean(options) => on_runtime(command::clean(options)),
        Command::Completions { shell } => command::completions(shell),
        Command::Man { folder } => command::man(&folder),
    }
}

/// One thread moves all packets; the broker has the other processors.
fn on_runtime(command: impl Future<Output = Result<ExitCode>>) -> Result<ExitCode> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.context("failed to start the runtime")?;
    let code = runtime.block_on(command);
    // A name that is still being resolved would hold up the end.
    runtime.shutdown_background();
    code
}
