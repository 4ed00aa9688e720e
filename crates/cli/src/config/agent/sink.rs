//! One place that is written, settled from the file: what kind it is, where it stands, who may read
//! it.

use std::collections::BTreeMap;
use std::path::PathBuf;

use keywheel_core::id::RingName;
use keywheel_deliver::settings::{
    BACKUPS_MAX, Content, EnvFile, EnvReaders, FileOptions, NginxInclude, Owner, Sink, Take,
    Target, Template,
};

use super::act::{self, HookFields};
use super::place::{Place, count};
use super::probe::probes;
use super::raw::RawSink;
use super::take::{self, Names};

const MODE_SECRET: u32 = 0o600;
const MODE_PUBLIC: u32 = 0o644;
const BACKUPS: u8 = 1;

pub(super) fn sink(mut raw: RawSink, mut at: Place<'_, '_>) -> Option<Sink> {
    let kinds = [
        raw.file.is_some(),
        raw.env_file.is_some(),
        raw.json.is_some(),
        raw.template.is_some(),
        raw.nginx.is_some(),
        raw.jwks.is_some(),
        raw.credentials.is_some(),
        raw.command.is_some(),
    ];
    if count(&kinds) != 1 {
        at.fault(
            "",
            "needs exactly one of file, env_file, json, template, nginx, jwks, credentials and \
             command",
            "write one [[consumer.sink]] for each",
        );
        return None;
    }
    let name_fits = !raw.name.is_empty()
        && raw.name.len() <= 64
        && raw.name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.'));
    if !name_fits {
        at.fault(
            "name",
            format!("`{}` cannot name a sink", raw.name),
            "use 1 to 64 letters, digits, `-`, `_` or `.`",
        );
    }
    strays(&raw, &mut at);
    let reload = act::reloads(std::mem::take(&mut raw.reload), &mut at);
    let sink_probes = probes("probe", std::mem::take(&mut raw.probe), &mut at);
    let check = raw.check.take().map(|check| act::check(check, at.under(&["check"])));
    let name = raw.name.clone();
    let target = target(raw, &mut at);
    let check = match check {
        Some(None) => return None,
        Some(Some(check)) => Some(check),
        None => None,
    };
    Some(Sink { name, target: target?, check, reload, probes: sink_probes })
}

/// Fields that belong to another kind of sink.
fn strays(raw: &RawSink, at: &mut Place<'_, '_>) {
    let takes_set = raw.env_file.is_some()
        || raw.json.is_some()
        || raw.nginx.is_some()
        || raw.credentials.is_some()
        || raw.command.is_some();
    let takes_rings = raw.jwks.is_some() || raw.template.is_some();
    let is_template = raw.template.is_some();
    let is_command = raw.command.is_some();
    let strays = [
        ("readers", raw.readers.is_some() && raw.env_file.is_none(), "env_file"),
        ("value", raw.value.is_some() && raw.file.is_none(), "file"),
        ("set", !raw.set.is_empty() && !takes_set, "env_file, json, nginx, credentials or command"),
        ("accept", !raw.accept.is_empty() && raw.nginx.is_none(), "nginx"),
        ("rings", !raw.rings.is_empty() && !takes_rings, "jwks or template"),
        ("source", raw.source.is_some() && !is_template, "template"),
        ("text", raw.text.is_some() && !is_template, "template"),
        ("timeout", raw.timeout.is_some() && !is_command, "command"),
        ("kill_after", raw.kill_after.is_some() && !is_command, "command"),
    ];
    for (field, _, owner) in strays.into_iter().filter(|(_, is_stray, _)| *is_stray) {
        at.fault(field, format!("has no meaning without {owner}"), "remove it");
    }
    let of_files = [
        ("mode", raw.mode.is_some()),
        ("owner", raw.owner.is_some()),
        ("backups", raw.backups.is_some()),
        ("danger_world_readable", raw.danger_world_readable),
        ("check", raw.check.is_some()),
    ];
    for (field, _) in of_files.into_iter().filter(|(_, is_there)| *is_there && is_command) {
        at.fault(field, "has no meaning for a command", "remove it");
    }
}

fn target(raw: RawSink, at: &mut Place<'_, '_>) -> Option<Target> {
    if let Some(argv) = raw.command {
        let fields = HookFields {
            argv,
            timeout: raw.timeout.as_deref(),
            kill_after: raw.kill_after.as_deref(),
        };
        let hook = act::hook(fields, &[], at);
        let set = some(take::set(raw.set, Names::Json, at), at);
        return Some(Target::Irreversible(hook?, set));
    }
    let meta = Meta {
        mode: raw.mode,
        owner: raw.owner,
        backups: raw.backups,
        danger_world_readable: raw.danger_world_readable,
    };
    if let Some(path) = raw.credentials {
        let set = some(take::set(raw.set, Names::File, at), at);
        let file = meta.settle("credentials", path, set.values().all(take::is_public), false, at);
        return Some(Target::Credentials { file: file?, set });
    }
    let (field, path, content) = if let Some(path) = raw.file {
        let Some(value) = raw.value else {
            at.fault("value", "is missing", "name the ring: value = \"web-session\"");
            return None;
        };
        ("file", path, Content::Raw(take::take(value, at.under(&["value"]))?))
    } else if let Some(path) = raw.env_file {
        let readers = readers(raw.readers.as_deref(), at);
        let set = some(take::set(raw.set, Names::Env, at), at);
        ("env_file", path, Content::Env(EnvFile { set, readers }))
    } else if let Some(path) = raw.json {
        ("json", path, Content::Json(some(take::set(raw.set, Names::Json, at), at)))
    } else if let Some(path) = raw.nginx {
        let set = take::set(raw.set, Names::Nginx, at);
        let accept = take::accept(raw.accept, at);
        if set.is_empty() && accept.is_empty() {
            at.fault("set", "is empty, and so is accept", "name a variable and its ring");
        }
        ("nginx", path, Content::Nginx(NginxInclude { set, accept }))
    } else if let Some(path) = raw.jwks {
        ("jwks", path, Content::Jwks(rings(&raw.rings, at)))
    } else {
        let template = template(raw.source, raw.text, at)?;
        // What a template shows is known only to the one who wrote it.
        rings(&raw.rings, at);
        ("template", raw.template?, Content::Template(template))
    };
    let is_public = is_public(&content);
    let file = meta.settle(field, path, is_public, matches!(content, Content::Jwks(_)), at);
    Some(Target::File { file: file?, content })
}

