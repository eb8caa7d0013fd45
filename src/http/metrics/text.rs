//! The text format: families of samples.

use std::fmt::Write as _;

const PREFIX: &str = "edge_agent_";
/// By convention, the same of all programs.
const OF_PROCESS: &str = "process_";

/// A family's head is written with its first sample: one without any does not appear.
#[derive(Default)]
pub(super) struct Text {
    out: String,
    name: String,
    head: Option<(&'static str, &'static str)>,
}

impl Text {
    pub(super) fn family(&mut self, name: &'static str, kind: &'static str, help: &'static str) {
        self.name = if name.starts_with(OF_PROCESS) { name.to_owned() } else { format!("{PREFIX}{name}") };
        self.head = Some((kind, help));
    }

    pub(super) fn sample(&mut self, labels: &[(&str, &str)], value: f64) {
        self.sample_of("", labels, value);
    }

    /// One labelled by `labels` of a histogram: `buckets` are upper bounds and how much is below them.
    pub(super) fn histogram(&mut self, label: (&str, &str), buckets: &[(f64, u64)], count: u64, sum: f64) {
        for (bound, below) in buckets {
            self.sample_of("_bucket", &[label, ("le", &bound.to_string())], *below as f64);
        }
        self.sample_of("_bucket", &[label, ("le", "+Inf")], count as f64);
        self.sample_of("_sum", &[label], sum);
        self.sample_of("_count", &[label], count as f64);
    }

    fn sample_of(&mut self, suffix: &str, labels: &[(&str, &str)], value: f64) {
        let name = self.name.clone();
        if let Some((kind, help)) = self.head.take() {
            self.line(format_args!("# HELP {name} {help}"));
            self.line(format_args!("# TYPE {name} {kind}"));
        }
        let labels: Vec<_> =
            labels.iter().map(|(name, value)| format!("{name}=\"{}\"", escaped(value))).collect();
        let labels = if labels.is_empty() { String::new() } else { format!("{{{}}}", labels.join(",")) };
        self.line(format_args!("{name}{suffix}{labels} {value}"));
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

    #[test]
    fn a_histogram_ends_with_infinity_sum_and_count() {
        let mut text = Text::default();
        text.family("put_seconds", "histogram", "Some help.");
        text.histogram(("operation", "put"), &[(0.005, 1), (1.0, 3)], 4, 31.5);
        text.family("process_open_fds", "gauge", "Other help.");
        text.sample(&[], 12.0);
        let expected = "# HELP edge_agent_put_seconds Some help.\n# TYPE edge_agent_put_seconds histogram\n\
             edge_agent_put_seconds_bucket{operation=\"put\",le=\"0.005\"} 1\n\
             edge_agent_put_seconds_bucket{operation=\"put\",le=\"1\"} 3\n\
             edge_agent_put_seconds_bucket{operation=\"put\",le=\"+Inf\"} 4\n\
             edge_agent_put_seconds_sum{operation=\"put\"} 31.5\nedge_agent_put_seconds_count{operation=\"put\"} 4\n\
             # HELP process_open_fds Other help.\n# TYPE process_open_fds gauge\nprocess_open_fds 12\n";
        assert_eq!(text.done(), expected);
    }
}
