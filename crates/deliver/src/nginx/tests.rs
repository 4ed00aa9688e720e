//! Against a real nginx, each test with its own in a folder of its own.

use std::fs::Permissions;
use std::io::{Read as _, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

use super::*;
use crate::redact::Redactor;
use crate::settings::Nginx;

const PATIENCE: Duration = Duration::from_mins(3);
const LOOK: Duration = Duration::from_millis(10);
const SECRET: &str = "Zm9vYmFyYmF6cXV4Zm9vYmFy";

/// Waits for something.
fn until<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let mut left = PATIENCE;
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(!left.is_zero(), "waited in vain until {what}");
        // tidy: sleeps because processes of nginx offer no event to wait for.
        std::thread::sleep(LOOK);
        left = left.saturating_sub(LOOK);
    }
}

fn program() -> PathBuf {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders =
        std::env::split_paths(&path).chain(["/usr/sbin".into(), "/usr/local/sbin".into()]);
    let mut programs = folders.map(|folder| folder.join("nginx"));
    programs.find(|program| program.is_file()).expect("nginx is installed: cargo xtask prepare")
}

/// A folder with a configuration of nginx, and nginx once it is started; ended when dropped.
struct Site {
    folder: tempfile::TempDir,
    running: Option<Child>,
}

/// A configuration that keeps everything in its folder and answers on a socket.
fn main_file(folder: &Path, http: &str) -> String {
    let at = folder.display();
    let temp = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
        .map(|name| format!("    {name}_temp_path {at}/temp-{name};\n"))
        .concat();
    format!(
        "pid {at}/nginx.pid;\nerror_log {at}/error.log;\nworker_processes 2;\n\
         events {{ worker_connections 64; }}\nhttp {{\n    access_log off;\n{temp}{http}\n}}\n"
    )
}

impl Site {
    fn new(http: &str, files: &[(&str, &str)]) -> Self {
        let folder = tempfile::Builder::new().prefix("kw").tempdir().unwrap();
        let site = Self { folder, running: None };
        site.write(
            "nginx.conf",
            &main_file(site.folder.path(), &http.replace("[DIR]", &site.root())),
        );
        for (name, text) in files {
            site.write(name, text);
        }
        site
    }

    fn root(&self) -> String {
        self.folder.path().display().to_string()
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn write(&self, name: &str, text: &str) {
        std::fs::create_dir_all(self.path(name).parent().unwrap()).unwrap();
        std::fs::write(self.path(name), text).unwrap();
    }

    fn nginx(&self) -> Nginx {
        Nginx {
            program: program(),
            config: self.path("nginx.conf"),
            pid_file: self.path("nginx.pid"),
        }
    }

    /// Checks a text for a target; an error is its cause and remedy, without this folder's name.
    fn check(&self, target: &str, text: &str) -> Result<(), String> {
        let target = self.path(target);
        let staged = target.with_file_name(".staged-for-test");
        std::fs::write(&staged, text).unwrap();
        let before = self.all();
        let checked = check_staged(&self.nginx(), &target, &staged, &Redactor::none(), &|| false);
        assert_eq!(self.all(), before, "the test left something behind");
        std::fs::remove_file(&staged).unwrap();
        checked
            .map_err(|error| format!("{error}; {}", error.remedy()).replace(&self.root(), "[DIR]"))
    }

    /// Every file's name, but what nginx makes for itself.
    fn all(&self) -> Vec<PathBuf> {
        let mut found = Vec::new();
        let mut folders = vec![self.folder.path().to_owned()];
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).unwrap().flatten() {
                let name = entry.file_name().into_string().unwrap();
                if entry.file_type().unwrap().is_dir() {
                    folders.push(entry.path());
                } else if !name.starts_with("error.log") && name != "nginx.pid" {
                    found.push(entry.path());
                }
            }
        }
        found.sort();
        found
    }

    fn start(&mut self) {
        let mut command = Command::new(program());
        command.args(["-e", "stderr", "-g", "daemon off;", "-c"]).arg(self.path("nginx.conf"));
        let child = command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        self.running = Some(child);
        until("nginx has its workers", || {
            let now = Reloading::about_to(&self.nginx());
            let workers = old_workers(&self.nginx(), Some(&now)).ok()?;
            (workers.len() == 2).then_some(())
        });
    }

    fn signal(&self, signal: Signal) {
        let child = self.running.as_ref().unwrap();
        kill_process(Pid::from_child(child), signal).unwrap();
    }

    /// Asks for a reload, and waits until it was taken or never will be.
    fn reload(&self) -> (Reloading, Result<Taken, WorkersError>) {
        let nginx = self.nginx();
        let reloading = Reloading::about_to(&nginx);
        self.signal(Signal::HUP);
        let result = until("the reload is over", || match reloading.taken(&nginx, &hide()) {
            Err(error) if !error.is_final() => None,
            result => Some(result),
        });
        (reloading, result)
    }

    fn body(&self) -> String {
        let mut stream = UnixStream::connect(self.path("site.sock")).unwrap();
        stream.write_all(b"GET / HTTP/1.0\r\n\r\n").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer.rsplit("\r\n").next().unwrap().to_owned()
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        if let Some(mut child) = self.running.take() {
            let _ = kill_process(Pid::from_child(&child), Signal::TERM);
            let mut looks = 0;
            // It hears nothing while it stands at a gate.
            while looks < 200 && child.try_wait().is_ok_and(|ended| ended.is_none()) {
                looks += 1;
                // tidy: sleeps because a process of its own offers no event to wait for.
                std::thread::sleep(LOOK);
            }
            // Workers outlive a master that is killed.
            let pid = child.id();
            let workers = std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children"));
            let _ = child.kill();
            let _ = child.wait();
            let workers = workers.unwrap_or_default();
            for worker in workers.split_whitespace().filter_map(|pid| pid.parse().ok()) {
                let _ = Pid::from_raw(worker).map(|pid| kill_process(pid, Signal::KILL));
            }
        }
    }
}

