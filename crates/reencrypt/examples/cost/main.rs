//! Prints what it costs to move a column to another key, as Markdown: with SQL, by pgcrypto in the
//! server, and with keywheel. `cargo xtask bench reencrypt` puts it into docs/benchmarks.md.
//!
//! CPU time of this process and of all processes of a PostgreSQL that is started for it, for each
//! row; the contenders take turns, and each figure is the median of all rounds. Nothing here passes
//! or fails, save that every value must be what it was.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "it prints what it measures")]
#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a bench that fails ends")]
#![expect(clippy::cast_precision_loss, reason = "figures are shown with three digits")]

#[path = "../../../postgres/tests/support/server.rs"]
mod server;

mod contender;
mod usage;

use std::fmt::Write as _;

use contender::{Contender, Way};
use usage::{Cluster, Cost};

/// What a person may have chosen.
const OLD: &str = "correct horse battery st";
/// 32 random bytes each, in base64 as applications keep them.
const NEW: &str = "q1vVnT0kYt1uXc3Jp0m5oRr2bJxZs9yq4dEw7hGfKls=";
const NEXT: &str = "Zk8dWm2rT6yPq0sLx4nVb7cJh1gFe3aUo5iRt9wXvNQ=";

/// One table and who moves it.
struct Race {
    title: &'static str,
    /// What the peer of all is called, whom the others are compared with.
    contenders: Vec<Contender>,
    rows: i64,
}

fn main() {
    let full = std::env::args().nth(1).as_deref() == Some("full");
    let only = std::env::args().nth(2);
    let rounds = if full { 5 } else { 3 };
    let mut server = server::Server::start(false);
    let mut client = server.client();
    let cluster = Cluster::find(&mut client);
    for setting in ["max_wal_size = '8GB'", "checkpoint_timeout = '1h'"] {
        client.batch_execute(&format!("ALTER SYSTEM SET {setting}")).unwrap();
    }
    client.batch_execute("SELECT pg_reload_conf()").unwrap();
    let url = server.url();
    let races = races(if full { 20_000 } else { 2_000 }, if full { 100_000 } else { 20_000 });
    println!("{}", introduction(&mut client, rounds));
    for race in &races {
        if only.as_ref().is_some_and(|only| !race.title.contains(only.as_str())) {
            continue;
        }
        contender::source(&mut client, race);
        let mut costs: Vec<Vec<Cost>> = race.contenders.iter().map(|_| Vec::new()).collect();
        for round in 0..rounds {
            let turns = race.contenders.iter().zip(&mut costs);
            let (late, early): (Vec<_>, Vec<_>) =
                turns.enumerate().partition(|(at, _)| *at < round % race.contenders.len());
            for (_, (contender, costs)) in early.into_iter().chain(late) {
                let cost = contender.measure(&url, &mut client, &cluster, race.rows);
                eprintln!("{} {cost:?}", contender.name);
                costs.push(cost);
            }
        }
        println!("{}", table(race, &costs));
    }
    println!("Load average of the machine at the end: {}.", usage::load());
}

fn races(first: i64, later: i64) -> Vec<Race> {
    let way = |options| Way::Sql { options };
    let contender = |name, from, to, way| Contender { name, from, to, way };
    vec![
        Race {
            title: "What pgcrypto wrote by default, moved for the first time",
            contenders: vec![
                contender("SQL", OLD, NEW, way("")),
                contender("SQL that writes count 1024", OLD, NEW, way("s2k-count=1024")),
                contender("keywheel", OLD, NEW, Way::Keywheel),
            ],
            rows: first,
        },
        Race {
            title: "What keywheel wrote, moved again",
            contenders: vec![
                contender(
                    "SQL that writes the same",
                    NEW,
                    NEXT,
                    way("cipher-algo=aes256, s2k-count=1024"),
                ),
                contender("SQL that writes AES-128", NEW, NEXT, way("s2k-count=1024")),
                contender("keywheel", NEW, NEXT, Way::Keywheel),
            ],
            rows: later,
        },
    ]
}

fn introduction(client: &mut postgres::Client, rounds: usize) -> String {
    let version: String = client.query_one("SHOW server_version", &[]).unwrap().get(0);
    format!(
        "PostgreSQL {version} with pgcrypto on a unix socket, values of 100 bytes. CPU is user and \
         system time of the client and of all processes of the server, for each row; the median of \
         {rounds} rounds in which the contenders take turns, each on a fresh table after a \
         checkpoint. SQL is the cheapest form there is: a prepared `UPDATE` over 1,000 keys at a \
         time, and `VACUUM` after each 50,000 rows. keywheel has its default settings, one \
         connection; it opens, seals, opens again and compares every value, and removes dead rows \
         as it goes. The server runs without fsync and without autovacuum. Size is that of table \
         and index, after and before.\n"
    )
}

fn median(costs: &[Cost], of: impl Fn(&Cost) -> f64) -> f64 {
    let mut values: Vec<f64> = costs.iter().map(of).collect();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or_default()
}

fn table(race: &Race, costs: &[Vec<Cost>]) -> String {
    let mut text = format!("**{}**, {} rows\n\n", race.title, race.rows);
    text.push_str(
        "|  | client CPU µs | server CPU µs | together µs | keywheel takes | of its server | \
         WAL bytes a row | size |\n|---|--:|--:|--:|--:|--:|--:|--:|\n",
    );
    let total = |costs: &Vec<Cost>| median(costs, |cost| cost.client + cost.server);
    let server = |costs: &Vec<Cost>| median(costs, |cost| cost.server);
    let ours = costs.last().expect("there are contenders");
    for (contender, costs) in race.contenders.iter().zip(costs) {
        let less = |of: &dyn Fn(&Vec<Cost>) -> f64| match contender.way {
            Way::Keywheel => "–".to_owned(),
            Way::Sql { .. } => format!("{:.1}× less", of(costs) / of(ours)),
        };
        let _infallible = writeln!(
            text,
            "| {} | {:.1} | {:.1} | {:.1} | {} | {} | {:.0} | {:.2}× |",
            contender.name,
            median(costs, |cost| cost.client),
            server(costs),
            total(costs),
            less(&total),
            less(&server),
            median(costs, |cost| cost.wal),
            median(costs, |cost| cost.size),
        );
    }
    text
}
