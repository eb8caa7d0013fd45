//! YAML text to [`Node`]s: the one file that names the YAML crate.
//!
//! The parser's events are pulled rather than its loader used: nesting, aliases and size stay bounded,
//! and quoting, key lines and duplicate keys stay visible to the reader.

use std::collections::HashMap;

use saphyr_parser::{Event, Parser, ScalarStyle, ScanError, Tag};

use super::node::{Entry, Kind, Node, Scalar};

/// Deeper than any configuration; shallow enough for recursion over the tree.
const DEPTH_MAX: usize = 32;
/// Nodes after aliases are expanded: a thousand cameras are 20,000.
const NODES_MAX: usize = 100_000;

/// Why a text is no usable YAML document.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Flaw {
    pub line: usize,
    pub column: usize,
    pub problem: String,
}

/// The one document of a text; `None` if it holds nothing.
pub(super) fn parse(text: &str) -> Result<Option<Node>, Flaw> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    refuse_control_characters(text)?;
    let builder = Builder { last_line: line_count(text), ..Builder::default() };
    builder.run(text).map_err(|flaw| locate(text, flaw))
}

/// Moves a flaw to where a person would look for it.
fn locate(text: &str, mut flaw: Flaw) -> Flaw {
    // What is missing at the end is reported one line behind it.
    let last = line_count(text);
    if !(1..=last).contains(&flaw.line) {
        flaw.line = flaw.line.clamp(1, last);
        flaw.column = 1 + line(text, flaw.line).chars().count();
    }
    // A tab may be found while the line above it is being read.
    if let Some(tab) = [flaw.line, flaw.line + 1].into_iter().find(|n| indented_by_tab(line(text, *n))) {
        (flaw.line, flaw.column) = (tab, 1);
        flaw.problem.push_str("; indent with spaces, not tabs");
    }
    if flaw.problem.contains("flow") && line(text, flaw.line).contains("${") {
        flaw.problem.push_str("; inside `{…}` and `[…]` a `${NAME}` must be in quotes");
    }
    flaw
}

fn line(text: &str, number: usize) -> &str {
    text.lines().nth(number - 1).unwrap_or_default()
}

fn indented_by_tab(line: &str) -> bool {
    line[..line.len() - line.trim_start().len()].contains('\t')
}

/// Lines as the YAML parser counts them.
pub(super) fn line_count(text: &str) -> usize {
    text.replace("\r\n", "\n").replace('\r', "\n").lines().count().max(1)
}

/// The parser takes a NUL for the end of the text and would drop the cameras behind it.
fn refuse_control_characters(text: &str) -> Result<(), Flaw> {
    let forbidden = |c: char| c.is_ascii_control() && !matches!(c, '\t' | '\n' | '\r');
    let Some((at, bad)) = text.char_indices().find(|(_, c)| forbidden(*c)) else { return Ok(()) };
    let before = &text[..at];
    let column = 1 + before.rsplit(['\n', '\r']).next().unwrap_or_default().chars().count();
    let line = line_count(&format!("{before}."));
    Err(Flaw { line, column, problem: format!("has the control character {bad:?}; remove it") })
}

#[derive(Default)]
struct Builder {
    last_line: usize,
    open: Vec<Open>,
    anchors: HashMap<usize, Node>,
    nodes: usize,
    root: Option<Node>,
}

/// A list or mapping whose end has not been seen.
struct Open {
    line: usize,
    anchor: usize,
    content: Content,
}

enum Content {
    List(Vec<Node>),
    Map { entries: Vec<Entry>, key: Option<(String, usize)> },
}

type Built<T> = Result<T, String>;

impl Builder {
    fn run(mut self, text: &str) -> Result<Option<Node>, Flaw> {
        let mut parser = Parser::new_from_str(text);
        while let Some(step) = parser.next_event() {
            let (event, span) = step.map_err(|e| scan_flaw(&e))?;
            // An empty value at the end of the file stands one line behind it.
            let line = span.start.line().min(self.last_line);
            self.take(event, line).map_err(|problem| Flaw { line, column: span.start.col() + 1, problem })?;
        }
        Ok(self.root)
    }

    fn take(&mut self, event: Event<'_>, line: usize) -> Built<()> {
        match event {
            Event::Nothing | Event::StreamStart | Event::StreamEnd | Event::DocumentEnd => Ok(()),
            Event::DocumentStart(_) if self.root.is_some() => {
                Err("a second YAML document starts here; keep one per file".into())
            }
            Event::DocumentStart(_) => Ok(()),
            Event::Scalar(text, style, anchor, tag) => {
                let plain = !is_string_tag(tag.as_deref())? && style == ScalarStyle::Plain;
                self.scalar(Scalar { text: text.into_owned(), plain }, line, anchor)
            }
            Event::Alias(anchor) => self.alias(anchor),
            Event::SequenceStart(anchor, tag) => {
                is_string_tag(tag.as_deref())?;
                self.start(line, anchor, Content::List(Vec::new()))
            }
            Event::MappingStart(anchor, tag) => {
                is_string_tag(tag.as_deref())?;
                self.start(line, anchor, Content::Map { entries: Vec::new(), key: None })
            }
            Event::SequenceEnd | Event::MappingEnd => self.end(),
        }
    }

    fn scalar(&mut self, scalar: Scalar, line: usize, anchor: usize) -> Built<()> {
        if let Some(Open { content: Content::Map { key: key @ None, .. }, .. }) = self.open.last_mut() {
            *key = Some((scalar.text, line));
            return Ok(());
        }
        self.place(Node { line, kind: Kind::Scalar(scalar) }, anchor)
    }

