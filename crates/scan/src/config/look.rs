//! From a tree of values to entries: what a name, its value and where it stands mean to Compose,
//! Kubernetes, CI services, Ansible and applications.

use super::judge::{Style, judge_stored, may_be_secret, style_of};
use super::out::{Entry, Out};
use super::tree::{Node, Shape, Tree, joined};
use super::value::{Given, Value, name_length};
use super::{Format, hcl, shell, yaml};
use crate::finding::{Class, Confidence, Source};
use crate::lines;
use crate::rules::Rules;
use crate::site::Sites;
use crate::source::SourceFile;

/// What stands in these speaks to people or about other entries.
const NOT_SETTINGS: &[&str] = &[
    "annotations",
    "description",
    "docs",
    "examples",
    "i18n",
    "labels",
    "extraLabels",
    "locale",
    "locales",
    "matchLabels",
    "messages",
    "securityDefinitions",
    "securitySchemes",
    "selector",
    "translations",
];

/// Items of these are variables of an environment.
const ENVIRONMENTS: &[&str] = &[
    "environment",
    "env",
    "passenv",
    "pass_env",
    "envs",
    "global",
    "matrix",
    "build_args",
    "args",
];

/// Values and items of these are run by a shell.
const SCRIPTS: &[&str] = &[
    "run",
    "script",
    "before_script",
    "after_script",
    "command",
    "commands",
    "cmd",
    "shell",
    "entrypoint",
    "before_install",
    "install",
    "after_success",
    "deploy",
    "user_data",
    "userData",
    "args",
    "runcmd",
    "inline",
    "inlineScript",
    "bash",
];

/// Texts of these have a variable on each line.
const LISTS: &[&str] = &["secrets", "build-args", "secret-envs"];

/// Looks at every value of a file.
pub(super) fn look(tree: &Tree<'_>, out: &mut Out<'_, '_>) {
    if is_schema(tree) {
        return;
    }
    let mut kind = "";
    for (index, node) in tree.nodes() {
        match node.key {
            None if node.parent == 0 && node.shape == Shape::Nothing => kind = "",
            Some("kind") if tree.node(node.parent).parent == 0 => kind = node.value,
            _ => {}
        }
        if kind == "CustomResourceDefinition" {
            continue;
        }
        Looker { tree, kind, index, node, above: tree.above(index) }.look(out);
    }
}

/// Whether a value is what an earlier step of a workflow made, which lives as long as the run.
fn is_of_step(value: &str) -> bool {
    let expression = value.strip_prefix("${{").and_then(|rest| rest.strip_suffix("}}"));
    expression.is_some_and(|text| {
        let text = text.trim();
        (text.starts_with("steps.") || text.starts_with("needs.")) && !text.contains("secrets.")
    })
}

/// Whether the file describes documents or an interface, and configures nothing.
fn is_schema(tree: &Tree<'_>) -> bool {
    tree.children(0).chain(tree.children(1)).any(|(_, node)| match node.key {
        Some("openapi" | "swagger" | "asyncapi") => node.shape != Shape::Nothing,
        Some("$schema") => node.value.contains("json-schema.org"),
        _ => false,
    })
}

struct Looker<'l, 'a> {
    tree: &'l Tree<'a>,
    kind: &'l str,
    index: usize,
    node: &'l Node<'a>,
    above: Vec<&'a str>,
}

