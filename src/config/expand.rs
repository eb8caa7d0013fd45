//! `${NAME}` in a value: environment variables, so that secrets can stay out of the file.

use std::borrow::Cow;

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum ExpandError {
    #[error("needs the environment variable {0}, which is not set")]
    Unset(String),
    #[error("needs the environment variable {0}, which is empty")]
    Empty(String),
    #[error("needs the environment variable {0}, which is not UTF-8")]
    NotUtf8(String),
    // What stands there is left out: it may be a password.
    #[error("has a `${{` that is no ${{NAME}}; for the text `${{` itself write `$${{`")]
    Malformed,
}

/// The text with every `${NAME}` replaced by the variable's value and every `$${` by `${`.
///
/// What a variable holds is not expanded again.
pub(super) fn expand<'t>(
    text: &'t str,
    mut var: impl FnMut(&str) -> Result<String, std::env::VarError>,
) -> Result<Cow<'t, str>, ExpandError> {
    if !text.contains("${") {
        return Ok(Cow::Borrowed(text));
    }
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("${") {
        if let Some(before) = rest[..at].strip_suffix('$') {
            out.push_str(before);
            out.push_str("${");
            rest = &rest[at + 2..];
            continue;
        }
        out.push_str(&rest[..at]);
        let (name, tail) = rest[at + 2..].split_once('}').ok_or(ExpandError::Malformed)?;
        out.push_str(&lookup(name, &mut var)?);
        rest = tail;
    }
    out.push_str(rest);
    Ok(Cow::Owned(out))
}

fn lookup(
    name: &str,
    var: &mut impl FnMut(&str) -> Result<String, std::env::VarError>,
) -> Result<String, ExpandError> {
    let word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    if name.is_empty() || !name.chars().all(word) || name.starts_with(|c: char| c.is_ascii_digit()) {
        return Err(ExpandError::Malformed);
    }
    match var(name) {
        Ok(value) if value.is_empty() => Err(ExpandError::Empty(name.into())),
        Ok(value) => Ok(value),
        Err(std::env::VarError::NotPresent) => Err(ExpandError::Unset(name.into())),
        Err(std::env::VarError::NotUnicode(_)) => Err(ExpandError::NotUtf8(name.into())),
    }
}

#[cfg(test)]
mod tests {
    use std::env::VarError;

    use super::*;

    fn of(text: &str) -> Result<String, ExpandError> {
        let var = |name: &str| match name {
            "A" => Ok("1".to_owned()),
            "NESTED" => Ok("${A}".to_owned()),
            "EMPTY" => Ok(String::new()),
            _ => Err(VarError::NotPresent),
        };
        expand(text, var).map(Cow::into_owned)
    }

    #[test]
    fn variables_are_replaced_once() {
        assert_eq!(of("x${A}y${A}").as_deref(), Ok("x1y1"));
        assert_eq!(of("${NESTED}").as_deref(), Ok("${A}"));
        assert_eq!(of("$A 5$ {A} $").as_deref(), Ok("$A 5$ {A} $"));
        assert_eq!(of("a$${A}b").as_deref(), Ok("a${A}b"));
        assert_eq!(of("$${${A}").as_deref(), Ok("${1"));
    }

    #[test]
    fn what_can_not_be_replaced_is_a_fault() {
        assert_eq!(of("${B}"), Err(ExpandError::Unset("B".into())));
        assert_eq!(of("${EMPTY}"), Err(ExpandError::Empty("EMPTY".into())));
        for bad in ["p${", "p${}", "${A B}", "${A:-x}", "${1}"] {
            assert_eq!(of(bad), Err(ExpandError::Malformed), "{bad}");
        }
        let text = ExpandError::Malformed.to_string();
        assert_eq!(text, "has a `${` that is no ${NAME}; for the text `${` itself write `$${`");
    }
}
