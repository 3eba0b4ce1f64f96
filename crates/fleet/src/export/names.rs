//! [`Names`]: names that every tool takes, made from any names.

use std::collections::BTreeSet;

/// The most characters of a name: Kubernetes takes 63, and room is left for endings.
const MOST: usize = 48;

/// Names that were given out, so that no two are the same.
#[derive(Debug, Default)]
pub(super) struct Names(BTreeSet<String>);

impl Names {
    /// A name of letters, digits and `-` that is like the given one and was not given out before.
    pub(super) fn unique(&mut self, like: &str) -> String {
        let base = slug(like);
        let numbered = (2..).map(|number| format!("{base}-{number}"));
        let free = |name: &String| !self.0.contains(name);
        let name = std::iter::once(base.clone()).chain(numbered).find(free).unwrap_or(base);
        self.0.insert(name.clone());
        name
    }
}

/// Small letters, digits and single `-` within: a name of the domain name system. `MemoryHub` becomes `memoryhub`.
pub(super) fn slug(text: &str) -> String {
    let mut name = String::new();
    for letter in text.chars() {
        if letter.is_ascii_alphanumeric() {
            name.push(letter.to_ascii_lowercase());
        } else if !name.ends_with('-') && !name.is_empty() {
            name.push('-');
        }
        if name.len() >= MOST {
            break;
        }
    }
    let name = name.trim_end_matches('-');
    match name.chars().next() {
        None => "unnamed".to_owned(),
        Some(first) if first.is_ascii_digit() => format!("x{name}"),
        Some(_) => name.to_owned(),
    }
}

/// A text without line breaks and other control characters.
pub(super) fn one_line(text: &str) -> String {
    text.chars().map(|letter| if letter.is_control() { ' ' } else { letter }).collect()
}

/// Whether an engine has the image that a name means. `images` are the names that it tells, with registry and tag; names
/// of people often lack both: `postgres` is `docker.io/library/postgres:latest`, or an image of that name built here.
#[must_use]
pub fn has_image(images: &BTreeSet<String>, name: &str) -> bool {
    let whole = |name: &str| {
        let last = name.rsplit('/').next().unwrap_or_default();
        if last.contains([':', '@']) { name.to_owned() } else { format!("{name}:latest") }
    };
    let meanings = match name.split_once('/') {
        Some((registry, _)) if registry.contains(['.', ':']) || registry == "localhost" => vec![whole(name)],
        Some(_) => vec![format!("docker.io/{}", whole(name)), format!("localhost/{}", whole(name))],
        None => vec![format!("docker.io/library/{}", whole(name)), format!("localhost/{}", whole(name))],
    };
    let known = |image: &String| images.contains(image) || images.contains(&whole(name));
    meanings.iter().any(known)
}

#[cfg(test)]
mod tests {
    use super::has_image;

    #[test]
    fn images_are_found_by_the_names_that_people_give_them() {
        let images = [
            "docker.io/library/postgres:latest",
            "docker.io/bitnami/redis:7",
            "localhost/own:latest",
            "registry:5000/a:1",
            // As Docker tells them.
            "nginx:1.27",
        ];
        let images = images.map(str::to_owned).into();
        for there in [
            "postgres",
            "postgres:latest",
            "docker.io/library/postgres",
            "bitnami/redis:7",
            "own",
            "localhost/own",
            "registry:5000/a:1",
            "nginx:1.27",
        ] {
            assert!(has_image(&images, there), "{there}");
        }
        for missing in ["postgres:17", "redis:7", "docker.io/own", "registry:5000/a", "quay.io/postgres", "nginx", ""] {
            assert!(!has_image(&images, missing), "{missing}");
        }
    }
}
