//! What glibc keeps of the memory that this process has given back. Other C libraries are left as they are.

use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::process::CommandExt as _;
use std::process::Command;
use std::{env, io};

/// Where glibc reads its settings, once, before `main`.
const TUNABLES: &str = "GLIBC_TUNABLES";
const STARTED_ANEW: &str = "EDGE_AGENT_STARTED_ANEW";
const CACHES: &str = "glibc.malloc.tcache_count";
const NO_CACHES: &str = "glibc.malloc.tcache_count=0";

/// One heap for all threads: each thread would get one of its own, which keeps the most that was ever taken from
/// it. And none of a segment's size in a heap: glibc would put them there after the first ones, where what is freed
/// between smaller things stays taken. To be called before there are threads.
pub fn bound() {
    #[cfg(target_env = "gnu")]
    {
        const HEAPS: libc::c_int = 1;
        const LARGE: libc::c_int = 32 << 10;
        for (what, value) in [(libc::M_ARENA_MAX, HEAPS), (libc::M_MMAP_THRESHOLD, LARGE)] {
            #[expect(unsafe_code, reason = "mallopt takes two numbers")]
            // SAFETY: no other thread runs yet, and both only bear on what is taken from now on.
            let taken = unsafe { libc::mallopt(what, value) };
            debug_assert_eq!(taken, 1, "glibc knows them since 2.10");
        }
    }
}

/// Starts this program anew, as the same process, without what each thread keeps for itself of freed memory: over
/// days some twenty threads come by pages all over the heap. To be called before there are threads. Returns where
/// that is done, or can't be.
pub fn leave_caches() {
    if !cfg!(target_env = "gnu") {
        return;
    }
    let given = env::var_os(TUNABLES);
    // Not told by the tunables: glibc takes them from programs with privileges of their own.
    if env::var_os(STARTED_ANEW).is_some() {
        // ffmpeg is to run as ever.
        set(STARTED_ANEW, None);
        set(TUNABLES, given.and_then(|given| without_ours(given.as_bytes())));
    } else if !given.as_ref().is_some_and(|given| has_caches_set(given.as_bytes())) {
        // It is about some megabytes: without, all works as well.
        let _ = start_anew(with_ours(given));
    }
}

fn has_caches_set(given: &[u8]) -> bool {
    given.split(|byte| *byte == b':').any(|one| one.starts_with(CACHES.as_bytes()))
}

fn with_ours(given: Option<OsString>) -> OsString {
    let mut all = given.filter(|given| !given.is_empty()).unwrap_or_default();
    if !all.is_empty() {
        all.push(":");
    }
    all.push(NO_CACHES);
    all
}

/// What was there before [`with_ours`]; `None` for nothing.
fn without_ours(given: &[u8]) -> Option<OsString> {
    let rest: Vec<&[u8]> =
        given.split(|byte| *byte == b':').filter(|one| *one != NO_CACHES.as_bytes()).collect();
    Some(OsString::from(std::ffi::OsStr::from_bytes(&rest.join(&b':')))).filter(|rest| !rest.is_empty())
}

#[expect(unsafe_code, reason = "the environment is the process's")]
fn set(name: &str, value: Option<OsString>) {
    match value {
        // SAFETY: no other thread runs yet.
        Some(value) => unsafe { env::set_var(name, value) },
        // SAFETY: as above.
        None => unsafe { env::remove_var(name) },
    }
}

/// Only returns if it fails.
fn start_anew(tunables: OsString) -> io::Error {
    // Not `/proc/self/exe`: the process would be called `exe`.
    let program = match env::current_exe() {
        Ok(program) => program,
        Err(error) => return error,
    };
    let mut args = env::args_os();
    let name = args.next().unwrap_or_else(|| program.clone().into_os_string());
    Command::new(program).arg0(name).args(args).env(TUNABLES, tunables).env(STARTED_ANEW, "1").exec()
}

/// Gives the system back the pages between what is used: glibc itself only does so at a heap's end. Some milliseconds at
/// most, for heaps of some megabytes.
pub fn trim() {
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
    fn what_the_user_tuned_stays_and_children_see_nothing_of_ours() {
        for given in [None, Some(""), Some("glibc.malloc.check=1"), Some("glibc.a=1:glibc.b=2")] {
            let ours = with_ours(given.map(OsString::from));
            assert!(has_caches_set(ours.as_bytes()), "{given:?}");
            let back = without_ours(ours.as_bytes());
            assert_eq!(back, given.filter(|given| !given.is_empty()).map(OsString::from));
        }
        assert!(!has_caches_set(b"glibc.malloc.tcache_max=1"));
        // A choice of the user's own counts.
        assert!(has_caches_set(b"glibc.malloc.tcache_count=7"));
        assert_eq!(without_ours(b"glibc.malloc.tcache_count=7"), Some("glibc.malloc.tcache_count=7".into()));
    }
}