    fn alias(&mut self, anchor: usize) -> Built<()> {
        self.refuse_as_key()?;
        let Some(node) = self.anchors.get(&anchor) else {
            return Err("an alias inside its own anchor never ends; write the values out".into());
        };
        let size = node.size();
        let copy = (self.nodes + size <= NODES_MAX).then(|| node.copy()).ok_or_else(too_large)?;
        self.nodes += size - 1;
        self.place(copy, 0)
    }

    fn start(&mut self, line: usize, anchor: usize, content: Content) -> Built<()> {
        self.refuse_as_key()?;
        if self.open.len() == DEPTH_MAX {
            return Err(format!("is nested deeper than {DEPTH_MAX} levels"));
        }
        self.open.push(Open { line, anchor, content });
        Ok(())
    }

    fn end(&mut self) -> Built<()> {
        let Some(open) = self.open.pop() else { return Ok(()) };
        let kind = match open.content {
            Content::List(items) => Kind::List(items),
            Content::Map { entries, .. } => Kind::Map(entries),
        };
        self.place(Node { line: open.line, kind }, open.anchor)
    }

    /// Puts a finished node where it belongs: its anchor, and the collection that is open.
    fn place(&mut self, node: Node, anchor: usize) -> Built<()> {
        self.nodes += 1;
        if anchor != 0 {
            self.nodes += node.size();
        }
        if self.nodes > NODES_MAX {
            return Err(too_large());
        }
        if anchor != 0 {
            self.anchors.insert(anchor, node.copy());
        }
        match self.open.last_mut().map(|open| &mut open.content) {
            None => self.root = Some(node),
            Some(Content::List(items)) => items.push(node),
            Some(Content::Map { entries, key }) => {
                let (key, line) = key.take().ok_or("a mapping's key must be text")?;
                entries.push(Entry { key, line, value: node });
            }
        }
        Ok(())
    }

    fn refuse_as_key(&self) -> Built<()> {
        match self.open.last() {
            Some(Open { content: Content::Map { key: None, .. }, .. }) => {
                Err("a mapping's key must be text".into())
            }
            _ => Ok(()),
        }
    }
}

fn scan_flaw(error: &ScanError) -> Flaw {
    let at = error.marker();
    Flaw { line: at.line(), column: at.col() + 1, problem: format!("is not valid YAML: {}", error.info()) }
}

fn too_large() -> String {
    format!("holds more than {NODES_MAX} values once its aliases are expanded")
}

/// Whether a tag makes a string of anything; other tags mean nothing here. The tag is not quoted: an
/// unquoted secret that starts with `!` looks like one.
fn is_string_tag(tag: Option<&Tag>) -> Built<bool> {
    match tag {
        None => Ok(false),
        Some(tag) if tag.is_yaml_core_schema() => match tag.suffix.as_str() {
            "str" => Ok(true),
            "int" | "float" | "bool" | "null" | "seq" | "map" => Ok(false),
            _ => Err(no_tags()),
        },
        Some(_) => Err(no_tags()),
    }
}

fn no_tags() -> String {
    "has a YAML tag (`!…`); leave it out, or quote text that starts with `!`".into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn flaw(text: &str) -> String {
        match parse(text) {
            Err(flaw) => format!("{}:{}: {}", flaw.line, flaw.column, flaw.problem),
            Ok(_) => panic!("{text:?} is fine"),
        }
    }

    #[test]
    fn nesting_and_aliases_are_bounded() {
        assert!(flaw(&"- ".repeat(200_000)).contains("deeper than 32"));
        assert!(flaw(&"[".repeat(40)).contains("deeper than 32"));
        assert!(flaw(&"[".repeat(200_000)).contains("recursion limit exceeded"));
        assert!(flaw(&"{a: ".repeat(40)).contains("deeper than 32"));
        let mut bomb = "a: &a [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
        for (name, of) in ["b", "c", "d", "e", "f", "g"].iter().zip(["a", "b", "c", "d", "e", "f"]) {
            let aliases = vec![format!("*{of}"); 10].join(", ");
            bomb.push_str(&format!("{name}: &{name} [{aliases}]\n"));
        }
        assert!(flaw(&bomb).contains("more than 100000 values"));
        assert!(flaw("a: &a [*a]").contains("inside its own anchor"));
    }

    #[test]
    fn lines_are_those_of_the_file() {
        for text in ["\u{feff}a: 1\nb: [\n", "a: 1\r\nb: [\r\n", "a: 1\rb: [\r"] {
            assert!(flaw(text).starts_with("2:"), "{text:?}: {}", flaw(text));
        }
        assert_eq!(flaw("a: 1\nb: x\0y"), "2:5: has the control character '\\0'; remove it");
        assert!(flaw("a:\n\tb: 1\n").ends_with("indent with spaces, not tabs"), "{}", flaw("a:\n\tb: 1\n"));
    }

    #[test]
    fn tags_and_documents_beyond_the_first_are_refused() {
        assert!(flaw("key: !s3cret x").contains("has a YAML tag"));
        assert!(!flaw("key: !s3cret x").contains("s3cret"));
        assert_eq!(flaw("a: 1\n---\nb: 1\n"), "2:1: a second YAML document starts here; keep one per file");
        assert!(parse("--- \n# nothing\n").is_ok_and(|node| node.is_some_and(|node| node.is_null())));
        assert!(parse("# nothing\n").is_ok_and(|node| node.is_none()));
    }
}
