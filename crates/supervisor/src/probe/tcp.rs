//! A connection is accepted.

use super::address::connect;
use crate::machine::Outcome;

pub(super) async fn check(address: &str) -> Outcome {
    match connect(address).await {
        Ok(_) => Outcome::Healthy,
        Err(why) => Outcome::Unhealthy(why),
    }
}
