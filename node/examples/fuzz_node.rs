//! Feeds spoilt documents to every parser of what peers and operators write: none may panic, and no
//! spoilt version may be admitted. `cargo xtask fuzz` runs it; `--seconds` bounds each parser.
#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a program for the engineer's terminal"
)]

use std::collections::BTreeMap;
use std::panic::{self, AssertUnwindSafe};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use node::federation::allowlist::Allowlist;
use node::federation::protocol::{Batch, Changes, Ids, Message as _, RangeAnswers, RangeQuestions};
use node::federation::reconcile::{self, Walk};
use node::federation::set::VersionSet;
use node::identity::admit::{WireVersion, admit_despite};
use node::identity::authors::Authors;
use node::identity::keys::AuthorSecret;
use node::identity::rotation::Rotation;
use node::identity::version::{self, Kind, Op, Payload};

/// A generator with a seed (xorshift64*): a run can be repeated.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    fn below(&mut self, end: usize) -> usize {
        let end = u64::try_from(end.max(1)).unwrap();
        usize::try_from(self.next() % end).unwrap()
    }

    /// Changes, repeats, cuts out or inserts, a few times.
    fn spoil(&mut self, seed: &[u8]) -> Vec<u8> {
        let mut out = seed.to_vec();
        for _ in 0..=self.below(4) {
            let at = self.below(out.len());
            match self.below(6) {
                0 if !out.is_empty() => out[at] ^= 1 << self.below(8),
                1 if !out.is_empty() => out[at] = b"\0\"{}[]:,#\\\n-9eE \xff"[self.below(17)],
                2 => out.truncate(at),
                3 => {
                    let end = (at + self.below(40)).min(out.len());
                    drop(out.drain(at.min(end)..end));
                }
                4 => {
                    let end = (at + self.below(40)).min(out.len());
                    let part = out[at.min(end)..end].to_vec();
                    let to = self.below(out.len());
                    out.splice(to..to, part);
                }
                _ => out.insert(at.min(out.len()), u8::try_from(self.below(256)).unwrap()),
            }
        }
        out
    }
}

struct Parser {
    name: &'static str,
    seed: Vec<u8>,
    feed: fn(&[u8]),
}

fn text(bytes: &[u8], feed: impl FnOnce(&str)) {
    if let Ok(text) = std::str::from_utf8(bytes) {
        feed(text);
    }
}

fn good_version() -> WireVersion {
    let secret = AuthorSecret::from_seed(&[1; 32]);
    let body = r#"{"agent_id":"a","confidence":1.0,"content":"c","created_at":"2026-01-01T00:00:00.000000Z","metadata":{"k":[1,{"x":null}]},"priority":5,"source":"s","tags":["t"],"tier":"long","title":"t","updated_at":"2026-01-01T00:00:00.000000Z"}"#;
    let payload = Payload {
        author: secret.public().to_string(),
        content_sha256: version::content_digest(&[7; 16], body.as_bytes()),
        hlc: "0199abcdef01-0000".to_owned(),
        id: "01990000-0000-7000-8000-000000000000".to_owned(),
        kind: Kind::Memory,
        meta: BTreeMap::new(),
        ns: "global".to_owned(),
        op: Op::Put,
        parents: vec!["ab".repeat(32)],
        prev: String::new(),
        seq: 1,
    };
    let signed = version::sign(&payload, &secret).unwrap();
    WireVersion {
        payload: String::from_utf8(signed.payload).unwrap(),
        signature: hex::encode(signed.signature),
        salt: Some(hex::encode([7; 16])),
        body: Some(body.to_owned()),
    }
}

fn set() -> VersionSet {
    let mut set = VersionSet::default();
    for seq in 1..=200_u8 {
        let mut id = [seq; 32];
        id[0] = seq.wrapping_mul(37);
        set.add(i64::from(seq), id);
    }
    set
}

/// What a malicious author may send: a spoilt payload and a spoilt text, properly signed. It is refused,
/// or what was read of it is what stands there.
fn signed_nonsense(bytes: &[u8]) {
    let secret = AuthorSecret::from_seed(&[1; 32]);
    // The document is a payload and a text; the digest of the good text becomes that of this one.
    let at = bytes.iter().position(|byte| *byte == b'\n');
    let (payload, body) = bytes.split_at(at.unwrap_or(bytes.len()));
    let body = body.strip_prefix(b"\n").unwrap_or_default();
    let (Ok(payload), Ok(body)) = (std::str::from_utf8(payload), std::str::from_utf8(body)) else {
        return;
    };
    let digest = version::content_digest(&[7; 16], good_version().body.unwrap().as_bytes());
    let payload = payload.replace(&digest, &version::content_digest(&[7; 16], body.as_bytes()));
    let pae = node::identity::pae::encode(version::MEDIA_TYPE, payload.as_bytes());
    let wire = WireVersion {
        signature: hex::encode(secret.sign(&pae)),
        salt: Some(hex::encode([7; 16])),
        body: Some(body.to_owned()),
        payload,
    };
    if let Ok(admitted) = admit_despite(wire.clone()) {
        let again: Payload = serde_json::from_str(&wire.payload).unwrap();
        assert_eq!(*admitted.verified().payload(), again);
        assert_eq!(admitted.object().to_string(), again.id);
        assert_eq!(admitted.hlc().to_string(), again.hlc);
    }
}

