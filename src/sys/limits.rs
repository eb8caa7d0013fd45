//! What this process may have.

use std::io;

use nix::sys::resource::{Resource, getrlimit, setrlimit};

/// Raises the limit of open files to what the system allows. Shells and service managers start programs with 1024,
/// for the sake of those that use select(2); a camera takes some ten.
///
/// # Errors
/// The limit could not be read or raised.
pub fn raise_open_files() -> io::Result<u64> {
    let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE)?;
    if soft < hard {
        setrlimit(Resource::RLIMIT_NOFILE, hard, hard)?;
    }
    Ok(hard)
}

/// Two heaps for all threads. Each thread would get one of its own, which keeps the most that was ever taken from
/// it: over weeks that adds up, and segments pass through every thread that reads files. And none of a segment's size
/// in a heap: glibc would put them there after the first ones, where what is freed between smaller things stays taken.
/// To be called before there are threads.
pub fn bound_heaps() {
    #[cfg(target_env = "gnu")]
    {
        const HEAPS: libc::c_int = 2;
        const LARGE: libc::c_int = 32 << 10;
        for (what, value) in [(libc::M_ARENA_MAX, HEAPS), (libc::M_MMAP_THRESHOLD, LARGE)] {
            #[expect(unsafe_code, reason = "mallopt takes two numbers")]
            // SAFETY: no other thread runs yet, and both only bear on what is taken from now on.
            let taken = unsafe { libc::mallopt(what, value) };
            debug_assert_eq!(taken, 1, "glibc knows them since 2.10");
        }
    }
}

/// Gives the system back the pages between what is used: glibc itself only does so at a heap's end. Some milliseconds at
/// most, for heaps of some megabytes.
pub fn trim_heaps() {
    #[cfg(target_env = "gnu")]
    #[expect(unsafe_code, reason = "malloc_trim takes a number")]
    // SAFETY: it takes the heaps' locks, and touches free memory only.
    unsafe {
        libc::malloc_trim(0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_soft_limit_becomes_the_hard_one() {
        let raised = raise_open_files().unwrap();
        assert_eq!(getrlimit(Resource::RLIMIT_NOFILE).unwrap(), (raised, raised));
    }
}