fn some(set: BTreeMap<String, Take>, at: &mut Place<'_, '_>) -> BTreeMap<String, Take> {
    if set.is_empty() {
        at.fault("set", "names nothing that could be written", "name a variable and its ring");
    }
    set
}

/// The rings that a sink names by itself rather than in takes.
pub(super) fn rings(raw: &[String], at: &mut Place<'_, '_>) -> Vec<RingName> {
    if raw.is_empty() {
        at.fault("rings", "is missing", "name the rings");
    }
    let mut rings: Vec<RingName> = Vec::new();
    for name in raw {
        match at.ring("rings", name) {
            Some(ring) if rings.contains(&ring) => {
                at.fault("rings", format!("names {ring} twice"), "name each ring once");
            }
            Some(ring) => rings.push(ring),
            None => {}
        }
    }
    rings
}

fn template(
    source: Option<PathBuf>,
    text: Option<String>,
    at: &mut Place<'_, '_>,
) -> Option<Template> {
    match (source, text) {
        (Some(path), None) => at.path("source", path).map(Template::File),
        (None, Some(text)) => Some(Template::Inline(text)),
        _ => {
            at.fault("source", "needs to be there, or text instead of it", "keep exactly one");
            None
        }
    }
}

fn readers(raw: Option<&str>, at: &mut Place<'_, '_>) -> EnvReaders {
    match raw.unwrap_or("any") {
        "any" => EnvReaders::Any,
        "unquoting" => EnvReaders::Unquoting,
        "literal" => EnvReaders::Literal,
        other => {
            let remedy = "use any, unquoting or literal";
            at.fault("readers", format!("`{other}` is unknown"), remedy);
            EnvReaders::Any
        }
    }
}

fn is_public(content: &Content) -> bool {
    match content {
        Content::Raw(take) => take::is_public(take),
        Content::Env(file) => file.set.values().all(take::is_public),
        Content::Json(set) => set.values().all(take::is_public),
        Content::Nginx(include) => {
            include.set.values().all(take::is_public)
                && include.accept.values().all(|accept| take::is_public(&accept.take))
        }
        Content::Jwks(_) => true,
        Content::Template(_) => false,
    }
}

/// Everything about a file but where it is and what stands in it.
struct Meta {
    mode: Option<String>,
    owner: Option<String>,
    backups: Option<u8>,
    danger_world_readable: bool,
}

impl Meta {
    fn settle(
        self,
        field: &str,
        path: PathBuf,
        is_public: bool,
        is_for_all: bool,
        at: &mut Place<'_, '_>,
    ) -> Option<FileOptions> {
        let path = at.path(field, path);
        let default = if is_for_all { MODE_PUBLIC } else { MODE_SECRET };
        let mode = self.mode(default, is_public, at);
        let owner = match self.owner.as_deref().map(|text| owner(text, at)) {
            Some(None) => return None,
            Some(owner) => owner,
            None => None,
        };
        let backups = self.backups.unwrap_or(BACKUPS);
        if backups > BACKUPS_MAX {
            at.fault(
                "backups",
                format!("{backups} is more than {BACKUPS_MAX}"),
                "each of them holds former secrets; keep as few as you need",
            );
        }
        Some(FileOptions { path: path?, mode, owner, backups })
    }

    fn mode(&self, default: u32, is_public: bool, at: &mut Place<'_, '_>) -> u32 {
        let Some(text) = self.mode.as_deref() else { return default };
        let mode = match u32::from_str_radix(text, 8) {
            Ok(mode) if mode <= 0o777 && text.len() <= 5 => mode,
            _ => {
                at.fault(
                    "mode",
                    format!("`{text}` is no permission in octal"),
                    "write it as chmod takes it, such as \"0600\" or \"0640\"",
                );
                return default;
            }
        };
        if mode & 0o400 == 0 {
            at.fault("mode", format!("{text} keeps the owner from reading"), "add 0400");
        }
        if mode & 0o022 != 0 {
            at.fault("mode", format!("{text} lets others write the file"), "take 0022 away");
        }
        if mode & 0o004 != 0 && !is_public && !self.danger_world_readable {
            at.fault(
                "mode",
                format!("{text} lets everybody on this host read secrets"),
                "use \"0640\" with a group in owner; or, where that cannot be, say so with \
                 danger_world_readable = true",
            );
        }
        mode
    }
}

fn owner(text: &str, at: &mut Place<'_, '_>) -> Option<Owner> {
    let (user, group) = match text.split_once(':') {
        Some((user, group)) => (user, Some(group)),
        None => (text, None),
    };
    let fits = |name: &str| {
        !name.is_empty()
            && name.len() <= 64
            && name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '$'))
    };
    if fits(user) && group.is_none_or(fits) {
        return Some(Owner { user: user.to_owned(), group: group.map(str::to_owned) });
    }
    at.fault("owner", format!("`{text}` is no owner"), "write user or user:group");
    None
}
