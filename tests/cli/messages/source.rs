//! The texts in Rust files: those of the program that may reach a user as a message, and those that tests look for.

use std::fs;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use proc_macro2::{TokenStream, TokenTree};
use syn::LitStr;

/// The texts of one file.
pub struct File {
    /// Below the root of the repository.
    pub name: String,
    pub texts: Vec<String>,
}

/// The program's texts that are sentences or parts of one, without those of its tests.
pub fn of_the_program() -> Vec<File> {
    let mut files = read("src", Part::BeforeTests);
    files.retain(|file| !file.name.ends_with("tests.rs"));
    for file in &mut files {
        file.texts.retain(|text| is_sentence(text));
        file.texts.dedup();
    }
    files.retain(|file| !file.texts.is_empty());
    files
}

/// The texts of all tests.
pub fn of_the_tests() -> Vec<File> {
    let mut files = read("tests", Part::Whole);
    files.retain(|file| !file.name.starts_with("tests/cli/messages"));
    let units = read("src", Part::Whole).into_iter().zip(read("src", Part::BeforeTests)).map(|(whole, before)| {
        let from = if whole.name.ends_with("tests.rs") { 0 } else { before.texts.len() };
        File { texts: whole.texts[from..].to_vec(), name: whole.name }
    });
    files.extend(units);
    files
}

/// How much of a file is read.
#[derive(Clone, Copy, PartialEq)]
enum Part {
    Whole,
    /// The tests of a file stand at its end.
    BeforeTests,
}

/// All Rust files below a folder, by name.
fn read(folder: &str, part: Part) -> Vec<File> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut files = Vec::new();
    let mut folders: Vec<PathBuf> = vec![root.join(folder)];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let name = path.strip_prefix(root).unwrap().to_str().unwrap().to_owned();
                let tokens = TokenStream::from_str(&fs::read_to_string(&path).unwrap()).unwrap();
                let mut texts = Vec::new();
                collect(tokens, part, &mut texts);
                files.push(File { name, texts });
            }
        }
    }
    files.sort_by(|one, other| one.name.cmp(&other.name));
    files
}

/// False at the tests, where nothing more is to be read.
fn collect(tokens: TokenStream, part: Part, texts: &mut Vec<String>) -> bool {
    let mut tokens = tokens.into_iter().peekable();
    while let Some(token) = tokens.next() {
        match (token, tokens.peek()) {
            // A comment for the reader of the source is an attribute.
            (TokenTree::Punct(mark), Some(TokenTree::Group(attribute))) if mark.as_char() == '#' => {
                let attribute = attribute.stream().to_string();
                if part == Part::BeforeTests && attribute == "cfg (test)" {
                    return false;
                }
                if attribute.starts_with("doc =") {
                    tokens.next();
                }
            }
            (TokenTree::Punct(mark), Some(TokenTree::Punct(_))) if mark.as_char() == '#' => {
                // `#![doc = "..."]`, at the head of a file.
                tokens.nth(1);
            }
            // What a programmer expects is no message.
            (TokenTree::Ident(word), Some(TokenTree::Group(_))) if word == "expect" => {
                tokens.next();
            }
            (TokenTree::Group(group), _) if !collect(group.stream(), part, texts) => return false,
            (TokenTree::Literal(literal), _) => {
                texts.extend(syn::parse_str::<LitStr>(&literal.to_string()).map(|text| text.value()));
            }
            _ => {}
        }
    }
    true
}

/// Three words or more, of which two stand next to each other.
fn is_sentence(text: &str) -> bool {
    let words: Vec<&str> = text.split(' ').collect();
    let is_word = |word: &&str| word.len() >= 2 && word.chars().all(|c| c.is_ascii_lowercase());
    words.len() >= 3 && words.windows(2).any(|pair| pair.iter().all(is_word))
}

/// What stands between the values of a text.
pub fn fragments(text: &str) -> Vec<String> {
    let mut fragments = vec![String::new()];
    let mut rest = text.chars().peekable();
    while let Some(character) = rest.next() {
        match character {
            '{' | '}' if rest.next_if_eq(&character).is_some() => fragments.last_mut().unwrap().push(character),
            '{' => {
                while rest.next().is_some_and(|inner| inner != '}') {}
                fragments.push(String::new());
            }
            other => fragments.last_mut().unwrap().push(other),
        }
    }
    fragments
}
