//! A small, strict reader of live media playlists (RFC 8216). The tests' own, so that a fault in the agent's
//! reader or writer can't hide itself.

use std::time::{Duration, SystemTime};

#[derive(Debug, Clone, PartialEq)]
pub struct Playlist {
    pub version: u64,
    pub target_duration: u64,
    pub media_sequence: u64,
    pub discontinuity_sequence: u64,
    pub segments: Vec<Segment>,
    pub ended: bool,
    /// PART-TARGET and PART-HOLD-BACK.
    pub part_target: Option<Duration>,
    pub part_hold_back: Option<Duration>,
    /// Of the next part.
    pub hinted: bool,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Segment {
    pub msn: u64,
    /// Grows by one at every discontinuity; a segment keeps it for life.
    pub continuity: u64,
    pub discontinuity: bool,
    pub duration: Duration,
    pub uri: String,
    /// The init object that it needs.
    pub map: Option<String>,
    /// As tagged, or counted on from the segment before it in the same continuity.
    pub program_time: Option<SystemTime>,
    pub parts: Vec<Part>,
    /// There is no object of the whole.
    pub gap: bool,
}

/// EXT-X-PART (RFC 8216bis).
#[derive(Debug, Clone, PartialEq)]
pub struct Part {
    pub uri: String,
    pub duration: Duration,
    pub independent: bool,
}

impl Playlist {
    pub fn duration(&self) -> Duration {
        self.segments.iter().map(|segment| segment.duration).sum()
    }

    /// The playlist, or the first rule that the text breaks.
    pub fn parse(text: &str) -> Result<Self, String> {
        if !text.ends_with('\n') {
            return Err("torn: the last line has no end".into());
        }
        let mut reader = Reader::default();
        for (index, line) in text.lines().enumerate() {
            reader.line(index, line).map_err(|error| format!("line {}, {line:?}: {error}", index + 1))?;
        }
        reader.finish()
    }
}

#[derive(Default)]
struct Reader {
    version: Option<u64>,
    target_duration: Option<u64>,
    media_sequence: Option<u64>,
    discontinuity_sequence: Option<u64>,
    independent: Option<()>,
    ended: bool,
    segments: Vec<Segment>,
    /// Tags of the segment whose URI is still to come.
    duration: Option<Duration>,
    program_time: Option<SystemTime>,
    discontinuity: bool,
    parts: Vec<Part>,
    gap: Option<()>,
    /// For all that follow.
    map: Option<String>,
    part_target: Option<Duration>,
    part_hold_back: Option<Duration>,
    hinted: Option<()>,
}

impl Reader {
    fn line(&mut self, index: usize, line: &str) -> Result<(), String> {
        if line.ends_with(char::is_whitespace) || line.starts_with(char::is_whitespace) {
            return Err("white space around it".into());
        }
        if (index == 0) != (line == "#EXTM3U") {
            return Err("#EXTM3U belongs in the first line, and only there".into());
        }
        if self.ended {
            return Err("comes after #EXT-X-ENDLIST".into());
        }
        match line.strip_prefix("#EXT") {
            Some("M3U") => Ok(()),
            Some(tag) => self.tag(tag.split_once(':').unwrap_or((tag, ""))),
            None if line.starts_with('#') => Ok(()),
            None => self.uri(line),
        }
    }

    fn tag(&mut self, (name, value): (&str, &str)) -> Result<(), String> {
        match name {
            "-X-VERSION" => once(&mut self.version, number(value)?),
            "-X-TARGETDURATION" => self.in_header().and(once(&mut self.target_duration, number(value)?)),
            "-X-MEDIA-SEQUENCE" => self.in_header().and(once(&mut self.media_sequence, number(value)?)),
            "-X-DISCONTINUITY-SEQUENCE" => {
                self.in_header().and(once(&mut self.discontinuity_sequence, number(value)?))
            }
            "-X-INDEPENDENT-SEGMENTS" => once(&mut self.independent, ()),
            "-X-DISCONTINUITY" if self.discontinuity => Err("twice for one segment".into()),
            "-X-DISCONTINUITY" => {
                self.discontinuity = true;
                Ok(())
            }
            "-X-MAP" => {
                let uri = value.strip_prefix("URI=\"").and_then(|rest| rest.strip_suffix('"'));
                self.map =
                    Some(uri.filter(|uri| !uri.contains('"')).ok_or("a map without its URI alone")?.into());
                Ok(())
            }
            "-X-PROGRAM-DATE-TIME" => once(&mut self.program_time, date_time(value)?),
            "INF" => once(&mut self.duration, extinf(value)?),
            "-X-PART-INF" => {
                let target =
                    value.strip_prefix("PART-TARGET=").ok_or("a PART-INF without PART-TARGET alone")?;
                self.in_header().and(once(&mut self.part_target, seconds(target)?))
            }
            // No more than a bucket can keep.
            "-X-SERVER-CONTROL" => {
                let back =
                    value.strip_prefix("PART-HOLD-BACK=").ok_or("it promises more than PART-HOLD-BACK")?;
                self.in_header().and(once(&mut self.part_hold_back, seconds(back)?))
            }
            "-X-GAP" => once(&mut self.gap, ()),
            "-X-PART" => {
                self.parts.push(part(value)?);
                Ok(())
            }
            // A hint promises nothing, but belongs behind all segments.
            "-X-PRELOAD-HINT" if value.starts_with("TYPE=PART,URI=\"") && value.ends_with('"') => {
                once(&mut self.hinted, ())
            }
            "-X-ENDLIST" => {
                self.ended = true;
                Ok(())
            }
            _ => Err("a tag that these playlists have no use for".into()),
        }
    }

