//! The `--help` of `tally` and of every command, as the program prints it.

use std::process::Command;

use clap::CommandFactory;
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
