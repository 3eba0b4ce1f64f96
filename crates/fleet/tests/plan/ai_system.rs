//! The fleet that is shipped: what the check says about it, and its forms for other tools.

use std::{collections::BTreeMap, path::Path};

use masque_fleet::{
    check::{StandIn, World, check},
    export,
    graph::Graph,
    import,
    manifest::{self, Variables},
    model::{Fleet, ServiceId},
};

fn ai_system() -> Fleet {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fleets/ai-system/fleet.toml");
    let loaded = manifest::load(&[file.canonicalize().unwrap()], &Variables::default());
    loaded.fleet.unwrap_or_else(|| panic!("{:?}", loaded.diagnostics))
}

#[test]
fn it_can_start_once_its_hosts_have_keys() {
    let mut fleet = ai_system();
    let report = check(&fleet, &World::default());
    let errors: Vec<_> = report.findings.iter().filter(|finding| finding.rule.name() != "unreachable-host").collect();
    let errors: Vec<_> = errors.iter().filter(|finding| finding.to_string().starts_with("error")).collect();
    assert!(errors.is_empty(), "{errors:#?}");
    assert!(!report.is_good(), "nobody can know its keys");
    for (number, host) in fleet.hosts.values_mut().enumerate() {
        host.key = Some(format!("ed25519:{number:064x}"));
    }
    let report = check(&fleet, &World::default());
    assert!(report.is_good(), "{:#?}", report.findings);
    let missing = ServiceId::new("mainpc", "PhiTranslationService");
    let instead = report.substitutions.iter().find(|substitution| substitution.missing == missing).unwrap();
    assert_eq!(instead.by, StandIn::Service(ServiceId::new("mainpc", "FixedStreamingTranslation")));
    assert_eq!(instead.dependants, [ServiceId::new("mainpc", "ConsolidatedTranslator")]);
}

#[test]
fn it_has_an_order_and_is_drawn_whole() {
    let fleet = ai_system();
    let graph = Graph::of(&fleet);
    assert!(graph.waves().unwrap().len() >= 10);
    let svg = graph.svg(&fleet, &BTreeMap::new());
    assert!(roxmltree::Document::parse(&svg).is_ok());
    assert!(fleet.services.iter().all(|service| svg.contains(&format!("<title>{}", service.id))));
}

#[test]
fn every_form_of_it_is_read_again_as_it_is() {
    let fleet = ai_system();
    let units = export::units(&fleet);
    let supervised = units.iter().filter(|unit| unit.content == export::Content::Supervised).count();
    assert_eq!((units.len(), supervised), (16, 16));
    assert_eq!(import::compose(&export::compose(&fleet)).unwrap(), fleet);
    assert_eq!(import::quadlet(&export::quadlet(&fleet)).unwrap(), fleet);
    assert_eq!(import::kube(&export::kube(&fleet)).unwrap(), fleet);
    let files = export::dockerfiles(&fleet);
    let gpu = &files.0[Path::new("Containerfile.gpu-services")];
    for part in [
        "requirements.gpu-services.txt",
        r#"["ln","-sfn","/app/main_pc_code/FORMAINPC","/app/FORMAINPC"]"#,
        "EXPOSE 5563",
    ] {
        assert!(gpu.contains(part), "{part}: {gpu}");
    }
}
