//! Everything together: a server, an agent that answers for nginx, and a caller that is a consumer
//! itself, so that it uses a key when keywheel says so and no earlier.

use std::path::Path;
use std::sync::Arc;

use keywheel_client::{Client, RingHandle, Token, TokenSource};
use keywheel_jose::Use;

use super::callers::Keys;
use super::site::{ACCEPT, ONE_SLOT, Site, program};
use crate::world::{Server, World, until_or};

/// One ring: the caller protects with it, nginx accepts it and shows it to the upstream.
const RING: &str = "[ring.api]\nkind = \"secret\"\nlongest_lifetime = \"1h\"\nskew = \"0s\"\n\
                    lease_ttl = \"2s\"\noffline_max = \"10s\"\nstall_after = \"10m\"\n\
                    [[ring.api.consumer]]\nname = \"caller\"\nrole = \"protect\"\n\
                    [[ring.api.consumer]]\nname = \"edge\"\nrole = \"process\"\n\
                    min_evidence = \"probed\"\n";

/// Whether staged includes are tested before they take their place.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Checked {
    Yes,
    No,
}

/// A world with nginx in it, from the first delivery on.
pub struct Delivery {
    // Dropped in this order: whoever asks before whoever answers.
    pub caller: Caller,
    pub agent: Server,
    pub server: Server,
    pub site: Site,
    pub world: World,
}

impl Delivery {
    /// `main` joins the main context of nginx.
    pub fn start(main: &str, checked: Checked) -> Self {
        let world = World::with(RING);
        let mut site = Site::new(&world.path("nginx"), main);
        super::websocket::serve(&site.upstream());
        site.start();
        let server = world.serve();
        for consumer in ["caller", "edge"] {
            let out = format!("{consumer}.token");
            let create = ["token", "create", consumer, "--role", "consumer", "--ring", "api"];
            world.ok(&[&create[..], &["--consumer", consumer, "--out", &out]].concat());
        }
        let caller = Caller::start(&world);
        world.write("agent.toml", agent_toml(&world, &site, checked));
        let agent = world.start(world.command(&["agent", "--config", "agent.toml"]));
        let all = Self { caller, agent, server, site, world };
        let is_delivered = || all.agent.log().contains("every consumer has what it is to have");
        until_or("the first delivery stands", is_delivered, || all.agent.log());
        assert!(all.caller.is_accepted(&all.site));
        all
    }

    /// How the ring stands, as JSON text.
    pub fn status(&self) -> String {
        self.world.json(&["status", "api"]).to_string()
    }

    /// Waits until the status says something.
    pub fn until_status(&self, what: &str) -> String {
        let mut status = String::new();
        until_or(
            &format!("`{what}` is in the status"),
            || {
                status = self.status();
                status.contains(what)
            },
            || format!("{}\n{}", self.status(), self.agent.log()),
        );
        status
    }

    /// Rotates, and waits until every protector has switched.
    pub fn rotate(&self) {
        let ran = self.world.run(&["rotate", "api", "--wait", "--timeout", "3m"]);
        let (status, log) = (self.status(), self.agent.log());
        assert_eq!(ran.code, 0, "{}{}\n{status}\n{log}", ran.stdout, ran.stderr);
    }

    /// Appends to the main file of nginx what it does not understand; gives back the good text.
    pub fn break_nginx(&self) -> String {
        let good = std::fs::read_to_string(self.site.config()).unwrap();
        std::fs::write(self.site.config(), format!("{good}frobnicate;\n")).unwrap();
        good
    }
}

/// The agent's file: two includes of one nginx, and its workers and answers as evidence.
fn agent_toml(world: &World, site: &Site, checked: Checked) -> String {
    let check = if checked == Checked::Yes { "check.nginx = [NGINX]" } else { "" };
    let path = |path: std::path::PathBuf| path.display().to_string();
    let places = [
        ("[CHECK]", check.to_owned()),
        ("[NGINX]", NGINX.to_owned()),
        ("[PROGRAM]", path(program())),
        ("[SITE]", path(site.folder.clone())),
        ("[SOCKET]", path(world.state("keywheel.sock"))),
        ("[WORLD]", path(world.path(""))),
        ("[ADDRESS]", site.address.to_string()),
        ("[ACCEPT]", ACCEPT.to_owned()),
        ("[ONE_SLOT]", ONE_SLOT.to_owned()),
    ];
    places.iter().fold(AGENT.to_owned(), |text, (place, value)| text.replace(place, value))
}

const NGINX: &str =
    r#"{ program = "[PROGRAM]", config = "[SITE]/nginx.conf", pid_file = "[SITE]/nginx.pid" }"#;

const AGENT: &str = r#"
[server]
url = "unix:[SOCKET]"
token_file = "[WORLD]edge.token"
state_dir = "[WORLD]agent"

[[consumer]]
name = "edge"
wait = "20ms"

[[consumer.sink]]
name = "accept"
nginx = "[SITE]/[ACCEPT]"
accept.accepted = { from = "$http_x_api_key", ring = "api" }
[CHECK]

[[consumer.sink.reload]]
signal = "HUP"
pid_file = "[SITE]/nginx.pid"

[[consumer.sink]]
name = "one-slot"
nginx = "[SITE]/[ONE_SLOT]"
set.backend_key = "api"
set.key_fp = { ring = "api", form = "fingerprint" }
[CHECK]

[[consumer.sink.reload]]
signal = "HUP"
pid_file = "[SITE]/nginx.pid"

[[consumer.probe]]
name = "workers"
nginx_workers = [NGINX]
within = "3s"
timeout = "3s"

[[consumer.probe]]
name = "site"
http = "http://[ADDRESS]/"
within = "20s"
headers = { X-Api-Key = "{artefact}" }
artefact = { ring = "api" }
fingerprint = { header = "X-Key-Fp", ring = "api" }
workers = { header = "X-Pid", pid_file = "[SITE]/nginx.pid" }
"#;

/// Who shows the key to nginx.
pub struct Caller {
    client: Client,
    ring: RingHandle,
}

impl Caller {
    fn start(world: &World) -> Self {
        let endpoint = format!("unix:{}", world.state("keywheel.sock").display());
        let token = Token::from_file(Path::new(&world.path("caller.token"))).unwrap();
        let client = Client::builder(endpoint, TokenSource::from(token))
            .consumer("caller")
            .ring("api")
            .build()
            .unwrap();
        client.start().unwrap();
        let ring = client.ring("api").unwrap();
        ring.current().unwrap();
        Self { client, ring }
    }

    /// What makes the keys of requests.
    pub fn keys(&self) -> Arc<dyn Keys> {
        Arc::new(Guarded(self.client.ring("api").unwrap()))
    }

    /// The key to show now.
    pub fn key(&self) -> String {
        let guard = self.ring.guard().unwrap();
        guard.material().delivery(Use::Protect).expose().to_owned()
    }

    fn is_accepted(&self, site: &Site) -> bool {
        super::callers::ask_once(site.address, &self.key()) == 200
    }
}

/// Shows the primary under a guard, as every use of a key of keywheel is.
struct Guarded(RingHandle);

impl Keys for Guarded {
    fn with(&self, show: &mut dyn FnMut(&str)) {
        let guard = self.0.guard().unwrap();
        show(guard.material().delivery(Use::Protect).expose());
    }

    fn is_known(&self, key: &str) -> bool {
        let keyset = self.0.current().unwrap();
        let mut materials = keyset.versions().iter().filter_map(|version| version.material());
        materials.any(|material| material.delivery(Use::Protect).expose() == key)
    }
}
