//! Streams of cameras that only a caller knows: who may be reached is decided before the agent's own task is asked to add
//! one, as names have to be looked up for that.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, ToSocketAddrs as _, UdpSocket};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{Semaphore, mpsc, oneshot};

use super::Agent;
use super::assignment::{Assignment, Stay};
use super::directory::{Directories, Directory, Stream, full};
use super::slot::Slot;
use super::{camera, leftovers};
use crate::clock;
use crate::config::Overrides;
use crate::config::model::{Camera, Config, LIVE_STREAM, Settings, Start};
use crate::domain::adhoc;
use crate::domain::demand::Demand;
use crate::domain::ids::CameraId;
use crate::domain::rate::{Buckets, Rate};
use crate::domain::reach::{Host, Reach, Refused};
use crate::domain::source::{RtspUrl, Source};
use crate::http::{Accepted, Refusal};

/// Of names, under way at once: each takes a thread.
const LOOKUPS: usize = 8;
const LOOKUP_TIME: Duration = Duration::from_secs(5);
/// New streams: 2 a second on the long run.
const NEW: Rate = Rate { interval: Duration::from_millis(500), burst: 32 };
/// Looking names up: as often as callers join by name.
const LOOK: Rate = Rate { interval: Duration::from_millis(50), burst: 200 };
/// For each stream that may be wanted, so many may be ending.
const ENDING: usize = 4;
/// Callers that wait for the agent's task.
const WAITING: usize = 256;

/// A stream that a caller wants to be added.
#[derive(Debug)]
pub struct NewStream {
    camera: Camera,
    asked: RtspUrl,
    answer: oneshot::Sender<Result<Stream, Refusal>>,
}

/// What callers of the web server meet before the agent's own task.
#[derive(Debug, Clone)]
pub(super) struct Reception {
    orders: mpsc::Sender<NewStream>,
    lookups: Arc<Semaphore>,
    rate: Arc<Mutex<Buckets<()>>>,
}

/// One that runs, or ends, or was left by an earlier agent.
#[derive(Debug)]
pub(super) struct Passing {
    pub(super) assignment: Arc<Assignment>,
    /// `None`: left by an earlier agent.
    pub(super) asked: Option<RtspUrl>,
}

/// The agent's end of [`Reception`].
#[derive(Debug)]
pub(super) struct Adhoc {
    pub(super) reception: Reception,
    pub(super) orders: mpsc::Receiver<NewStream>,
    pub(super) streams: Vec<Passing>,
    rate: Buckets<()>,
}

impl Adhoc {
    pub(super) fn new() -> Self {
        let (sender, orders) = mpsc::channel(WAITING);
        let lookups = Arc::new(Semaphore::new(LOOKUPS));
        let rate = Arc::new(Mutex::new(Buckets::new(LOOK, 1)));
        let reception = Reception { orders: sender, lookups, rate };
        Self { reception, orders, streams: Vec::new(), rate: Buckets::new(NEW, 1) }
    }
}

const NOT_ALLOWED: &str =
    "this agent starts cameras of its configuration only; allow others by `http.allow_adhoc: true`";

impl Reception {
    /// Joins the stream, or has it added.
    pub(super) async fn start(
        &self,
        directories: &Directories,
        id: Option<String>,
        url: &str,
        overrides: &Overrides,
    ) -> Result<Accepted, Refusal> {
        let directory = directories.borrow().clone();
        let url = adhoc::url(url).map_err(|error| Refusal::Invalid(error.to_string()))?;
        let id = match id {
            Some(id) => id.parse::<CameraId>().map_err(|_| Refusal::Invalid(BAD_ID.into()))?,
            None => {
                let derived = adhoc::derived_id(&url);
                // Not a second session with the same camera.
                if let Some(stream) = directory.of_url(&url, &derived) {
                    return stream.start(overrides);
                }
                derived
            }
        };
        if let Some(stream) = joined(&directory, &id, &url)? {
            return stream.start(overrides);
        }
        let Some(limits) = &directory.adhoc else { return Err(Refusal::Forbidden(NOT_ALLOWED.into())) };
        let settings = overrides.over(&directory.defaults).map_err(Refusal::Invalid)?;
        let settings = Settings { start: Start::OnDemand, ..settings };
        let ip = self.found(&url, &limits.reach).await?;
        let source = url.at(ip).ok_or_else(|| Refusal::Invalid(adhoc::UrlError::NotAUrl.to_string()))?;
        let camera = Camera {
            name: id.to_string(),
            id,
            source: Source::Rtsp(source),
            use_case: LIVE_STREAM.into(),
            enabled: true,
            settings,
            said: directory.defaults.clone(),
        };
        let (answer, answered) = oneshot::channel();
        let order = NewStream { camera, asked: url, answer };
        let asked_at = clock::now();
        self.orders
            .try_send(order)
            .map_err(|_| Refusal::Busy("too many callers wait to start streams".into()))?;
        let stream = answered.await.map_err(|_| Refusal::Busy("the agent stops".into()))??;
        let in_effect = stream.slot.start(asked_at, None).ok_or(Refusal::NoStream)?;
        Ok(stream.accepted(&in_effect, asked_at))
    }

