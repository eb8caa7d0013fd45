//! Reading single values: text, numbers, truth, durations.
//!
//! Numbers and truth values are shown in faults as the file has them (`${NAME}` stays `${NAME}`); text
//! is never shown, since it may be a secret.

use std::fmt::Display;
use std::ops::RangeInclusive;
use std::time::Duration;

use super::expand::expand;
use super::node::{Kind, Scalar};
use super::read::{Field, Given, Reader, Section, kind};
use super::suggest::nearest;

/// A scalar with its variables in place.
struct Expanded<'n> {
    text: String,
    /// As the file has it.
    written: &'n Scalar,
}

impl Expanded<'_> {
    fn has_variables(&self) -> bool {
        self.text != self.written.text
    }

    /// What may be a number or a truth value: `15`, not `"15"`, but also `"${FPS}"`, which YAML wants
    /// quoted inside `{…}`.
    fn untyped(&self) -> Option<&str> {
        (self.written.plain || self.has_variables()).then_some(self.text.as_str())
    }

    /// "without quotes", where they are what is wrong.
    fn unquoted(&self) -> &'static str {
        if self.untyped().is_some() { "" } else { " without quotes" }
    }

    fn shown(&self) -> String {
        let text: String = self.written.text.chars().take(40).collect();
        if self.written.plain { text.escape_debug().to_string() } else { format!("the text {text:?}") }
    }
}

/// Text of the file.
pub(super) struct Text {
    pub value: String,
    /// Written out in the file rather than taken from the environment.
    pub literal: bool,
}

