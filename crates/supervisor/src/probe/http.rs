//! An HTTP/1.1 request is answered with a good status. Redirects are answers, not followed.

use bytes::Bytes;
use http_body_util::Empty;
use hyper::{
    Request,
    client::conn::http1,
    header::{CONNECTION, HOST, HeaderValue, USER_AGENT},
};
use hyper_util::rt::TokioIo;
use masque_fleet::model::Http;

use super::address::connect;
use crate::machine::Outcome;

/// How the probe calls itself.
const AGENT: &str = "masque";

pub(super) async fn check(http: &Http) -> Outcome {
    match ask(http).await {
        Ok(status) if (http.status.0..=http.status.1).contains(&status) => Outcome::Healthy,
        Ok(status) => Outcome::Unhealthy(format!("HTTP {status} at http://{}{}", http.address, http.path)),
        Err(why) => Outcome::Unhealthy(why),
    }
}

async fn ask(http: &Http) -> Result<u16, String> {
    let request = request(http).map_err(|error| format!("the request cannot be made: {error}"))?;
    let stream = connect(&http.address).await?;
    let failed = |error: hyper::Error| format!("no HTTP answer from {}: {error}", http.address);
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(failed)?;
    let mut connection = std::pin::pin!(connection);
    let mut answer = std::pin::pin!(sender.send_request(request));
    // The connection does the work; the status is all that counts, so its body is not awaited.
    tokio::select! {
        biased;
        answer = &mut answer => return answer.map(|answer| answer.status().as_u16()).map_err(failed),
        _ = &mut connection => {}
    }
    answer.await.map(|answer| answer.status().as_u16()).map_err(failed)
}

fn request(http: &Http) -> Result<Request<Empty<Bytes>>, hyper::http::Error> {
    let path = if http.path.is_empty() { "/" } else { http.path.as_str() };
    let mut request = Request::get(path);
    for (name, value) in &http.headers {
        request = request.header(name, value);
    }
    let mut request = request.body(Empty::new())?;
    let headers = request.headers_mut();
    if !headers.contains_key(HOST) {
        headers.insert(HOST, HeaderValue::from_str(&http.address)?);
    }
    headers.insert(CONNECTION, HeaderValue::from_static("close"));
    headers.entry(USER_AGENT).or_insert(HeaderValue::from_static(AGENT));
    Ok(request)
}
