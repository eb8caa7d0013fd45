//! Child processes that never outlive this one, not even when it is killed with -9.

use std::ffi::CStr;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::sync::mpsc;
use std::time::Duration;

use nix::fcntl::{FcntlArg, FdFlag, OFlag, fcntl, open};
use nix::sys::prctl;
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::sys::signal::{SigHandler, Signal, killpg, signal};
use nix::sys::stat::Mode;
use nix::unistd::{Pid, getpid, getppid};
use tokio::process::{Child, Command};
use tokio::sync::oneshot;

type Job = Box<dyn FnOnce() + Send>;

/// Starts children from one thread that lives as long as the agent.
///
/// PR_SET_PDEATHSIG follows the *thread* that forked: a child started from a pool thread would be killed when the
/// pool lets that thread go.
#[derive(Debug, Clone)]
pub struct Spawner {
    jobs: mpsc::Sender<Job>,
}

impl Spawner {
    /// # Errors
    /// The thread could not be started.
    pub fn start() -> io::Result<Self> {
        let (jobs, inbox) = mpsc::channel::<Job>();
        std::thread::Builder::new()
            .name("spawner".into())
            .stack_size(128 * 1024)
            .spawn(move || inbox.into_iter().for_each(|job| job()))?;
        Ok(Self { jobs })
    }

    /// Starts `command` in its own process group; it is killed when the agent ends, however it ends.
    ///
    /// The child inherits `inherit` under the same number as here, and no other descriptor.
    ///
    /// # Errors
    /// As [`Command::spawn`].
    pub async fn spawn(&self, mut command: Command, inherit: Vec<OwnedFd>) -> io::Result<Child> {
        command.process_group(0).kill_on_drop(true);
        tie_to_parent(&mut command, inherit.iter().map(AsRawFd::as_raw_fd).collect());
        let runtime = tokio::runtime::Handle::current();
        let (reply, answer) = oneshot::channel();
        let job = Box::new(move || {
            let _guard = runtime.enter();
            let _ = reply.send(command.spawn());
            drop(inherit);
        });
        self.jobs.send(job).map_err(|_| io::Error::other("the spawner thread is gone"))?;
        answer.await.map_err(|_| io::Error::other("the spawner thread is gone"))?
    }
}

const OOM_SCORE: &CStr = c"/proc/self/oom_score_adj";
/// Out of memory, the kernel is to take a child first: the agent starts it again, and the other cameras go on.
const OOM_MORE: i32 = 300;
const OOM_MOST: i32 = 1000;

fn child_oom_score() -> String {
    let own = std::fs::read_to_string("/proc/self/oom_score_adj").ok();
    let own: i32 = own.and_then(|text| text.trim().parse().ok()).unwrap_or_default();
    (own + OOM_MORE).min(OOM_MOST).to_string()
}

#[expect(
    unsafe_code,
    reason = "pre_exec: runs between fork and exec, so only async-signal-safe calls are made"
)]
fn tie_to_parent(command: &mut Command, inherit: Vec<i32>) {
    let parent = getpid();
    let oom_score = child_oom_score();
    let prepare = move || {
        prctl::set_pdeathsig(Signal::SIGKILL)?;
        // Where there is no /proc, the kernel chooses by itself.
        if let Ok(file) = open(OOM_SCORE, OFlag::O_WRONLY | OFlag::O_CLOEXEC, Mode::empty()) {
            let _ = nix::unistd::write(&file, oom_score.as_bytes());
        }
        // The agent may have died between fork and prctl.
        if getppid() != parent {
            return Err(io::Error::from_raw_os_error(nix::libc::ESRCH));
        }
        for fd in &inherit {
            // SAFETY: the descriptor is open here, as `spawn` keeps it until the child is started.
            let fd = unsafe { std::os::fd::BorrowedFd::borrow_raw(*fd) };
            fcntl(fd, FcntlArg::F_SETFD(FdFlag::empty()))?;
        }
        Ok(())
    };
    // SAFETY: prctl, open, write, close, getppid and fcntl are plain system calls; nothing is allocated or locked.
    unsafe { command.pre_exec(prepare) };
}

/// No file that the child writes grows beyond `bytes`: SIGXFSZ ends it there, and no core file either.
#[expect(
    unsafe_code,
    reason = "pre_exec: runs between fork and exec, so only async-signal-safe calls are made"
)]
pub fn limit_files(command: &mut Command, bytes: u64) {
    let prepare = move || {
        // A parent may have left it ignored: the child would go on with a torn file.
        // SAFETY: the default action is no handler.
        unsafe { signal(Signal::SIGXFSZ, SigHandler::SigDfl) }?;
        let (_, hard) = getrlimit(Resource::RLIMIT_FSIZE)?;
        setrlimit(Resource::RLIMIT_FSIZE, bytes.min(hard), hard)?;
        let (_, hard) = getrlimit(Resource::RLIMIT_CORE)?;
        setrlimit(Resource::RLIMIT_CORE, 0, hard)?;
        Ok(())
    };
    // SAFETY: these are plain system calls; nothing is allocated or locked.
    unsafe { command.pre_exec(prepare) };
}

/// The child yields to others by `more` than this process does, as far as the kernel goes (19).
#[expect(
    unsafe_code,
    reason = "pre_exec: runs between fork and exec, so only async-signal-safe calls are made"
)]
pub fn be_nice(command: &mut Command, more: u32) {
    if more == 0 {
        return;
    }
    let more = more.min(19).cast_signed();
    let prepare = move || {
        // SAFETY: a plain system call, without memory. To be nicer is always allowed, and else nothing is lost.
        unsafe { nix::libc::nice(more) };
        Ok(())
    };
    // SAFETY: as above; nothing is allocated or locked.
    unsafe { command.pre_exec(prepare) };
}

/// For the kernel to end a killed child.
const REAPED_WITHIN: Duration = Duration::from_secs(1);

/// A child that ends with its owner, and all that it started too: a build may be behind a script.
#[derive(Debug)]
pub struct Brief(Child);

impl Brief {
    pub fn new(child: Child) -> Self {
        Self(child)
    }

    pub fn child(&mut self) -> &mut Child {
        &mut self.0
    }

    /// Kills what still runs. A child that hangs in a driver can't be killed, and is not waited for.
    pub async fn end(mut self) {
        signal_group(&self.0, Signal::SIGKILL);
        let _ = tokio::time::timeout(REAPED_WITHIN, self.0.wait()).await;
    }
}

impl Drop for Brief {
    fn drop(&mut self) {
        signal_group(&self.0, Signal::SIGKILL);
    }
}

/// Sends `signal` to the child's whole process group. A child that is gone already is no error.
pub fn signal_group(child: &Child, signal: Signal) {
    if let Some(pid) = child.id().and_then(|id| i32::try_from(id).ok()) {
        let _ = killpg(Pid::from_raw(pid), signal);
    }
}
