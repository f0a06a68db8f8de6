//! Rust sources as tokens, without comments, literals and tests.

use std::{
    fs,
    path::{Path, PathBuf},
};

use crate::root;

/// The folders of the crates that are checked.
const FOLDERS: [&str; 6] = ["proto", "model", "store", "terminal", "service", "cli"];

/// A crate and its sources, without tests.
pub struct Crate {
    pub folder: &'static str,
    pub sources: Vec<Source>,
}

/// A file.
pub struct Source {
    /// Relative to the workspace, with `/`.
    pub path: String,
    pub tokens: Vec<Token>,
}

/// An identifier or number, `::`, or any other character.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Token {
    Word(String),
    PathSeparator,
    Other(char),
}

/// All crates.
pub fn crates() -> Vec<Crate> {
    let crates = FOLDERS.into_iter().map(|folder| {
        let mut sources = Vec::new();
        read_folder(&root().join(folder).join("src"), &mut sources);
        sources.sort_by(|a, b| a.path.cmp(&b.path));
        assert!(!sources.is_empty(), "{folder} has no sources");
        Crate { folder, sources }
    });
    crates.collect()
}

fn read_folder(folder: &Path, sources: &mut Vec<Source>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path: PathBuf = entry.unwrap().path();
        if path.file_stem().is_some_and(|stem| stem == "tests") {
            continue;
        }
        if path.is_dir() {
            read_folder(&path, sources);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let from_root = path.strip_prefix(root()).unwrap();
            let parts: Vec<_> = from_root.iter().map(|part| part.to_string_lossy()).collect();
            sources.push(Source::parse(&parts.join("/"), &fs::read_to_string(&path).unwrap()));
        }
    }
}

impl Source {
    pub fn parse(path: &str, text: &str) -> Self {
        Self { path: path.to_owned(), tokens: without_tests(&tokens(text)) }
    }

    /// Whether the file has a path that starts with this library, such as `sqlx::query`.
    pub fn names_library(&self, library: &str) -> bool {
        self.tokens.iter().enumerate().any(|(n, token)| {
            let begins = n == 0 || self.tokens[n - 1] != Token::PathSeparator;
            let goes_on = self.tokens.get(n + 1) == Some(&Token::PathSeparator);
            begins && goes_on && matches!(token, Token::Word(word) if word == library)
        })
    }
}

/// The tokens of a source text; comments, strings and characters are skipped.
fn tokens(text: &str) -> Vec<Token> {
    let (mut rest, mut tokens) = (text, Vec::new());
    while let Some(first) = rest.chars().next() {
        if let Some(length) = skipped(rest) {
            rest = &rest[length..];
            continue;
        }
        let word = rest.find(|c: char| !is_of_word(c)).unwrap_or(rest.len());
        let (token, length) = if word > 0 {
            (Token::Word(rest[..word].to_owned()), word)
        } else if rest.starts_with("::") {
            (Token::PathSeparator, 2)
        } else {
            (Token::Other(first), first.len_utf8())
        };
        tokens.push(token);
        rest = &rest[length..];
    }
    tokens
}

fn is_of_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// The length of the white space, comment, string or character that `text` starts with.
fn skipped(text: &str) -> Option<usize> {
    let space = text.len() - text.trim_start().len();
    let comment = text.starts_with("//").then(|| text.find('\n').unwrap_or(text.len()));
    (space > 0).then_some(space).or(comment).or_else(|| raw_string(text)).or_else(|| quoted(text))
}

/// `r#"…"#` with any number of `#`.
fn raw_string(text: &str) -> Option<usize> {
    let begin = text.strip_prefix("br").or_else(|| text.strip_prefix('r'))?;
    let hashes = begin.len() - begin.trim_start_matches('#').len();
    let end = format!("\"{}", "#".repeat(hashes));
    let content = begin[hashes..].strip_prefix('"')?;
    Some(text.len() - content.len() + content.find(&end)? + end.len())
}

/// `"…"`, `'…'`; not a lifetime.
fn quoted(text: &str) -> Option<usize> {
    let mut characters = text.char_indices();
    let (_, quote) = characters.next().filter(|(_, quote)| matches!(quote, '"' | '\''))?;
    if quote == '\'' && !text[1..].starts_with('\\') && text.chars().nth(2) != Some('\'') {
        return None;
    }
    while let Some((n, c)) = characters.next() {
        match c {
            '\\' => drop(characters.next()),
            _ if c == quote => return Some(n + 1),
            _ => {}
        }
    }
    None
}

/// Drops every item marked `#[cfg(test)]`.
fn without_tests(tokens: &[Token]) -> Vec<Token> {
    let mark = self::tokens("#[cfg(test)]");
    let (mut rest, mut kept) = (tokens, Vec::new());
    while let Some(first) = rest.first() {
        if let Some(item) = rest.strip_prefix(mark.as_slice()) {
            rest = &item[length_of_item(item)..];
        } else {
            kept.push(first.clone());
            rest = &rest[1..];
        }
    }
    kept
}

/// The number of tokens up to the item's `;` or closing brace.
fn length_of_item(tokens: &[Token]) -> usize {
    let mut depth = 0;
    for (n, token) in tokens.iter().enumerate() {
        match token {
            Token::Other('{') => depth += 1,
            Token::Other('}') if depth == 1 => return n + 1,
            Token::Other('}') => depth -= 1,
            Token::Other(';') if depth == 0 => return n + 1,
            _ => {}
        }
    }
    tokens.len()
}

#[test]
fn comments_literals_and_tests_are_skipped() {
    let text = "fn a<'a>(x: &'a str) { b::c('\\'', '\"', \"d::e\\\"\", r#\"f::g\"#) } // h::i\n\
                #[cfg(test)]\nmod tests { use sqlx::X; fn t() {} }\nuse j::k;";
    let source = Source::parse("", text);
    assert!(source.names_library("b") && source.names_library("j"));
    for not in ["d", "f", "h", "sqlx", "c"] {
        assert!(!source.names_library(not), "{not}");
    }
}
