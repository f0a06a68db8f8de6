//! Modules directly under a crate's `src` depend on each other in one direction.

use std::collections::{BTreeMap, BTreeSet};

use crate::{
    assert_none,
    source::{Crate, Source, Token, crates},
};

/// Each module of a crate, and the modules that it uses, each with a file that does so.
type Uses = BTreeMap<String, BTreeMap<String, String>>;

#[test]
fn modules_use_each_other_in_one_direction() {
    let mut violations = Vec::new();
    for krate in crates() {
        let uses = uses(&krate);
        violations.extend(cycles(&uses).into_iter().map(|cycle| {
            format!(
                "the modules {} of {} depend on each other, so that none can be read, tested or moved alone:\n    {}",
                cycle.iter().cloned().collect::<Vec<_>>().join(", "),
                krate.folder,
                edges(&uses, &cycle).join("\n    ")
            )
        }));
    }
    assert_none(&violations);
}

fn uses(krate: &Crate) -> Uses {
    let modules: BTreeSet<String> = krate.sources.iter().filter_map(Source::module).collect();
    let mut uses = Uses::new();
    for source in &krate.sources {
        let Some(module) = source.module() else { continue };
        let of_module = uses.entry(module.clone()).or_default();
        for other in source.crate_names().into_iter().filter(|name| *name != module && modules.contains(name))
        {
            of_module.entry(other).or_insert_with(|| source.path.clone());
        }
    }
    uses
}

/// The strongly connected components with more than one module.
fn cycles(uses: &Uses) -> BTreeSet<BTreeSet<String>> {
    let reachable: BTreeMap<&str, BTreeSet<&str>> =
        uses.keys().map(|module| (module.as_str(), reachable(uses, module))).collect();
    let cycle = |module: &str| -> BTreeSet<String> {
        let others = reachable[module].iter().filter(|other| reachable[**other].contains(module));
        others.map(|other| (*other).to_owned()).collect()
    };
    uses.keys().map(|module| cycle(module)).filter(|cycle| !cycle.is_empty()).collect()
}

fn reachable<'a>(uses: &'a Uses, from: &str) -> BTreeSet<&'a str> {
    let mut found = BTreeSet::new();
    let mut open: Vec<&str> = uses[from].keys().map(String::as_str).collect();
    while let Some(module) = open.pop() {
        if found.insert(module) {
            open.extend(uses[module].keys().map(String::as_str));
        }
    }
    found
}

/// All uses within a cycle.
fn edges(uses: &Uses, cycle: &BTreeSet<String>) -> Vec<String> {
    let from =
        cycle.iter().flat_map(|module| uses[module].iter().map(move |(other, file)| (module, other, file)));
    from.filter(|(_, other, _)| cycle.contains(*other))
        .map(|(module, other, file)| format!("{module} uses {other} in {file}"))
        .collect()
}

impl Source {
    /// The file's module path; empty for crate roots and programs.
    fn module_path(&self) -> Vec<&str> {
        let (_, path) = self.path.split_once("src/").unwrap_or_default();
        let mut path: Vec<&str> = path.trim_end_matches(".rs").split('/').collect();
        if matches!(path[..], ["lib" | "main"] | ["bin", ..]) {
            path.clear();
        }
        path.pop_if(|name| *name == "mod");
        path
    }

    fn module(&self) -> Option<String> {
        self.module_path().first().map(|module| (*module).to_owned())
    }

    /// The modules directly under the crate's root that the file names, by `crate::` or enough `super::`.
    fn crate_names(&self) -> BTreeSet<String> {
        let (depth, mut names) = (self.module_path().len(), BTreeSet::new());
        for n in 0..self.tokens.len() {
            let begins = n == 0 || self.tokens[n - 1] != Token::PathSeparator;
            let rest = &self.tokens[n..];
            let path = after(rest, "crate", 1).or_else(|| after(rest, "super", depth)).filter(|_| begins);
            names.extend(path.into_iter().flat_map(first_names));
        }
        names
    }
}

/// The tokens after `times` times `word::`, if they start with that.
fn after<'a>(tokens: &'a [Token], word: &str, times: usize) -> Option<&'a [Token]> {
    (0..times).try_fold(tokens, |tokens, _| match tokens {
        [Token::Word(first), Token::PathSeparator, rest @ ..] if first == word => Some(rest),
        _ => None,
    })
}

/// The first name of a path, or of each path in a group: `a` and `b` of `{a::x, b::{y, z}}`.
fn first_names(tokens: &[Token]) -> Vec<String> {
    let (mut names, mut depth, mut expected) = (Vec::new(), 0, true);
    for token in tokens {
        match token {
            Token::Word(name) if expected => {
                names.push(name.clone());
                expected = false;
            }
            Token::Other('{') => depth += 1,
            Token::Other('}') => depth -= 1,
            Token::Other(',') => expected = depth == 1,
            _ => {}
        }
        if depth == 0 {
            break;
        }
    }
    names
}

#[test]
fn paths_from_the_root_of_the_crate_are_found() {
    let source = Source::parse(
        "service/src/grpc/convert/mod.rs",
        "use crate::{app::App, platform::{error::Error, metrics}, x};\n\
         use super::parse;\n\
         pub(crate) fn f() -> crate::scoring::Score { self::crate_like::x(super::super::ingest::y) }",
    );
    let names: Vec<String> = source.crate_names().into_iter().collect();
    assert_eq!(names, ["app", "ingest", "platform", "scoring", "x"]);
    assert_eq!(source.module().as_deref(), Some("grpc"));
}