    /// An address of the camera, if all that its name leads to may be reached: it is the one that is connected to, so that
    /// the name can't lead elsewhere later.
    async fn found(&self, url: &RtspUrl, reach: &Reach) -> Result<IpAddr, Refusal> {
        let host = reach.host(url.host()).map_err(refused)?;
        if matches!(host, Host::Name(_)) {
            let taken = self.rate.lock().unwrap_or_else(PoisonError::into_inner).take((), clock::now());
            taken.map_err(|_| Refusal::Busy("too many new streams".into()))?;
        }
        let (lookups, port, reach) = (self.lookups.clone(), url.port(), reach.clone());
        let lookup = async {
            // A resolver that hangs keeps its turn; an address needs none.
            let turn = match host {
                Host::Name(_) => lookups.acquire_owned().await.ok(),
                Host::Ip(_) => None,
            };
            tokio::task::spawn_blocking(move || {
                let _turn = turn;
                judged(&host, port, &reach)
            })
            .await
        };
        match tokio::time::timeout(LOOKUP_TIME, lookup).await {
            Ok(Ok(found)) => found,
            Ok(Err(_)) | Err(_) => {
                Err(Refusal::Unreachable("rtsp_url's host could not be looked up in time".into()))
            }
        }
    }
}

const BAD_ID: &str =
    "stream_id has to be 1 to 64 letters, digits, `_`, `-` or `.`, and must not start with `.` or `-`";

fn refused(why: Refused) -> Refusal {
    match why {
        Refused::Spelling => Refusal::Invalid(format!("rtsp_url: {why}")),
        _ => Refusal::Forbidden(format!("rtsp_url: {why}")),
    }
}

/// Blocking.
fn judged(host: &Host, port: u16, reach: &Reach) -> Result<IpAddr, Refusal> {
    let found: Vec<IpAddr> = match host {
        Host::Ip(ip) => vec![*ip],
        Host::Name(name) => {
            let unknown = |_| Refusal::Unreachable("rtsp_url's host is not known".into());
            (name.as_str(), port).to_socket_addrs().map_err(unknown)?.map(|addr| addr.ip()).collect()
        }
    };
    for ip in &found {
        reach.address(*ip, is_own(ip.to_canonical())).map_err(refused)?;
    }
    found
        .first()
        .map(IpAddr::to_canonical)
        .ok_or_else(|| Refusal::Unreachable("rtsp_url's host has no address".into()))
}

/// To its own addresses a machine sends from the same ones. No packet is sent.
fn is_own(ip: IpAddr) -> bool {
    let any: IpAddr = if ip.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
    let from = UdpSocket::bind((any, 0)).and_then(|socket| {
        socket.connect((ip, 9))?;
        socket.local_addr()
    });
    from.is_ok_and(|from| from.ip() == ip)
}

