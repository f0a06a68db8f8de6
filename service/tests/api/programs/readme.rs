//! The README: its section "Your own data", run as it stands there, and the usage of `tally-train`.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use clap::CommandFactory;
use tally_service::config::TrainArgs;

use crate::support::{Database, ServeProcess, program};

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// The commands of the section, each with the lines that it prints.
fn transcript() -> Vec<(String, Vec<String>)> {
    let readme = fs::read_to_string(repository().join("README.md")).unwrap();
    let (_, section) = readme.split_once("\n## Your own data\n").unwrap();
    let section = section.split("\n## ").next().unwrap();
    let blocks = section.split("\n```").skip(1).step_by(2).filter(|block| block.starts_with("\n$ "));
    let mut commands: Vec<(String, Vec<String>)> = Vec::new();
    for line in blocks.flat_map(str::lines).filter(|line| !line.is_empty()) {
        match line.strip_prefix("$ ") {
            Some(command) => commands.push((command.to_owned(), Vec::new())),
            None => commands.last_mut().unwrap().1.push(line.to_owned()),
        }
    }
    commands
}

/// Runs a command in the root of the repository, and returns what it prints.
fn run(command: &str, server: &str, database: &str) -> String {
    let programs = program("tally", database).get_program().to_owned();
    let path = format!("{}:/usr/bin:/bin", Path::new(&programs).parent().unwrap().display());
    let output = Command::new("sh")
        .args(["-c", command])
        .current_dir(repository())
        .env_clear()
        .envs([("PATH", path.as_str()), ("TALLY_SERVER", server), ("TALLY_DATABASE", database)])
        .output()
        .unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    assert!(output.status.success(), "{command}: {}", text(output.stderr));
    text(output.stderr) + &text(output.stdout)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn your_own_data_becomes_scores_as_the_readme_says() {
    let commands = transcript();
    assert!(commands.len() <= 10, "{commands:?}");
    for database in Database::both().await {
        let ((serve, _), others) = commands.split_first().unwrap();
        let arguments = serve.strip_prefix("tally-serve ").unwrap().strip_suffix(" &").unwrap();
        let arguments: Vec<&str> = arguments.split(' ').collect();
        let server = ServeProcess::start(&database.url, &arguments);
        for (command, expected) in others {
            let printed = run(command, &server.url(), &database.url);
            let mut lines = printed.lines().map(str::trim_end);
            for wanted in expected.iter().filter(|line| *line != "…") {
                assert!(
                    lines.any(|line| line == wanted),
                    "{command}: no line `{wanted}` in order in\n{printed}"
                );
            }
        }
    }
}

/// An option as a usage has it, such as `[--seed SEED]` or `[--split temporal|random]`.
fn usage(option: &clap::Arg) -> String {
    let values: Vec<String> =
        option.get_possible_values().iter().map(|value| value.get_name().to_owned()).collect();
    let names = option.get_value_names().unwrap_or_default().iter().map(ToString::to_string).collect();
    let value = if values.is_empty() { names } else { values };
    format!("[--{} {}]", option.get_long().unwrap(), value.join("|"))
}

#[test]
fn the_usage_of_tally_train_is_what_it_takes() {
    let readme = fs::read_to_string(repository().join("README.md")).unwrap();
    let (_, block) = readme.split_once("\n```\ntally-train lead|churn").unwrap();
    let (options, all) = block.split_once("\ntally-train --all ").unwrap();
    let command = TrainArgs::command();
    let takes_value = |option: &&clap::Arg| option.get_long().is_some() && option.get_action().takes_values();
    let expected: Vec<String> = command.get_arguments().filter(takes_value).map(usage).collect();
    let words: Vec<&str> = options.split_whitespace().collect();
    assert_eq!(words.join(" "), expected.join(" "));
    // With --all, those that it does not take are named.
    for option in command.get_arguments().filter(takes_value) {
        let long = option.get_long().unwrap();
        let line = ["tally-train", "--all", &format!("--{long}"), "1"];
        let conflicts = command
            .clone()
            .try_get_matches_from(line)
            .is_err_and(|error| error.kind() == clap::error::ErrorKind::ArgumentConflict);
        assert_eq!(conflicts, all.lines().next().unwrap().contains(&format!("--{long}")), "--{long}");
    }
}
