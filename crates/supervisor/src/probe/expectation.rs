//! What must hold for a JSON reply. Pure.

use masque_fleet::model::Expectation;
use serde_json::Value;

use crate::machine::Outcome;

/// Characters of a reply that are told.
const TOLD: usize = 160;

/// Judges a reply: the worst that one expectation finds.
pub(super) fn judge(reply: &Value, expect: &[Expectation]) -> Outcome {
    let mut outcome = Outcome::Healthy;
    for expectation in expect {
        match judge_one(reply, expectation) {
            Outcome::Healthy => {}
            Outcome::Degraded(why) if outcome == Outcome::Healthy => outcome = Outcome::Degraded(why),
            Outcome::Degraded(_) => {}
            unhealthy @ Outcome::Unhealthy(_) => return unhealthy,
        }
    }
    outcome
}

fn judge_one(reply: &Value, expectation: &Expectation) -> Outcome {
    let Some(value) = find(reply, &expectation.path) else {
        if expectation.optional {
            return Outcome::Healthy;
        }
        return Outcome::Unhealthy(format!("the reply has no `{}`: {}", expectation.path, told(reply)));
    };
    let is_any = |values: &[Value]| values.iter().any(|good| equal(good, value));
    let why = || format!("`{}` is {}: {}", expectation.path, told(value), told(reply));
    if is_any(&expectation.degraded) {
        Outcome::Degraded(why())
    } else if expectation.healthy.is_empty() || is_any(&expectation.healthy) {
        Outcome::Healthy
    } else {
        Outcome::Unhealthy(why())
    }
}

/// The value at a path of names, and of numbers where there is a list.
fn find<'a>(reply: &'a Value, path: &str) -> Option<&'a Value> {
    path.split('.').filter(|name| !name.is_empty()).try_fold(reply, |value, name| match value {
        Value::Array(list) => list.get(name.parse::<usize>().ok()?),
        value => value.get(name),
    })
}

/// Whether two values are the same; 1 and 1.0 are.
fn equal(one: &Value, other: &Value) -> bool {
    one == other || one.as_f64().is_some_and(|number| Some(number) == other.as_f64())
}

/// The beginning of a value as JSON.
pub(super) fn told(value: &Value) -> String {
    let text = value.to_string();
    let mut told: String = text.chars().take(TOLD).collect();
    if told.len() < text.len() {
        told.push('…');
    }
    told
}

#[cfg(test)]
mod tests {
    use masque_fleet::model::Expectation;
    use serde_json::{Value, json};

    use super::judge;
    use crate::machine::Outcome;

    fn status(optional: bool) -> Expectation {
        let healthy = vec![json!("ok"), json!(true), json!(1)];
        Expectation { path: "health.status".into(), healthy, degraded: vec![json!("slow")], optional }
    }

    fn check(reply: &Value, optional: bool) -> String {
        match judge(reply, &[status(optional)]) {
            Outcome::Healthy => "healthy".to_owned(),
            Outcome::Degraded(why) => format!("degraded, {why}"),
            Outcome::Unhealthy(why) => format!("unhealthy, {why}"),
        }
    }

    #[test]
    fn only_what_is_expected_is_healthy() {
        for good in [json!("ok"), json!(true), json!(1.0)] {
            assert_eq!(check(&json!({"health": {"status": good}}), false), "healthy");
        }
        let reply = |status| json!({"health": {"status": status}});
        assert_eq!(
            check(&reply("error"), true),
            r#"unhealthy, `health.status` is "error": {"health":{"status":"error"}}"#
        );
        assert_eq!(
            check(&reply("slow"), false),
            r#"degraded, `health.status` is "slow": {"health":{"status":"slow"}}"#
        );
        assert_eq!(
            check(&json!({"health": []}), false),
            r#"unhealthy, the reply has no `health.status`: {"health":[]}"#
        );
        assert_eq!(check(&json!("text"), true), "healthy");
        assert_eq!(
            check(&json!("x".repeat(300)), false).chars().count(),
            "unhealthy, the reply has no `health.status`: ".len() + 161
        );
        assert_eq!(judge(&json!([]), &[]), Outcome::Healthy);
    }

    #[test]
    fn where_only_poor_values_are_said_every_other_one_is_healthy() {
        let load = Expectation { healthy: vec![], ..status(true) };
        let reply = |status| json!({"health": {"status": status}});
        assert_eq!(judge(&reply("fine"), std::slice::from_ref(&load)), Outcome::Healthy);
        assert!(matches!(judge(&reply("slow"), &[load]), Outcome::Degraded(_)));
    }

    #[test]
    fn the_worst_counts_and_lists_have_numbers() {
        let second =
            Expectation { path: "list.1".into(), healthy: vec![json!("b")], degraded: vec![], optional: false };
        let all = [status(false), second];
        let reply = |status, second| json!({"health": {"status": status}, "list": ["a", second]});
        assert_eq!(judge(&reply("ok", "b"), &all), Outcome::Healthy);
        assert!(matches!(judge(&reply("slow", "b"), &all), Outcome::Degraded(_)));
        assert!(matches!(judge(&reply("slow", "c"), &all), Outcome::Unhealthy(_)));
    }
}
