//! Texts from outside, made fit for a log line. Pure.

use std::error::Error;

/// Characters of a reason: enough for a sentence, too few for a page.
const MAX: usize = 240;

/// One short line: control characters become spaces, runs of spaces one.
pub(super) fn one_line(text: &str) -> String {
    let mut line = String::new();
    let words = text.split(|c: char| c.is_whitespace() || c.is_control()).filter(|word| !word.is_empty());
    for word in words {
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(word);
        if line.len() > 4 * MAX {
            break;
        }
    }
    match line.char_indices().nth(MAX) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line,
    }
}

/// An error with its causes, outermost first; what a cause merely repeats is left out.
pub(super) fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let more = error.to_string();
        if !text.contains(&more) {
            text.push_str(": ");
            text.push_str(&more);
        }
        cause = error.source();
    }
    one_line(&text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_is_one_short_line() {
        assert_eq!(one_line("  a\r\n\tb\u{1b}[31mc\0 "), "a b [31mc");
        let long = one_line(&"käse ".repeat(1000));
        assert_eq!(long.chars().count(), MAX + 1);
        assert!(long.ends_with('…'), "{long}");
        assert_eq!(one_line(&"x".repeat(100_000)).chars().count(), MAX + 1);
    }

    #[test]
    fn a_chain_names_the_root_cause_once() {
        #[derive(Debug, thiserror::Error)]
        #[error("request failed")]
        struct Outer(#[source] std::io::Error);
        let refused = std::io::Error::new(std::io::ErrorKind::ConnectionRefused, "connection refused");
        assert_eq!(chain(&Outer(refused)), "request failed: connection refused");
    }
}