fn hide() -> Redactor {
    let mut hide = Redactor::none();
    hide.hide(SECRET.as_bytes());
    hide
}

const SERVER: &str = "    server {
        listen unix:[DIR]/site.sock;
        include key.conf;
        location / { return 200 $key; }
    }";

#[test]
fn a_good_include_passes_also_before_it_exists() {
    let site = Site::new(SERVER, &[]);
    assert_eq!(site.check("key.conf", "set $key \"one\";\n"), Ok(()));
    site.write("key.conf", "nonsense");
    assert_eq!(site.check("key.conf", "set $key \"one\";\n"), Ok(()));
    // The whole configuration may be what is written.
    let main = std::fs::read_to_string(site.path("nginx.conf")).unwrap();
    assert_eq!(site.check("nginx.conf", &main.replace("include key.conf;", "set $key a;")), Ok(()));
}

#[test]
fn a_bad_include_is_refused_in_terms_of_the_present_files_and_without_secrets() {
    let site = Site::new(SERVER, &[("key.conf", "set $key \"old\";\n")]);
    let cases = [
        (
            format!("\nset \"{SECRET}\" a;\n"),
            "invalid variable name \"[hidden]\" in [DIR]/key.conf:2",
        ),
        (format!("frob \"{SECRET}\";\n"), "unknown directive \"frob\" in [DIR]/key.conf:1"),
        // The part after `$` is a variable to nginx, and nobody would know it for a secret.
        (format!("set $key \"a${SECRET}\";\n"), "unknown \"[hidden]\" variable"),
    ];
    for (text, said) in cases {
        let told = site.check("key.conf", &text).unwrap_err();
        let expected =
            format!("nginx refuses the configuration with the new [DIR]/key.conf: {said};");
        assert!(told.starts_with(&expected), "{told}");
        assert!(!told.contains(SECRET.get(..8).unwrap()), "{told}");
    }
    let told = site.check("key.conf", &format!("set $key \"{SECRET}\n")).unwrap_err();
    assert_eq!(
        told,
        "the new content of [DIR]/key.conf is no configuration: line 1, column 10: the quote that \
         opens here is never closed; close the quote, or write a quote within text as \\\" or \\'"
    );
}

#[test]
fn a_fault_elsewhere_is_named_where_it_stands() {
    let site = Site::new(SERVER, &[("key.conf", "set $key \"old\";\n")]);
    let main = std::fs::read_to_string(site.path("nginx.conf")).unwrap();
    site.write("nginx.conf", &format!("{main}frob;\n"));
    let told = site.check("key.conf", "set $key \"one\";\n").unwrap_err();
    let line = main.lines().count() + 1;
    let expected = format!("unknown directive \"frob\" in [DIR]/nginx.conf:{line};");
    assert!(told.contains(&expected), "{told}");
}

