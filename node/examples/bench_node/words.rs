//! What is stored and asked for: the same for every server.

use std::sync::Arc;

use crate::drive::Requests;
use crate::server::Server;

/// Different texts; titles make memories differ beyond that.
const TEXTS: u64 = 4096;
/// Words that the texts are made of.
pub(crate) const WORDS: u64 = 20_000;
/// In the text of every memory.
pub(crate) const IN_ALL: &str = "always";
/// In the text of as many memories as was asked for.
pub(crate) const IN_SOME: &str = "everywhere";

/// Texts of some 300 bytes, made once.
pub(crate) struct Texts(Vec<String>);

impl Texts {
    pub(crate) fn make() -> Arc<Self> {
        Arc::new(Self((1..=TEXTS).map(prose).collect()))
    }

    /// The JSON of one memory; `number` tells it from all others.
    pub(crate) fn memory(&self, number: u64, marked: bool) -> String {
        let text = &self.0[usize::try_from(number % TEXTS).unwrap()];
        // No word that all titles share: `ai-memory` looks at every similar title when it stores.
        let (first, second) = (number * 7919 % WORDS, number / 3 % WORDS);
        let mark = if marked { IN_SOME } else { "" };
        format!(
            r#"{{"title":"t{first} t{second} n{number}","content":"{text}{IN_ALL} {mark}","tier":"long","tags":["bench"]}}"#
        )
    }
}

fn prose(seed: u64) -> String {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut text = String::with_capacity(320);
    for _ in 0..40 {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        text.push_str(&format!("w{} ", state % WORDS));
    }
    text
}

/// A request with a body.
pub(crate) fn post(headers: &str, path: &str, body: &str) -> Vec<u8> {
    format!(
        "POST {path} HTTP/1.1\r\n{headers}Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}

/// A request without one.
pub(crate) fn get(headers: &str, path: &str) -> Vec<u8> {
    format!("GET {path} HTTP/1.1\r\n{headers}\r\n").into_bytes()
}

/// Stores: another memory each time; `round` keeps rounds apart.
pub(crate) fn stores(server: &Server, texts: &Arc<Texts>, round: u64) -> Requests {
    let (headers, texts) = (server.headers.clone(), Arc::clone(texts));
    Arc::new(move |n| {
        let body = texts.memory((round << 32) + n, false);
        post(&headers, "/api/v1/memories", &body)
    })
}

/// Reads of one memory, jumping about among `ids`.
pub(crate) fn reads(server: &Server, ids: Vec<String>) -> Requests {
    let headers = server.headers.clone();
    Arc::new(move |n| {
        let jump = usize::try_from(n.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 20).unwrap();
        get(
            &headers,
            &format!("/api/v1/memories/{}", ids[jump % ids.len()]),
        )
    })
}

/// The same search again and again.
pub(crate) fn search(server: &Server, word: &str) -> Requests {
    let request = get(
        &server.headers,
        &format!("/api/v1/search?q={word}&limit=10"),
    );
    Arc::new(move |_| request.clone())
}

/// Searches for one word of the texts, another each time.
pub(crate) fn searches_for_one_word(server: &Server) -> Requests {
    let headers = server.headers.clone();
    Arc::new(move |n| {
        let word = n.wrapping_mul(7919) % WORDS;
        get(&headers, &format!("/api/v1/search?q=w{word}&limit=10"))
    })
}
