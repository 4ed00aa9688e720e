//! What the tests need from the machine, and how it gets there: Debian packages and one Python
//! environment. Nothing is asked of the network while everything is in place.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::failure::Failure;
use crate::process::{run, succeeds};

/// How to see that a package is already there, whoever installed it.
enum Probe {
    /// A program answers to `--version` (or `-V`).
    Program(&'static str),
    /// A file of which the compiler knows the place.
    CompilerFile(&'static str),
    /// Python modules can be imported.
    PythonModules(&'static str),
    /// The header with which C is compiled for `python3`.
    PythonHeader,
    /// A file exists.
    File(&'static str),
}

/// A Debian package, how to see that it is there, and why it is needed.
struct Package {
    name: &'static str,
    probe: Probe,
    why: &'static str,
}

/// Packages that not every release of Debian has; without one, its test has nothing to look at.
const OPTIONAL: &[&str] = &["postgresql-15-cron"];

#[rustfmt::skip]
const PACKAGES: &[Package] = &[
    Package { name: "ca-certificates", probe: Probe::File("/etc/ssl/certs/ca-certificates.crt"),
              why: "cargo and pip download over TLS" },
    Package { name: "gcc", probe: Probe::Program("cc"),
              why: "links, and builds aws-lc and SQLite" },
    Package { name: "libc6-dev", probe: Probe::CompilerFile("crt1.o"), why: "the same" },
    Package { name: "g++", probe: Probe::Program("c++"), why: "builds libFuzzer" },
    Package { name: "make", probe: Probe::Program("make"), why: "drives the cmake builds" },
    Package { name: "cmake", probe: Probe::Program("cmake"),
              why: "builds aws-lc where cc alone cannot" },
    Package { name: "git", probe: Probe::Program("git"), why: "tells tidy which files are ours" },
    Package { name: "openssl", probe: Probe::Program("openssl"),
              why: "makes keys and certificates that keywheel did not make itself" },
    Package { name: "procps", probe: Probe::Program("ps"),
              why: "a test looks for secrets in the process list" },
    Package { name: "python3", probe: Probe::Program("python3"), why: "runs schemathesis" },
    Package { name: "nginx", probe: Probe::File("/usr/sbin/nginx"),
              why: "is a consumer that cannot speak; tests start their own" },
    Package { name: "wrk", probe: Probe::Program("wrk"), why: "puts it under load" },
    Package { name: "redis-server", probe: Probe::Program("redis-server"),
              why: "is a broker of Celery, and is asked what was revoked, to compare" },
    Package { name: "postgresql", probe: Probe::File("/usr/share/doc/postgresql"),
              why: "is a database whose definitions the scanner reads; tests start their own" },
    Package { name: "postgresql-15-cron",
              probe: Probe::File("/usr/share/postgresql/15/extension/pg_cron.control"),
              why: "keeps jobs in it, which are definitions too" },
    Package { name: "gnupg", probe: Probe::Program("gpg"),
              why: "writes messages that must open here, and reads those that are sealed here" },
    Package { name: "nodejs", probe: Probe::Program("node"),
              why: "runs the verifiers of others that are written for it" },
    Package { name: "npm", probe: Probe::Program("npm"), why: "installs them" },
    Package { name: "python3-venv", probe: Probe::PythonModules("venv, ensurepip"),
              why: "keeps it apart from the system's Python" },
    Package { name: "python3-dev", probe: Probe::PythonHeader,
              why: "pip builds uWSGI from its sources" },
];

/// Packages that start a service when they are installed, which nobody asked for here.
const SERVICES: &[(&str, &str)] = &[
    ("nginx", "nginx.service"),
    ("redis-server", "redis-server.service"),
    ("postgresql", "postgresql.service"),
];

/// Where systemd keeps its state while it runs.
const SYSTEMD: &str = "/run/systemd/system";

impl Probe {
    fn finds(&self) -> bool {
        match self {
            Self::Program(name) => on_path(name),
            Self::CompilerFile(name) => {
                let asked = Command::new("cc").arg(format!("-print-file-name={name}")).output();
                // The compiler echoes the bare name when it does not know the file.
                asked.is_ok_and(|answer| {
                    Path::new(String::from_utf8_lossy(&answer.stdout).trim()).is_absolute()
                })
            }
            Self::PythonModules(names) => {
                succeeds(Command::new("python3").args(["-c", &format!("import {names}")]))
            }
            Self::PythonHeader => succeeds(Command::new("python3").args([
                "-c",
                "import os, sysconfig; os.stat(sysconfig.get_path('include') + '/Python.h')",
            ])),
            Self::File(path) => Path::new(path).exists(),
        }
    }
}

/// Whether a program stands on the search path.
fn on_path(name: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|folder| folder.join(name).is_file())
}

/// Installs the Debian packages that the machine lacks.
pub(crate) fn packages() -> Result<(), Failure> {
    let missing: Vec<&Package> = PACKAGES.iter().filter(|package| !package.probe.finds()).collect();
    if missing.is_empty() {
        println!("every package is there");
        return Ok(());
    }
    for package in &missing {
        println!("missing: {} ({})", package.name, package.why);
    }
    let names: Vec<&str> = missing.iter().map(|package| package.name).collect();
    let by_hand = format!("as root, run: apt-get update && apt-get install -y {}", names.join(" "));
    if !on_path("apt-get") {
        return Err(Failure::machine(
            "this is not a Debian machine (there is no apt-get), and packages are missing",
            format!("install the counterparts of: {}", names.join(" ")),
        ));
    }
    let root = succeeds(Command::new("sh").args(["-c", "test \"$(id -u)\" = 0"]));
    if !root && !succeeds(Command::new("sudo").args(["-n", "true"])) {
        return Err(Failure::machine(
            "packages are missing and this user may not install",
            by_hand,
        ));
    }
    let apt = |words: &[&str]| {
        let mut command = Command::new(if root { "env" } else { "sudo" });
        if !root {
            command.args(["-n", "env"]);
        }
        command.args(["DEBIAN_FRONTEND=noninteractive", "apt-get", "-q"]).args(words);
        run(&mut command).map_err(|failure| {
            Failure::machine(
                format!("packages could not be installed: {}", failure.cause),
                format!("check the network and the package sources, then, {by_hand}"),
            )
        })
    };
    apt(&["update"])?;
    let is_known = |name: &&str| {
        !OPTIONAL.contains(name) || succeeds(Command::new("apt-cache").args(["show", name]))
    };
    let names: Vec<&str> = names.into_iter().filter(is_known).collect();
    if names.is_empty() {
        return Ok(());
    }
    let mut install = vec!["install", "-y", "--no-install-recommends"];
    install.extend(&names);
    without_services(&names, root, || apt(&install))
}

/// Installs while the services of these packages are masked, so that none takes a port now or at
/// the next boot. Where no systemd runs, as in containers, policy keeps services from starting.
fn without_services(
    names: &[&str],
    root: bool,
    install: impl FnOnce() -> Result<(), Failure>,
) -> Result<(), Failure> {
    let services = SERVICES.iter().filter(|(package, _)| names.contains(package));
    let services: Vec<&str> = services.map(|(_, service)| *service).collect();
    if services.is_empty() || !Path::new(SYSTEMD).exists() {
        return install();
    }
    let systemctl = |words: &[&str]| {
        let mut command = Command::new(if root { "systemctl" } else { "sudo" });
        if !root {
            command.args(["-n", "systemctl"]);
        }
        let done = succeeds(command.args(words).args(&services));
        if !done {
            println!("systemctl {} failed for {}", words.join(" "), services.join(" "));
        }
    };
    systemctl(&["mask", "--runtime"]);
    let installed = install();
    systemctl(&["disable"]);
    systemctl(&["unmask", "--runtime"]);
    installed
}

/// Installs what the verifiers for Node need under the target directory, or finds it installed from
/// the same list, and returns its folder.
pub(crate) fn node(root: &Path, target: &Path) -> Result<PathBuf, Failure> {
    let unwritten = |path: &Path, error: &std::io::Error| {
        Failure::machine(format!("{} cannot be written: {error}", path.display()), "free the disk")
    };
    let list = root.join("crates/cli/tests/jwks/package.json");
    let wanted = std::fs::read_to_string(&list).map_err(|error| {
        Failure::found(
            format!("{} cannot be read: {error}", list.display()),
            "restore the file from the repository",
        )
    })?;
    let folder = target.join("node");
    let stamp = folder.join("made-from.txt");
    if std::fs::read_to_string(&stamp).is_ok_and(|made_from| made_from == wanted) {
        println!("the packages for Node are there");
        return Ok(folder);
    }
    let copy = folder.join("package.json");
    std::fs::create_dir_all(&folder)
        .and_then(|()| std::fs::write(&copy, &wanted))
        .map_err(|error| unwritten(&copy, &error))?;
    let mut npm = Command::new("npm");
    npm.current_dir(&folder).args(["install", "--no-package-lock", "--no-audit", "--no-fund"]);
    run(&mut npm).map_err(|failure| {
        Failure::machine(
            format!("the packages for Node could not be installed: {}", failure.cause),
            "check the network and npm's configuration; the pins stand in \
             crates/cli/tests/jwks/package.json",
        )
    })?;
    std::fs::write(&stamp, wanted).map_err(|error| unwritten(&stamp, &error))?;
    Ok(folder)
}

/// Makes the Python environment under the target directory, or finds it made from the same
/// requirements, and returns its folder.
pub(crate) fn python(root: &Path, target: &Path) -> Result<PathBuf, Failure> {
    let requirements = root.join("xtask/python/requirements.txt");
    let wanted = std::fs::read_to_string(&requirements).map_err(|error| {
        Failure::found(
            format!("{} cannot be read: {error}", requirements.display()),
            "restore the file from the repository",
        )
    })?;
    let venv = target.join("venv");
    let stamp = venv.join("made-from.txt");
    if std::fs::read_to_string(&stamp).is_ok_and(|made_from| made_from == wanted) {
        println!("the Python environment is there");
        return Ok(venv);
    }
    run(Command::new("python3").args(["-m", "venv", "--clear"]).arg(&venv)).map_err(|failure| {
        Failure::machine(
            format!("the Python environment could not be made: {}", failure.cause),
            "install the packages python3 and python3-venv, and check the free space",
        )
    })?;
    let mut pip = Command::new(venv.join("bin/python"));
    pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-input"]);
    run(pip.arg("--requirement").arg(&requirements)).map_err(|failure| {
        Failure::machine(
            format!("the Python packages could not be installed: {}", failure.cause),
            "check the network and pip's configuration; the pins stand in \
             xtask/python/requirements.txt",
        )
    })?;
    std::fs::write(&stamp, wanted).map_err(|error| {
        Failure::machine(format!("{} cannot be written: {error}", stamp.display()), "free the disk")
    })?;
    Ok(venv)
}