/// `None`: it has to be added, or begun anew.
fn joined<'d>(directory: &'d Directory, id: &CameraId, url: &RtspUrl) -> Result<Option<&'d Stream>, Refusal> {
    let conflict = |why: &str| Err(Refusal::Conflict(why.into()));
    let Some(stream) = directory.one(id.as_str()) else {
        return if directory.is_taken(id) { conflict(TAKEN) } else { Ok(None) };
    };
    match (&stream.asked, stream.is_of(url)) {
        (None, true) => Ok(Some(stream)),
        (None, false) => conflict(TAKEN),
        // One that ends has its settings from then.
        (Some(_), true) => Ok(stream.slot.is_wanted(clock::now()).then_some(stream)),
        (Some(_), false) if stream.slot.is_wanted(clock::now()) => conflict(OTHER_URL),
        (Some(_), false) => Ok(None),
    }
}

const TAKEN: &str = "a camera of the configuration has this stream_id; give another one";
const OTHER_URL: &str =
    "this stream runs with another rtsp_url or login; stop it first, or give another stream_id";

impl Agent {
    /// A caller's order, or the end of a stream. Cancel-safe.
    pub async fn next(&mut self) -> Event {
        tokio::select! {
            Some(order) = self.adhoc.orders.recv() => Event::Start(Box::new(order)),
            Some(_) = self.tasks.join_next() => Event::Ended,
            else => std::future::pending().await,
        }
    }

    pub fn handle(&mut self, event: Event) {
        match event {
            Event::Start(order) => {
                let NewStream { camera, asked, answer } = *order;
                let _ = answer.send(self.add(camera, asked));
            }
            Event::Ended => self.forget_ended(),
        }
    }

    pub(super) fn allows_adhoc(&self) -> bool {
        self.config.http.as_ref().is_some_and(|http| http.adhoc.is_some())
    }

    /// Streams of callers outlive a reload, unless the configuration does not allow them any more or has their names for
    /// itself: then they end as if nobody wanted them. The storage may be another one.
    pub(super) fn keep_passing(&mut self) {
        let is_configured = |id: &CameraId| self.cameras.iter().any(|camera| camera.id == *id);
        self.adhoc.streams.retain(|stream| !is_configured(&stream.assignment.camera.id));
        let mut streams = std::mem::take(&mut self.adhoc.streams);
        let Config { cameras, others, .. } = &self.config;
        let ids: Vec<_> =
            cameras.iter().map(|camera| &camera.id).chain(others.iter().map(|other| &other.id)).collect();
        for stream in &mut streams {
            let Assignment { camera, stay, .. } = &*stream.assignment;
            let Some(slot) = self.slot_of(&camera.id) else { continue };
            let is_like = |id: &&CameraId| id.as_str().eq_ignore_ascii_case(camera.id.as_str());
            if !self.allows_adhoc() || ids.iter().any(is_like) {
                slot.end();
            }
            let assignment = Arc::new(self.assignment(camera.clone(), *stay));
            slot.want(Some(assignment.clone()));
            stream.assignment = assignment;
        }
        self.adhoc.streams = streams;
    }

    /// What an agent before this one had to leave.
    pub(super) async fn find_left(&mut self) {
        let root = self.around.workshop.spool_root.clone();
        let found = tokio::task::spawn_blocking(move || leftovers::found(&root)).await.unwrap_or_default();
        for id in found {
            // Its own task sees to it.
            if self.config.cameras.iter().any(|camera| camera.id == id) {
                continue;
            }
            let settings = self.config.defaults.settings();
            let camera = Camera {
                name: id.to_string(),
                id,
                // It does not run.
                source: Source::TestPattern,
                use_case: LIVE_STREAM.into(),
                enabled: true,
                settings: Settings { start: Start::OnDemand, ..settings },
                said: self.config.defaults.clone(),
            };
            let assignment = Arc::new(self.assignment(camera, Stay::Left));
            self.adhoc.streams.push(Passing { assignment: assignment.clone(), asked: None });
            self.slots.push(camera::spawn(&mut self.tasks, &self.around, assignment, Demand::default()));
        }
    }

    fn forget_ended(&mut self) {
        let before = self.slots.len();
        self.drop_ended();
        if self.slots.len() < before {
            self.show();
        }
    }

    pub(super) fn drop_ended(&mut self) {
        self.slots.retain(|slot| !slot.is_retired());
        let slots = &self.slots;
        self.adhoc.streams.retain(|stream| slots.iter().any(|slot| slot.id == stream.assignment.camera.id));
    }

