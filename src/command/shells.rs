//! `completions` and `man`: what a package installs beside the program, made from the types of the command line.

use std::path::Path;

use anyhow::{Result, anyhow};
use clap::CommandFactory;
use clap_complete::Shell;

use crate::cli::Cli;
use crate::exit_code::ExitCode;
use crate::output::print;

/// Prints the completions for one shell.
///
/// # Errors
/// Stdout that cannot be written.
pub fn completions(shell: Shell) -> Result<ExitCode> {
    let mut script = Vec::new();
    let mut command = Cli::command();
    let name = command.get_name().to_owned();
    clap_complete::generate(shell, &mut command, name, &mut script);
    print(&String::from_utf8_lossy(&script))?;
    Ok(ExitCode::Success)
}

/// Writes the manual pages, one for the program and one for each command, and creates the folder if it is not there.
///
/// # Errors
/// A folder that cannot be created or written.
pub fn man(folder: &Path) -> Result<ExitCode> {
    let written = std::fs::create_dir_all(folder).and_then(|()| clap_mangen::generate_to(Cli::command(), folder));
    written.map_err(|why| anyhow!("cannot write {}: {why}; give a folder that you may write", folder.display()))?;
    Ok(ExitCode::Success)
}
