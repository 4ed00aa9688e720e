//! An nginx in a folder of its own, on a port of its own. What its processes do is read from the
//! kernel here, independently of the code under test.

use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU8, Ordering};

use rustix::process::{Pid, Signal, kill_process};

use crate::world::until;

/// The master process, which ends with all its workers when this is dropped.
pub struct Master(Child);

impl Master {
    /// Starts nginx in the foreground, with what it complains about in a file.
    pub fn start(config: &Path, errors: &Path) -> Self {
        let mut command = Command::new(program());
        command.args(["-e", "stderr", "-g", "daemon off;", "-c"]).arg(config);
        let errors = std::fs::File::create(errors).unwrap();
        Self(command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(errors).spawn().unwrap())
    }
}

impl Drop for Master {
    fn drop(&mut self) {
        // Killing the master would leave its workers behind.
        let _ = kill_process(Pid::from_child(&self.0), Signal::TERM);
        let _ = self.0.wait();
    }
}

/// A site with a configuration of its own.
pub struct Site {
    pub folder: PathBuf,
    pub address: SocketAddr,
    master: Option<Master>,
}

/// The include with the map of accepted values.
pub const ACCEPT: &str = "accept.conf";
/// The include with the value that is shown to the upstream.
pub const ONE_SLOT: &str = "one-slot.conf";

/// What stands in the includes before anything was delivered.
const PLACEHOLDERS: [(&str, &str); 2] = [
    (ACCEPT, "map $http_x_api_key $accepted { default 0; }\n"),
    (ONE_SLOT, "set $backend_key \"\";\nset $key_fp \"none\";\n"),
];

impl Site {
    /// Writes the configuration into a folder; `main` joins its main context.
    pub fn new(folder: &Path, main: &str) -> Self {
        std::fs::create_dir(folder).unwrap();
        for (name, text) in PLACEHOLDERS {
            std::fs::write(folder.join(name), text).unwrap();
        }
        let site = Self { folder: folder.to_owned(), address: free_address(), master: None };
        std::fs::write(site.config(), site.text(main)).unwrap();
        site
    }

    pub fn config(&self) -> PathBuf {
        self.folder.join("nginx.conf")
    }

    pub fn pid_file(&self) -> PathBuf {
        self.folder.join("nginx.pid")
    }

    pub fn upstream(&self) -> PathBuf {
        self.folder.join("upstream.sock")
    }

    /// Two workers; a key is asked for everywhere but for the websocket.
    fn text(&self, main: &str) -> String {
        let at = self.folder.display();
        let temp = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
            .map(|name| format!("    {name}_temp_path {at}/temp-{name};\n"))
            .concat();
        let (address, upstream) = (self.address, self.upstream());
        format!(
            "{main}\npid {at}/nginx.pid;\nerror_log {at}/error.log notice;\nworker_processes 2;\n\
             events {{ worker_connections 256; }}\n\
             http {{\n    access_log off;\n    keepalive_requests 1000000;\n{temp}    \
             include {ACCEPT};\n    server {{\n        listen {address};\n        \
             include {ONE_SLOT};\n        add_header X-Key-Fp $key_fp always;\n        \
             add_header X-Pid $pid always;\n        \
             location / {{\n            if ($accepted = 0) {{ return 403; }}\n            \
             return 200 \"$backend_key\";\n        }}\n        \
             location /socket {{\n            proxy_pass http://unix:{};\n            \
             proxy_http_version 1.1;\n            proxy_set_header Upgrade $http_upgrade;\n            \
             proxy_set_header Connection upgrade;\n            proxy_read_timeout 10m;\n        }}\n    \
             }}\n}}\n",
            upstream.display()
        )
    }

    /// Starts it, and waits until it answers.
    pub fn start(&mut self) {
        let errors = self.folder.join("stderr");
        self.master = Some(Master::start(&self.config(), &errors));
        until("nginx answers", || {
            let ended = self.master.as_mut().unwrap().0.try_wait().unwrap();
            let said = || std::fs::read_to_string(&errors).unwrap();
            assert!(ended.is_none(), "nginx does not start: {}", said());
            TcpStream::connect(self.address).is_ok() && self.workers().len() == 2
        });
    }

    pub fn pid(&self) -> u32 {
        self.master.as_ref().unwrap().0.id()
    }

    /// Asks for a reload, as `nginx -s reload` does.
    pub fn reload(&self) {
        kill_process(Pid::from_child(&self.master.as_ref().unwrap().0), Signal::HUP).unwrap();
    }

    /// Asks for a reload and waits until only new workers are left.
    pub fn reload_and_wait(&self) {
        let before = self.workers();
        self.reload();
        until("the old workers are gone", || {
            let now = self.workers();
            now.len() == 2 && !now.iter().any(|pid| before.contains(pid))
        });
    }

    /// The workers, old ones too.
    pub fn workers(&self) -> Vec<u32> {
        let pid = self.pid();
        let text = std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children"));
        let text = text.unwrap_or_default();
        text.split_whitespace().map(|pid| pid.parse().unwrap()).collect()
    }

    /// The workers that take no new connections and wait for their last ones to end.
    pub fn workers_that_end(&self) -> Vec<u32> {
        let ends = |pid: &u32| {
            let title = std::fs::read_to_string(format!("/proc/{pid}/cmdline"));
            title.unwrap_or_default().contains("is shutting down")
        };
        self.workers().into_iter().filter(ends).collect()
    }

    pub fn log(&self) -> String {
        std::fs::read_to_string(self.folder.join("error.log")).unwrap()
    }

    /// How often it was asked to reload.
    pub fn reloads(&self) -> usize {
        // Only the master writes "reconfiguring".
        self.log().matches(", reconfiguring").count()
    }

    pub fn include(&self, name: &str) -> Vec<u8> {
        std::fs::read(self.folder.join(name)).unwrap()
    }
}

/// nginx refuses port 0, so a port is asked from the kernel and given back: one of an address that
/// nobody else has, so that nobody takes the port meanwhile.
pub fn free_address() -> SocketAddr {
    static NUMBER: AtomicU8 = AtomicU8::new(1);
    let [_, _, high, low] = std::process::id().to_be_bytes();
    let own = Ipv4Addr::new(127, high | 1, low, NUMBER.fetch_add(1, Ordering::Relaxed));
    TcpListener::bind((own, 0)).unwrap().local_addr().unwrap()
}

/// Where nginx is.
pub fn program() -> PathBuf {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let more = [PathBuf::from("/usr/sbin"), PathBuf::from("/usr/local/sbin")];
    let mut programs = std::env::split_paths(&path).chain(more).map(|folder| folder.join("nginx"));
    let found = programs.find(|program| program.is_file());
    assert!(found.is_some(), "nginx is not installed; `cargo xtask prepare` installs it");
    found.unwrap()
}
