//! Endpoints of embeddings: batches, order, retries, texts that a server refuses, and keys that stay secret.

use std::time::Duration;

use masque_embed::{Endpoint, EndpointSpec};
use masque_types::{
    memory::{EmbedPurpose, Embedder as _},
    secret::Secret,
};
use serde_json::{Value, json};

use crate::server::{Asked, Reply, Server, client};

fn inputs(asked: &Asked) -> Vec<String> {
    let body: Value = serde_json::from_slice(&asked.body).unwrap();
    body["input"].as_array().unwrap().iter().map(|text| text.as_str().unwrap().to_owned()).collect()
}

/// A vector that tells the text's length.
fn vectors(asked: &Asked) -> Reply {
    let entry = |(index, text): (usize, String)| json!({ "index": index, "embedding": [text.chars().count(), 1] });
    // Servers may answer in any order.
    let data: Vec<Value> = inputs(asked).into_iter().enumerate().map(entry).rev().collect();
    Reply::Whole(200, Vec::new(), json!({ "data": data }).to_string().into_bytes())
}

fn status(code: u16, body: &str) -> Reply {
    Reply::Whole(code, Vec::new(), body.as_bytes().to_vec())
}

fn spec(server: &Server) -> EndpointSpec {
    let base_url = server.url.join("/v1/").unwrap();
    EndpointSpec { batch: 2, pause: Duration::from_millis(1), ..EndpointSpec::new(client(), "fake", base_url, "small") }
}

fn texts(lengths: &[usize]) -> Vec<String> {
    lengths.iter().map(|length| "a".repeat(*length)).collect()
}

#[tokio::test]
async fn texts_are_embedded_in_batches_and_keep_their_order() {
    let server = Server::start(vectors).await;
    let key = Some(Secret::new("sk-secret"));
    let endpoint = Endpoint::connect(EndpointSpec { api_key: key, ..spec(&server) }).await.unwrap();
    assert_eq!((endpoint.model().name.as_str(), endpoint.model().dimension), ("fake/small", 2));
    let found = endpoint.embed(&texts(&[1, 2, 3, 4, 5]), EmbedPurpose::Document).await.unwrap();
    for (place, vector) in found.iter().enumerate() {
        assert!((vector[0] / vector[1] - (place as f32 + 1.0)).abs() < 1e-4, "{place}: {vector:?}");
        assert!((vector[0].hypot(vector[1]) - 1.0).abs() < 1e-6);
    }
    let asked = server.asked();
    assert_eq!(asked.iter().map(|asked| inputs(asked).len()).collect::<Vec<_>>(), [1, 2, 2, 1]);
    assert!(asked.iter().all(|asked| asked.path == "/v1/embeddings"));
    assert!(asked.iter().all(|asked| asked.headers["authorization"] == "Bearer sk-secret"));
}

#[tokio::test]
async fn what_may_pass_is_tried_again_and_what_may_not_is_said_at_once() {
    let busy = Reply::Whole(429, vec![("retry-after", "0".to_owned())], Vec::new());
    let vector = || status(200, r#"{"data": [{"embedding": [1]}]}"#);
    let server = Server::with([busy, status(503, "loading"), vector()]).await;
    assert!(Endpoint::connect(spec(&server)).await.is_ok());

    let server = Server::with([status(404, "no model small")]).await;
    let error = Endpoint::connect(spec(&server)).await.err().unwrap().to_string();
    assert!(error.contains("fake/small") && error.contains("404") && error.contains("no model small"), "{error}");

    let server = Server::with((0..4).map(|_| status(500, "down"))).await;
    let error = Endpoint::connect(spec(&server)).await.err().unwrap().to_string();
    assert!(error.contains("down"), "{error}");
    assert_eq!(server.asked().len(), 4);
}

#[tokio::test]
async fn a_text_that_is_too_long_for_the_server_is_cut() {
    let server = Server::start(|asked| {
        let fits = inputs(asked).iter().all(|text| text.len() <= 2500);
        if fits { vectors(asked) } else { status(400, "input is too long") }
    })
    .await;
    let endpoint = Endpoint::connect(spec(&server)).await.unwrap();
    let found = endpoint.embed(&texts(&[7, 9000, 8]), EmbedPurpose::Query).await.unwrap();
    let lengths: Vec<f32> = found.iter().map(|vector| (vector[0] / vector[1]).round()).collect();
    assert_eq!(lengths[0], 7.0);
    assert_eq!(lengths[2], 8.0);
    assert!((2000.0..2500.0).contains(&lengths[1]), "{lengths:?}");
}

#[tokio::test]
async fn a_key_that_the_server_repeats_is_not_shown() {
    let server = Server::start(|_| status(401, "the key sk-secret is wrong")).await;
    let key = Some(Secret::new("sk-secret"));
    let error = Endpoint::connect(EndpointSpec { api_key: key, ..spec(&server) }).await.err().unwrap().to_string();
    assert!(error.contains("check the key") && !error.contains("sk-secret"), "{error}");
}

#[tokio::test]
async fn a_model_that_changed_behind_its_name_is_noticed() {
    let server = Server::start(vectors).await;
    let endpoint = Endpoint::of_known_dimension(spec(&server), 3).unwrap();
    let error = endpoint.embed(&texts(&[1]), EmbedPurpose::Query).await.unwrap_err();
    assert!(error.contains("expected vectors of 3 numbers, got 2"), "{error}");
}
