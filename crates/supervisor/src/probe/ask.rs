//! A single question over the network, for programs that are not supervised here.

use std::time::Duration;

use masque_fleet::model::Check;

use super::{grpc, http, prober::no_answer, tcp, zmq::Zmq};
use crate::machine::Outcome;

/// Asks once over the network; none for checks that are made in the service's surroundings, or that it answers itself.
pub async fn ask(check: &Check, timeout: Duration) -> Option<Outcome> {
    let asked = async {
        Some(match check {
            Check::Tcp(address) => tcp::check(address).await,
            Check::Http(request) => http::check(request).await,
            Check::Grpc { address, service } => grpc::check(address, service).await,
            Check::Zmq { address, request, expect } => Zmq::new(address, request, expect).check().await,
            Check::Exec(_) | Check::Notify | Check::Descriptor | Check::File(_) | Check::Log(_) => return None,
        })
    };
    let answered = tokio::time::timeout(timeout, Box::pin(asked)).await;
    answered.unwrap_or_else(|_| Some(Outcome::Unhealthy(no_answer(timeout))))
}
