//! What a seed's world is made of: its rings, their policies, and how rough it is.

use keywheel_core::policy::Role;
use serde_json::{Value, json};

use super::random::Random;

/// A consumer of a ring, and how many processes it begins with.
pub(crate) struct Service {
    pub(crate) name: &'static str,
    pub(crate) role: Role,
    pub(crate) least: u64,
    pub(crate) begins_with: u64,
}

/// What a seed's world is made of.
pub(crate) struct Scenario {
    pub(crate) servers: usize,
    pub(crate) policies: Vec<Value>,
    pub(crate) services: Vec<Service>,
    /// How long faults and operators go on, in milliseconds.
    pub(crate) rough_for: u64,
    /// The mean time between two faults and between two acts of the operator.
    pub(crate) fault_every: u64,
    pub(crate) act_every: u64,
    /// Whether operators use what bends the laws: compromise, suspension, waivers, restore.
    pub(crate) has_emergencies: bool,
    pub(crate) has_restores: bool,
    pub(crate) ends_in_deletion: bool,
}

fn secs(millis: u64) -> String {
    format!("{millis}ms")
}

impl Scenario {
    pub(crate) fn draw(random: &mut Random) -> Self {
        let servers = usize::try_from(random.between(1, 3)).unwrap_or(1);
        let mut services = vec![
            Service {
                name: "api",
                role: Role::Protect,
                least: 1,
                begins_with: random.between(1, 3),
            },
            Service {
                name: "edge",
                role: Role::Process,
                least: random.below(2),
                begins_with: random.between(1, 3),
            },
        ];
        if random.chance(300) {
            services.push(Service {
                name: "batch",
                role: Role::Protect,
                least: 0,
                begins_with: random.between(0, 2),
            });
        }
        let rings = if random.chance(200) { 2 } else { 1 };
        let policies = (0..rings).map(|_| policy(random, &services)).collect();
        Self {
            servers,
            policies,
            services,
            rough_for: random.between(40_000, 100_000),
            fault_every: random.between(1_500, 8_000),
            act_every: random.between(3_000, 10_000),
            has_emergencies: random.chance(450),
            has_restores: random.chance(250),
            ends_in_deletion: random.chance(150),
        }
    }
}

fn policy(random: &mut Random, services: &[Service]) -> Value {
    let consumers: Vec<_> = services
        .iter()
        .map(|service| {
            json!({
                "name": service.name,
                "role": service.role,
                "min_instances": service.least,
            })
        })
        .collect();
    let offline_max = random.between(5_000, 15_000);
    let mut policy = json!({
        "kind": if random.chance(250) { "signing" } else { "secret" },
        "longest_lifetime": secs(random.between(2_000, 10_000)),
        "skew": secs(random.between(0, 1_500)),
        "lease_ttl": secs(random.between(1_500, 3_000)),
        "offline_max": secs(offline_max),
        "destroy_after": secs(random.between(3_000, 20_000)),
        "stall_after": secs(random.between(5_000, 20_000)),
        "on_stall": if random.chance(250) { "rollback" } else { "hold" },
        "max_accepted": random.between(3, 5),
        "on_event": ["login"],
        "consumer": consumers,
    });
    let mut set = |name: &str, value: Value| {
        if let Some(fields) = policy.as_object_mut() {
            fields.insert(name.into(), value);
        }
    };
    if random.chance(300) {
        set("hold", secs(random.between(100, 2_000)).into());
    }
    if random.chance(250) {
        set("passive", json!([format!("cdn={}", secs(random.between(500, 3_000)))]));
    }
    if random.chance(150) {
        set("approval", true.into());
    }
    if random.chance(150) {
        set("require", json!(["probes"]));
    }
    if random.chance(300) {
        set("rotate_every", secs(random.between(25_000, 60_000)).into());
    }
    if random.chance(150) {
        set("max_uses", random.between(20, 80).into());
    }
    if random.chance(300) {
        set("on_compromise", "reject_first".into());
    } else {
        set("switch_within", secs(random.between(1_000, 6_000)).into());
    }
    policy
}

/// The same policy with other times, as somebody who edits it would write it.
pub(crate) fn edited(policy: &Value, random: &mut Random) -> Value {
    let mut next = policy.clone();
    if let Some(fields) = next.as_object_mut() {
        match random.below(4) {
            0 => {
                fields.insert("longest_lifetime".into(), secs(random.between(1_000, 12_000)).into())
            }
            1 => fields.insert("offline_max".into(), secs(random.between(4_000, 16_000)).into()),
            2 => fields.insert("lease_ttl".into(), secs(random.between(1_000, 4_000)).into()),
            _ => fields.insert("destroy_after".into(), secs(random.between(2_000, 20_000)).into()),
        };
    }
    next
}

/// The same policy without anything that begins a rotation by itself.
pub(crate) fn without_triggers(policy: &Value) -> Value {
    let mut next = policy.clone();
    if let Some(fields) = next.as_object_mut() {
        fields.remove("rotate_every");
        fields.remove("max_uses");
        fields.insert("on_stall".into(), "hold".into());
        fields.insert("max_accepted".into(), 6.into());
    }
    next
}