impl Reader<'_> {
    fn scalar<'n>(&mut self, field: &Field<'n>, wanted: &str) -> Option<Expanded<'n>> {
        let Kind::Scalar(written) = &field.node.kind else {
            self.fault(&field.spot, format!("is {}; use {wanted}", kind(field.node)));
            return None;
        };
        if written.is_null() {
            self.fault(&field.spot, format!("has no value; use {wanted}"));
            return None;
        }
        match expand(&written.text, |name| self.env.var(name)) {
            Ok(text) => Some(Expanded { text: text.into_owned(), written }),
            Err(error) => {
                self.fault(&field.spot, error.to_string());
                None
            }
        }
    }

    pub fn text(&mut self, section: &Section<'_>, key: &str) -> Option<Given<Text>> {
        self.text_of(section.get(key)?)
    }

    pub fn text_of(&mut self, field: Field<'_>) -> Option<Given<Text>> {
        let scalar = self.scalar(&field, "some text")?;
        let literal = !scalar.has_variables();
        if literal && (scalar.written.is_number() || scalar.written.boolean().is_some()) {
            self.fault(&field.spot, format!("is {}; put it in quotes to make it text", kind(field.node)));
            return None;
        }
        if scalar.text.is_empty() {
            self.fault(&field.spot, "is empty; use some text");
            return None;
        }
        Some(Given { value: Text { value: scalar.text, literal }, spot: field.spot })
    }

    /// Text that means something: `parse`'s error is the fault, so it must not show the text.
    pub fn parsed<T, E: Display>(
        &mut self,
        section: &Section<'_>,
        key: &str,
        parse: impl FnOnce(&str) -> Result<T, E>,
    ) -> Option<Given<T>> {
        let text = self.text(section, key)?;
        match parse(&text.value.value) {
            Ok(value) => Some(Given { value, spot: text.spot }),
            Err(error) => {
                self.fault(&text.spot, error.to_string());
                None
            }
        }
    }

    /// Reports a key that must be there; a present one is reported by whoever reads it.
    pub fn require(&mut self, section: &Section<'_>, key: &str, mend: &str) {
        if !section.has(key) {
            self.fault(&section.spot_of(key), format!("is missing; {mend}"));
        }
    }

    pub fn boolean(&mut self, section: &Section<'_>, key: &str) -> Option<bool> {
        let field = section.get(key)?;
        let scalar = self.scalar(&field, "true or false")?;
        let truth = Scalar { text: scalar.text.clone(), plain: scalar.untyped().is_some() }.boolean();
        if truth.is_none() {
            self.fault(&field.spot, format!("is {}; use true or false{}", scalar.shown(), scalar.unquoted()));
        }
        truth
    }

    /// `on` or `off`; YAML 1.1 takes these words for `true` and `false`, so both are good.
    pub fn switch(&mut self, section: &Section<'_>, key: &str) -> Option<bool> {
        let field = section.get(key)?;
        let scalar = self.scalar(&field, "on or off")?;
        let truth = on_or_off(&scalar.text);
        if truth.is_none() {
            self.fault(&field.spot, format!("is {}; use on or off", scalar.shown()));
        }
        truth
    }

    /// One of a few words.
    pub fn word<T: Copy>(
        &mut self,
        section: &Section<'_>,
        key: &str,
        words: &[(&'static str, T)],
    ) -> Option<Given<T>> {
        let names = || words.iter().map(|(name, _)| *name);
        let field = section.get(key)?;
        let wanted = names().collect::<Vec<_>>().join(", ");
        let scalar = self.scalar(&field, &wanted)?;
        if let Some((_, value)) = words.iter().find(|(name, _)| *name == scalar.text) {
            return Some(Given { value: *value, spot: field.spot });
        }
        let mend = match nearest(&scalar.text, names()) {
            Some(name) => format!("did you mean `{name}`?"),
            None => format!("use one of {wanted}"),
        };
        self.fault(&field.spot, format!("is {}; {mend}", scalar.shown()));
        None
    }

    pub fn integer(
        &mut self,
        section: &Section<'_>,
        key: &str,
        range: RangeInclusive<u32>,
    ) -> Option<Given<u32>> {
        let wanted = format!("{} to {}", range.start(), range.end());
        let field = section.get(key)?;
        let scalar = self.scalar(&field, &wanted)?;
        let number = scalar.untyped().and_then(|text| text.parse().ok()).filter(|n| range.contains(n));
        let Some(value) = number else {
            let mend = match scalar.untyped() {
                Some(text) if is_integer(text) => wanted,
                _ => format!("a whole number{}, {wanted}", scalar.unquoted()),
            };
            self.fault(&field.spot, format!("is {}; use {mend}", scalar.shown()));
            return None;
        };
        Some(Given { value, spot: field.spot })
    }

    /// With or without decimals.
    pub fn number(&mut self, section: &Section<'_>, key: &str, range: RangeInclusive<f64>) -> Option<f64> {
        let wanted = format!("a number, {} to {}", range.start(), range.end());
        let field = section.get(key)?;
        let scalar = self.scalar(&field, &wanted)?;
        let number = scalar.untyped().and_then(|text| text.parse().ok()).filter(|n| range.contains(n));
        if number.is_none() {
            self.fault(&field.spot, format!("is {}; use {wanted}{}", scalar.shown(), scalar.unquoted()));
        }
        number
    }

    /// A number of seconds, or text with a unit (`500ms`).
    pub fn duration(
        &mut self,
        section: &Section<'_>,
        key: &str,
        range: RangeInclusive<Duration>,
    ) -> Option<Given<Duration>> {
        let field = section.get(key)?;
        let scalar = self.scalar(&field, &in_seconds(&range))?;
        let value = self.duration_of(&field, &scalar, range, "")?;
        Some(Given { value, spot: field.spot })
    }

    /// The same, or `off` where `defaults` have one; `Some(None)`: it is off.
    pub fn duration_or_off(
        &mut self,
        section: &Section<'_>,
        key: &str,
        range: RangeInclusive<Duration>,
    ) -> Option<Option<Duration>> {
        const OR_OFF: &str = ", or off";
        let field = section.get(key)?;
        let scalar = self.scalar(&field, &(in_seconds(&range) + OR_OFF))?;
        match on_or_off(&scalar.text) {
            Some(false) => Some(None),
            _ => self.duration_of(&field, &scalar, range, OR_OFF).map(Some),
        }
    }

    /// `or`: what else would be good.
    fn duration_of(
        &mut self,
        field: &Field<'_>,
        scalar: &Expanded<'_>,
        range: RangeInclusive<Duration>,
        or: &str,
    ) -> Option<Duration> {
        let wanted = in_seconds(&range);
        let value = seconds(scalar).or_else(|| humantime::parse_duration(&scalar.text).ok());
        let Some(value) = value else {
            let mend =
                format!("use {wanted}, as a number{} or with a unit (2s, 500ms){or}", scalar.unquoted());
            self.fault(&field.spot, format!("is {}; {mend}", scalar.shown()));
            return None;
        };
        if !range.contains(&value) {
            self.fault(&field.spot, format!("is {}; use {wanted}{or}", scalar.shown()));
            return None;
        }
        Some(value)
    }
}

impl Reader<'_> {
    /// A size with its unit (`256MB`, `1GiB`), or a number of bytes.
    pub fn bytes(&mut self, section: &Section<'_>, key: &str, least: u64) -> Option<u64> {
        let wanted = format!("{}MB or more, as a number with a unit (256MB, 256MiB, 1GB)", least / 1_000_000);
        let field = section.get(key)?;
        let scalar = self.scalar(&field, &wanted)?;
        let value = size(&scalar.text).filter(|bytes| *bytes >= least);
        if value.is_none() {
            self.fault(&field.spot, format!("is {}; use {wanted}", scalar.shown()));
        }
        value
    }
}

