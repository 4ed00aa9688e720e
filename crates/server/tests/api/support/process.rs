//! A process of a consumer that speaks HTTP: registers, loads, proves.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use keywheel_api::material::Material;
use keywheel_core::id::{Incarnation, InstanceId, Kid, Revision, RingName, VersionNumber};
use keywheel_jose::Holder;
use keywheel_jose::challenge::Challenge;
use keywheel_jose::proof::{self, AcceptedVersion, Statement};
use serde_json::{Map, Value, json};

use super::{Request, World};

pub(crate) struct Process {
    pub(crate) token: String,
    pub(crate) ring: RingName,
    pub(crate) id: InstanceId,
    pub(crate) secret: Vec<u8>,
    pub(crate) nonce: String,
    pub(crate) sequence: u64,
}

impl Process {
    pub(crate) fn join(world: &World, token: &str, consumer: &str, ring: &str) -> Self {
        let body = json!({ "consumer": consumer, "rings": [ring], "host": "host-a", "pid": 42 });
        let answer = world.send(&Request::new("POST", "/v1/instances").token(token).json(&body));
        assert_eq!(answer.status, 201, "{answer:?}");
        let registered = answer.json();
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        Self {
            token: token.into(),
            ring: ring.parse().unwrap(),
            id: text(&registered["instance"]).parse().unwrap(),
            secret: URL_SAFE_NO_PAD.decode(text(&registered["secret"])).unwrap(),
            nonce: text(&registered["nonces"][ring]),
            sequence: 0,
        }
    }

    pub(crate) fn load(&self, world: &World) -> Material {
        let path = format!("/v1/rings/{}/material?instance={}", self.ring, self.id);
        let answer = world.send(&Request::new("GET", &path).token(&self.token));
        assert_eq!(answer.status, 200, "{answer:?}");
        serde_json::from_str(&answer.body).unwrap()
    }

    /// A report with proofs of everything that was loaded.
    pub(crate) fn report(&mut self, held: &Material) -> Value {
        self.sequence += 1;
        let incarnation = Incarnation(held.incarnation.clone());
        let revision = Revision(held.revision);
        let nonce = URL_SAFE_NO_PAD.decode(&self.nonce).unwrap();
        let kids: Vec<_> = held.versions.iter().map(|v| Kid(v.kid.clone())).collect();
        let accepted: Vec<_> = held
            .versions
            .iter()
            .zip(&kids)
            .map(|(version, kid)| AcceptedVersion {
                version: VersionNumber(version.number),
                kid,
                usage: if Some(version.number) == held.primary { 2 } else { 1 },
            })
            .collect();
        let digest = proof::accepted_set_digest(&incarnation, revision, &accepted);
        let (mut proofs, mut answer) = (Map::new(), None);
        for version in &held.versions {
            let holder = Holder::from_delivery(&version.kind, &version.delivery.0).unwrap();
            let number = VersionNumber(version.number);
            let statement = Statement {
                ring: &self.ring,
                incarnation: &incarnation,
                revision,
                accepted_set: &digest,
                version: number,
                instance: &self.id,
                sequence: self.sequence,
                nonce: &nonce,
                instance_secret: &self.secret,
            };
            let salt = URL_SAFE_NO_PAD.decode(&version.salt).unwrap();
            let proof = proof::prove(&holder.proof_secret(), &salt, &statement);
            proofs.insert(version.number.to_string(), serde_json::to_value(proof).unwrap());
            if let (true, Some(material)) =
                (Some(version.number) == held.primary, holder.material())
            {
                let challenge = Challenge {
                    ring: &self.ring,
                    incarnation: &incarnation,
                    revision,
                    version: number,
                    instance: &self.id,
                    nonce: &nonce,
                };
                let bytes = challenge.answer(material, &mut |b| b.fill(9)).unwrap();
                answer = Some(URL_SAFE_NO_PAD.encode(bytes));
            }
        }
        json!({
            "ring": self.ring.as_str(),
            "incarnation": held.incarnation,
            "revision": held.revision,
            "sequence": self.sequence,
            "nonce": self.nonce,
            "accepted_set": serde_json::to_value(digest).unwrap(),
            "proofs": proofs,
            "answer": answer,
            "oldest_guard": held.revision,
            "counts": { "1": { "protected": 3, "processed": 2, "rejected": 1 } },
        })
    }

    /// Loads, proves, and keeps the next nonce. Returns the acknowledgement.
    pub(crate) fn converge(&mut self, world: &World) -> Value {
        let held = self.load(world);
        let report = self.report(&held);
        self.send(world, &report)
    }

    pub(crate) fn send(&mut self, world: &World, report: &Value) -> Value {
        let body = json!({ "instance": self.id.as_str(), "reports": [report] });
        let request = Request::new("POST", "/v1/reports").token(&self.token).json(&body);
        let answer = world.send(&request);
        assert_eq!(answer.status, 200, "{answer:?}");
        let acknowledgement = answer.json()["rings"][0].clone();
        acknowledgement["nonce"].as_str().unwrap().clone_into(&mut self.nonce);
        acknowledgement
    }
}
