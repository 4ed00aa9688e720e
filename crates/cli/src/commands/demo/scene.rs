//! What the director has on stage: a folder, a server, workers; and the ways to look and to wait.
//! Dropping it ends every process and removes the folder.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use keywheel_api::ring::RingStatus;
use keywheel_client::clock::boot_time;
use keywheel_core::time::Span;
use tempfile::TempDir;

use super::admin::Admin;
use super::board::{Board, Card, Server, Shared};
use super::parent::Order;
use super::picture;
use super::plan::{CONFIGURATION, LIFETIME, Plan, RING};
use super::process::{self, Process};
use super::tally::Tally;
use super::worker::{Settings, Source};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::private;
use crate::show::Tone;

const SERVER_SOCKET: &str = "state/kw.sock";
/// Room for the longest name under the folder, within what a socket address holds.
const FOLDER_PATH_BYTES_MAX: usize = 70;
const STARTS_WITHIN: Span = Span::from_secs(30);
const LOOK_EVERY: Duration = Duration::from_millis(25);

/// Everything that runs.
pub(super) struct Scene {
    pub(super) shared: Arc<Shared>,
    pub(super) workers: Vec<Process>,
    server: Option<Process>,
    admin: Option<Admin>,
    snapshot: Option<PathBuf>,
    // The last field, so that nobody needs the folder any more when it is removed.
    folder: TempDir,
}

impl Scene {
    /// An empty stage.
    ///
    /// # Errors
    /// When no folder can be made.
    pub(super) fn new(shared: &Arc<Shared>, plan: &Plan) -> Result<Self, Failure> {
        let mut parent = std::env::temp_dir();
        if parent.as_os_str().len() > FOLDER_PATH_BYTES_MAX {
            parent = PathBuf::from("/tmp");
        }
        let folder = tempfile::Builder::new()
            .prefix("kwdemo-")
            .tempdir_in(&parent)
            .map_err(|error| Failure::io("written", &parent, &error))?;
        Ok(Self {
            shared: Arc::clone(shared),
            workers: Vec::new(),
            server: None,
            admin: None,
            snapshot: plan.snapshot.clone(),
            folder,
        })
    }

    /// The folder of the demonstration.
    pub(super) fn folder(&self) -> &Path {
        self.folder.path()
    }

    fn server_address(&self) -> String {
        format!("unix:{}", self.folder().join(SERVER_SOCKET).display())
    }

    /// Starts a server on the folder's data and waits until it serves the ring.
    ///
    /// # Errors
    /// When it does not come up.
    pub(super) fn start_server(&mut self) -> Result<(), Failure> {
        let configuration = self.folder().join("keywheel.toml");
        if !configuration.exists() {
            private::write_new(&configuration, CONFIGURATION.as_bytes())?;
        }
        let arguments =
            ["--config".as_ref(), configuration.as_os_str(), "demo".as_ref(), "server".as_ref()];
        let (server, output) = Process::start("server", self.folder(), &arguments)?;
        process::follow(output, |_| {})?;
        let pid = server.pid();
        self.server = Some(server);
        let token_file = self.folder().join("state/admin.token");
        let address = self.server_address();
        let admin = self.wait("the server to start", STARTS_WITHIN, |scene| {
            scene.check()?;
            let admin = Admin::open(&address, &token_file);
            Ok(admin.ok().filter(|admin| admin.status().is_ok()))
        })?;
        self.admin = Some(admin);
        let mut board = self.shared.board();
        board.server = Server::Up(pid);
        Ok(())
    }

    /// Kills the server.
    pub(super) fn kill_server(&mut self) {
        if let Some(mut server) = self.server.take() {
            server.kill();
        }
        let mut board = self.shared.board();
        board.server = Server::Down;
    }

    /// Starts the workers of both services, with keys from the ring, and waits until each one is
    /// known to the server.
    ///
    /// # Errors
    /// When one does not come up.
    pub(super) fn start_ring_workers(&mut self, plan: &Plan) -> Result<(), Failure> {
        for service in ["api", "billing"] {
            let token = self.admin()?.consumer_token(service)?;
            private::write_new(&self.token_file(service), token.as_bytes())?;
        }
        self.start_workers(plan, |scene, service| Source::Ring {
            ring: RING.into(),
            server: scene.server_address(),
            token_file: scene.token_file(service),
        })?;
        let all = self.workers.len();
        self.until("every worker to prove its keys", STARTS_WITHIN, |ring| {
            let live: usize = ring.consumers.iter().map(|consumer| consumer.live).sum();
            let proved = ring.consumers.iter().flat_map(|consumer| &consumer.instances);
            live == all
                && proved.filter(|one| one.holds == Some(ring.keyset_revision)).count() == all
        })?;
        Ok(())
    }

    fn token_file(&self, service: &str) -> PathBuf {
        self.folder().join(service).with_extension("token")
    }

    /// Starts the workers of both services.
    ///
    /// # Errors
    /// When one does not come up.
    pub(super) fn start_workers(
        &mut self,
        plan: &Plan,
        source: impl Fn(&Self, &str) -> Source,
    ) -> Result<(), Failure> {
        let names = |service: &str, count: usize| -> Vec<String> {
            (1..=count).map(|number| format!("{service}-{number}")).collect()
        };
        let (api, billing) = (names("api", plan.workers.0), names("billing", plan.workers.1));
        for (service, own, peers) in [("api", &api, &billing), ("billing", &billing, &api)] {
            for name in own {
                let settings = Settings {
                    name: name.clone(),
                    service: service.into(),
                    folder: self.folder().into(),
                    peers: peers.clone(),
                    requests_per_sec: plan.requests_per_sec,
                    lifetime: LIFETIME,
                    source: source(self, service),
                };
                self.start_worker(service, &settings)?;
            }
        }
        let count = self.workers.len();
        self.wait("every worker to start", STARTS_WITHIN, |scene| {
            scene.check()?;
            let board = scene.shared.board();
            let ready = board.workers.iter().filter(|card| card.tally.signs_with.is_some());
            Ok((ready.count() == count).then_some(()))
        })
    }