#[test]
fn the_file_stands_in_at_the_end_of_a_chain() {
    let site = Site::new(
        "    include sites-enabled/*;",
        &[
            ("sites-available/b", "server { listen unix:[DIR]/b.sock; include keys/*.conf; }"),
            ("keys/a.conf", "set $a 1;\n"),
            ("keys/z.conf", "set $z $key;\n"),
        ],
    );
    let b = std::fs::read_to_string(site.path("sites-available/b")).unwrap();
    site.write("sites-available/b", &b.replace("[DIR]", &site.root()));
    std::fs::create_dir(site.path("sites-enabled")).unwrap();
    std::os::unix::fs::symlink("../sites-available/b", site.path("sites-enabled/b")).unwrap();
    assert_eq!(site.check("keys/key.conf", "set $key \"one\";\n"), Ok(()));
    // Its place among the others is that of its name: after a.conf, before z.conf.
    let told = site.check("keys/zz.conf", "set $other \"$a\";\n").unwrap_err();
    assert!(told.contains("unknown \"key\" variable"), "{told}");
    let told = site.check("keys/key.conf", "set $key;\n").unwrap_err();
    assert!(
        told.contains("number of arguments in \"set\" directive in [DIR]/keys/key.conf:1"),
        "{told}"
    );
}

#[test]
fn a_file_that_nothing_includes_is_refused() {
    let site = Site::new(SERVER, &[("key.conf", "set $key \"old\";\n")]);
    assert_eq!(
        site.check("other.conf", "set $key \"one\";\n").unwrap_err(),
        "no include of [DIR]/nginx.conf leads to [DIR]/other.conf: nginx would not read it (2 files \
         looked at); write `include [DIR]/other.conf;` where it belongs, or name the main file that \
         nginx runs with"
    );
}

#[test]
fn nothing_is_left_behind_when_the_test_cannot_be_made() {
    let site = Site::new(SERVER, &[("key.conf", "")]);
    site.write(".nginx.conf.keywheel-check-4294967295-7", "from a test that was killed");
    let staged = site.path("staged");
    std::fs::write(&staged, "set $key a;").unwrap();
    let nginx = Nginx { program: site.path("no-nginx"), ..site.nginx() };
    let checked = check_staged(&nginx, &site.path("key.conf"), &staged, &hide(), &|| false);
    assert!(matches!(checked, Err(CheckError::Hook(_))));
    let names = ["key.conf", "nginx.conf", "staged"].map(|name| site.path(name));
    assert_eq!(site.all(), names);
    let stopped = check_staged(&site.nginx(), &site.path("key.conf"), &staged, &hide(), &|| true);
    // It may also be over before it is asked to stop.
    assert!(matches!(stopped, Err(CheckError::Hook(_)) | Ok(())));
    assert_eq!(site.all(), names);
}

#[test]
fn a_reload_that_is_taken_has_new_workers_only() {
    let mut site = Site::new(SERVER, &[("key.conf", "set $key \"one\";\n")]);
    site.start();
    assert_eq!(site.body(), "one");
    site.write("key.conf", "set $key \"two\";\n");
    let (reloading, result) = site.reload();
    let workers = result.unwrap().workers;
    assert_eq!(workers.len(), 2);
    assert_eq!(site.body(), "two");
    assert_eq!(old_workers(&site.nginx(), Some(&reloading)).unwrap(), []);
    // Before the next reload, those very workers are the old ones.
    let next = Reloading::about_to(&site.nginx());
    let old = old_workers(&site.nginx(), Some(&next)).unwrap();
    assert_eq!(old.iter().map(|worker| worker.pid).collect::<Vec<_>>(), workers);
}

#[test]
fn a_reload_of_others_is_waited_for() {
    let http =
        SERVER.replace("include key.conf;", "include key.conf; include gate; include gate2;");
    let files = [("key.conf", "set $key \"one\";\n"), ("gate", ""), ("gate2", "")];
    let mut site = Site::new(&http, &files);
    site.start();
    // From now on nginx stops at each gate until somebody opens it.
    for gate in ["gate", "gate2"] {
        std::fs::remove_file(site.path(gate)).unwrap();
        let pipe = rustix::fs::FileType::Fifo;
        rustix::fs::mknodat(rustix::fs::CWD, site.path(gate), pipe, 0o600.into(), 0).unwrap();
    }
    let open = |gate: &str| drop(std::fs::OpenOptions::new().write(true).open(site.path(gate)));
    let first = Reloading::about_to(&site.nginx());
    site.signal(Signal::HUP);
    open("gate");
    // It has read the former key, and stands at the second gate.
    site.write("key.conf", "set $key \"two\";\n");
    let nginx = site.nginx();
    let looking = std::thread::spawn(move || Reloading::about_to(&nginx));
    for _ in 0..20 {
        assert!(!looking.is_finished(), "what others asked for is still going on");
        assert!(matches!(first.taken(&site.nginx(), &hide()), Err(WorkersError::Busy { .. })));
        // tidy: sleeps because that nothing happens is no event.
        std::thread::sleep(LOOK);
    }
    open("gate2");
    let second = looking.join().unwrap();
    until("the workers with the former key are there", || first.taken(&site.nginx(), &hide()).ok());
    assert_eq!(site.body(), "one");
    assert!(second.taken(&site.nginx(), &hide()).is_err(), "they are not what was asked for");
    site.signal(Signal::HUP);
    open("gate");
    open("gate2");
    until("the reload is taken", || second.taken(&site.nginx(), &hide()).ok());
    assert_eq!(site.body(), "two");
}

