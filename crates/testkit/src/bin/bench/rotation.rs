//! From the commit of a publish to the last proof, with 100 instances of the real client library on
//! a unix socket of a real server. The peer of the CPU figures is the same server with nobody to
//! convince but one instance.

use std::path::Path;
use std::time::Duration;

use keywheel_client::{Client, Token};
use keywheel_core::id::RingName;
use zeroize::Zeroizing;

use crate::child::{Child, Kind};
use crate::measure::{self, Distribution, millis};
use crate::table::{Table, figure, ratio};
use crate::{Fallible, Scale, keywheel, world};

const RING: &str = "access-token";

/// Half of the instances protect, the other half only processes.
const CONSUMERS: [&str; 2] = ["web", "edge"];

pub(crate) fn run(scale: Scale) -> Fallible<String> {
    let rotations = scale.pick(3, 20);
    let many = measure_one(100, rotations)?;
    let few = measure_one(2, rotations)?;
    let mut table = Table::new(&[
        "from the commit of the publish",
        "minimum ms",
        "median ms",
        "90 % ms",
        "maximum ms",
    ]);
    for (name, durations) in [
        ("to the last proof", &many.proved),
        ("to the commit of the promotion", &many.promoted),
        ("to the commit after the last switch", &many.switched),
        ("to the last proof, 2 instances", &few.proved),
        ("to the commit of the promotion, 2 instances", &few.promoted),
    ] {
        table.row(name, &durations.cells());
    }
    let mut text = format!(
        "{rotations} rotations of an `EdDSA` ring; half of the instances protect, and each proves \
         twice in a rotation. The clients run on the same cores as the server. The server is asked \
         every 10 ms how it stands, which is part of its CPU.\n\n{}\n",
        table.finish()
    );
    let mut table = Table::new(&["CPU ms a rotation", "100 instances", "2 instances", "ratio"]);
    for (name, value) in [
        ("server", Outcome::server_millis as fn(&Outcome) -> f64),
        ("clients, all together", Outcome::client_millis),
    ] {
        let (many, few) = (value(&many), value(&few));
        table.row(name, &[figure(many), figure(few), ratio(many, few)]);
    }
    text.push_str(&table.finish());
    Ok(text)
}

/// What was seen of several rotations.
#[derive(Default)]
struct Outcome {
    proved: Distribution,
    promoted: Distribution,
    switched: Distribution,
    server_cpu: Duration,
    client_cpu: Duration,
}

impl Outcome {
    fn server_millis(&self) -> f64 {
        millis(self.server_cpu) / self.proved.len() as f64
    }

    fn client_millis(&self) -> f64 {
        millis(self.client_cpu) / self.proved.len() as f64
    }
}

fn measure_one(instances: usize, rotations: usize) -> Fallible<Outcome> {
    let folder = tempfile::tempdir()?;
    let tokens = prepare(folder.path())?;
    let endpoint = format!("unix:{}", folder.path().join("socket").display());
    let mut child = Child::start(Kind::Keywheel, folder.path(), &endpoint)?;
    child.port()?;
    let mut clients = Vec::with_capacity(instances);
    for (token, consumer) in tokens.iter().zip(CONSUMERS).cycle().take(instances) {
        let token = Token::new(Zeroizing::new(token.clone()))?;
        let client = Client::builder(&endpoint, token).consumer(consumer).ring(RING).build()?;
        client.start()?;
        clients.push(client);
    }
    let mut outcome = Outcome::default();
    for number in 0..=rotations {
        let (server, own) = (child.usage()?.cpu, measure::process_cpu());
        child.tell(&format!("rotate {RING}"))?;
        let answer = child.answer()?;
        let [proved, promoted, switched, by] = answer.as_slice() else {
            return Err(format!("a rotation is told as {answer:?}").into());
        };
        if usize::try_from(*by)? != instances {
            return Err(format!("{by} of {instances} instances had proved").into());
        }
        // The first one also waits for the silence after a takeover.
        if number > 0 {
            outcome.proved.add(Duration::from_nanos(*proved));
            outcome.promoted.add(Duration::from_nanos(*promoted));
            outcome.switched.add(Duration::from_nanos(*switched));
            outcome.server_cpu += child.usage()?.cpu.saturating_sub(server);
            outcome.client_cpu += measure::process_cpu().saturating_sub(own);
        }
        child.tell(&format!("settle {RING}"))?;
        child.answer()?;
    }
    drop(clients);
    Ok(outcome)
}

/// Makes the ring and a token for each consumer.
fn prepare(folder: &Path) -> Fallible<Vec<String>> {
    let (engine, _) = keywheel::open(folder)?;
    engine.drive();
    let ring: RingName = RING.parse()?;
    let spec = world::spec(serde_json::json!({
        "kind": "signing",
        "longest_lifetime": "500ms",
        "skew": "250ms",
        "lease_ttl": "5s",
        "consumer": [
            { "name": "web", "role": "protect" },
            { "name": "edge", "role": "process" },
        ],
    }))?;
    engine.put_ring(&ring, &spec, None, None, &world::context())?;
    let tokens: Fallible<Vec<_>> =
        CONSUMERS.iter().map(|consumer| keywheel::token(&engine, &ring, consumer)).collect();
    engine.stop();
    tokens
}
