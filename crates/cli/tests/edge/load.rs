//! `wrk`, which counts by itself what it got: answers that are not 200, and connections that ended
//! under a request.

use std::io::Read as _;
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use rustix::process::{Pid, Signal, kill_process};

/// Shows the key of a file, again and again, and prints one line of numbers at its end. The pause
/// leaves the machine to what is tested.
const SCRIPT: &str = r#"
local threads = {}
function setup(thread) table.insert(threads, thread) end
function init(args)
    wrong = 0
    local file = assert(io.open(args[1]))
    wrk.headers["X-Api-Key"] = file:read("*l")
    file:close()
end
function delay() return 2 end
function response(status) if status ~= 200 then wrong = wrong + 1 end end
function done(summary)
    local wrong = 0
    for _, thread in ipairs(threads) do wrong = wrong + thread:get("wrong") end
    local errors = summary.errors
    print(string.format("TOLD %d %d %d", summary.requests, wrong,
        errors.connect + errors.read + errors.write + errors.timeout))
end
"#;

/// Connections of one run, all kept.
pub const CONNECTIONS: u64 = 16;

/// A run of `wrk`.
pub struct Load {
    child: Child,
}

/// What `wrk` counted.
#[derive(Clone, Copy, Debug)]
pub struct Told {
    pub answers: u64,
    pub wrong: u64,
    pub dropped: u64,
}

impl Load {
    /// Starts it with a key that must always be accepted.
    pub fn start(folder: &Path, address: SocketAddr, key: &str) -> Self {
        let script = folder.join("load.lua");
        let key_file = folder.join("load.key");
        std::fs::write(&script, SCRIPT).unwrap();
        std::fs::write(&key_file, key).unwrap();
        let child = Command::new("wrk")
            .args(["--threads", "1", "--connections", &CONNECTIONS.to_string()])
            .args(["--duration", "10m", "--timeout", "2m", "--script"])
            .arg(script)
            .arg(format!("http://{address}/"))
            .arg("--")
            .arg(key_file)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn();
        assert!(child.is_ok(), "wrk does not start; `cargo xtask prepare` installs it");
        Self { child: child.unwrap() }
    }

    /// Ends it; gives back what it counted.
    pub fn end(mut self) -> Told {
        kill_process(Pid::from_child(&self.child), Signal::INT).unwrap();
        let mut text = String::new();
        self.child.stdout.take().unwrap().read_to_string(&mut text).unwrap();
        self.child.wait().unwrap();
        let line = text.lines().find_map(|line| line.strip_prefix("TOLD "));
        let numbers: Vec<u64> =
            line.unwrap_or(&text).split(' ').map(|number| number.parse().unwrap()).collect();
        let [answers, wrong, dropped] = numbers.try_into().unwrap();
        Told { answers, wrong, dropped }
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
