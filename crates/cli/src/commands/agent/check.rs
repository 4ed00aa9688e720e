//! `keywheel agent --check`: looks at everything that a delivery needs, and changes nothing.

use std::path::{Path, PathBuf};

use keywheel_client::{TlsOptions, Token};
use keywheel_deliver::agent::{Consumer, Settings};
use keywheel_deliver::file;
use keywheel_deliver::settings::{
    Attempt, Check, Delivery, FileOptions, Hook, Probe, Reload, Target, WhenOffline,
};
use serde::Serialize;

use super::declared;
use crate::config::agent::{AgentConfig, AgentConsumer};
use crate::exit::Exit;
use crate::failure::{Failure, Outcome};
use crate::invocation::Invocation;
use crate::show::{Line, Piece, Tone};

/// One thing that was looked at.
#[derive(Clone, Debug, Serialize)]
struct Finding {
    what: String,
    ok: bool,
    detail: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    remedy: String,
}

impl Finding {
    fn ok(what: impl Into<String>, detail: impl Into<String>) -> Self {
        Self { what: what.into(), ok: true, detail: detail.into(), remedy: String::new() }
    }

    fn bad(what: impl Into<String>, detail: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { what: what.into(), ok: false, detail: detail.into(), remedy: remedy.into() }
    }
}

/// Looks, and says what was found.
///
/// # Errors
/// When standard output cannot be written.
pub(super) fn run(invocation: &Invocation, config: &AgentConfig) -> Outcome {
    let mut findings = vec![
        Finding::ok("configuration", format!("{} is in order", config.file.display())),
        state_dir(&config.server.state_dir),
    ];
    for consumer in &config.consumers {
        let name = consumer.delivery.consumer.to_string();
        findings.extend(files(&name, &consumer.delivery));
        findings.extend(programs(&name, &consumer.delivery));
        findings.extend(server(config, consumer));
    }
    let is_well = findings.iter().all(|finding| finding.ok);
    if invocation.console.json() {
        invocation.console.value(&findings)?;
    } else {
        invocation.console.lines(&findings.iter().flat_map(lines).collect::<Vec<_>>())?;
    }
    Ok(if is_well { Exit::Done } else { Exit::Failed })
}

fn lines(finding: &Finding) -> Vec<Line> {
    let verdict =
        if finding.ok { Piece::new(Tone::Good, "ok  ") } else { Piece::new(Tone::Bad, "FAIL") };
    let text = format!(" {}: {}", finding.what, finding.detail);
    let mut lines = vec![Line::new(vec![verdict, Piece::new(Tone::Plain, text)])];
    if !finding.remedy.is_empty() {
        let remedy = format!("     remedy: {}", finding.remedy);
        lines.push(Line::new(vec![Piece::new(Tone::Faint, remedy)]));
    }
    lines
}

fn state_dir(path: &Path) -> Finding {
    use std::os::unix::fs::MetadataExt as _;
    let what = "state_dir";
    let nearest = path.ancestors().find(|folder| folder.exists()).unwrap_or(path);
    let writable = rustix::fs::access(nearest, rustix::fs::Access::WRITE_OK).is_ok();
    match std::fs::metadata(path) {
        Ok(facts) if facts.mode() & 0o077 != 0 => Finding::bad(
            what,
            format!(
                "{} may be used by others (mode {:04o})",
                path.display(),
                facts.mode() & 0o7777
            ),
            format!("run: chmod 700 {}", path.display()),
        ),
        _ if !writable => Finding::bad(
            what,
            format!("{} cannot be written", nearest.display()),
            "let the agent's user write it, or name another folder",
        ),
        Ok(_) => Finding::ok(what, format!("{} is the agent's alone", path.display())),
        Err(_) => Finding::ok(what, format!("{} will be made", path.display())),
    }
}

