//! A legacy application: it takes over its environment file when a command tells it to, and a
//! command shows what it uses. It may refuse to work with more than one key.

#![expect(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "a helper of a test fails by panicking"
)]
#![allow(dead_code, reason = "each test binary uses its part")]
#![allow(unreachable_pub, reason = "each test binary has its own copy")]

use crate::world::{Server, World};

/// A ring that turns quickly.
pub const RING: &str = "[ring.web]\nkind = \"secret\"\nlongest_lifetime = \"1s\"\nskew = \"0s\"\n\
                    lease_ttl = \"2s\"\noffline_max = \"1m\"\nSTALL\n\
                    [[ring.web.consumer]]\nname = \"web\"\nrole = \"protect\"\n\
                    min_evidence = \"probed\"\n";

/// What the policy does about a rotation that does not get on.
#[derive(Clone, Copy)]
pub enum Stall {
    Hold,
    Rollback,
}

/// A world with a legacy application in it.
pub struct Legacy {
    pub world: World,
}

impl Legacy {
    pub fn new(ring: &str, stall: Stall) -> Self {
        let stall = match stall {
            Stall::Hold => "stall_after = \"1h\"",
            Stall::Rollback => "stall_after = \"5s\"\non_stall = \"rollback\"",
        };
        let world = World::with(&ring.replace("STALL", stall));
        let at = |name: &str| world.path(name).display().to_string();
        world.write("app.env", "# ours\nDEBUG=1\n");
        crate::world::set_mode(&world.path("app.env"), 0o600);
        // The application reads its file into memory; what it runs with is this copy. It goes on
        // reading when the agent is killed meanwhile, so the copy changes in one step.
        let (env, running) = (at("app.env"), at("running"));
        let take =
            format!("umask 077; cp '{env}' '{running}.new' && mv '{running}.new' '{running}'");
        // While nothing but the primary is accepted, the list of the others holds it once more.
        let works = format!(
            "cmp -s '{env}' '{running}' && {{ ! test -e '{}' || \
             awk -F= '/^SECRET_KEY/ {{print $2}}' '{running}' | sort -u | wc -l | grep -qx 1; }}",
            at("refuse"),
        );
        let agent = format!(
            "[server]\nurl = \"unix:{}\"\ntoken_file = \"{}\"\nstate_dir = \"{}\"\n\n\
             [[consumer]]\nname = \"web\"\nwait = \"0s\"\n\n\
             [[consumer.sink]]\nname = \"env\"\nenv_file = \"{}\"\n\
             set.SECRET_KEY = \"web\"\n\
             set.SECRET_KEY_FALLBACKS = {{ ring = \"web\", which = \"others\" }}\n\
             reload = [{{ command = [\"/bin/sh\", \"-c\", \"{take}\"] }}]\n\n\
             [[consumer.probe]]\nname = \"try\"\nwithin = \"2s\"\n\
             command = [\"/bin/sh\", \"-c\", \"{works}\"]\n",
            world.state("keywheel.sock").display(),
            at("agent.token"),
            at("agent"),
            at("app.env"),
        );
        world.write("agent.toml", agent);
        Self { world }
    }

    /// Changes the agent's file.
    pub fn change_agent(&self, change: impl FnOnce(&str) -> String) {
        let changed = change(&self.text("agent.toml"));
        self.world.write("agent.toml", changed);
    }

    pub fn make_token(&self) {
        let create = ["token", "create", "web", "--role", "consumer", "--consumer", "web"];
        self.world.ok(&[create.as_slice(), &["--ring", "web", "--out", "agent.token"]].concat());
    }

    /// Starts the agent, as talkative as it gets.
    pub fn start(&self) -> Server {
        self.world.start(self.world.command(&["agent", "--config", "agent.toml", "-vv"]))
    }

    fn text(&self, name: &str) -> String {
        std::fs::read_to_string(self.world.path(name)).unwrap_or_default()
    }

    /// What stands in the file.
    pub fn env(&self) -> String {
        self.text("app.env")
    }

    /// What the application uses.
    pub fn running(&self) -> String {
        self.text("running")
    }

    /// The keys in the file that are accepted and not used.
    pub fn fallbacks(&self) -> String {
        let env = self.env();
        let value = |name: &str| env.lines().find_map(|line| line.strip_prefix(name));
        let others = value("SECRET_KEY_FALLBACKS=").unwrap_or_default();
        // While there are none, the list holds the primary once more.
        if Some(others) == value("SECRET_KEY=") { String::new() } else { others.to_owned() }
    }

    /// Whether the application works with one key only.
    pub fn refuse_new_keys(&self, refuse: bool) {
        let flag = self.world.path("refuse");
        if refuse {
            std::fs::write(flag, "").unwrap();
        } else {
            std::fs::remove_file(flag).unwrap();
        }
    }

    pub fn status(&self) -> String {
        self.world.run(&["status", "web"]).stdout
    }

    pub fn primary(&self) -> u64 {
        self.world.json(&["status", "web"])["primary"].as_u64().unwrap()
    }

    /// The keys that are in the file now stand in none of these texts, in no process's arguments,
    /// and in no file that others may read.
    pub fn assert_no_secret_is_told(&self, texts: &[&str]) {
        let env = self.env();
        let keys = env.lines().filter(|line| line.starts_with("SECRET_KEY"));
        let values = keys.filter_map(|line| line.split_once('=').map(|(_, value)| value));
        let values: Vec<&str> =
            values.flat_map(|value| value.split(',')).filter(|value| value.len() > 8).collect();
        assert!(!values.is_empty(), "{env}");
        for value in values {
            for text in texts {
                assert!(!text.contains(value), "a log tells a key");
            }
            for process in std::fs::read_dir("/proc").unwrap().flatten() {
                let arguments = std::fs::read(process.path().join("cmdline")).unwrap_or_default();
                let arguments = String::from_utf8_lossy(&arguments);
                assert!(!arguments.contains(value), "a process shows a key");
            }
            assert_private(&self.world.path(""), value);
        }
    }
}

/// No file that others may read holds this.
fn assert_private(folder: &std::path::Path, value: &str) {
    use std::os::unix::fs::MetadataExt as _;
    for entry in std::fs::read_dir(folder).unwrap().flatten() {
        let Ok(facts) = std::fs::symlink_metadata(entry.path()) else { continue };
        if facts.is_dir() {
            assert_private(&entry.path(), value);
        } else if facts.is_file() && facts.mode() & 0o044 != 0 {
            let bytes = std::fs::read(entry.path()).unwrap_or_default();
            let text = String::from_utf8_lossy(&bytes);
            assert!(!text.contains(value), "{} tells a key", entry.path().display());
        }
    }
}
