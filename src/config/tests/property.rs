//! Whatever the text: no panic, and every fault names a line that is there.

use proptest::prelude::*;
use proptest::sample::Index;

use super::shipped::EXAMPLES;
use super::*;
use crate::config::Place;

fn check(text: &str) -> Result<(), TestCaseError> {
    let env = Stub::supabase().var("A", "a b").file("key", "k");
    let lines = crate::config::yaml::line_count(text);
    let faults = match parse("cameras.yaml", text, &env) {
        Ok(loaded) => loaded.warnings,
        Err(faults) => {
            prop_assert!(faults.iter().next().is_some());
            faults.iter().cloned().collect()
        }
    };
    for fault in faults {
        if let Place::Line { line, .. } = fault.place {
            prop_assert!((1..=lines).contains(&line), "{fault} of {lines} lines");
        }
        prop_assert_eq!(fault.to_string().lines().count(), 1, "{:?}", fault);
    }
    Ok(())
}

/// An example with a piece cut out, and another put in.
fn mutated() -> impl Strategy<Value = String> {
    let pieces = prop::sample::select(vec![
        "",
        "\n",
        " ",
        "\t",
        "-",
        "- ",
        ":",
        ": ",
        "[",
        "]",
        "{",
        "}",
        "\"",
        "'",
        "&a ",
        "*a",
        "|",
        ">",
        "#",
        "!x ",
        "%",
        "${A}",
        "${",
        "~",
        "0",
        "-1",
        "1e9",
        "true",
        "yes",
        "---\n",
        "...\n",
        "? ",
        "\r",
        "\u{feff}",
        "ä",
        "<<: *a\n",
        "settings:",
        "id: a\n",
        "type: s3",
        "\u{85}",
    ]);
    let edit = (any::<Index>(), 0..30_usize, pieces);
    (prop::sample::select(EXAMPLES), prop::collection::vec(edit, 1..6)).prop_map(|((_, text), edits)| {
        let mut chars: Vec<char> = text.chars().collect();
        for (at, cut, piece) in edits {
            let at = at.index(chars.len() + 1);
            let end = (at + cut).min(chars.len());
            chars.splice(at..end, piece.chars());
        }
        chars.into_iter().collect()
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn arbitrary_text_is_survived(text in any::<String>()) {
        check(&text)?;
    }

    #[test]
    fn yaml_like_text_is_survived(text in "([-:?,#&*!|>'\"%@` \\[\\]{}a1~\n\r\t]|id|settings|\\$\\{A\\}){0,40}") {
        check(&text)?;
    }

    #[test]
    fn broken_examples_are_survived(text in mutated()) {
        check(&text)?;
    }
}
