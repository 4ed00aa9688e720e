//! A ring whose column a mover moves: a PostgreSQL with rows under the ring's first version, a
//! keywheel server, and what is asked of both.

use std::process::{Child, Command};

use postgres::Client;
use serde_json::Value;

use super::postgres::Server;
use super::world::{self, World, until_or};
use super::{OLD, people};

/// A ring with one column. What its keys seal lives long, so no version goes before a test says so.
const PII: &str = "[ring.pii]\nkind = \"encryption\"\nalgorithm = \"passphrase\"\n\
                   longest_lifetime = \"1d\"\ndestroy_after = \"never\"\n\
                   [[ring.pii.consumer]]\nname = \"mover\"\nrole = \"protect\"\n\
                   min_instances = 0\n\
                   [[ring.pii.column]]\ntable = \"people\"\ncolumn = \"ssn\"\nworker = \"mover\"\n";

/// All that takes part.
pub(crate) struct Site {
    pub(crate) client: Client,
    pub(crate) server: Server,
    pub(crate) world: World,
    _keywheel: world::Server,
}

impl Site {
    /// Rows under the ring's first version, and nobody who moves them yet.
    pub(crate) fn new() -> Self {
        Self::with("")
    }

    /// The same with more in the ring's policy.
    pub(crate) fn with(policy: &str) -> Self {
        let mut server = Server::start(false);
        let mut client = server.client();
        people(&mut client, OLD);
        let head = "[ring.pii]\n";
        let world = World::with(&PII.replace(head, &format!("{head}{policy}")));
        let keywheel = world.serve_with(&["--no-apply"]);
        world.write("first.key", OLD);
        world::set_mode(&world.path("first.key"), 0o600);
        world.ok(&["ring", "import", "pii", "first.key"]);
        world.ok(&["apply"]);
        let create = ["token", "create", "mover", "--role", "consumer", "--consumer", "mover"];
        world.ok(&[create.as_slice(), &["--ring", "pii", "--out", "mover.token"]].concat());
        let create = ["token", "create", "alice", "--role", "breakglass"];
        world.ok(&[create.as_slice(), &["--out", "alice.token"]].concat());
        Self { client, server, world, _keywheel: keywheel }
    }

    /// A task of the mover, with the keys of the ring.
    pub(crate) fn task(&self, task: &str, more: &[&str]) -> Command {
        let url = self.server.url();
        let words = ["reencrypt", task, "--token-file", "mover.token", "--database", &url];
        let ring = ["--ring", "pii", "--consumer", "mover"];
        self.world.command(&[words.as_slice(), &ring, more].concat())
    }

    /// A mover that stays.
    pub(crate) fn mover(&self, name: &str, more: &[&str]) -> Ended {
        // A transaction that a test holds open is not worth to be waited for.
        let every = ["--every", "1", "--wait", "1"];
        let mut command = self.task("run", &[every.as_slice(), more].concat());
        let mut mover = Ended::new(&mut command, &self.world, name);
        let is_live = || self.instances().iter().any(|one| one["standing"] == "live");
        until_or("the mover lives", is_live, || format!("{}{}", self.told(), mover.said()));
        assert!(mover.is_alive(), "{}", mover.said());
        mover
    }

    /// Waits until an instance of the mover is live.
    pub(crate) fn instances(&self) -> Vec<Value> {
        let status = self.world.json(&["status", "pii"]);
        let consumers = status["consumers"].as_array().unwrap().clone();
        consumers.iter().flat_map(|one| one["instances"].as_array().unwrap().clone()).collect()
    }

    /// Everything that is known, for when a test fails.
    pub(crate) fn told(&self) -> String {
        self.world.ok(&["status", "pii"]) + &self.world.ok(&["ring", "columns", "pii"])
    }

    /// The state of a version.
    pub(crate) fn state(&self, number: u64) -> String {
        let status = self.world.json(&["status", "pii"]);
        let versions = status["versions"].as_array().unwrap().clone();
        let version = versions.into_iter().find(|one| one["number"] == number).unwrap();
        version["state"].as_str().unwrap().to_owned()
    }

    /// How the gate `reencryption` of a version stands, and why.
    pub(crate) fn gate(&self, number: u64) -> (String, String) {
        let columns = self.world.json(&["ring", "columns", "pii"]);
        let retiring = columns["retiring"].as_array().unwrap().clone();
        let own = retiring.into_iter().find(|one| one["version"] == number);
        let gate = own.map(|one| one["gate"].clone()).unwrap_or_default();
        let text = |name: &str| gate[name].as_str().unwrap_or_default().to_owned();
        (text("status"), text("detail"))
    }

    /// Waits until the gate of a version stands so.
    pub(crate) fn until_gate(&self, number: u64, status: &str, mover: &Ended) {
        let what = format!("the gate of v{number} is {status}");
        let told = || format!("{}{}", self.told(), mover.said());
        until_or(&what, || self.gate(number).0 == status, told);
    }

    /// Lets a version go although what it sealed could live on, if nothing else keeps it.
    pub(crate) fn waive_expiry(&self, number: u64) {
        let version = number.to_string();
        let words = ["waive", "pii", "expiry", "--reason", "a test", "--for", "1h", "--version"];
        self.by_hand(&[words.as_slice(), &[&version]].concat());
    }

    /// What bends a law needs a right of its own.
    pub(crate) fn by_hand(&self, words: &[&str]) {
        self.world.ok(&[words, &["--token-file", "alice.token"]].concat());
    }
}

/// A process that is ended with the test; what it says is in a file.
pub(crate) struct Ended {
    child: Child,
    log: std::path::PathBuf,
}

impl Ended {
    pub(crate) fn new(command: &mut Command, world: &World, name: &str) -> Self {
        let log = world.path(&format!("{name}.log"));
        let file = std::fs::File::create(&log).unwrap();
        let child = command.stdout(file.try_clone().unwrap()).stderr(file).spawn().unwrap();
        Self { child, log }
    }

    pub(crate) fn said(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap()
    }

    pub(crate) fn is_alive(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }

    /// Asks it to end, which it does in good order.
    pub(crate) fn stop(mut self) {
        let pid = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
        let status = self.child.wait().unwrap();
        assert!(status.success(), "{status}: {}", self.said());
    }

    /// Ends it as the kernel would, in the midst of whatever it does.
    pub(crate) fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Ended {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
