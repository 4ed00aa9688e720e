//! Where the places of a file are put together: each once, with a sentence that says why it is one
//! and what becomes of a new key there.

use std::borrow::Cow;
use std::collections::HashSet;

use super::flow::{Hold, Origin};
use super::parse::ast::Expr;
use super::parse::{Ranged, text_of};
use super::words;
use crate::finding::{Class, Confidence, Does, Kind, Scope, Source};
use crate::literal::Literal;
use crate::site::{Hot, Link, Site, Sites};
use crate::source::SourceFile;

/// The places of one file.
pub(super) struct Out<'o> {
    pub file: &'o SourceFile<'o>,
    pub sites: &'o mut Sites,
    seen: HashSet<(Kind, usize)>,
}

/// What is said of a load.
pub(super) struct Loaded<'l> {
    pub at: usize,
    pub rule: &'static str,
    pub name: &'l str,
    /// The variable that it goes to.
    pub under: Option<&'l str>,
    pub class: Class,
    pub source: Source,
    pub scope: Scope,
    pub hot: Hot,
    pub confidence: Confidence,
}

/// What is said of a use.
pub(super) struct Used<'u> {
    pub at: usize,
    pub rule: &'static str,
    pub sink: &'u str,
    pub does: Does,
    pub scope: Scope,
    pub hot: Hot,
    pub class: Class,
    pub confidence: Confidence,
    pub remedy: Option<&'u str>,
}

impl<'o> Out<'o> {
    pub(super) fn new(file: &'o SourceFile<'o>, sites: &'o mut Sites) -> Self {
        Self { file, sites, seen: HashSet::new() }
    }

    /// Whether a place of this kind has been told already, or must not be.
    pub(super) fn has(&self, kind: Kind, at: usize) -> bool {
        self.seen.contains(&(kind, at))
    }

    /// Lets no place of this kind be told of there.
    pub(super) fn withhold(&mut self, kind: Kind, at: usize) {
        self.seen.insert((kind, at));
    }

    fn site(&mut self, kind: Kind, rule: &'static str, at: usize) -> Option<Site> {
        let is_new = self.seen.insert((kind, at));
        is_new.then(|| Site::new(kind, rule, self.file.position(at)))
    }

    pub(super) fn load(&mut self, load: &Loaded<'_>) {
        let Some(mut site) = self.site(Kind::EnvLoad, load.rule, load.at) else { return };
        site.name = Some(load.name.to_owned());
        site.links.push(Link::Setting(load.name.to_owned()));
        if let Some(under) = load.under.filter(|under| *under != load.name) {
            let is_known_outside = load.scope != Scope::Call && load.scope != Scope::Instance;
            let link = |name: &str| {
                if is_known_outside {
                    Link::Setting(name.to_owned())
                } else {
                    Link::Local(name.to_owned())
                }
            };
            site.links.push(link(under));
            self.sites.same.push((Link::Setting(load.name.to_owned()), link(under)));
        }
        site.class = load.class;
        site.scope = Some(load.scope);
        site.hot = load.hot;
        site.source = load.source;
        site.confidence = load.confidence;
        site.reason = Cow::Owned(reason_of_load(load));
        site.remedy = remedy_of_load(load).map(Cow::Owned);
        self.sites.found.push(site);
    }

    /// A literal where the key `name` belongs.
    pub(super) fn literal(
        &mut self,
        expr: &Expr,
        rule: &'static str,
        name: Option<&str>,
        class: Class,
        scope: Scope,
    ) {
        let Some(text) = text_of(expr) else { return };
        let at = expr.start().to_usize();
        let Some(mut site) = self.site(Kind::Hardcoded, rule, at) else { return };
        site.name = name.map(str::to_owned);
        site.links.extend(name.map(|name| Link::Setting(name.to_owned())));
        site.class = class;
        site.scope = Some(scope);
        site.hot = Hot::No;
        site.source = Source::Literal;
        site.literal = Some(Literal::new(&text));
        let what = name.map_or("The key", |name| name);
        site.reason = Cow::Owned(match rule {
            "python/default-literal" => format!(
                "{} falls back to a literal in the code, which only a new release changes.",
                words::short(what)
            ),
            _ => format!(
                "{} is a literal in the code, which only a new release changes.",
                words::short(what)
            ),
        });
        site.remedy = Some(Cow::Borrowed(
            "Take it from a ring: keywheel.ring(\"web\"), or keywheel.environ.bind where the code \
             reads os.environ for each use.",
        ));
        self.sites.found.push(site);
    }

    pub(super) fn usage(&mut self, used: &Used<'_>, origin: &Origin<'_>) {
        let Some(mut site) = self.site(Kind::KeyUse, used.rule, used.at) else { return };
        site.name.clone_from(&origin.name);
        site.links.clone_from(&origin.links);
        site.class = used.class;
        site.scope = Some(used.scope);
        site.hot = used.hot;
        site.source = origin.source;
        site.literal = origin.literal.and_then(text_of).map(|text| Literal::new(&text));
        site.sink = Some(used.sink.to_owned());
        site.does = Some(used.does);
        site.confidence = used.confidence;
        site.reason = Cow::Owned(reason_of_use(used, origin));
        if used.hot != Hot::Yes {
            site.remedy = used.remedy.map(|remedy| Cow::Owned(remedy.to_owned()));
        }
        self.sites.found.push(site);
    }

