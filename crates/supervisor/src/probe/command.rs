//! A command in the surroundings of the service ends with 0.

use std::time::Duration;

use masque_fleet::model::Command;
use masque_sandbox::service::ServiceEnd;

use super::prober::no_answer;
use crate::{machine::Outcome, process::Surroundings};

/// Bytes of its output that are kept.
const OUTPUT: usize = 4 << 10;
/// Characters of its output that are told.
const TOLD: usize = 200;

pub(super) async fn check(command: &Command, surroundings: &Surroundings, timeout: Duration) -> Outcome {
    let captured = match surroundings.check(command.words()).run(timeout, OUTPUT).await {
        Ok(captured) => captured,
        Err(error) => return Outcome::Unhealthy(error.to_string()),
    };
    match captured.end {
        Some(ServiceEnd::Code(0)) => Outcome::Healthy,
        None => Outcome::Unhealthy(no_answer(timeout)),
        Some(end) => {
            let output = String::from_utf8_lossy(&captured.output);
            let last = output.lines().rev().map(str::trim).find(|line| !line.is_empty());
            let said = last.map(|line| format!(": {}", line.chars().take(TOLD).collect::<String>()));
            Outcome::Unhealthy(format!("the check ended with {end}{}", said.unwrap_or_default()))
        }
    }
}
