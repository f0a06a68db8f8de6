//! The one escape of text that people or other systems have stored: a terminal would carry out its control characters,
//! which can retitle a window, overwrite lines or hide a part of an output.

use std::fmt;

/// Replaces a character that must not reach the terminal.
const REPLACEMENT: char = '\u{fffd}';

/// Whether a character is not for showing: control characters, those that change the direction of writing, breaks of
/// lines and paragraphs, and those without a width. The joiners U+200C and U+200D stay: Persian and emoji need them.
fn is_control(c: char) -> bool {
    c.is_control()
        || matches!(
            c,
            '\u{61c}' | '\u{200b}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}'
        )
}

/// Whether nothing of the text has to be replaced, for texts that are easy to judge.
fn is_plain_ascii(text: &str) -> bool {
    text.bytes().all(|byte| byte == b' ' || byte.is_ascii_graphic())
}

/// Text of others for a line of output: U+FFFD stands for each control character, line breaks included.
///
/// ```
/// assert_eq!(tally_terminal::printable("\u{1b}[31mred\nline"), "\u{fffd}[31mred\u{fffd}line");
/// assert_eq!(tally_terminal::printable("Müller, 王"), "Müller, 王");
/// ```
#[must_use]
pub fn printable(text: &str) -> String {
    if is_plain_ascii(text) {
        return text.to_owned();
    }
    text.chars().map(|c| if is_control(c) { REPLACEMENT } else { c }).collect()
}

/// Output of several lines with all control characters replaced but line breaks.
#[must_use]
pub fn lines_printable(text: &str) -> String {
    text.chars().map(|c| if c != '\n' && is_control(c) { REPLACEMENT } else { c }).collect()
}

/// JSON with the control characters of its strings as escapes, so that it stays exact. Line breaks, which no string of
/// JSON has, stay.
///
/// ```
/// assert_eq!(tally_terminal::json_escaped("{\"a\":\"\u{9b}31m\"}"), r#"{"a":"\u009b31m"}"#);
/// ```
#[must_use]
pub fn json_escaped(json: &str) -> String {
    let mut escaped = String::with_capacity(json.len());
    for c in json.chars() {
        if c != '\n' && is_control(c) {
            escaped.push_str(&format!("\\u{:04x}", u32::from(c)));
        } else {
            escaped.push(c);
        }
    }
    escaped
}

/// Writes text with all control characters replaced but line breaks, for writers of logs.
#[derive(Debug)]
pub struct EscapedWriter<W>(pub W);

impl<W: fmt::Write> fmt::Write for EscapedWriter<W> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        if is_plain_ascii(text) { self.0.write_str(text) } else { self.0.write_str(&lines_printable(text)) }
    }
}

#[cfg(test)]
mod tests {
    use std::fmt::Write;

    use super::*;

    #[test]
    fn what_controls_a_terminal_is_replaced() {
        for text in [
            "\u{1b}]0;title\u{7}",
            "\u{9b}31m",
            "a\rb",
            "a\u{8}b",
            "\u{7f}",
            "\u{202e}txt",
            "\u{61c}",
            "\u{200b}",
            "\u{2028}",
            "\t",
        ] {
            let shown = printable(text);
            assert!(!shown.chars().any(is_control) && shown.contains(REPLACEMENT), "{text:?}");
            assert_eq!(lines_printable(text), shown, "{text:?}");
        }
        assert_eq!(lines_printable("a\nb\u{1b}"), "a\nb\u{fffd}");
        assert_eq!(printable("14\" <b> \\ שלום 王 👍"), "14\" <b> \\ שלום 王 👍");
    }

    #[test]
    fn a_writer_escapes_every_part() {
        let mut writer = EscapedWriter(String::new());
        writer.write_str("plain").unwrap();
        let value = "\n\u{1b}[2J";
        write!(writer, " {value:?} {value}").unwrap();
        assert_eq!(writer.0, "plain \"\\n\\u{1b}[2J\" \n\u{fffd}[2J");
    }
}
