//! One consumer with a sink of each kind, in a folder of its own, and what must be true of it.

use std::collections::BTreeMap;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use keywheel_core::id::{Incarnation, Kid, Revision, RingName, VersionNumber};
use keywheel_core::kind::{Kind, SecretEncoding};
use keywheel_core::time::Span;
use keywheel_deliver::agent::Carrier;
use keywheel_deliver::file::Disk;
use keywheel_deliver::journal::Journal;
use keywheel_deliver::render;
use keywheel_deliver::saga::End;
use keywheel_deliver::settings::{
    Attempt, Check, Content, Delivery, EnvFile, EnvReaders, FileOptions, Form, Hook, Order, Probe,
    Reload, Several, Sink, Take, Target, Wait, WhenOffline, Which,
};
use keywheel_deliver::values::{AllValues, Key, Value, Values};
use keywheel_jose::{ImportFormat, Material};
use zeroize::Zeroizing;

use crate::world::{Consumer, Fuse, Fused};

const RING: &str = "web";
const OTHERS: &str = "# kept as it is\nDEBUG=1\n";

/// What the ring holds at one moment of its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Rings {
    oldest: u32,
    newest: u32,
    primary: u32,
}

impl Rings {
    pub(crate) const FIRST: Self = Self { oldest: 1, newest: 1, primary: 1 };
    pub(crate) const SECOND: Self = Self { oldest: 1, newest: 2, primary: 1 };
    pub(crate) const THIRD: Self = Self { oldest: 1, newest: 2, primary: 2 };

    fn values(self) -> AllValues {
        let kind = Kind::Secret { length: 32, encoding: SecretEncoding::Base64url };
        let versions = (self.oldest..=self.newest).map(|number| {
            let bytes = format!("the-secret-of-version-{number}-of-the-ring");
            let imported = Material::import(&kind, bytes.as_bytes(), ImportFormat::Raw).unwrap();
            let salt = Zeroizing::new(vec![7; 32]);
            let key = Key::Whole(Arc::new(imported.material));
            Value::new(VersionNumber(number), Kid(format!("kid-{number}")), salt, key)
        });
        let primary = usize::try_from(self.primary - self.oldest).unwrap();
        let revision = Revision(u64::from(self.newest * 10 + self.primary));
        let values = Values::new(
            ring(),
            Incarnation("life".into()),
            revision,
            Some(primary),
            versions.collect(),
        );
        AllValues::from([(ring(), values)])
    }

    /// Which moment these values are of.
    pub(crate) fn of(values: &AllValues) -> Option<Self> {
        let revision = values.get(&ring())?.revision();
        let all = [Self::FIRST, Self::SECOND, Self::THIRD];
        all.into_iter().find(|rings| u64::from(rings.newest * 10 + rings.primary) == revision.0)
    }
}

fn ring() -> RingName {
    RING.parse().unwrap()
}

fn take(which: Which) -> Take {
    Take {
        ring: ring(),
        which,
        order: Order::PrimaryFirst,
        form: Form::Text,
        several: Several::Join(",".into()),
    }
}

fn named() -> BTreeMap<String, Take> {
    BTreeMap::from([
        ("SECRET_KEY".to_owned(), take(Which::Primary)),
        ("SECRET_KEY_ACCEPTED".to_owned(), take(Which::Accepted)),
    ])
}

fn content(name: &str) -> Content {
    match name {
        "env" => Content::Env(EnvFile { set: named(), readers: EnvReaders::Any }),
        "raw" => Content::Raw(take(Which::Accepted)),
        _ => Content::Json(named()),
    }
}

fn hook() -> Hook {
    Hook { argv: vec!["true".into()], timeout: Span::from_secs(1), kill_after: Span::ZERO }
}

fn probe(name: &str) -> Probe {
    let attempt = Attempt::Command {
        hook: hook(),
        artefact: Some(keywheel_deliver::settings::Artefact {
            ring: ring(),
            make: keywheel_deliver::settings::Make::Value,
        }),
    };
    let second = Span::from_secs(1);
    Probe { name: name.to_owned(), attempt, within: second, timeout: second }
}

