//! "Did you mean": the known name that a mistyped one is closest to.

/// `None` if nothing is close.
pub(super) fn nearest<'k>(word: &str, known: impl IntoIterator<Item = &'k str>) -> Option<&'k str> {
    let word = squeeze(word);
    known
        .into_iter()
        .map(|name| (distance(&word, &squeeze(name)), name))
        .filter(|(distance, name)| *distance <= name.len() / 3)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, name)| name)
}

/// `RTSP-Url` is as good as `rtsp_url`.
fn squeeze(name: &str) -> String {
    name.chars().filter(char::is_ascii_alphanumeric).map(|c| c.to_ascii_lowercase()).collect()
}

fn distance(word: &str, name: &str) -> usize {
    // `fps` means `target_fps`, and `bucket_name` means `bucket`.
    let (short, long) = if word.len() < name.len() { (word, name) } else { (name, word) };
    if short.len() >= 3 && (long.starts_with(short) || long.ends_with(short)) {
        return 1;
    }
    strsim::damerau_levenshtein(word, name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn typos_and_short_forms_find_their_name() {
        let known = ["id", "name", "rtsp_url", "target_fps", "segment_duration", "segments_to_keep"];
        for (word, name) in [
            ("rtsp-url", "rtsp_url"),
            ("url", "rtsp_url"),
            ("fps", "target_fps"),
            ("segment_to_keep", "segments_to_keep"),
            ("segement_duration", "segment_duration"),
            ("segmentDuration", "segment_duration"),
            ("nmae", "name"),
        ] {
            assert_eq!(nearest(word, known), Some(name), "{word}");
        }
        for word in ["", "x", "codec", "<<", "bitrate"] {
            assert_eq!(nearest(word, known), None, "{word}");
        }
    }
}