/// A spoilt envelope may be admitted only if it is, byte for byte, what was signed.
fn envelope(bytes: &[u8]) {
    let Ok(wire) = serde_json::from_slice::<WireVersion>(bytes) else {
        return;
    };
    let good = good_version();
    let erased = WireVersion {
        salt: None,
        body: None,
        ..good.clone()
    };
    let same = |signed: &WireVersion| {
        signed.payload == wire.payload
            && signed.signature.eq_ignore_ascii_case(&wire.signature)
            && signed.body == wire.body
    };
    let genuine = same(&good) || same(&erased);
    if admit_despite(wire.clone()).is_ok() {
        assert!(genuine, "a version that nobody signed was admitted");
    }
}

fn parsers() -> Vec<Parser> {
    let secret = AuthorSecret::from_seed(&[1; 32]);
    let (key, next) = (secret.public(), AuthorSecret::from_seed(&[2; 32]).public());
    let rotation = Rotation::sign(&secret, &next, "2026-01-01T00:00:00Z".parse().unwrap());
    let pin = format!("sha256:{}", "a1".repeat(32));
    let version = serde_json::to_string(&good_version()).unwrap();
    let zeros = "0".repeat(32);
    let questions = Walk::new().questions(&VersionSet::default()).unwrap();
    let answers = reconcile::answer(&set(), &questions);
    vec![
        Parser {
            name: "allowlist",
            seed: format!("# c\n{pin} alpha 192.0.2.1:7 read,write # c\n{} beta [::1]:9\n", pin.replace('a', "B")).into_bytes(),
            feed: |bytes| text(bytes, |text| drop(Allowlist::parse(text))),
        },
        Parser {
            name: "authors",
            seed: format!("ed25519:{key} alice namespaces=a,b not-after=2027-01-01T00:00:00Z\n{rotation}\npolicy x warn\nshared team\n").into_bytes(),
            feed: |bytes| text(bytes, |text| drop(Authors::parse(text))),
        },
        Parser {
            name: "envelope",
            seed: version.clone().into_bytes(),
            feed: envelope,
        },
        Parser {
            name: "signed-nonsense",
            seed: {
                let good = good_version();
                format!("{}\n{}", good.payload, good.body.unwrap()).into_bytes()
            },
            feed: signed_nonsense,
        },
        Parser {
            name: "changes",
            seed: format!(r#"{{"epoch":"{zeros}","next":1,"more":false,"count":1,"digest":"{zeros}","dials_back":true,"versions":[{version}]}}"#).into_bytes(),
            feed: |bytes| {
                if let Ok(changes) = Changes::read(bytes) {
                    changes.versions.into_iter().for_each(|wire| drop(admit_despite(wire)));
                }
                drop(Batch::read(bytes));
            },
        },
        Parser {
            name: "range-questions",
            seed: serde_json::to_vec(&questions).unwrap(),
            feed: |bytes| {
                if let Ok(questions) = RangeQuestions::read(bytes) {
                    drop(reconcile::answer(&set(), &questions));
                }
                drop(Ids::read(bytes));
            },
        },
        Parser {
            name: "range-answers",
            seed: serde_json::to_vec(&answers).unwrap(),
            feed: |bytes| {
                if let Ok(answers) = RangeAnswers::read(bytes) {
                    let (set, mut walk) = (set(), Walk::new());
                    walk.take(&set, &answers);
                    drop(walk.questions(&set));
                }
            },
        },
    ]
}

fn argument(name: &str, default: u64) -> u64 {
    let mut arguments = std::env::args().skip_while(|argument| argument != name);
    arguments
        .nth(1)
        .and_then(|value| value.parse().ok())
        .unwrap_or(default)
}

fn main() -> ExitCode {
    let (rounds, seed) = (argument("--rounds", 20_000), argument("--seed", 1));
    let limit = Duration::from_secs(argument("--seconds", 60));
    panic::set_hook(Box::new(|_| {}));
    let mut broken = false;
    for parser in parsers() {
        let mut random = Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
        let started = Instant::now();
        let mut done = 0_u64;
        while done < rounds && started.elapsed() < limit {
            let document = random.spoil(&parser.seed);
            if panic::catch_unwind(AssertUnwindSafe(|| (parser.feed)(&document))).is_err() {
                println!(
                    "`{}` fails on {:?}",
                    parser.name,
                    String::from_utf8_lossy(&document)
                );
                broken = true;
                break;
            }
            done += 1;
        }
        println!(
            "{:<24} {done:>8} documents in {:>5.1} s",
            parser.name,
            started.elapsed().as_secs_f64()
        );
    }
    ExitCode::from(u8::from(broken))
}