fn sink(name: &str, target: Target) -> Sink {
    let is_file = !matches!(target, Target::Irreversible(..));
    Sink {
        name: name.to_owned(),
        target,
        check: is_file.then(|| Check::Command(hook())),
        reload: vec![Reload::Command(hook())],
        probes: if is_file { vec![probe(name)] } else { Vec::new() },
    }
}

/// A consumer and its folder.
pub(crate) struct Scene {
    folder: tempfile::TempDir,
    delivery: Delivery,
    disk: Arc<dyn Disk>,
    fuse: Arc<Fuse>,
    pub(crate) world: Consumer,
}

impl Scene {
    pub(crate) fn new(one_way: bool) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        for name in ["state", "srv"] {
            std::fs::DirBuilder::new().mode(0o700).create(at(name)).unwrap();
        }
        let path = |name: &str| at("srv").join(name);
        write(&path("env"), OTHERS.as_bytes());
        let options =
            |name: &str| FileOptions { path: path(name), mode: 0o600, owner: None, backups: 2 };
        let file = |name: &str| Target::File { file: options(name), content: content(name) };
        let mut sinks = vec![
            sink("env", file("env")),
            sink("raw", file("raw")),
            sink("credentials", Target::Credentials { file: options("credentials"), set: named() }),
            sink("json", file("json")),
        ];
        if one_way {
            sinks.push(sink("external", Target::Irreversible(hook(), named())));
        }
        let names = ["env", "raw", "credentials", "json"];
        let paths = names.into_iter().map(|name| (name.to_owned(), path(name))).collect();
        let delivery = Delivery {
            consumer: "web".parse().unwrap(),
            rings: vec![ring()],
            sinks,
            probes: vec![probe("all")],
            wait: Wait { least: Span::ZERO, most: Span::ZERO },
            splay: Span::ZERO,
            deadline: Span::from_secs(60),
            when_offline: WhenOffline::Keep,
        };
        let fuse = Arc::new(Fuse::default());
        let world = Consumer::new(Arc::clone(&fuse), paths);
        Self { folder, delivery, disk: Arc::new(Fused(Arc::clone(&fuse))), fuse, world }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join("srv").join(name)
    }

    fn state(&self) -> PathBuf {
        self.folder.path().join("state")
    }

    /// The agent has so many steps to live.
    pub(crate) fn fuse(&self, steps: usize) -> &Fuse {
        self.fuse.light(steps);
        &self.fuse
    }

    pub(crate) fn no_fuse(&self) {
        self.fuse.put_out();
    }

    pub(crate) fn probes(&self) -> usize {
        let of_sinks = self.delivery.sinks.iter().map(|sink| sink.probes.len()).sum::<usize>();
        of_sinks + self.delivery.probes.len()
    }

    /// Starts an agent that knows nothing but what is on the disk, and delivers.
    pub(crate) fn deliver(&self, rings: Rings) -> Result<End, String> {
        let values = rings.values();
        let mut journal = Journal::open(Arc::clone(&self.disk), &self.state())
            .map_err(|error| error.to_string())?;
        journal.sweep();
        let task = Carrier {
            delivery: &self.delivery,
            values: &values,
            former: None,
            forced: false,
            world: &self.world,
            disk: &*self.disk,
            halt: &|| None,
        };
        let carried = task.deliver(&mut journal).map_err(|error| error.to_string())?;
        assert_eq!(carried.pending, None);
        Ok(carried.end)
    }

    /// Each sink holds one of these, whole, and nobody else may read it.
    pub(crate) fn assert_each(&self, possible: &[Rings], told: &str) {
        for name in ["env", "raw", "credentials", "json"] {
            let present = content_of(&self.path(name)).unwrap_or_default();
            let is_whole = possible.iter().any(|rings| is_content(name, &present, *rings));
            let shown = String::from_utf8_lossy(&present).into_owned();
            assert!(is_whole, "{told}: {name} is a mix: {shown}");
        }
        assert_private(&self.path(""));
        assert_private(&self.state());
    }

    /// All sinks hold one and the same of these, and the consumer uses it.
    pub(crate) fn assert_agree(&self, possible: &[Rings], told: &str) {
        let agrees = possible.iter().any(|rings| self.all_are(*rings));
        assert!(agrees, "{told}: the sinks disagree");
    }

    pub(crate) fn assert_all(&self, rings: Rings) {
        assert!(self.all_are(rings), "{rings:?}");
        if self.delivery.sinks.iter().any(|sink| sink.name == "external") {
            let external = self.world.external().unwrap();
            assert!(is_content("json", &external, rings));
        }
    }

    fn all_are(&self, rings: Rings) -> bool {
        ["env", "raw", "credentials", "json"].into_iter().all(|name| {
            let present = content_of(&self.path(name)).unwrap_or_default();
            let running = self.world.running(name).unwrap_or_default();
            is_content(name, &present, rings) && is_content(name, &running, rings)
        })
    }

    /// No intent is open, and no former content is kept where only an open one needs it.
    pub(crate) fn assert_nothing_left(&self) {
        let journal = Journal::open(Arc::clone(&self.disk), &self.state()).unwrap();
        assert!(!journal.is_open());
        let names = std::fs::read_dir(self.state()).unwrap();
        for name in names.map(|entry| entry.unwrap().file_name()) {
            assert!(!name.to_string_lossy().starts_with("former-"), "{}", name.display());
        }
    }

    pub(crate) fn edit_variable_of_others(&self) {
        let path = self.path("env");
        let text = std::fs::read_to_string(&path).unwrap().replace("DEBUG=1", "DEBUG=2");
        std::fs::write(&path, text).unwrap();
    }

    /// Somebody adds a variable of theirs while the next delivery checks what it has staged.
    pub(crate) fn meddle(&self) {
        let mut text = std::fs::read(self.path("env")).unwrap();
        text.extend(b"THEIRS=1\n");
        self.world.meddle(self.path("env"), text);
    }

    pub(crate) fn has_theirs(&self) -> bool {
        std::fs::read_to_string(self.path("env")).unwrap().contains("THEIRS=1\n")
    }

    pub(crate) fn edit_own(&self) {
        std::fs::write(self.path("raw"), "somebody else's").unwrap();
    }
}