    fn start_worker(&mut self, service: &'static str, settings: &Settings) -> Result<(), Failure> {
        let file = self.folder().join(&settings.name).with_extension("json");
        let text = serde_json::to_vec(settings)
            .map_err(|error| Failure::failed(error.to_string(), crate::console::REPORT))?;
        private::write_new(&file, &text)?;
        let arguments = ["demo".as_ref(), "worker".as_ref(), file.as_os_str()];
        let (worker, output) = Process::start(&settings.name, self.folder(), &arguments)?;
        let index = self.workers.len();
        self.shared.board().workers.push(Card {
            name: settings.name.clone(),
            service,
            pid: worker.pid(),
            stopped: false,
            tally: Tally::default(),
        });
        self.workers.push(worker);
        let shared = Arc::clone(&self.shared);
        process::follow(output, move |line| {
            if let Ok(tally) = serde_json::from_str(line) {
                shared.board().take_tally(index, tally);
            }
        })
    }

    /// Says the same to every worker.
    ///
    /// # Errors
    /// When one has ended.
    pub(super) fn say_to_all(&mut self, order: Order) -> Result<(), Failure> {
        self.workers.iter_mut().try_for_each(|worker| worker.say(order))
    }

    /// The server, as its administrator sees it.
    ///
    /// # Errors
    /// When there is none.
    pub(super) fn admin(&self) -> Result<&Admin, Failure> {
        let none = || Failure::failed("there is no server on stage", crate::console::REPORT);
        self.admin.as_ref().ok_or_else(none)
    }

    /// The number of the newest entry in the server's record.
    ///
    /// # Errors
    /// When the server does not answer.
    pub(super) fn newest_entry(&self) -> Result<u64, Failure> {
        Ok(self.admin()?.audit(0)?.last().map_or(0, |entry| entry.number))
    }

    /// What all workers together have done.
    pub(super) fn tally(&self) -> Tally {
        self.shared.board().tally()
    }

    /// Looks at the ring, and shows it.
    ///
    /// # Errors
    /// When the server does not answer.
    pub(super) fn look(&self) -> Result<RingStatus, Failure> {
        let ring = self.admin()?.status()?;
        self.shared.board().ring = Some(ring.clone());
        Ok(ring)
    }

    /// Waits until the ring stands so.
    ///
    /// # Errors
    /// When it does not in time, a process ends by itself, or the user does not want to wait.
    pub(super) fn until(
        &mut self,
        what: &str,
        within: Span,
        mut reached: impl FnMut(&RingStatus) -> bool,
    ) -> Result<RingStatus, Failure> {
        self.wait(what, within, |scene| {
            scene.check()?;
            // A server that does not answer this time may answer the next.
            Ok(scene.look().ok().filter(&mut reached))
        })
    }

    /// Waits until the workers stand so.
    ///
    /// # Errors
    /// As [`Scene::until`].
    pub(super) fn until_board(
        &mut self,
        what: &str,
        within: Span,
        mut reached: impl FnMut(&Board) -> bool,
    ) -> Result<(), Failure> {
        self.wait(what, within, |scene| {
            scene.check()?;
            // Whoever watches the screen wants to see the ring meanwhile.
            if scene.server.is_some() {
                let _shown_next_time = scene.look();
            }
            Ok(reached(&scene.shared.board()).then_some(()))
        })
    }

    /// Lets time pass, and shows the ring meanwhile where there is one.
    ///
    /// # Errors
    /// As [`Scene::until`].
    pub(super) fn pass(&mut self, span: Span) -> Result<(), Failure> {
        let end = boot_time().after(span);
        self.until_board("time to pass", span.plus(STARTS_WITHIN), |_| boot_time() >= end)
    }

    /// Draws the board as it is now, where a picture was asked for.
    ///
    /// # Errors
    /// When the picture cannot be written.
    pub(super) fn draw(&self) -> Result<(), Failure> {
        match &self.snapshot {
            Some(file) => picture::draw(&self.shared.board(), file),
            None => Ok(()),
        }
    }

    /// Waits until `look` finds something.
    fn wait<T>(
        &mut self,
        what: &str,
        within: Span,
        mut look: impl FnMut(&mut Self) -> Result<Option<T>, Failure>,
    ) -> Result<T, Failure> {
        let deadline = boot_time().after(within);
        loop {
            if self.shared.is_interrupted() {
                return Err(Failure::new(Exit::Failed, "interrupted", "everything was ended"));
            }
            if let Some(found) = look(self)? {
                return Ok(found);
            }
            if boot_time() >= deadline {
                return Err(Failure::failed(
                    format!("waited {within} for {what}, and it did not happen"),
                    "run it again on a less busy machine; if it stays so, please report it",
                ));
            }
            std::thread::sleep(LOOK_EVERY);
        }
    }

    /// Checks that nobody has ended by itself.
    fn check(&mut self) -> Result<(), Failure> {
        self.workers.iter_mut().chain(&mut self.server).try_for_each(Process::check)
    }

    /// Lets everybody end by itself.
    pub(super) fn end(mut self) {
        self.shared.tell(Tone::Faint, "ending every process");
        let all: Vec<_> = self.workers.drain(..).chain(self.server.take()).collect();
        std::thread::scope(|scope| {
            for mut process in all {
                scope.spawn(move || process.end());
            }
        });
        self.shared.board().workers.clear();
    }
}
