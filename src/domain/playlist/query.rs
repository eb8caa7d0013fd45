//! A playlist whose addresses carry a query: for viewers who had to show one to get it.

/// The playlist with `query` behind each address that is relative to it. Others lead elsewhere, where nobody should see
/// it.
pub fn with_query(playlist: &str, query: &str) -> String {
    let mut out = String::with_capacity(playlist.len() + 2 * query.len());
    for line in playlist.split_inclusive('\n') {
        let text = line.trim_end_matches(['\r', '\n']);
        let end = &line[text.len()..];
        match text.strip_prefix('#') {
            Some(_) => out += &tag(text, query),
            None if text.is_empty() => {}
            None => out += &address(text, query),
        }
        out += end;
    }
    out
}

/// `#EXT-X-MAP:URI="init.mp4"` and its like.
fn tag(line: &str, query: &str) -> String {
    const URI: &str = "URI=\"";
    let found = line.match_indices(URI).find(|(at, _)| line[..*at].ends_with([':', ',']));
    let Some(at) = found.map(|(at, _)| at + URI.len()).filter(|_| line.starts_with("#EXT")) else {
        return line.to_owned();
    };
    let Some(length) = line[at..].find('"') else { return line.to_owned() };
    let (before, uri, after) = (&line[..at], &line[at..at + length], &line[at + length..]);
    format!("{before}{}{after}", address(uri, query))
}

fn address(uri: &str, query: &str) -> String {
    let is_below =
        !uri.starts_with(['/', '.', '?', '#']) && !uri.contains([':', '\\']) && !uri.contains("..");
    if !is_below {
        return uri.to_owned();
    }
    let (uri, fragment) = uri.split_at(uri.find('#').unwrap_or(uri.len()));
    let joint = if uri.contains('?') { '&' } else { '?' };
    format!("{uri}{joint}{query}{fragment}")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn segments_and_their_init_object_carry_it() {
        let playlist = "#EXTM3U\r\n#EXT-X-MAP:URI=\"init_0.mp4\",BYTERANGE=\"1@0\"\n#EXTINF:2.000,\n\nsegment_0_1.m4s\r\n\
             #a comment, URI=\"x\"\n#EXT-X-ENDLIST";
        let expected = "#EXTM3U\r\n#EXT-X-MAP:URI=\"init_0.mp4?e=1&s=2\",BYTERANGE=\"1@0\"\n#EXTINF:2.000,\n\n\
             segment_0_1.m4s?e=1&s=2\r\n#a comment, URI=\"x\"\n#EXT-X-ENDLIST";
        assert_eq!(with_query(playlist, "e=1&s=2"), expected);
    }

    #[test]
    fn what_lies_elsewhere_does_not() {
        for uri in [
            "https://evil.example/a.ts",
            "//evil.example/a.ts",
            "/streams/l/other/a.ts",
            "../other/a.ts",
            "a/../../other/a.ts",
            "data:x",
            "\\\\evil\\a.ts",
            "?x",
        ] {
            assert_eq!(with_query(uri, "e=1"), uri);
            let key = format!("#EXT-X-KEY:METHOD=AES-128,URI=\"{uri}\"");
            assert_eq!(with_query(&key, "e=1"), key);
        }
        assert_eq!(with_query("a.ts?b=c#d", "e=1"), "a.ts?b=c&e=1#d");
        assert_eq!(with_query("#EXT-X-KEY:XURI=\"a\"", "e=1"), "#EXT-X-KEY:XURI=\"a\"");
    }

    proptest! {
        #[test]
        fn any_text_is_survived_and_keeps_its_lines(text in "(.|\n|\r|#|\"|URI=\")*") {
            prop_assert_eq!(with_query(&text, "e=1").matches('\n').count(), text.matches('\n').count());
        }
    }
}