fn write(path: &Path, bytes: &[u8]) {
    use std::io::Write as _;
    let mut options = std::fs::OpenOptions::new();
    let mut file = options.write(true).create_new(true).mode(0o600).open(path).unwrap();
    file.write_all(bytes).unwrap();
}

fn assert_private(folder: &Path) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let facts = std::fs::symlink_metadata(&path).unwrap();
        assert_eq!(facts.mode() & 0o077, 0, "{}", path.display());
        if facts.is_dir() {
            assert_private(&path);
        }
    }
}

/// What stands in a file, or in the files of a folder.
pub(crate) fn content_of(path: &Path) -> Option<Vec<u8>> {
    if !path.is_dir() {
        return std::fs::read(path).ok();
    }
    let mut names: Vec<_> = std::fs::read_dir(path).ok()?.map(|e| e.unwrap().path()).collect();
    names.sort();
    let mut all = Vec::new();
    for name in names {
        all.extend(name.file_name()?.as_encoded_bytes());
        all.push(b'\n');
        all.extend(std::fs::read(&name).ok()?);
        all.push(b'\n');
    }
    Some(all)
}

/// Whether a content is what a sink gets of these.
pub(crate) fn is_content(name: &str, present: &[u8], rings: Rings) -> bool {
    let values = rings.values();
    if name == "credentials" {
        let files = render::credentials(&named(), &values).unwrap();
        let mut all = Vec::new();
        for (name, bytes) in &files {
            all.extend([name.as_bytes(), b"\n", bytes, b"\n"].concat());
        }
        return all == present;
    }
    // What others keep in the file must have stayed, whatever ours are.
    let is_kept = name != "env" || present.starts_with(&OTHERS.as_bytes()[..20]);
    let expected = render::render(&content(name), &values, Some(present)).unwrap();
    is_kept && !present.is_empty() && *expected == present
}
