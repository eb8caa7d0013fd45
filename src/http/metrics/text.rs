//! The text format: families of samples.

use std::fmt::Write as _;

const PREFIX: &str = "edge_agent_";

/// A family's head is written with its first sample: one without any does not appear.
#[derive(Default)]
pub(super) struct Text {
    out: String,
    name: &'static str,
    head: Option<(&'static str, &'static str)>,
}

impl Text {
    pub(super) fn family(&mut self, name: &'static str, kind: &'static str, help: &'static str) {
        self.name = name;
        self.head = Some((kind, help));
    }

    pub(super) fn sample(&mut self, labels: &[(&str, &str)], value: f64) {
        let name = self.name;
        if let Some((kind, help)) = self.head.take() {
            self.line(format_args!("# HELP {PREFIX}{name} {help}"));
            self.line(format_args!("# TYPE {PREFIX}{name} {kind}"));
        }
        let labels: Vec<_> =
            labels.iter().map(|(name, value)| format!("{name}=\"{}\"", escaped(value))).collect();
        let labels = if labels.is_empty() { String::new() } else { format!("{{{}}}", labels.join(",")) };
        self.line(format_args!("{PREFIX}{name}{labels} {value}"));
    }

    pub(super) fn done(self) -> String {
        self.out
    }

    fn line(&mut self, line: std::fmt::Arguments<'_>) {
        writeln!(self.out, "{line}").expect("a String takes everything");
    }
}

fn escaped(value: &str) -> String {
    value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn families_have_a_head_once_and_labels_are_escaped() {
        let mut text = Text::default();
        text.family("empty", "gauge", "Not there.");
        text.family("a_total", "counter", "Some help.");
        text.sample(&[("camera", "a\\b\"c\nd"), ("cause", "x")], 3.0);
        text.sample(&[], 0.25);
        let expected = "# HELP edge_agent_a_total Some help.\n# TYPE edge_agent_a_total counter\n\
             edge_agent_a_total{camera=\"a\\\\b\\\"c\\nd\",cause=\"x\"} 3\nedge_agent_a_total 0.25\n";
        assert_eq!(text.done(), expected);
    }
}
