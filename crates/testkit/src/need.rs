//! What a test needs and does not find: said on a developer's machine, a failure in CI.

/// Says that a test is left out because that is lacking.
///
/// # Panics
/// In CI, where nothing may be lacking.
#[expect(clippy::disallowed_methods, reason = "tests learn from the environment where they run")]
#[expect(clippy::print_stderr, reason = "a skipped test says so")]
pub fn lacking(what: &str) {
    assert!(std::env::var("CI").as_deref() != Ok("true"), "CI must not lack this: {what}");
    eprintln!("skipped: {what}");
}
