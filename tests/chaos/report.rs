//! The table.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::PathBuf;
use std::time::Duration;

#[derive(Debug, Default)]
pub struct Row {
    pub fault: String,
    pub lasted: Duration,
    pub dark: Option<Duration>,
    pub lost: Option<u64>,
    pub seams: Option<u64>,
    /// From the fault's end to the first segment on time.
    pub back: Option<Duration>,
    pub requests: Option<u64>,
    pub problems: Vec<String>,
}

impl Row {
    fn markdown(&self) -> String {
        let seconds = |time: Option<Duration>| time.map_or("-".into(), |t| format!("{:.1}", t.as_secs_f64()));
        let number = |n: Option<u64>| n.map_or("-".into(), |n| n.to_string());
        let verdict = if self.problems.is_empty() { "held".to_owned() } else { "**BROKEN**".to_owned() };
        format!(
            "| {} | {:.0} | {} | {} | {} | {} | {} | {verdict} |",
            self.fault,
            self.lasted.as_secs_f64(),
            seconds(self.dark),
            number(self.lost),
            number(self.seams),
            seconds(self.back),
            number(self.requests),
        )
    }
}

const HEAD: &str = "| fault | lasted, s | longest time without new video, s | segments lost | discontinuities | \
    back at the live edge after, s | requests meanwhile | promises |\n|---|---|---|---|---|---|---|---|";

const PROBLEMS_SHOWN: usize = 8;

/// A breach that lasts is seen at every poll: once is enough. `[12.345] what`
fn distinct(problems: &[String]) -> Vec<String> {
    let mut kinds = BTreeSet::new();
    let what = |problem: &str| problem.split_once("] ").map_or(problem, |(_, what)| what).to_owned();
    let mut shown: Vec<String> =
        problems.iter().filter(|problem| kinds.insert(what(problem))).cloned().collect();
    if let Some(more) = shown.len().checked_sub(PROBLEMS_SHOWN).filter(|more| *more > 0) {
        shown.truncate(PROBLEMS_SHOWN);
        shown.push(format!("and {more} more"));
    }
    shown
}

#[derive(Debug, Default)]
pub struct Table {
    rows: Vec<Row>,
}

impl Table {
    #[expect(clippy::print_stdout, reason = "its report")]
    pub fn add(&mut self, row: Row) {
        if self.rows.is_empty() {
            println!("{HEAD}");
        }
        println!("{}", row.markdown());
        for problem in distinct(&row.problems) {
            println!("    {}", problem.replace('\n', "\n    "));
        }
        self.rows.push(row);
    }

    pub fn is_broken(&self) -> bool {
        self.rows.iter().any(|row| !row.problems.is_empty())
    }

    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    pub fn markdown(&self) -> String {
        let mut text = format!("{HEAD}\n");
        for row in &self.rows {
            writeln!(text, "{}", row.markdown()).expect("a String takes it");
        }
        for row in self.rows.iter().filter(|row| !row.problems.is_empty()) {
            writeln!(text, "\n{}:\n\n```text\n{}\n```", row.fault, distinct(&row.problems).join("\n"))
                .expect("a String takes it");
        }
        text
    }
}

/// A file for people, below the project's `artifacts`.
pub fn artifact(name: &str) -> PathBuf {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("artifacts");
    std::fs::create_dir_all(&folder).expect("a folder for the report");
    folder.join(name)
}
