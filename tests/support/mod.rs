//! Real parts that several test binaries use. Each binary uses some of it.
#![allow(dead_code, reason = "every test binary compiles all of it and uses its share")]

pub mod minio;
