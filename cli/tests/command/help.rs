//! The `--help` of `tally` and of every command, as the program prints it.

use std::{fs, path::Path, process::Command};

use clap::{CommandFactory, Parser};
use tally_cli::Args;

#[test]
fn every_help_is_as_expected() {
    check(&Args::command(), &mut Vec::new());
}

fn check(command: &clap::Command, path: &mut Vec<String>) {
    path.push(command.get_name().to_owned());
    let mut program = Command::new(env!("CARGO_BIN_EXE_tally"));
    let output = program.env_clear().args(&path[1..]).arg("--help").output().unwrap();
    assert!(output.status.success(), "{path:?}");
    insta::with_settings!({prepend_module_to_snapshot => false, omit_expression => true}, {
        insta::assert_snapshot!(path.join("-"), String::from_utf8(output.stdout).unwrap());
    });
    for subcommand in command.get_subcommands() {
        check(subcommand, path);
    }
    path.pop();
}

/// The commands with `tally` in the code blocks of the README and the pages of `docs/`, each as words.
fn documented_commands() -> Vec<Vec<String>> {
    let repository = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut pages = vec![repository.join("README.md")];
    let docs = fs::read_dir(repository.join("docs")).unwrap().map(|entry| entry.unwrap().path());
    pages.extend(docs.filter(|path| path.extension().is_some_and(|extension| extension == "md")));
    let mut commands = Vec::new();
    for page in pages {
        let text = fs::read_to_string(page).unwrap();
        for line in text.split("\n```").skip(1).step_by(2).flat_map(str::lines) {
            let line = line.trim_start_matches("$ ");
            if line.starts_with("tally ") {
                commands.push(words(line.split(" #").next().unwrap()));
            }
        }
    }
    commands
}

/// Splits a line at spaces outside of double quotes.
fn words(line: &str) -> Vec<String> {
    let mut quoted = false;
    let is_end = |c: char| {
        quoted ^= c == '"';
        c == ' ' && !quoted
    };
    // What follows is for the shell.
    let parts = line.split(is_end).filter(|part| !part.is_empty()).take_while(|part| *part != ">");
    parts.map(|part| part.replace('"', "")).collect()
}

#[test]
fn documented_commands_are_understood() {
    let commands = documented_commands();
    assert!(commands.len() > 10, "{commands:?}");
    for command in commands {
        let read = Args::try_parse_from(&command);
        assert!(read.is_ok(), "{command:?}: {}", read.unwrap_err());
    }
}
