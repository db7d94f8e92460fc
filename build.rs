//! Gives `--version` the commit, where there is one to be asked for.

use std::process::Command;

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    let version = env!("CARGO_PKG_VERSION");
    // A debug build would be made anew after each commit, only to say which.
    let is_release = std::env::var("PROFILE").is_ok_and(|profile| profile == "release");
    let with_commit = match is_release.then(commit).flatten() {
        Some(commit) => format!("{version} ({commit})"),
        None => version.to_owned(),
    };
    println!("cargo::rustc-env=VERSION_WITH_COMMIT={with_commit}");
}

/// The commit of this checkout; `None` in a package that came from a registry, or without git.
fn commit() -> Option<String> {
    for changed in [git(&["rev-parse", "--git-path", "HEAD"])?, git(&["rev-parse", "--git-path", "logs/HEAD"])?] {
        println!("cargo::rerun-if-changed={changed}");
    }
    // A package that is built inside somebody else's repository has no file of its own there.
    git(&["ls-files", "--error-unmatch", "build.rs"])?;
    git(&["rev-parse", "--short=10", "HEAD"])
}

fn git(arguments: &[&str]) -> Option<String> {
    let output = Command::new("git").args(arguments).output().ok().filter(|output| output.status.success())?;
    Some(String::from_utf8(output.stdout).ok()?.trim().to_owned())
}
