//! What makes a URL, a bucket's name or a path fit for use. No error shows the text: it may hold a secret.

use std::path::{Path, PathBuf};

use url::Url;

use crate::domain::ids::{Location, NameError};

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum UrlError {
    #[error("is not a URL ({0})")]
    NotAUrl(url::ParseError),
    #[error("must start with https:// or http://")]
    Scheme,
    #[error("holds a user or password; leave them out, credentials have their own keys")]
    Credentials,
    #[error("has a `?` or `#`; leave out what begins there")]
    Query,
    #[error("includes /storage/v1, which is added by itself; use e.g. https://abc.supabase.co")]
    StoragePath,
}

/// A web server's URL, perhaps with a path.
pub(super) fn web_url(text: &str) -> Result<Url, UrlError> {
    if !text.starts_with("http://") && !text.starts_with("https://") {
        return Err(UrlError::Scheme);
    }
    let url = Url::parse(text).map_err(UrlError::NotAUrl)?;
    if !url.username().is_empty() || url.password().is_some() {
        return Err(UrlError::Credentials);
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err(UrlError::Query);
    }
    Ok(url)
}

/// A Supabase project's URL.
pub(super) fn supabase_url(text: &str) -> Result<Url, UrlError> {
    let url = web_url(text)?;
    if url.path().contains("/storage/v1") { Err(UrlError::StoragePath) } else { Ok(url) }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum BucketError {
    #[error("has a `/`; give the bucket's name alone, folders belong in the location")]
    Folder,
    #[error("has the character {0:?}; bucket names have letters, digits, `-`, `.` and `_`")]
    Character(char),
    #[error("must start and end with a letter or digit")]
    Ends,
    #[error("is {0} characters long; bucket names have {1} to {2}")]
    Length(usize, usize, usize),
}

/// S3 wants 3 to 63 characters. Capitals and `_` pass: old buckets and other makers have them.
pub(super) fn s3_bucket(name: &str) -> Result<String, BucketError> {
    bucket(name, 3, 63)?;
    let ends = |c: Option<char>| c.is_some_and(|c| c.is_ascii_alphanumeric());
    if !ends(name.chars().next()) || !ends(name.chars().last()) {
        return Err(BucketError::Ends);
    }
    Ok(name.into())
}

pub(super) fn supabase_bucket(name: &str) -> Result<String, BucketError> {
    bucket(name, 1, 100)?;
    if name.chars().all(|c| c == '.') { Err(BucketError::Ends) } else { Ok(name.into()) }
}

fn bucket(name: &str, min: usize, max: usize) -> Result<(), BucketError> {
    if name.contains('/') {
        return Err(BucketError::Folder);
    }
    if let Some(bad) = name.chars().find(|c| !(c.is_ascii_alphanumeric() || "-._".contains(*c))) {
        return Err(BucketError::Character(bad));
    }
    if !(min..=max).contains(&name.len()) {
        return Err(BucketError::Length(name.len(), min, max));
    }
    Ok(())
}

pub(super) fn region(name: &str) -> Result<String, &'static str> {
    if name.chars().all(|c| c.is_ascii_alphanumeric() || "-_".contains(c)) {
        Ok(name.into())
    } else {
        Err("is not a region's name; use e.g. eu-central-1, or auto for R2")
    }
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum LocationError {
    #[error("has a `/` at an end or two in a row; write folders as shops/berlin-3")]
    EmptyFolder,
    #[error(transparent)]
    Name(NameError),
}

pub(super) fn location(text: &str) -> Result<Location, LocationError> {
    text.parse().map_err(|error| match error {
        NameError::Empty => LocationError::EmptyFolder,
        error => LocationError::Name(error),
    })
}

pub(super) fn absolute_path(text: &str) -> Result<PathBuf, &'static str> {
    let path = Path::new(text);
    if path.is_absolute() {
        Ok(path.into())
    } else {
        Err("must be an absolute path, one that starts with `/`")
    }
}

/// A program's absolute path, or a name to find in PATH.
pub(super) fn program(text: &str) -> Result<PathBuf, &'static str> {
    if text.contains('/') && !text.starts_with('/') {
        return Err("must be an absolute path or a program's name to find in PATH");
    }
    Ok(text.into())
}
