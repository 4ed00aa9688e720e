//! The load of a kill campaign: consumers with the client library that sign for one another, check
//! what they get at once, and check it again shortly before it expires. A key that was used before
//! all had it, or that left too early, is refused here.

use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use keywheel_client::clock::{BootTime, boot_time};
use keywheel_client::{Client, ProtectError, RingHandle, Token};
use keywheel_core::time::Span;

use super::installation::{Fallible, words};

const SIGN_EVERY: Duration = Duration::from_millis(15);
const LOOK_EVERY: Duration = Duration::from_millis(5);
/// More words than these say nothing new.
const DESCRIBED_MAX: usize = 20;

/// A ring under load, and how long what it protects lives.
#[derive(Clone, Debug)]
pub struct Ring {
    /// Its name.
    pub name: &'static str,
    /// Its `longest_lifetime`.
    pub lifetime: Span,
}

/// What the load has come to.
#[derive(Clone, Debug, Default)]
pub struct Tally {
    /// Signatures made, by ring and version.
    pub signed: BTreeMap<(&'static str, u32), u64>,
    /// Signatures accepted at once.
    pub accepted: u64,
    /// Signatures accepted again shortly before they expired.
    pub accepted_late: u64,
    /// Signatures refused although they had not expired.
    pub refused: u64,
    /// How often a client refused to protect because no server was reached for `offline_max`.
    pub offline: u64,
    /// How often it could not protect for another reason.
    pub unprotected: u64,
    /// Which kid a version had.
    pub kids: BTreeMap<(&'static str, u32), String>,
    /// What went wrong, in words.
    pub described: Vec<String>,
}

/// Something signed.
struct Artefact {
    ring: usize,
    by: &'static str,
    number: u32,
    kid: String,
    message: Vec<u8>,
    signature: Vec<u8>,
    issued: BootTime,
}

/// The consumers, at work until they are stopped.
pub struct Consumers {
    tally: Arc<Mutex<Tally>>,
    stopping: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
    clients: Vec<Client>,
}

/// A consumer, and whether it protects.
pub struct Consumer {
    /// Its name.
    pub name: &'static str,
    /// Whether it signs too.
    pub protects: bool,
    /// Its token.
    pub token: Token,
}

/// What the threads of one consumer share.
struct Worker {
    name: &'static str,
    rings: Vec<(Ring, RingHandle)>,
    tally: Arc<Mutex<Tally>>,
    stopping: Arc<AtomicBool>,
}

impl Consumers {
    /// Connects each consumer, waits for its keys, and lets it work.
    ///
    /// # Errors
    /// When one does not get its keys.
    pub fn start(endpoint: &str, rings: &[Ring], consumers: Vec<Consumer>) -> Fallible<Self> {
        let tally = Arc::<Mutex<Tally>>::default();
        let stopping = Arc::<AtomicBool>::default();
        let mut workers = Vec::new();
        let mut clients = Vec::new();
        for consumer in consumers {
            let mut builder = Client::builder(endpoint, consumer.token).consumer(consumer.name);
            for ring in rings {
                builder = builder.ring(ring.name);
            }
            let client = builder.build().map_err(words)?;
            client.start().map_err(words)?;
            let handle = |ring: &Ring| Ok((ring.clone(), client.ring(ring.name).map_err(words)?));
            let worker = Arc::new(Worker {
                name: consumer.name,
                rings: rings.iter().map(handle).collect::<Fallible<_>>()?,
                tally: Arc::clone(&tally),
                stopping: Arc::clone(&stopping),
            });
            workers.push((worker, consumer.protects));
            clients.push(client);
        }
        let mut threads = Vec::new();
        let mut desks = Vec::new();
        for (worker, _) in &workers {
            let (send, receive) = channel::<Arc<Artefact>>();
            desks.push(send);
            let worker = Arc::clone(worker);
            threads.push(std::thread::spawn(move || worker.check_all(&receive)));
        }
        for (worker, _) in workers.into_iter().filter(|(_, protects)| *protects) {
            let desks = desks.clone();
            threads.push(std::thread::spawn(move || worker.sign_all(&desks)));
        }
        Ok(Self { tally, stopping, threads, clients })
    }

    /// The tally so far.
    pub fn tally(&self) -> Tally {
        lock(&self.tally).clone()
    }

    /// Ends the work, when everything that was signed has been checked for the last time.
    pub fn stop(mut self) -> Tally {
        self.stopping.store(true, Ordering::Release);
        for thread in self.threads.drain(..) {
            if thread.join().is_err() {
                let mut tally = lock(&self.tally);
                tally.refused += 1;
                tally.described.push("a consumer's thread panicked".into());
            }
        }
        for client in &self.clients {
            client.shutdown();
        }
        self.tally()
    }
}

impl Drop for Consumers {
    fn drop(&mut self) {
        self.stopping.store(true, Ordering::Release);
    }
}

impl Worker {
    fn sign_all(&self, desks: &[Sender<Arc<Artefact>>]) {
        let mut sequence = 0_u64;
        while !self.stopping.load(Ordering::Acquire) {
            for ring in 0..self.rings.len() {
                sequence += 1;
                if let Some(artefact) = self.sign(ring, sequence) {
                    let artefact = Arc::new(artefact);
                    for desk in desks {
                        // A desk that is gone has panicked, which is told elsewhere.
                        let _ = desk.send(Arc::clone(&artefact));
                    }
                }
            }
            // tidy: sleeps because work is paced.
            std::thread::sleep(SIGN_EVERY);
        }
    }

    fn sign(&self, index: usize, sequence: u64) -> Option<Artefact> {
        let (ring, handle) = self.rings.get(index)?;
        let guard = match handle.guard() {
            Ok(guard) => guard,
            Err(error) => {
                let mut tally = lock(&self.tally);
                match error {
                    ProtectError::Offline { .. } => tally.offline += 1,
                    error => {
                        tally.unprotected += 1;
                        tally.describe(format!("{} cannot sign: {error}", self.name));
                    }
                }
                return None;
            }
        };
        let message = format!("{} {} {sequence}", self.name, ring.name).into_bytes();
        let issued = boot_time();
        let signature = match guard.material().sign(&message) {
            Ok(signature) => signature,
            Err(error) => {
                lock(&self.tally).describe(format!("{} cannot sign: {error}", self.name));
                return None;
            }
        };
        let (number, kid) = (guard.number().0, guard.kid().to_string());
        let mut tally = lock(&self.tally);
        *tally.signed.entry((ring.name, number)).or_default() += 1;
        let known = tally.kids.entry((ring.name, number)).or_insert_with(|| kid.clone()).clone();
        if known != kid {
            tally.refused += 1;
            tally.describe(format!("v{number} of {} is {known} and {kid}", ring.name));
        }
        Some(Artefact { ring: index, by: self.name, number, kid, message, signature, issued })
    }

    /// Checks each artefact twice: when it comes, and when nine tenths of its life have passed.
    fn check_all(&self, desk: &Receiver<Arc<Artefact>>) {
        let mut kept: VecDeque<Arc<Artefact>> = VecDeque::new();
        let mut open = true;
        while open || !kept.is_empty() {
            match desk.recv_timeout(LOOK_EVERY) {
                Ok(artefact) => {
                    if self.check(&artefact, "at once") {
                        lock(&self.tally).accepted += 1;
                    }
                    kept.push_back(artefact);
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => {
                    open = false;
                    // tidy: sleeps because work is paced.
                    std::thread::sleep(LOOK_EVERY);
                }
            }
            // Lifetimes differ by ring, so what is due need not stand first.
            let (due, later): (Vec<_>, Vec<_>) =
                kept.drain(..).partition(|artefact| self.is_due(artefact));
            kept.extend(later);
            let again = due.iter().filter(|artefact| self.check(artefact, "later")).count();
            lock(&self.tally).accepted_late += again as u64;
        }
    }

    fn lifetime(&self, artefact: &Artefact) -> Span {
        self.rings.get(artefact.ring).map_or(Span::ZERO, |(ring, _)| ring.lifetime)
    }

    fn is_due(&self, artefact: &Artefact) -> bool {
        let lifetime = self.lifetime(artefact).as_millis();
        boot_time().since(artefact.issued) >= Span::from_millis(lifetime * 9 / 10)
    }

    /// Whether it was accepted. What has expired meanwhile, nobody owes acceptance.
    fn check(&self, artefact: &Artefact, when: &str) -> bool {
        let Some((ring, handle)) = self.rings.get(artefact.ring) else { return false };
        let is_alive = || boot_time().since(artefact.issued) < self.lifetime(artefact);
        if !is_alive() {
            return false;
        }
        let outcome = handle
            .version(&artefact.kid)
            .map_err(words)
            .and_then(|key| key.verify(&artefact.message, &artefact.signature).map_err(words));
        match outcome {
            Ok(()) => true,
            // Asked after the check: one that was under way when it expired proves nothing.
            Err(_) if !is_alive() => false,
            Err(why) => {
                let mut tally = lock(&self.tally);
                tally.refused += 1;
                tally.describe(format!(
                    "{} refused {when} what {} signed with v{} of {}: {why}",
                    self.name, artefact.by, artefact.number, ring.name
                ));
                false
            }
        }
    }
}

impl Tally {
    fn describe(&mut self, words: String) {
        if self.described.len() < DESCRIBED_MAX {
            self.described.push(words);
        }
    }
}

fn lock(tally: &Mutex<Tally>) -> MutexGuard<'_, Tally> {
    tally.lock().unwrap_or_else(PoisonError::into_inner)
}
