//! The servers of the benches, each in a process of its own, so that memory and CPU are measured on
//! it alone. One side of this file starts such a process and asks it; the other side is it.
//!
//! A child reads one word a line from its standard input and answers with numbers, one line each.
//! It ends when its input ends, so none outlives the bench.

use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{ChildStdin, ChildStdout, Command, Stdio};
use std::time::Duration;

use crate::measure::{self, Memory};
use crate::{Fallible, authz, keywheel, peer};

/// The word that makes this program such a server.
pub(crate) const VERB: &str = "child";

/// What a child serves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// What `keywheel serve` serves.
    Keywheel,
    /// A bare axum server: hello, and a stream that repeats what it is told.
    Axum,
    /// The edge; the folder's name is the number of revoked tokens.
    Authz,
    /// A bare server that says yes.
    AuthzNull,
}

impl Kind {
    const fn word(self) -> &'static str {
        match self {
            Self::Keywheel => "keywheel",
            Self::Axum => "axum",
            Self::Authz => "authz",
            Self::AuthzNull => "authz-null",
        }
    }
}

/// A server that this process started.
pub(crate) struct Child {
    process: std::process::Child,
    input: Option<ChildStdin>,
    output: BufReader<ChildStdout>,
}

/// What a child used so far.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Usage {
    pub(crate) cpu: Duration,
    pub(crate) memory: Memory,
}

impl Child {
    /// Starts a server whose files stand in this folder, and returns at once.
    pub(crate) fn start(kind: Kind, folder: &Path, listen: &str) -> Fallible<Self> {
        Self::start_as(Command::new(std::env::current_exe()?), kind, folder, listen)
    }

    /// The same, by a command that runs this program in a way of its own.
    pub(crate) fn start_as(
        mut program: Command,
        kind: Kind,
        folder: &Path,
        listen: &str,
    ) -> Fallible<Self> {
        let mut process = program
            .args([VERB, kind.word(), listen])
            .arg(folder)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let input = process.stdin.take();
        let output = process.stdout.take().ok_or("a child has no output")?;
        Ok(Self { process, input, output: BufReader::new(output) })
    }

    /// The port where it listens, once it does; 0 on a unix socket.
    pub(crate) fn port(&mut self) -> Fallible<u16> {
        let answer = self.answer()?;
        Ok(u16::try_from(*answer.first().ok_or("a child did not say its port")?)?)
    }

    /// Its process.
    pub(crate) fn pid(&self) -> u32 {
        self.process.id()
    }

    /// Tells it something. The answer is waiting to be read.
    pub(crate) fn tell(&mut self, word: &str) -> Fallible<()> {
        let input = self.input.as_mut().ok_or("the child was told to end")?;
        writeln!(input, "{word}")?;
        Ok(input.flush()?)
    }

    /// Waits for an answer.
    pub(crate) fn answer(&mut self) -> Fallible<Vec<u64>> {
        let mut line = String::new();
        if self.output.read_line(&mut line)? == 0 {
            return Err("a server of the bench has ended".into());
        }
        let numbers: Result<_, _> = line.split_whitespace().map(str::parse).collect();
        numbers.map_err(|_| format!("a server of the bench says: {}", line.trim()).into())
    }

    /// What it used so far.
    pub(crate) fn usage(&mut self) -> Fallible<Usage> {
        self.tell("usage")?;
        match self.answer()?.as_slice() {
            [nanos, resident_kib, peak_kib] => Ok(Usage {
                cpu: Duration::from_nanos(*nanos),
                memory: Memory { resident_kib: *resident_kib, peak_kib: *peak_kib },
            }),
            other => Err(format!("a child's usage is {other:?}").into()),
        }
    }

    /// CPU time that it uses in this time in which nobody asks anything of it.
    pub(crate) fn idle(&mut self, pause: Duration) -> Fallible<Duration> {
        let before = self.usage()?.cpu;
        // tidy: sleeps because idling is what it measures.
        std::thread::sleep(pause);
        Ok(self.usage()?.cpu.saturating_sub(before))
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        drop(self.input.take());
        let _already_gone = self.process.wait();
    }
}

/// Asks a server on a unix socket once. Nothing when nobody listens or the answer is not good.
pub(crate) fn get(socket: &Path, path: &str) -> Option<()> {
    use std::io::Read as _;
    let mut stream = UnixStream::connect(socket).ok()?;
    let request = format!("GET {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    answer.starts_with("HTTP/1.1 200").then_some(())
}

/// Is the server.
pub(crate) fn main(words: &[&str]) -> Fallible<()> {
    raise_file_limit()?;
    match words {
        ["keywheel", listen, folder] => keywheel::serve(Path::new(folder), listen),
        ["axum", listen, _folder] => peer::serve(listen),
        ["authz", listen, folder] => {
            let revoked = Path::new(folder).file_name().and_then(std::ffi::OsStr::to_str);
            authz::serve_edge(listen, revoked.unwrap_or_default())
        }
        ["authz-null", listen, _folder] => authz::serve_null(listen),
        _ => Err("a child is given a kind, an address and a folder".into()),
    }
}

/// Lets this process have as many connections as the machine permits.
pub(crate) fn raise_file_limit() -> Fallible<()> {
    use rustix::process::{Resource, getrlimit, setrlimit};
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    Ok(setrlimit(Resource::Nofile, limit)?)
}

/// Answers the parent until it has nothing more to ask: `usage` here, every other word by `ask`.
pub(crate) fn obey(port: u16, mut ask: impl FnMut(&[&str]) -> Fallible<Vec<u64>>) -> Fallible<()> {
    say(&[u64::from(port)])?;
    for line in std::io::stdin().lock().lines() {
        let line = line?;
        let words: Vec<&str> = line.split_whitespace().collect();
        let answer = match words.as_slice() {
            ["usage"] => {
                let memory = measure::memory();
                vec![nanos(measure::process_cpu()), memory.resident_kib, memory.peak_kib]
            }
            other => match ask(other) {
                Ok(answer) => answer,
                // The parent reads no number in it, and shows the line.
                Err(error) => {
                    println!("{}", error.to_string().replace('\n', " "));
                    continue;
                }
            },
        };
        say(&answer)?;
    }
    Ok(())
}

/// A duration as it travels between the processes.
pub(crate) fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

fn say(numbers: &[u64]) -> Fallible<()> {
    let texts: Vec<String> = numbers.iter().map(u64::to_string).collect();
    let mut out = std::io::stdout().lock();
    writeln!(out, "{}", texts.join(" "))?;
    Ok(out.flush()?)
}
