//! The programs as a person or a scheduler runs them, and the text that they print.

mod connections;
mod database;
mod demo;
mod exports;
mod help;
mod hostile_names;
mod interrupts;
mod personal_data;
mod pooler;
mod postgres_faults;
mod readme;
mod serve;
mod store_faults;
mod tables;

/// Asserts that a text is that of the file in `snapshots/`, but for spaces at the ends of lines.
///
/// To accept another text, run the tests with `INSTA_UPDATE=always` and read the difference before you commit
/// it.
fn assert_snapshot(name: &str, text: &str) {
    let text = text.lines().map(str::trim_end).collect::<Vec<_>>().join("\n");
    let mut settings = insta::Settings::clone_current();
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    settings.bind(|| insta::assert_snapshot!(name, text));
}
