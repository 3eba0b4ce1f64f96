//! The standard health service of gRPC (`grpc.health.v1.Health/Check`,
//! <https://github.com/grpc/grpc/blob/master/doc/health-checking.md>) over plain HTTP/2.
//!
//! Both messages have one field, so they are written and read here by hand.

use bytes::{Buf as _, Bytes, BytesMut};
use h2::{RecvStream, client};
use http::{HeaderMap, Request};

use super::address::connect;
use crate::machine::Outcome;

const METHOD: &str = "/grpc.health.v1.Health/Check";
/// Bytes of an answer that are read.
const LARGEST: usize = 16 << 10;
/// Bytes before a message: whether it is packed, and its length.
const PREFIX: usize = 5;
/// Key of the only field of a request, a text.
const SERVICE: u8 = 0x0a;
/// Key of the only field of an answer, a number.
const STATUS: u8 = 0x08;

pub(super) async fn check(address: &str, service: &str) -> Outcome {
    match ask(address, service).await {
        Ok(1) => Outcome::Healthy,
        Ok(status) => {
            let word = match status {
                0 => "UNKNOWN",
                2 => "NOT_SERVING",
                3 => "SERVICE_UNKNOWN",
                _ => "a status that is not known",
            };
            Outcome::Unhealthy(format!("the health service at {address} says {word}"))
        }
        Err(why) => Outcome::Unhealthy(why),
    }
}

async fn ask(address: &str, service: &str) -> Result<u64, String> {
    let failed = |error: h2::Error| format!("no gRPC answer from {address}: {error}");
    let stream = connect(address).await?;
    let (sender, connection) = client::handshake(stream).await.map_err(failed)?;
    let exchange = async {
        let mut sender = sender.ready().await.map_err(failed)?;
        let request = request(address).map_err(|error| format!("`{address}` cannot be asked: {error}"))?;
        let (answer, mut body) = sender.send_request(request, false).map_err(failed)?;
        body.send_data(message(service), true).map_err(failed)?;
        let answer = answer.await.map_err(failed)?;
        if answer.status() != http::StatusCode::OK {
            return Err(format!("HTTP {} instead of gRPC at {address}", answer.status().as_u16()));
        }
        refusal(answer.headers(), address)?;
        let (data, trailers) = read(answer.into_body()).await.map_err(failed)?;
        refusal(&trailers, address)?;
        status(&data).ok_or_else(|| format!("the answer of {address} is not one of the health service"))
    };
    tokio::select! {
        biased;
        result = exchange => result,
        ended = connection => Err(ended.err().map_or_else(|| format!("connection closed by {address}"), failed)),
    }
}

fn request(address: &str) -> Result<Request<()>, http::Error> {
    let request = Request::post(format!("http://{address}{METHOD}"));
    request.header("content-type", "application/grpc").header("te", "trailers").body(())
}

/// A request with its prefix.
fn message(service: &str) -> Bytes {
    let mut field = Vec::new();
    if !service.is_empty() {
        field.push(SERVICE);
        let mut length = service.len();
        while length >= 0x80 {
            field.push((length & 0x7f) as u8 | 0x80);
            length >>= 7;
        }
        field.push(length as u8);
        field.extend_from_slice(service.as_bytes());
    }
    let mut message = vec![0];
    message.extend_from_slice(&u32::try_from(field.len()).unwrap_or(u32::MAX).to_be_bytes());
    message.extend_from_slice(&field);
    message.into()
}

/// What `grpc-status` says, where it is there and not success.
fn refusal(headers: &HeaderMap, address: &str) -> Result<(), String> {
    let text = |name| headers.get(name).and_then(|value: &http::HeaderValue| value.to_str().ok());
    match text("grpc-status") {
        None | Some("0") => Ok(()),
        Some("5") => Err(format!("{address} knows no service of that name")),
        Some("12") => Err(format!("{address} has no health service")),
        Some(code) => {
            let said: String = text("grpc-message").unwrap_or_default().chars().take(200).collect();
            Err(format!("gRPC error {code} from {address}: {said}"))
        }
    }
}

/// The beginning of the data, and what comes after all of it.
async fn read(mut body: RecvStream) -> Result<(BytesMut, HeaderMap), h2::Error> {
    let mut data = BytesMut::new();
    while let Some(chunk) = body.data().await {
        let chunk = chunk?;
        body.flow_control().release_capacity(chunk.len())?;
        let room = LARGEST.saturating_sub(data.len()).min(chunk.len());
        data.extend_from_slice(chunk.get(..room).unwrap_or_default());
    }
    Ok((data, body.trailers().await?.unwrap_or_default()))
}

/// The status in an answer; 0 is not written.
fn status(data: &[u8]) -> Option<u64> {
    let (prefix, message) = data.split_at_checked(PREFIX)?;
    let (packed, mut length) = prefix.split_first()?;
    let message = message.get(..usize::try_from(length.get_u32()).ok()?)?;
    match (packed, message.split_first()) {
        (0, None) => Some(0),
        (0, Some((&STATUS, value))) => {
            let mut status = 0_u64;
            for (index, byte) in value.iter().take(9).enumerate() {
                status |= u64::from(byte & 0x7f) << (7 * index);
                if byte & 0x80 == 0 {
                    return Some(status);
                }
            }
            None
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{message, status};

    #[test]
    fn messages_are_as_the_protocol_writes_them() {
        assert_eq!(message("").as_ref(), [0; 5]);
        assert_eq!(message("a.b").as_ref(), b"\0\0\0\0\x05\x0a\x03a.b");
        assert_eq!(message(&"x".repeat(200)).as_ref()[5..8], [0x0a, 0xc8, 0x01]);
        assert_eq!(status(&[0, 0, 0, 0, 2, 8, 1]), Some(1));
        assert_eq!(status(&[0, 0, 0, 0, 0]), Some(0));
        for wrong in
            [&[0, 0, 0, 0, 2, 8][..], &[1, 0, 0, 0, 2, 8, 1], &[0, 0, 0, 0, 2, 9, 1], &[0, 0, 0, 0, 2, 8, 0x81], b""]
        {
            assert_eq!(status(wrong), None, "{wrong:?}");
        }
    }

    proptest! {
        #[test]
        fn any_answer_is_read(data in prop::collection::vec(any::<u8>(), 0..40)) {
            status(&data);
        }
    }
}
