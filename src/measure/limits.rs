//! How many cells run side by side.

use anyhow::{Result, anyhow};

use crate::output::note;
use crate::run::Target;

/// Cells side by side against a broker on this machine: all of a plan of usual size.
const JOBS_ON_LOOPBACK: usize = 1024;
/// Cells side by side against any other broker.
const JOBS_ELSEWHERE: usize = 32;
/// With so many cells side by side a run takes no time worth a word.
const FEW_JOBS: usize = 64;
/// Files that stay free for everything that is no cell, where there are many.
const SPARE_FILES: u64 = 64;

/// How many cells of so many clients run side by side, within the number of files that this process may open.
///
/// # Errors
/// Not even one cell fits into that number.
pub fn jobs(wanted: Option<usize>, target: &Target, clients: usize) -> Result<usize> {
    let usual = if target.endpoint.is_loopback() { JOBS_ON_LOOPBACK } else { JOBS_ELSEWHERE };
    let files = rlimit::increase_nofile_limit(u64::MAX).unwrap_or(1024);
    let spare = SPARE_FILES.min(files / 4);
    let possible = usize::try_from(files - spare).unwrap_or(usize::MAX) / clients;
    if possible == 0 {
        return Err(anyhow!("this process may open only {files} files; raise the limit with ulimit -n"));
    }
    let wanted = wanted.unwrap_or(usual);
    if possible < wanted.min(FEW_JOBS) {
        note(&format!(
            "this process may open only {files} files, so only {possible} cells run side by side; ulimit -n raises that"
        ));
    }
    Ok(wanted.min(possible))
}
