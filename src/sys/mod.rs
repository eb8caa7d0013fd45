//! What is the operating system's: child processes, limits, signals, systemd.

pub mod child;
pub mod heap;
pub mod limits;
pub mod signals;
pub mod systemd;
pub mod usage;