    fn slot_of(&self, id: &CameraId) -> Option<&Slot> {
        self.slots.iter().find(|slot| slot.id == *id && !slot.is_retired())
    }

    /// What was true when the caller came may have changed.
    fn add(&mut self, camera: Camera, asked: RtspUrl) -> Result<Stream, Refusal> {
        let now = clock::now();
        let id = camera.id.clone();
        let directory = self.directory.borrow().clone();
        let Some(limits) = &directory.adhoc else { return Err(Refusal::Forbidden(NOT_ALLOWED.into())) };
        if let Some(stream) = joined(&directory, &id, &asked)? {
            return Ok(stream.clone());
        }
        let is_wanted = |stream: &&Passing| {
            self.slot_of(&stream.assignment.camera.id).is_some_and(|slot| slot.is_wanted(now))
        };
        let wanted = self.adhoc.streams.iter().filter(is_wanted).count();
        let known = self.adhoc.streams.iter().filter(|stream| stream.asked.is_some()).count();
        if wanted >= limits.max_streams || known >= ENDING * limits.max_streams {
            return Err(full(limits.max_streams));
        }
        let new = |_| Refusal::Busy("too many new streams".into());
        self.adhoc.rate.take((), now).map_err(new)?;
        let mut demand = Demand::default();
        demand.renew(now, camera.settings.idle_timeout);
        let assignment = Arc::new(self.assignment(camera, Stay::Passing));
        self.adhoc.streams.retain(|stream| stream.assignment.camera.id != id);
        self.adhoc.streams.push(Passing { assignment: assignment.clone(), asked: Some(asked) });
        // One of this id that ends gives way.
        let gives_way = self.slot_of(&id).is_some_and(|slot| slot.want(Some(assignment.clone())));
        if gives_way {
            self.slot_of(&id).into_iter().for_each(|slot| _ = slot.start(now, None));
        } else {
            self.slots.retain(|slot| slot.id != id);
            self.slots.push(camera::spawn(&mut self.tasks, &self.around, assignment, demand));
        }
        tracing::info!(stream = %id, "a stream of a camera that the configuration does not know was started");
        self.show();
        self.directory.borrow().one(id.as_str()).cloned().ok_or(Refusal::NoStream)
    }
}

/// What happens to a running agent.
#[derive(Debug)]
pub enum Event {
    Start(Box<NewStream>),
    /// A camera's task.
    Ended,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_machines_own_addresses_are_known_without_a_word_on_the_network() {
        assert!(is_own(Ipv4Addr::LOCALHOST.into()));
        assert!(!is_own("192.0.2.77".parse().unwrap()));
    }

    #[tokio::test]
    async fn an_address_waits_for_no_name() {
        let reception = Adhoc::new().reception;
        let _hang = reception.lookups.clone().acquire_many_owned(LOOKUPS as u32).await.unwrap();
        let url = adhoc::url("rtsp://10.99.0.9/live").unwrap();
        let found = reception.found(&url, &Reach::default()).await;
        assert_eq!(found.ok(), Some("10.99.0.9".parse().unwrap()));
    }

    #[test]
    fn every_address_of_a_name_is_looked_at() {
        let name = |name: &str| Host::Name(name.into());
        // Whatever it leads to here, it is this machine.
        let refused = judged(&name("localhost"), 554, &Reach::default());
        assert!(
            matches!(&refused, Err(Refusal::Forbidden(why)) if why.contains("this machine itself")),
            "{refused:?}"
        );
        let here = Reach {
            networks: vec!["127.0.0.0/8".parse().unwrap(), "::1".parse().unwrap()],
            ..Reach::default()
        };
        assert!(judged(&name("localhost"), 554, &here).is_ok_and(|ip| ip.is_loopback()));
        let unknown = judged(&name("no-such-host.invalid"), 554, &Reach::default());
        assert!(matches!(unknown, Err(Refusal::Unreachable(_))), "{unknown:?}");
        let mapped = judged(&Host::Ip("::ffff:127.0.0.1".parse().unwrap()), 554, &here);
        assert_eq!(
            mapped.ok(),
            Some(Ipv4Addr::LOCALHOST.into()),
            "and what is connected to is what was judged"
        );
    }
}
