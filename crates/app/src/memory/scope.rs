//! What a persona's file lets it read. Leaves out what people may read: everything on their machine.

use masque_types::{memory::Namespace, persona::Persona};

/// The namespaces that the scopes of a persona name; `project` is the one that it works in. What is not named, it cannot
/// read.
#[must_use]
pub fn readable(persona: &Persona, project: &Namespace) -> Vec<Namespace> {
    let mut namespaces: Vec<Namespace> = persona
        .memory
        .scopes
        .iter()
        .filter_map(|scope| match scope.as_str() {
            "private" => own(&persona.name),
            "project" => Some(project.clone()),
            room => room.parse().ok().filter(|namespace| matches!(namespace, Namespace::Room(_))),
        })
        .collect();
    namespaces.sort();
    namespaces.dedup();
    namespaces
}

/// A persona's own namespace.
pub(super) fn own(persona: &str) -> Option<Namespace> {
    format!("private:{persona}").parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_persona_reads_what_its_scopes_name() {
        let mut persona = Persona::new("ada");
        let project: Namespace = "project:1234".parse().unwrap();
        assert!(readable(&persona, &project).is_empty());
        persona.memory.scopes = ["private", "room:ops", "private:bob", "project:other"].map(String::from).to_vec();
        let names: Vec<_> = readable(&persona, &project).iter().map(ToString::to_string).collect();
        assert_eq!(names, ["private:ada", "room:ops"]);
        persona.memory.scopes = vec!["project".to_owned()];
        assert_eq!(readable(&persona, &project), [project]);
    }
}