#[test]
fn a_reload_that_kept_the_old_configuration_is_caught() {
    let mut site = Site::new(SERVER, &[("key.conf", "set $key \"one\";\n")]);
    site.start();
    site.write("key.conf", &format!("set \"{SECRET}\" two;\n"));
    let (_, result) = site.reload();
    let error = result.unwrap_err();
    let told = error.to_string().replace(&site.root(), "[DIR]");
    assert!(
        told.contains("did not take the reload")
            && told.ends_with("says: invalid variable name \"[hidden]\" in [DIR]/key.conf:1"),
        "{told}"
    );
    assert_eq!(site.body(), "one");
    // What is mended is taken, and the former complaint is not mistaken for a new one.
    site.write("key.conf", "set $key \"two\";\n");
    assert!(site.reload().1.is_ok());
    assert_eq!(site.body(), "two");
}

#[test]
fn an_old_worker_is_named_until_its_last_connection_ends() {
    let http = "    server {
        listen unix:[DIR]/site.sock;
        include key.conf;
        location / { proxy_pass http://unix:[DIR]/upstream.sock; }
    }";
    let mut site = Site::new(http, &[("key.conf", "set $key \"one\";\n")]);
    let upstream = UnixListener::bind(site.path("upstream.sock")).unwrap();
    std::fs::set_permissions(site.path("upstream.sock"), Permissions::from_mode(0o777)).unwrap();
    std::fs::set_permissions(site.path("."), Permissions::from_mode(0o755)).unwrap();
    site.start();
    let mut held = UnixStream::connect(site.path("site.sock")).unwrap();
    held.write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").unwrap();
    let (answering, _) = upstream.accept().unwrap();

    let nginx = site.nginx();
    let reloading = Reloading::about_to(&nginx);
    site.signal(Signal::HUP);
    // A worker says that it is shutting down once it has heard of it.
    let (old, told) = until("one old worker is left, and ends", || {
        let Err(WorkersError::Old { workers }) = reloading.taken(&nginx, &hide()) else {
            return None;
        };
        let told = WorkersError::Old { workers: workers.clone() }.to_string();
        let is_ending = workers.len() == 1 && told.ends_with("old, shutting down)");
        is_ending.then_some((workers, told))
    });
    assert!(told.contains(&old[0].pid.to_string()), "{told}");
    assert_eq!(old_workers(&nginx, None).unwrap().len(), 1);
    drop((answering, held));
    until("it has ended", || reloading.taken(&nginx, &hide()).ok());
    assert_eq!(old_workers(&nginx, None).unwrap(), []);
}

#[test]
fn what_is_no_master_is_not_taken_for_one() {
    let site = Site::new(SERVER, &[]);
    let told =
        || old_workers(&site.nginx(), None).unwrap_err().to_string().replace(&site.root(), "");
    assert_eq!(told(), "nginx does not run: /nginx.pid cannot be read (entity not found)");
    for (text, why) in [
        ("x\n", "/nginx.pid holds no process id"),
        ("-1\n", "/nginx.pid holds no process id"),
        ("2147483647\n", "/nginx.pid names process 2147483647, which does not exist"),
        ("1\n", "/nginx.pid names process 1, which is no master of nginx"),
    ] {
        site.write("nginx.pid", text);
        assert_eq!(told(), format!("nginx does not run: {why}"));
    }
    let long = "1".repeat(100);
    site.write("nginx.pid", &long);
    assert_eq!(told(), "nginx does not run: /nginx.pid holds no process id");
    assert!(Reloading::about_to(&site.nginx()).taken(&site.nginx(), &hide()).is_err());
}
