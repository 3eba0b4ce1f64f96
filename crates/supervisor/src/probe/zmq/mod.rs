//! A JSON request over a ZeroMQ REQ socket is answered as expected, by a REP or ROUTER socket.
//!
//! Speaks the protocol itself: one request, one answer, and nothing behind the scenes that would connect again, wait or
//! queue. A connection is used for many checks; one on which an answer is still owed is never used again, so an answer
//! always belongs to its request.

mod connection;
mod frame;

use masque_fleet::model::Expectation;
use serde_json::Value;

use super::expectation;
use crate::machine::Outcome;
use connection::Connection;

/// Checks that one connection serves. A new one now and then shows that the service still accepts any.
const USES: u32 = 60;
/// Characters of a reply that is no JSON that are told.
const TOLD: usize = 80;

/// Why there is no reply.
#[derive(Debug, PartialEq, Eq)]
enum Failure {
    /// The connection failed.
    Connection(String),
    /// What came is not what the protocol allows.
    Protocol(String),
}

/// The check of one service.
#[derive(Debug)]
pub(super) struct Zmq {
    address: String,
    request: Vec<u8>,
    expect: Vec<Expectation>,
    kept: Option<(Connection, u32)>,
}

impl Zmq {
    pub(super) fn new(address: &str, request: &Value, expect: &[Expectation]) -> Self {
        let request = frame::request(request.to_string().as_bytes());
        Self { address: address.to_owned(), request, expect: expect.to_vec(), kept: None }
    }

    /// Whom it asks: `address:port`.
    pub(super) fn address(&self) -> &str {
        &self.address
    }

    /// Asks once. When the future is dropped, so is the connection.
    pub(super) async fn check(&mut self) -> Outcome {
        match self.ask().await {
            Ok(parts) => self.judge(&parts),
            Err(Failure::Connection(why) | Failure::Protocol(why)) => Outcome::Unhealthy(why),
        }
    }

    async fn ask(&mut self) -> Result<Vec<Vec<u8>>, Failure> {
        if let Some((mut connection, uses)) = self.kept.take()
            && uses < USES
            && connection.is_quiet()
        {
            match connection.ask(&self.request).await {
                Ok(parts) => {
                    self.kept = Some((connection, uses + 1));
                    return Ok(parts);
                }
                // It may have been closed since the last time.
                Err(Failure::Connection(_)) => {}
                Err(failure) => return Err(failure),
            }
        }
        let mut connection = Connection::open(&self.address).await?;
        let parts = connection.ask(&self.request).await?;
        self.kept = Some((connection, 1));
        Ok(parts)
    }

    fn judge(&self, parts: &[Vec<u8>]) -> Outcome {
        let body = match parts {
            [delimiter, body] if delimiter.is_empty() => body,
            [delimiter, _, ..] if delimiter.is_empty() => {
                return Outcome::Unhealthy(format!("the reply has {} parts: expected one", parts.len() - 1));
            }
            _ => return Outcome::Unhealthy("the reply does not begin with an empty part".to_owned()),
        };
        match serde_json::from_slice(body) {
            Ok(reply) => expectation::judge(&reply, &self.expect),
            Err(_) => {
                let text: String = String::from_utf8_lossy(body).chars().take(TOLD).collect();
                Outcome::Unhealthy(format!("the reply is no JSON: `{text}`"))
            }
        }
    }
}