impl<'a> Looker<'_, 'a> {
    fn look(&self, out: &mut Out<'_, '_>) {
        // A service may be called `docs` as well as any other.
        let within = self.above.iter().take_while(|key| !ENVIRONMENTS.contains(key));
        if within.into_iter().any(|key| NOT_SETTINGS.contains(key)) {
            return;
        }
        let nearest = self.above.first().copied().unwrap_or_default();
        match self.node.key {
            None => self.item(nearest, out),
            Some(yaml::FILLED_IN) => {}
            // Where a secret is: the entry that takes it is the place.
            Some("key" | "name" | "optional")
                if matches!(nearest, "secretKeyRef" | "secret_key_ref" | "configMapKeyRef") => {}
            Some("secretKeyRef" | "secret_key_ref")
                if self.tree.children(self.index).next().is_none() => {}
            // `JWT_SECRET: { from_secret: jwt }`, of Drone and Woodpecker.
            Some("from_secret") if self.node.shape != Shape::Nothing => {
                let above = self.tree.node(self.node.parent);
                if let Some(name) = above.key {
                    let value = Value::reference(self.node.value, Source::SecretStore);
                    self.entry(above.at, name, value, out);
                }
            }
            // What is mounted is a file's name.
            Some("secret") if self.above.contains(&"volumes") => {}
            Some("name" | "Name" | "key") if self.named_entry(nearest, out) => {}
            Some("value") if self.sibling("key").is_some() => {}
            Some("source") if nearest == "secrets" => {
                let value = Value::from(Source::SecretStore);
                self.entry(self.node.at, self.node.value, value, out);
            }
            Some("value" | "Value") if self.sibling("name").or(self.sibling("Name")).is_some() => {}
            Some("value") if nearest == "output" => {}
            // `type = object({ key = string })`: an attribute of a variable is declared.
            Some(key) if self.above.contains(&"type") && out.rule == Format::Hcl.rule() => {
                self.entry(self.node.at, key, Value::from(Source::Argument), out);
            }
            Some(key) => self.keyed(key, nearest, out),
        }
    }

    fn sibling(&self, key: &str) -> Option<(usize, &Node<'a>)> {
        self.tree.child(self.node.parent, key).filter(|_| self.node.parent != 0)
    }

    fn entry(&self, at: usize, name: &str, value: Value<'_>, out: &mut Out<'_, '_>) -> bool {
        let is_plain = value.references.is_empty()
            && !value.literal.is_some_and(|text| text.contains("-----BEGIN"));
        if is_plain && !may_be_secret(name) {
            return false;
        }
        let style = style_of(name);
        let mut out = out.within(0, out.rule, style);
        out.depth = out.depth.saturating_sub(1);
        out.entry(&Entry { at, name, above: &joined(&self.above), value })
    }

    /// `- name: X` with a value, as lists of variables have them.
    fn named_entry(&self, nearest: &str, out: &mut Out<'_, '_>) -> bool {
        let is_item = self.tree.node(self.node.parent).key.is_none();
        if !is_item || self.node.shape == Shape::Nothing {
            return false;
        }
        let of = |keys: [&str; 3]| keys.iter().find_map(|key| self.sibling(key));
        let value = if let Some((_, value)) = of(["value", "Value", "default"]) {
            given(value, out)
        } else if let Some((index, from)) = of(["valueFrom", "value_from", "valueSource"]) {
            let secret = self.tree.child(index, "secretKeyRef");
            let secret = secret.or_else(|| self.tree.child(index, "secret_key_ref"));
            let key = secret.and_then(|(index, _)| self.tree.child(index, "key"));
            match key {
                // What a template puts there is a name, and none of a key.
                Some((_, key)) if !key.value.contains("{{") => {
                    Value::reference(key.value, Source::SecretStore)
                }
                _ if secret.is_some() || from.shape != Shape::Nothing => {
                    Value::from(Source::SecretStore)
                }
                _ => Value::from(Source::Settings),
            }
        } else if ENVIRONMENTS.contains(&nearest)
            || of(["generateValue", "sync", "generator"]).is_some()
            || self.sibling(yaml::FILLED_IN).is_some()
        {
            Value::from(Source::Unknown)
        } else {
            return false;
        };
        self.entry(self.node.at, self.node.value, value, out);
        true
    }

    fn item(&self, nearest: &str, out: &mut Out<'_, '_>) {
        let Node { value, value_at, shape, .. } = *self.node;
        if shape == Shape::Nothing {
            return;
        }
        let name = value.get(..name_length(value)).unwrap_or_default();
        if let Some(flag) = value.strip_prefix("--").filter(|_| !value.contains(' ')) {
            if let Some((name, value)) = flag.split_once('=') {
                self.entry(value_at, name, Value::of(value), out);
            }
        } else if ENVIRONMENTS.contains(&nearest) && !name.is_empty() {
            match value.get(name.len()..).unwrap_or_default() {
                "" => {
                    self.entry(value_at, name, Value::from(Source::Environment), out);
                }
                rest if nearest == "environment" && rest.starts_with('=') => {
                    let given = rest.get(1..).unwrap_or_default().trim_matches(['"', '\'']);
                    self.entry(value_at, name, Value::of(given), out);
                }
                _ => self.run(out),
            }
        } else if nearest == "literals" && value.contains('=') {
            let (name, given) = value.split_once('=').unwrap_or((value, ""));
            self.entry(value_at, name, Value::of(given), out);
        } else if nearest == "secrets" && name.len() == value.len() {
            self.entry(value_at, name, Value::from(Source::SecretStore), out);
        } else if SCRIPTS.contains(&nearest) || is_variable(value) {
            self.run(out);
        }
    }

    /// Reads the value as what a shell runs, with what a CI service writes into it before.
    fn run(&self, out: &mut Out<'_, '_>) {
        let Node { value, value_at, .. } = *self.node;
        let mut out = out.within(value_at, super::SHELL, Style::Environment);
        shell::read(value, &mut out);
        secrets_in(value, &mut out);
    }

    fn keyed(&self, key: &str, nearest: &str, out: &mut Out<'_, '_>) {
        let Node { at, shape, value, value_at, tag, .. } = *self.node;
        if is_of_step(value) {
            return;
        }
        let is_list = || LISTS.contains(&key) && value.lines().any(is_variable_line);
        if shape == Shape::Block && (!is_secret_text(value) || is_list()) {
            return self.block(key, out);
        }
        if shape == Shape::Nothing {
            return self.collection(key, nearest, out);
        }
        if self.names_key_of_secret(key) {
            return;
        }
        let value_of = match tag {
            "!vault" | "!secret" | "!encrypted/pkcs1-oaep" => Value::from(Source::SecretStore),
            "!Ref" | "!GetAtt" | "!ImportValue" | "!env" | "!ENV" => {
                Value::reference(value, Source::Settings)
            }
            _ if self.kind == "SealedSecret" => Value::from(Source::SecretStore),
            _ => given(self.node, out),
        };
        let is_of_secret = self.kind == "Secret"
            && matches!(nearest, "data" | "stringData")
            && matches!(key, "key" | "token" | "salt");
        if is_of_secret {
            // In a Secret, what says little by itself is one.
            let (above, style) =
                if key == "salt" { ("", Style::Environment) } else { ("auth", Style::Tree) };
            let mut out = out.within(0, out.rule, style);
            out.depth = out.depth.saturating_sub(1);
            out.entry(&Entry { at, name: key, above, value: value_of });
        } else if key == "secretKey"
            && (self.kind == "ExternalSecret" || self.sibling("remoteRef").is_some())
        {
            self.entry(at, value, Value::from(Source::SecretStore), out);
        } else if SCRIPTS.contains(&key) {
            self.run(out);
        } else if key == "line" {
            self.line(value, value_at, out);
        } else if let Some(class) = self.stored(key, nearest) {
            let style = style_of(key);
            let mut out = out.within(0, out.rule, style);
            out.depth = out.depth.saturating_sub(1);
            let entry = Entry { at, name: key, above: &joined(&self.above), value: value_of };
            out.judged(&entry, Some((class, Confidence::Medium)));
        } else {
            self.entry(at, key, value_of, out);
        }
    }

    /// What an entry holds that says too little by its own name, but stands among secrets or in the
    /// settings of a service.
    fn stored(&self, key: &str, nearest: &str) -> Option<Class> {
        let is_of_secret = self.kind == "Secret" && matches!(nearest, "data" | "stringData")
            || nearest == "data"
                && self.above.get(1).is_some_and(|kind| {
                    matches!(*kind, "kubernetes_secret" | "kubernetes_secret_v1")
                });
        if is_of_secret {
            return if may_be_secret(key) && !key.contains("{{") {
                judge_stored(key)
            } else {
                None
            };
        }
        // `hmacKeys: { live: { primary: ${PAYMENTS_HMAC_KEY_LIVE} } }`
        let refers = || {
            let value = Value::of(self.node.value);
            value.references.iter().any(|one| may_be_secret(one.name))
        };
        let is_many = |key: &&&str| {
            let ends = ["keys", "Keys", "secrets", "Secrets", "tokens", "Tokens"];
            key.len() > 8 && ends.iter().any(|end| key.ends_with(end))
        };
        let class =
            self.above.iter().take(3).find(is_many).and_then(|key| crate::names::judge(key));
        class.filter(|class| *class != Class::Password && refers())
    }

    /// Values of a chart that say under which key of a Secret something stands, beside the name of
    /// that Secret: `jwtSecretKey: jwt` beside `existingSecret`.
    fn names_key_of_secret(&self, key: &str) -> bool {
        let value = self.node.value;
        let is_slug = value.len() < 40
            && value.bytes().all(|byte| byte.is_ascii_lowercase() || b"-_.".contains(&byte));
        let speaks = ["key", "secret", "token"].iter().any(|word| value.contains(word));
        // `clientSecretKey: client-secret` says it by itself.
        let bare = key.strip_suffix("Key").unwrap_or_default();
        if is_slug && bare.len() > 3 && crate::names::folded(value) == crate::names::folded(bare) {
            return true;
        }
        let is_name = is_slug
            && (key.ends_with("SecretKey")
                || (key == "secretKey" && speaks && value.contains('-'))
                || (key.ends_with("Key") && key.len() > 9 && speaks && value.contains('-')));
        is_name
            && self.tree.children(self.node.parent).any(|(_, beside)| {
                beside.key.is_some_and(|key| {
                    let is_of = |end: &str| key.len() > end.len() && key.ends_with(end);
                    key.starts_with("existing") && is_of("Secret") || key == "secretName"
                })
            })
    }

    /// References on lines of their own, of which each is an entry.
    fn references(&self, key: &str, first: &Node<'_>, out: &mut Out<'_, '_>) -> bool {
        let is_apart = out.position(first.value_at).line != out.position(self.node.at).line;
        if Value::of(first.value).given != Given::Reference || !is_apart {
            return false;
        }
        let items = self.tree.children(self.index).filter(|(_, one)| one.key.is_none());
        for (_, one) in items.take(64) {
            self.entry(one.value_at, key, given(one, out), out);
        }
        true
    }

    /// A key with a map, a list or nothing.
    fn collection(&self, key: &str, nearest: &str, out: &mut Out<'_, '_>) {
        let first = self.tree.children(self.index).next();
        let value = match first {
            None => Value::from(Source::Unknown),
            Some((_, item)) if item.key.is_none() && item.shape != Shape::Nothing => {
                if SCRIPTS.contains(&key) || ENVIRONMENTS.contains(&key) {
                    return;
                }
                if self.references(key, item, out) {
                    return;
                }
                Value::of(item.value)
            }
            // Compose and callable workflows declare secrets as maps by name.
            Some((_, first)) if nearest == "secrets" => {
                let is = matches!(
                    first.key,
                    Some(
                        "file"
                            | "external"
                            | "environment"
                            | "required"
                            | "description"
                            | "name"
                            | "vault"
                            | "aws_secrets_manager"
                            | "gcp_secret_manager"
                            | "azure_key_vault"
                            | "akeyless"
                    )
                );
                if !is {
                    return;
                }
                let from =
                    if first.key == Some("file") { Source::File } else { Source::SecretStore };
                Value::from(from)
            }
            // Variables that are described: by Heroku, GitLab and others.
            Some((_, first)) if ENVIRONMENTS.contains(&nearest) || nearest == "variables" => {
                let describes = ["value", "description", "generator", "required", "default"];
                if !first.key.is_some_and(|key| describes.contains(&key)) {
                    return;
                }
                let value = self.tree.child(self.index, "value");
                value.map_or(Value::from(Source::Unknown), |(_, node)| given(node, out))
            }
            // Parameters of CloudFormation.
            Some((_, first))
                if nearest == "Parameters"
                    && matches!(
                        first.key,
                        Some("Type" | "NoEcho" | "Description" | "Default" | "MinLength")
                    ) =>
            {
                let value = self.tree.child(self.index, "Default");
                value.map_or(Value::from(Source::Argument), |(_, node)| given(node, out))
            }
            // A reference as a map, as in CloudFormation.
            Some((_, first))
                if matches!(first.key, Some("Ref" | "Fn::GetAtt" | "secretKeyRef")) =>
            {
                Value::from(Source::SecretStore)
            }
            // `SECRET_KEY: { secret: { name: web, key: secret } }`, of charts.
            Some((
                at,
                Node { key: Some("secret" | "secretRef" | "fromSecret" | "valueFrom"), .. },
            )) if self.tree.child(at, "name").is_some() && self.tree.child(at, "key").is_some() => {
                Value::from(Source::SecretStore)
            }
            Some(_) => return,
        };
        self.entry(self.node.at, key, value, out);
    }

    /// A text over several lines: a script, or a whole file by the name of its key.
    fn block(&self, key: &str, out: &mut Out<'_, '_>) {
        let Node { value, value_at, .. } = *self.node;
        if out.depth > 2 {
            return;
        }
        if SCRIPTS.contains(&key) {
            return self.run(out);
        }
        let beside = self.sibling("path").or(self.sibling("dest")).map(|(_, node)| node.value);
        let name = if key == "content" { beside.unwrap_or(key) } else { key };
        if is_program(name) {
            return program(value, value_at, out);
        }
        if LISTS.contains(&key) && value.lines().any(is_variable_line) {
            let mut out = out.within(value_at, out.rule, Style::Environment);
            variables(value, &mut out);
        } else if value.contains("{{ secrets.") || value.contains("{{secrets.") {
            let mut out = out.within(value_at, out.rule, Style::Environment);
            secrets_in(value, &mut out);
        } else if let Some(format) =
            Format::of(name.as_ref()).or_else(|| has_entries(value).then_some(Format::Ini))
        {
            // What is not read as a file within a file is no entry of this one either.
            let _ = format.read_within(value, value_at, out);
        }
    }

    /// A line that Ansible writes into a file.
    fn line(&self, value: &str, value_at: usize, out: &mut Out<'_, '_>) {
        let content = value.trim_start();
        let content = content.strip_prefix("export ").unwrap_or(content);
        let name = content.get(..name_length(content)).unwrap_or_default();
        let rest = content.get(name.len()..).unwrap_or_default().trim_start();
        if let Some(given) = rest.strip_prefix(['=', ':']) {
            let given = given.trim().trim_matches(['"', '\'']);
            self.entry(value_at, name, Value::of(given), out);
        }
    }
}

