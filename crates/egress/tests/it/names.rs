//! Names and rules: what is allowed is exactly what is listed.

use masque_egress::{HostName, NameError, Rules};

#[test]
fn the_table_of_names() {
    let long_label = "a".repeat(64);
    let long_name = format!("{}.org", vec!["abcdefghi"; 26].join("."));
    for (text, error) in [
        ("", NameError::Empty),
        (".", NameError::Empty),
        ("a..org", NameError::EmptyLabel),
        (".a.org", NameError::EmptyLabel),
        ("a.org..", NameError::EmptyLabel),
        (&long_label, NameError::TooLong),
        (&long_name, NameError::TooLong),
        ("evil\0.a.org", NameError::Letter),
        ("user@a.org", NameError::Letter),
        ("a.org:443", NameError::Letter),
        ("a.org/", NameError::Letter),
        ("a b.org", NameError::Letter),
        ("a_b.org", NameError::Letter),
        ("%61.org", NameError::Letter),
        ("bücher.org", NameError::Letter),
        ("a\u{3002}org", NameError::Letter),
        ("[::1]", NameError::Letter),
        ("-a.org", NameError::Hyphen),
        ("a-.org", NameError::Hyphen),
        ("127.0.0.1", NameError::Number),
        ("127.1", NameError::Number),
        ("2130706433", NameError::Number),
        ("0x7f.0.0.1", NameError::Number),
        ("0177.0.0.01", NameError::Number),
        ("0x7f000001", NameError::Number),
        ("a.0x", NameError::Number),
        ("a.0X1f", NameError::Number),
        ("xn--.org", NameError::Hyphen),
        ("xn--a.org", NameError::Encoding),
        ("xn--bcher-kva8445foa.xn--zz", NameError::Encoding),
    ] {
        assert_eq!(HostName::parse(text), Err(error), "{text:?}");
    }
    for (text, name) in [
        ("Zenodo.ORG", "zenodo.org"),
        ("zenodo.org.", "zenodo.org"),
        ("localhost", "localhost"),
        ("xn--bcher-kva.example", "xn--bcher-kva.example"),
        ("XN--BCHER-KVA.example", "xn--bcher-kva.example"),
        ("r3---sn-4g5e6nez.example", "r3---sn-4g5e6nez.example"),
        ("1.example.4u", "1.example.4u"),
    ] {
        assert_eq!(HostName::parse(text).unwrap().as_str(), name);
    }
}

#[test]
fn the_table_of_rules() {
    for rule in [
        "",
        "*",
        "*.org",
        "*.*.example.org",
        "a.*.org",
        "*example.org",
        "**.example.org",
        "https://example.org",
        "example.org/path",
        "user@example.org",
        "example.org:",
        "example.org:0",
        "example.org:65536",
        "example.org:+443",
        "example.org:44 3",
        "example.org:443:443",
        "[2606:4700::1111]:443",
        "2606:4700::1111",
        "10.0.0.0/8",
        "127.1",
        "0177.0.0.1",
        " example.org",
        "example.org\n",
    ] {
        let error = Rules::parse(&[rule]).unwrap_err().to_string();
        assert!(error.starts_with(&format!("network rule `{}`: ", rule.escape_debug())), "{error}");
    }
    let rules = Rules::parse(&["a.org", "b.org:8080", "c.org:*", "*.d.org:443", "E.org.", "10.1.2.3:5432"]).unwrap();
    for (host, port, allowed) in [
        ("a.org", 443, true),
        ("a.org", 80, false),
        ("b.org", 8080, true),
        ("b.org", 443, false),
        ("c.org", 1, true),
        ("x.d.org", 443, true),
        ("d.org", 443, false),
        ("x.y.d.org", 443, false),
        ("xd.org", 443, false),
        ("e.org", 443, true),
        ("x.a.org", 443, false),
        ("a.org.evil.com", 443, false),
    ] {
        assert_eq!(rules.allows(&HostName::parse(host).unwrap(), port), allowed, "{host}:{port}");
    }
    assert!(rules.allows_address([10, 1, 2, 3].into(), 5432));
    assert!(!rules.allows_address([10, 1, 2, 3].into(), 443) && !rules.allows_address([10, 1, 2, 4].into(), 5432));
}

/// Letters that end names, look like others, vanish, or mean something elsewhere.
const ODD: [&str; 32] = [
    "a", "Z", "0", "9", ".", "..", "-", "_", "*", "@", ":", "/", "\\", "#", "%", "?", "\0", "\t", "\n", " ",
    "\u{3002}", "\u{ff0e}", "\u{ad}", "\u{200b}", "\u{fc}", "\u{130}", "\u{17f}", "\u{212a}", "xn--", "%2e", "org",
    "x.wild",
];

/// A name near a listed one, as attackers make it: the same for the same number.
fn near(number: u64) -> String {
    let mut state = number;
    let mut below = |bound: usize| {
        // SplitMix64, by Steele, Lea and Flood.
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((mixed ^ (mixed >> 31)) % bound as u64).unwrap()
    };
    let listed = ["allowed.example.org", "x.wild.example.net", "xn--bcher-kva.example.org"];
    let mut text = listed[below(listed.len())].to_owned();
    for _ in 0..below(4) {
        let mut ends: Vec<usize> = text.char_indices().map(|(at, _)| at).collect();
        ends.push(text.len());
        let first = below(ends.len());
        let last = (first + below(3)).min(ends.len() - 1);
        text.replace_range(ends[first]..ends[last], ODD[below(ODD.len())]);
    }
    if below(4) == 0 { text.to_uppercase() } else { text }
}

fn is_listed(name: &str) -> bool {
    let under = name.strip_suffix(".wild.example.net");
    ["allowed.example.org", "xn--bcher-kva.example.org"].contains(&name)
        || under.is_some_and(|label| !label.is_empty() && !label.contains('.'))
}

#[test]
fn nothing_unlisted_is_allowed() {
    let rules =
        Rules::parse(&["allowed.example.org", "*.wild.example.net:443", "xn--bcher-kva.example.org:443"]).unwrap();
    let (mut names, mut listed) = (0, 0);
    for number in 0..100_000 {
        let text = near(number);
        let Ok(name) = HostName::parse(&text) else { continue };
        let plain = text.strip_suffix('.').unwrap_or(&text).to_ascii_lowercase();
        assert_eq!(name.as_str(), plain, "{text:?}");
        assert_eq!((rules.knows(&name), rules.allows(&name, 443)), (is_listed(&plain), is_listed(&plain)), "{text:?}");
        assert!(!rules.allows(&name, 80), "{text:?}");
        names += 1;
        listed += usize::from(is_listed(&plain));
    }
    assert!(names > 30_000 && listed > 10_000, "{names} {listed}");
}
