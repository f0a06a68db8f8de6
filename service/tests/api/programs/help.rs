//! The help of the programs.

use crate::support::program;

fn help(name: &str) -> String {
    // The help shows the values of environment variables.
    let output = program(name, "").env_clear().arg("--help").output().unwrap();
    assert!(output.status.success());
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn the_help_of_the_programs_matches_its_snapshots() {
    for name in ["tally-serve", "tally-train"] {
        super::assert_snapshot(&format!("{name}-help"), &help(name));
    }
}