    /// RFC 8216 4.3.3: the sequence tags come before the first segment and its discontinuity.
    fn in_header(&self) -> Result<(), String> {
        let segment_begun = self.discontinuity || self.duration.is_some() || self.program_time.is_some();
        if segment_begun || !self.segments.is_empty() {
            return Err("must come before the first segment".into());
        }
        Ok(())
    }

    fn uri(&mut self, uri: &str) -> Result<(), String> {
        if self.hinted.is_some() {
            return Err("a segment behind the hint".into());
        }
        let duration = self.duration.take().ok_or("a URI without #EXTINF")?;
        let before = self.segments.last();
        let discontinuity = std::mem::take(&mut self.discontinuity);
        let continuity =
            before.map_or(self.discontinuity_sequence.unwrap_or(0), |segment| segment.continuity);
        let counted_on =
            before.filter(|_| !discontinuity).and_then(|b| b.program_time.map(|time| time + b.duration));
        let segment = Segment {
            msn: self.media_sequence.unwrap_or(0) + self.segments.len() as u64,
            continuity: continuity + u64::from(discontinuity),
            discontinuity,
            gap: self.gap.take().is_some(),
            duration,
            uri: uri.into(),
            map: self.map.clone(),
            program_time: self.program_time.take().or(counted_on),
            parts: std::mem::take(&mut self.parts),
        };
        self.segments.push(segment);
        Ok(())
    }

    fn finish(self) -> Result<Playlist, String> {
        if self.duration.is_some()
            || self.discontinuity
            || self.program_time.is_some()
            || !self.parts.is_empty()
        {
            return Err("torn: tags without their URI at the end".into());
        }
        let playlist = Playlist {
            version: self.version.ok_or("no #EXT-X-VERSION")?,
            target_duration: self.target_duration.ok_or("no #EXT-X-TARGETDURATION")?,
            media_sequence: self.media_sequence.ok_or("no #EXT-X-MEDIA-SEQUENCE")?,
            discontinuity_sequence: self.discontinuity_sequence.unwrap_or(0),
            segments: self.segments,
            ended: self.ended,
            part_target: self.part_target,
            part_hold_back: self.part_hold_back,
            hinted: self.hinted.is_some(),
        };
        if playlist.version < 3 {
            return Err(format!("version {} knows no fractions in #EXTINF", playlist.version));
        }
        if self.map.is_some() && playlist.version < 6 {
            return Err(format!("version {} knows no #EXT-X-MAP", playlist.version));
        }
        if self.independent.is_none() {
            return Err("no #EXT-X-INDEPENDENT-SEGMENTS".into());
        }
        Ok(playlist)
    }
}

fn once<T>(slot: &mut Option<T>, value: T) -> Result<(), String> {
    match slot.replace(value) {
        None => Ok(()),
        Some(_) => Err("appears twice".into()),
    }
}

fn number(value: &str) -> Result<u64, String> {
    // `parse` alone would take a `+`.
    let digits = !value.is_empty() && value.bytes().all(|b| b.is_ascii_digit());
    digits.then(|| value.parse().ok()).flatten().ok_or_else(|| "not a decimal integer".into())
}

fn extinf(value: &str) -> Result<Duration, String> {
    let (seconds_text, _title) = value.split_once(',').ok_or("#EXTINF has no comma")?;
    seconds(seconds_text)
}

fn seconds(value: &str) -> Result<Duration, String> {
    let plain = value.bytes().all(|b| b.is_ascii_digit() || b == b'.');
    let seconds: f64 = value.parse().ok().filter(|_| plain).ok_or("not a decimal number")?;
    if seconds == 0.0 {
        return Err("a segment without duration".into());
    }
    Duration::try_from_secs_f64(seconds).map_err(|error| error.to_string())
}

/// `DURATION=0.2,URI="part.m4s",INDEPENDENT=YES`; its names have neither commas nor quotes.
fn part(value: &str) -> Result<Part, String> {
    let (mut duration, mut uri, mut independent) = (None, None, None);
    for attribute in value.split(',') {
        match attribute.split_once('=').ok_or("an attribute without a value")? {
            ("DURATION", value) => once(&mut duration, seconds(value)?)?,
            ("URI", value) => {
                let name = value.strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
                once(&mut uri, name.ok_or("a URI without quotes")?.to_owned())?;
            }
            ("INDEPENDENT", "YES") => once(&mut independent, ())?,
            (name, _) => return Err(format!("a part with {name}, which these playlists have no use for")),
        }
    }
    let (duration, uri) = duration.zip(uri).ok_or("a part without DURATION and URI")?;
    Ok(Part { uri, duration, independent: independent.is_some() })
}

fn date_time(value: &str) -> Result<SystemTime, String> {
    let utc =
        ["+00:00", "+0000"].iter().find_map(|zone| value.strip_suffix(zone)).map(|time| format!("{time}Z"));
    humantime::parse_rfc3339(utc.as_deref().unwrap_or(value))
        .map_err(|error| format!("not a date and time: {error}"))
}
