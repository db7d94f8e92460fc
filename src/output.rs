//! What people read: the result on stdout, everything else on stderr. A reader that went away stops nothing, and a
//! login that was typed is shown to nobody.

use std::io::{self, Write};

use crate::broker::without_login;
use crate::report::Page;

/// What a report on stdout stands on: as wide as `COLUMNS` says, or the terminal.
pub fn page() -> Page {
    let said = std::env::var("COLUMNS").ok().and_then(|columns| columns.parse().ok()).filter(|columns| *columns > 0);
    let seen = || terminal_size::terminal_size_of(io::stdout()).map(|(width, _)| usize::from(width.0));
    Page::of_width(said.or_else(seen))
}

/// Why the result cannot be shown.
#[derive(Debug, thiserror::Error)]
#[error("cannot write to stdout: {0}; send it where there is room, or write a file with --export-json")]
pub struct OutputError(io::Error);

/// Writes to stdout; a reader that went away is no error.
///
/// # Errors
/// [`OutputError`] for a full disk and the like.
pub fn print(text: &str) -> Result<(), OutputError> {
    write_to(anstream::stdout(), text.as_bytes())
}

/// Writes to stdout what is no text for people, byte by byte.
///
/// # Errors
/// As [`print`].
pub fn write(bytes: &[u8]) -> Result<(), OutputError> {
    write_to(io::stdout(), bytes)
}

fn write_to(mut stdout: impl Write, bytes: &[u8]) -> Result<(), OutputError> {
    match stdout.write_all(bytes).and_then(|()| stdout.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(OutputError(error)),
        _ => Ok(()),
    }
}

/// As [`print`], with a newline at the end.
///
/// # Errors
/// As [`print`].
pub fn println(text: &str) -> Result<(), OutputError> {
    print(&format!("{text}\n"))
}

/// Writes a line to stderr. Where nobody reads stderr there is nobody left to tell that.
pub fn note(text: &str) {
    let _ = writeln!(anstream::stderr(), "{text}");
}

/// The text with every login on the command line hidden, wherever it was typed: also where no URL belongs.
pub fn conceal(text: &str) -> String {
    let arguments = std::env::args_os().filter_map(|argument| argument.into_string().ok());
    arguments.fold(text.to_owned(), |shown, argument| {
        // `--broker=URL` is quoted as a whole or by its value.
        let option = argument.strip_prefix("--").and_then(|option| option.split_once('='));
        let value = option.map_or(argument.as_str(), |(_, value)| value);
        let has_login = value.rsplit_once('@').is_some_and(|(login, _)| login.contains(':'));
        match has_login || value.contains("://") || value.starts_with("mqtt:") {
            true => shown.replace(value, &without_login(value)),
            false => shown,
        }
    })
}