/// `256MB`, `256 MiB`, `1.5GB`, `268435456`.
fn size(text: &str) -> Option<u64> {
    const UNITS: [(&str, u64); 9] = [
        ("", 1),
        ("B", 1),
        ("kB", 1_000),
        ("MB", 1_000_000),
        ("GB", 1_000_000_000),
        ("TB", 1_000_000_000_000),
        ("KiB", 1 << 10),
        ("MiB", 1 << 20),
        ("GiB", 1 << 30),
    ];
    let text = text.trim();
    let at = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, unit) = (text[..at].parse::<f64>().ok()?, text[at..].trim_start());
    let (_, factor) = UNITS.iter().find(|(name, _)| name.eq_ignore_ascii_case(unit))?;
    // More than any disk: an f64 holds it exactly enough.
    let bytes = number * *factor as f64;
    (bytes < u64::MAX as f64).then_some(bytes as u64)
}

/// Quoted or not: no other text would be good there.
fn on_or_off(text: &str) -> Option<bool> {
    match text {
        "on" | "On" | "ON" => Some(true),
        "off" | "Off" | "OFF" => Some(false),
        _ => Scalar { text: text.to_owned(), plain: true }.boolean(),
    }
}

fn in_seconds(range: &RangeInclusive<Duration>) -> String {
    format!("{} to {} seconds", range.start().as_secs_f64(), range.end().as_secs_f64())
}

fn is_integer(text: &str) -> bool {
    let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
    !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit())
}

fn seconds(scalar: &Expanded<'_>) -> Option<Duration> {
    let text = scalar.untyped().filter(|text| text.contains(|c: char| c.is_ascii_digit()))?;
    let seconds = text.parse::<f64>().ok()?;
    // What a Duration can't hold is out of every range, too.
    Some(Duration::try_from_secs_f64(seconds).unwrap_or(if seconds < 0.0 {
        Duration::ZERO
    } else {
        Duration::MAX
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_decimal_and_binary_units() {
        for (text, bytes) in [
            ("256MB", 256_000_000),
            ("256 MiB", 256 << 20),
            ("256mb", 256_000_000),
            ("1.5GB", 1_500_000_000),
            ("1GiB", 1 << 30),
            ("512kB", 512_000),
            ("512KiB", 512 << 10),
            ("12345678", 12_345_678),
            ("7B", 7),
        ] {
            assert_eq!(size(text), Some(bytes), "{text}");
        }
        for bad in ["", "MB", "-1MB", "1e9", "256M", "1..5GB", "256 MB/s", "99999999999999999999TB", "nan"] {
            assert_eq!(size(bad), None, "{bad}");
        }
    }
}