fn files(consumer: &str, delivery: &Delivery) -> Vec<Finding> {
    let mut findings = Vec::new();
    for sink in &delivery.sinks {
        let what = format!("{consumer}/{}", sink.name);
        let (options, looked): (&FileOptions, _) = match &sink.target {
            Target::File { file, .. } => (file, file::read(file).map(|present| present.is_some())),
            Target::Credentials { file, .. } => {
                (file, file::directory::read(file).map(|present| present.is_some()))
            }
            Target::Irreversible(..) => continue,
        };
        let path = options.path.display();
        findings.push(match looked {
            Err(error) => Finding::bad(what, crate::failure::chain(&error), error.remedy()),
            Ok(is_there) => {
                let folder = options.path.parent().unwrap_or(&options.path);
                if rustix::fs::access(folder, rustix::fs::Access::WRITE_OK).is_err() {
                    Finding::bad(
                        what,
                        format!("{} cannot be written", folder.display()),
                        "let the agent's user write it: a file is replaced by a new one beside it",
                    )
                } else if is_there {
                    Finding::ok(what, format!("{path} can be replaced"))
                } else {
                    Finding::ok(what, format!("{path} will be made"))
                }
            }
        });
    }
    findings
}

fn programs(consumer: &str, delivery: &Delivery) -> Vec<Finding> {
    let mut programs: Vec<PathBuf> = Vec::new();
    let mut hook = |hook: &Hook| programs.extend(hook.argv.first().map(PathBuf::from));
    if let WhenOffline::Stop(stop) = &delivery.when_offline {
        hook(stop);
    }
    let of_probe = |probe: &Probe| match &probe.attempt {
        Attempt::Command { hook, .. } => Some(hook.clone()),
        _ => None,
    };
    for sink in &delivery.sinks {
        if let Target::Irreversible(command, _) = &sink.target {
            hook(command);
        }
        match &sink.check {
            Some(Check::Command(command)) => hook(command),
            Some(Check::Nginx(nginx)) => hook(&Hook {
                argv: vec![nginx.program.display().to_string()],
                timeout: keywheel_core::time::Span::ZERO,
                kill_after: keywheel_core::time::Span::ZERO,
            }),
            None => {}
        }
        for reload in &sink.reload {
            match reload {
                Reload::Command(command) => hook(command),
                Reload::Rolling { restart, ready, .. } => {
                    hook(restart);
                    ready.iter().filter_map(of_probe).for_each(|command| hook(&command));
                }
                Reload::Signal { .. } | Reload::Http { .. } => {}
            }
        }
        sink.probes.iter().filter_map(of_probe).for_each(|command| hook(&command));
    }
    delivery.probes.iter().filter_map(of_probe).for_each(|command| hook(&command));
    programs.sort();
    programs.dedup();
    programs.iter().map(|program| self::program(consumer, program)).collect()
}

fn program(consumer: &str, program: &Path) -> Finding {
    let runs = |path: &Path| {
        path.is_file() && rustix::fs::access(path, rustix::fs::Access::EXEC_OK).is_ok()
    };
    let found = if program.is_absolute() {
        runs(program).then(|| program.to_owned())
    } else {
        let path = std::env::var_os("PATH").unwrap_or_default();
        std::env::split_paths(&path).map(|folder| folder.join(program)).find(|path| runs(path))
    };
    match found {
        Some(path) => Finding::ok(consumer, format!("{} can be run", path.display())),
        None => Finding::bad(
            consumer,
            format!("{} cannot be run", program.display()),
            "install it, correct its path, or make it executable",
        ),
    }
}

fn server(config: &AgentConfig, consumer: &AgentConsumer) -> Vec<Finding> {
    let name = consumer.delivery.consumer.to_string();
    // A standalone agent is the server, and makes the tokens.
    let (Some(url), Some(token_file)) = (&config.server.url, &consumer.token_file) else {
        return Vec::new();
    };
    if let Err(error) = Token::from_file(token_file) {
        return vec![Finding::bad(name, crate::failure::chain(&error), "see docs/how-to")];
    }
    let settings = Settings {
        endpoint: url.clone(),
        tls: TlsOptions { ca_file: config.server.ca_file.clone() },
        state_dir: config.server.state_dir.clone(),
    };
    let consumer = Consumer { token_file: token_file.clone(), delivery: consumer.delivery.clone() };
    match declared::look(&settings, &consumer) {
        Ok(misfits) if misfits.is_empty() => {
            vec![Finding::ok(name, "the server answers, and declares it")]
        }
        Ok(misfits) => misfits
            .into_iter()
            .map(|misfit| Finding::bad(name.clone(), misfit.cause, misfit.remedy))
            .collect(),
        Err(Failure { cause, remedy, .. }) => vec![Finding::bad(name, cause, remedy)],
    }
}
