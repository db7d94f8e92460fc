//! Replays the corpus of each fuzz target without a fuzzer: what once broke something does not break it again.

use std::fs;
use std::path::Path;

#[path = "../fuzz/src/lib.rs"]
mod targets;

/// Runs one target over its corpus. A panic is preceded by the name of the file, so that the output shows it.
fn replay(target: &str, run: fn(&[u8])) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus").join(target);
    let entries = fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut files: Vec<_> = entries.map(|entry| entry.expect("the folder can be listed").path()).collect();
    files.sort();
    assert!(!files.is_empty(), "{} is empty", folder.display());
    for file in files {
        println!("{}", file.display());
        run(&fs::read(&file).expect("the file can be read"));
    }
}

#[test]
fn packets() {
    replay("packet", targets::packet);
}

#[test]
fn scenarios() {
    replay("scenario", targets::scenario);
}

/// The scenarios of the project hold what the target asserts of any scenario.
#[test]
fn the_built_in_scenarios() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios");
    for entry in fs::read_dir(folder).expect("the folder can be listed") {
        let file = entry.expect("it is listed").path();
        println!("{}", file.display());
        targets::scenario(&fs::read(&file).expect("the file can be read"));
    }
}

#[test]
fn results() {
    replay("results", targets::results);
}

/// The corpus is small on purpose: it is part of the repository and of each test run.
#[test]
fn the_corpora_stay_small() {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus");
    let files = ["packet", "scenario", "results"].into_iter().flat_map(|target| {
        fs::read_dir(corpus.join(target)).expect("each target has a corpus").map(|entry| entry.expect("it is listed"))
    });
    let sizes: Vec<u64> = files.map(|file| file.metadata().expect("it is a file").len()).collect();
    assert!(sizes.len() <= 150, "{} files", sizes.len());
    assert!(sizes.iter().sum::<u64>() <= 300_000, "{} bytes", sizes.iter().sum::<u64>());
}
