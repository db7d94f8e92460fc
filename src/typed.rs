//! The arguments as they were typed, with help for those that belong to another program or have a slip in them.

use std::borrow::Cow;
use std::ffi::OsString;

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::parser::ValueSource;
use clap::{ArgMatches, CommandFactory, FromArgMatches};

use crate::cli::Cli;
use crate::output::page;
use crate::report;
use crate::scenario::Scenario;
use crate::visible::visible;

/// How many letters of a name may be wrong in a slip.
const WRONG_LETTERS_MAX: usize = 2;
/// A shorter name resembles too many.
const LETTERS_MIN: usize = 4;

/// Reads the arguments, of which the first is the program.
///
/// # Errors
/// What clap prints: help that was asked for, or a mistake.
pub fn parse(arguments: &[OsString]) -> Result<Cli, clap::Error> {
    let mut command = Cli::command();
    let text: Vec<Cow<'_, str>> = arguments.iter().map(|argument| argument.to_string_lossy()).collect();
    if let Some(place) = of_mosquitto(&text) {
        let sentence = format!("-h HOST and -p PORT are options of mosquitto's clients; write --broker {place}\n");
        return Err(clap::Error::raw(ErrorKind::UnknownArgument, sentence));
    }
    if asks_for_help(&text) {
        command = command.mut_subcommand("run", |run| run.after_help(scenarios()));
    }
    let matches = command.try_get_matches_from_mut(arguments).map_err(without_far_fetched_tips)?;
    if names_two_brokers(&matches) {
        let sentence = "a broker stands behind --broker, and another one without it; name one\n";
        return Err(clap::Error::raw(ErrorKind::ArgumentConflict, sentence));
    }
    if let Some(option) = names_two_passwords(&matches) {
        let sentence = format!("--{option} and --{option}-file both give the password; give one of them\n");
        return Err(clap::Error::raw(ErrorKind::ArgumentConflict, sentence));
    }
    Cli::from_arg_matches(&matches)
}

fn asks_for_help(arguments: &[Cow<'_, str>]) -> bool {
    arguments.iter().any(|argument| matches!(argument.as_ref(), "-h" | "--help" | "help"))
}

/// The built-in scenarios, as the help of `run` lists them.
fn scenarios() -> String {
    let scenarios: Vec<Scenario> = Scenario::built_in_names().filter_map(|name| Scenario::load(name).ok()).collect();
    report::scenarios_in_help(&scenarios, page())
}

/// The URL that mosquitto's `-h HOST` and `-p PORT` mean. `-h` alone asks for help.
fn of_mosquitto(arguments: &[Cow<'_, str>]) -> Option<String> {
    let value = |names: [&str; 2]| {
        let place = arguments.iter().position(|argument| names.contains(&argument.as_ref()))?;
        arguments.get(place + 1).map(AsRef::as_ref).filter(|value: &&str| !value.starts_with('-'))
    };
    let command = Cli::command();
    let host = value(["-h", "--host"]).filter(|host| command.find_subcommand(host).is_none());
    let port = value(["-p", "--port"]).filter(|port| port.parse::<u16>().is_ok());
    if host.is_none() && port.is_none() {
        return None;
    }
    let has_tls = arguments.iter().any(|argument| ["--cafile", "--capath", "--insecure"].contains(&argument.as_ref()));
    let (scheme, usual) = if has_tls { ("mqtts", "8883") } else { ("mqtt", "1883") };
    Some(format!("{scheme}://{}:{}", visible(host.unwrap_or("localhost")), port.unwrap_or(usual)))
}

fn names_two_brokers(matches: &ArgMatches) -> bool {
    let Some((_, matches)) = matches.subcommand() else { return false };
    let has_url = matches!(matches.try_get_raw("url"), Ok(Some(_)));
    has_url && matches.value_source("broker") == Some(ValueSource::CommandLine)
}

/// The option of a password that was typed although a file is to give it. One in the environment is none of this command's.
fn names_two_passwords(matches: &ArgMatches) -> Option<&'static str> {
    let (_, matches) = matches.subcommand()?;
    ["password", "publisher-password"].into_iter().find(|option| {
        let id = option.replace('-', "_");
        let has_file = matches!(matches.try_get_raw(&format!("{id}_file")), Ok(Some(_)));
        has_file && matches.value_source(&id) == Some(ValueSource::CommandLine)
    })
}

/// A tip is shown for a slip only: an option that merely sounds alike is none, and nobody wants an option as a value.
fn without_far_fetched_tips(mut error: clap::Error) -> clap::Error {
    if error.kind() != ErrorKind::UnknownArgument {
        return error;
    }
    error.remove(ContextKind::Suggested);
    let is_slip = match (error.get(ContextKind::InvalidArg), error.get(ContextKind::SuggestedArg)) {
        (Some(ContextValue::String(typed)), Some(ContextValue::String(suggested))) => is_slip(typed, suggested),
        _ => true,
    };
    if !is_slip {
        error.remove(ContextKind::SuggestedArg);
        // It shows the option that was suggested.
        error.remove(ContextKind::Usage);
    }
    error
}

/// Whether one is the beginning of the other, or has a wrong letter or two.
fn is_slip(typed: &str, meant: &str) -> bool {
    let (typed, meant) = (typed.trim_start_matches('-'), meant.trim_start_matches('-'));
    if meant.starts_with(typed) || typed.starts_with(meant) {
        return true;
    }
    typed.len() >= LETTERS_MIN && strsim::osa_distance(typed, meant) <= WRONG_LETTERS_MAX
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_is_told_from_another_option() {
        for (typed, meant) in [("--brokr", "--broker"), ("--user", "--username"), ("--cafil", "--cafile")] {
            assert!(is_slip(typed, meant), "{typed}");
        }
        for (typed, meant) in [("--host", "--histories"), ("--qos", "--jobs"), ("--port", "--export-json")] {
            assert!(!is_slip(typed, meant), "{typed}");
        }
    }

    #[test]
    fn the_words_of_mosquitto_are_understood() {
        let cases = [
            ("matrix -h broker -p 1884", Some("mqtt://broker:1884")),
            ("matrix --host broker", Some("mqtt://broker:1883")),
            ("matrix -p 1884", Some("mqtt://localhost:1884")),
            ("matrix -h broker --cafile ca.pem", Some("mqtts://broker:8883")),
            ("matrix -h", None),
            ("-h matrix", None),
            ("matrix -h --broker x", None),
        ];
        for (typed, url) in cases {
            let arguments: Vec<Cow<'_, str>> = typed.split(' ').map(Cow::from).collect();
            assert_eq!(of_mosquitto(&arguments).as_deref(), url, "{typed}");
        }
    }
}
