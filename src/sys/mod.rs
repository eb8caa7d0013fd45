//! What is the operating system's: child processes, signals, systemd.

pub mod child;
pub mod signals;
pub mod systemd;