/// Whether a text is of lines that give names their values, whatever it is called:
/// `configFile: |`.
fn has_entries(text: &str) -> bool {
    let is_name = |name: &str| {
        let name = name.trim();
        !name.is_empty() && name_length(name) == name.len()
    };
    let lines = text.lines().map(str::trim).filter(|line| {
        !(line.is_empty() || line.starts_with('#') || line.starts_with('[') && line.ends_with(']'))
    });
    let (mut entries, mut others) = (0_u32, 0_u32);
    for line in lines.take(64) {
        if line.split_once('=').is_some_and(|(name, _)| is_name(name)) {
            entries += 1;
        } else {
            others += 1;
        }
    }
    entries > 1 && others <= entries / 4
}

/// What a CI service writes into a text: `token=${{ secrets.DEPLOY_TOKEN }}` of an argument that
/// has several lines.
fn secrets_in(value: &str, out: &mut Out<'_, '_>) {
    let finder = memchr::memmem::Finder::new(b"secrets.");
    for start in finder.find_iter(value.as_bytes()).take(64) {
        let before = value.get(..start).unwrap_or_default().trim_end_matches(' ');
        if !before.ends_with("{{") {
            continue;
        }
        let start = before.len() - 2;
        let rest = value.get(start..).unwrap_or_default();
        let reference = rest.split_inclusive("}}").next().unwrap_or_default();
        let line = out.position(start).line;
        if !out.sites.found.iter().rev().take(8).any(|site| site.at.line == line) {
            let name = reference.trim_start_matches("{{").trim_start_matches(' ');
            let name = name.trim_start_matches("secrets.");
            let name = name.get(..name_length(name)).unwrap_or_default();
            let value = Value::of(reference);
            out.entry(&Entry { at: start, name, above: "", value });
        }
    }
}

