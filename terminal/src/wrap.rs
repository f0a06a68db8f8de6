//! Long lines on a terminal.

use crate::width;

/// A line as several of at most `columns`, broken at spaces; the later ones are indented by two more than the first. A
/// word that is longer than a line stays whole.
#[must_use]
pub fn wrapped(line: &str, columns: usize) -> Vec<String> {
    let indent = line.len() - line.trim_start_matches(' ').len();
    let (mut lines, mut rest, mut begin) = (Vec::new(), line.to_owned(), indent);
    while width(&rest) > columns {
        let mut spaces = rest.char_indices().filter(|(n, c)| *n > begin && *c == ' ').map(|(n, _)| n);
        let first = spaces.next();
        let last = spaces.take_while(|n| width(&rest[..*n]) <= columns).last();
        let fits = first.filter(|n| width(&rest[..*n]) <= columns).and(last);
        let Some(end) = fits.or(first) else { break };
        let (head, tail) = rest.split_at(end);
        let tail = format!("{:1$}{2}", "", indent + 2, tail.trim_start());
        lines.push(head.trim_end().to_owned());
        (rest, begin) = (tail, indent + 2);
    }
    if !rest.trim().is_empty() || lines.is_empty() {
        lines.push(rest);
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::wrapped;

    #[test]
    fn lines_are_broken_at_spaces() {
        assert_eq!(wrapped("  one two three four", 10), ["  one two", "    three", "    four"]);
        assert_eq!(wrapped("one two", 7), ["one two"]);
        assert_eq!(wrapped("a-long-name-stays whole", 6), ["a-long-name-stays", "  whole"]);
        assert_eq!(wrapped("王小明 is 王小明", 10), ["王小明 is", "  王小明"]);
        assert_eq!(wrapped("", 5), [""]);
        assert_eq!(wrapped("x            ", 5), ["x"]);
    }
}