    /// SQL in the code that handles a key.
    pub(super) fn sql(
        &mut self,
        at: usize,
        sink: &str,
        does: Does,
        origin: &Origin<'_>,
        scope: Scope,
    ) {
        let Some(mut site) = self.site(Kind::Sql, "python/sql-function", at) else { return };
        site.name.clone_from(&origin.name);
        site.links.clone_from(&origin.links);
        site.class = origin.class.unwrap_or(Class::Key);
        site.scope = Some(scope);
        site.source = origin.source;
        site.hot = match (scope, origin.hold) {
            (Scope::Call, Hold::Live) => Hot::Yes,
            (Scope::Call, Hold::Unknown) => Hot::Unknown,
            _ => Hot::No,
        };
        site.literal = origin.literal.and_then(text_of).map(|text| Literal::new(&text));
        site.sink = Some(sink.to_owned());
        site.does = Some(does);
        site.reason = Cow::Owned(format!("{sink} handles a key in the database."));
        self.sites.found.push(site);
    }

    /// A timer of the application that turns keys.
    pub(super) fn timer(&mut self, at: usize, call: &str, runs: &str, scope: Scope) {
        let Some(mut site) = self.site(Kind::Scheduler, "python/scheduler", at) else { return };
        site.scope = Some(scope);
        site.name = Some(runs.to_owned());
        site.sink = Some(call.to_owned());
        site.reason = Cow::Owned(format!(
            "{} runs {} in each process of the application by a timer, so that no two of them need \
             hold the same key.",
            words::short(call),
            words::short(runs)
        ));
        site.remedy =
            Some(Cow::Borrowed("Give the ring a schedule in keywheel.toml and drop the job."));
        self.sites.found.push(site);
    }
}

fn reason_of_load(load: &Loaded<'_>) -> String {
    let from = match load.source {
        Source::Environment => "the environment",
        Source::File => "a file",
        Source::SecretStore => "a secret store",
        Source::Settings => "the settings",
        _ => "outside",
    };
    let name = words::short(load.name);
    if load.source == Source::Ring {
        return format!("{name} is a ring of keywheel, which each use asks anew.");
    }
    let when = match (load.scope, load.hot) {
        (_, Hot::Yes) => "each time the function runs, so the next call has a new value",
        (Scope::Module, _) => "once, when the module is loaded, and kept",
        (Scope::Class, _) => "once, when the class is made, and kept",
        (Scope::Instance, _) => "once for each object, which keeps it",
        (Scope::Call, Hot::No) => "while the application starts, and kept",
        (Scope::Call, _) => "in a function; what keeps the value there could not be told",
    };
    format!("{name} is read from {from} {when}.")
}

fn remedy_of_load(load: &Loaded<'_>) -> Option<String> {
    if load.hot == Hot::Yes || load.class == Class::Public {
        return None;
    }
    let name = load.name;
    let of_app = load.under.unwrap_or(name);
    Some(match of_app {
        "secret_key" => "keywheel.flask.init_app(app, session=\"web\")".to_owned(),
        "SECRET_KEY" if load.scope == Scope::Module => {
            "Django: SECRET_KEY, SECRET_KEY_FALLBACKS = keywheel.django.secret_key(\"web\"); \
             Flask: keywheel.flask.init_app(app, session=\"web\")"
                .to_owned()
        }
        _ => format!(
            "Read it in the function that uses it, after keywheel.environ.bind({{\"{}\": \
             \"ring:web\"}}); or use keywheel.ring(\"web\") there.",
            words::short(name)
        ),
    })
}

fn reason_of_use(used: &Used<'_>, origin: &Origin<'_>) -> String {
    let sink = words::short(used.sink);
    let does = match used.does {
        Does::Signs => "signs",
        Does::Verifies => "verifies",
        Does::SignsAndVerifies => "signs and verifies",
        Does::Encrypts => "encrypts",
        Does::Decrypts => "decrypts",
        Does::EncryptsAndDecrypts => "encrypts and decrypts",
        Does::Derives => "derives",
        Does::Authenticates => "authenticates",
    };
    let key = origin.name.as_deref().map_or(Cow::Borrowed("a key"), words::short);
    let when = match (used.hot, used.scope, origin.hold) {
        (Hot::Yes, _, _) => "which it reads anew at each call",
        (Hot::No, Scope::Call, Hold::Frozen) if origin.source == Source::Literal => {
            "which stands in the code"
        }
        (Hot::No, Scope::Call, Hold::Frozen) => "of which the process keeps a copy",
        (Hot::No, _, _) => "which the object keeps that is made here once",
        _ => "of which this file does not tell whether it is kept",
    };
    format!("{sink} {does} with {key}, {when}.")
}