/// Whether a name is that of a program which stands within a file: `settings.py: |`.
fn is_program(name: &str) -> bool {
    let ending = name.rsplit_once('.').map_or("", |(_, ending)| ending);
    matches!(ending, "py" | "rb" | "php" | "js" | "lua")
}

/// A program within a file is often a template, so it is read by its lines.
fn program(value: &str, value_at: usize, out: &mut Out<'_, '_>) {
    let within = SourceFile::new(out.file.path, value);
    let mut sites = Sites::default();
    // Lines are never refused.
    if lines::read(&within, &Rules::default(), &mut sites).is_err() {
        return;
    }
    let start = out.position(value_at);
    let first = start.line.saturating_sub(1);
    for site in &mut sites.found {
        site.at.line = site.at.line.saturating_add(first);
    }
    out.sites.found.append(&mut sites.found);
}

/// What a node is given, in the language of the file.
fn given<'a>(node: &Node<'a>, out: &Out<'_, '_>) -> Value<'a> {
    if out.rule == Format::Hcl.rule() { hcl::given(node) } else { Value::of(node.value) }
}

/// Whether a text is `NAME=value`.
fn is_variable(text: &str) -> bool {
    let length = name_length(text);
    length > 2
        && style_of(text.get(..length).unwrap_or_default()) == Style::Environment
        && text.get(length..).is_some_and(|rest| rest.starts_with('='))
}

fn is_variable_line(line: &str) -> bool {
    is_variable(line.trim().trim_start_matches('"'))
}

/// The variables of a list that is written as a text, one a line: what a build is given.
fn variables(text: &str, out: &mut Out<'_, '_>) {
    let mut at = 0;
    for line in text.split_inclusive('\n') {
        let content = line.trim().trim_matches('"');
        if let Some((name, given)) = content.split_once('=') {
            let offset = line.find(content).unwrap_or_default();
            out.entry(&Entry { at: at + offset, name, above: "", value: Value::of(given) });
        }
        at += line.len();
    }
}

/// Whether a text over several lines is itself a secret.
fn is_secret_text(text: &str) -> bool {
    let start = text.trim_start();
    start.starts_with("-----BEGIN") || start.starts_with("$ANSIBLE_VAULT") || !start.contains('\n')
}
