//! The directory of a persona: contexts, activity, icon, identity.

use masque_home::{
    Error,
    home::{
        Homes, NextRoot, Rotation,
        activity::{Activity, ActivityLog},
    },
    icon::Icon,
    identity::Subject,
    name::Name,
    versions::Target,
};
use masque_types::{digest::Digest, time::Timestamp};
use serde_json::json;

use crate::support::{World, collect, persona};

const ICON: &str = "<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 8 8'><circle cx='4' cy='4' r='3'/></svg>";

#[test]
fn contexts_are_unreadable_at_rest_and_stay_in_their_place() {
    let world = World::new();
    let [notes, plan] = ["notes", "plan"].map(|name| Name::of_context(name).unwrap());
    world.home.save_context(&notes, b"canary notes", Some("web:example.org")).unwrap();
    world.home.save_context(&plan, b"canary plan", None).unwrap();
    assert_eq!(world.home.contexts().unwrap(), [notes.clone(), plan.clone()]);
    assert_eq!(&**world.home.context(&notes).unwrap().unwrap(), b"canary notes");
    assert_eq!(world.home.origin("context/notes.sealed").unwrap().as_deref(), Some("web:example.org"));
    world.backup(1);
    let mut files = Vec::new();
    collect(world.root.path(), &mut files);
    for file in files {
        let bytes = fs_err::read(&file).unwrap();
        assert!(!bytes.windows(6).any(|window| window == b"canary"), "{}", file.display());
    }
    fs_err::rename(world.path("context/notes.sealed"), world.path("context/plan.sealed")).unwrap();
    assert!(matches!(world.home.context(&plan), Err(Error::Damaged { .. })));
    assert!(matches!(world.home.remove_context(&notes), Err(Error::Nothing { .. })));
}

#[test]
fn a_new_tenant_key_takes_over_everything() {
    let mut world = World::new();
    let notes = Name::of_context("notes").unwrap();
    world.home.save_context(&notes, b"canary", None).unwrap();
    world.write("workspace/file", "content");
    world.backup(1);
    let root = world.root.path().to_owned();
    let mut vault = masque_home::seal::Vault::open(&root, None).unwrap();
    vault.rotate_tenant(masque_home::seal::LOCAL).unwrap();
    world.homes = Homes::open(&root, None).unwrap();
    world.home = world.homes.create(&persona()).unwrap();
    assert_eq!(world.home.rewrap().unwrap(), 3, "the context, the manifest, the key of the pack");
    assert_eq!(world.home.rewrap().unwrap(), 0);
    assert_eq!(&**world.home.context(&notes).unwrap().unwrap(), b"canary");
    assert_eq!(world.home.versions().verify().unwrap().faults, [""; 0]);
}

#[test]
fn activity_is_kept_in_files_of_limited_size_and_the_oldest_go() {
    let world = World::fast();
    let activity = |number: i64| Activity { at: Timestamp(number), action: "x".repeat(100_000), detail: json!(number) };
    for number in 0..80 {
        world.home.activity().record(&activity(number)).unwrap();
    }
    let newest = world.home.activity().newest(3).unwrap();
    assert_eq!(newest.iter().map(|activity| activity.at.0).collect::<Vec<_>>(), [77, 78, 79]);
    let all = world.home.activity().newest(usize::MAX).unwrap();
    assert!(all.len() < 60 && all.windows(2).all(|pair| pair[0].at < pair[1].at), "{}", all.len());
    assert!(world.path("activity.jsonl.4").exists() && !world.path("activity.jsonl.5").exists());
}

#[test]
fn activity_is_written_without_keys_and_only_into_a_home_that_exists() {
    let world = World::fast();
    let activity = Activity { at: Timestamp(1), action: "run.start".into(), detail: json!({ "run": 1 }) };
    for key in ["vault.json", "seal.key", "installation.key"] {
        fs_err::remove_file(world.root.path().join(key)).unwrap();
    }
    let log = ActivityLog::find(world.root.path(), &persona()).unwrap();
    log.record(&activity).unwrap();
    assert_eq!(world.home.activity().newest(9).unwrap(), [activity]);
    assert!(ActivityLog::find(world.root.path(), &Name::of_persona("bob").unwrap()).is_none());
    assert!(!world.root.path().join("vault.json").exists());
}

/// The last step is a passphrase, so that the next one has to open the vault with it.
#[test]
fn after_a_rotation_everything_is_under_new_keys_and_readable_also_in_old_versions() {
    let world = World::new();
    let root = world.root.path().to_owned();
    let notes = Name::of_context("notes").unwrap();
    let subject = Subject { name: persona(), file: Digest::of("file"), icon: None };
    let (identity, _) = world.homes.identities().ensure(&subject, Timestamp(1)).unwrap();
    world.home.save_context(&notes, b"canary", None).unwrap();
    let first = world.backup(2).number;
    let installation = world.homes.identities().installation().public();
    let passphrase = || masque_home::seal::Passphrase::new("correct horse");
    let read = |below: &str| fs_err::read(root.join(below)).unwrap();

    let steps = [
        (None, NextRoot::Renewed),
        (None, NextRoot::Passphrase(passphrase())),
        (Some(passphrase()), NextRoot::Renewed),
        (Some(passphrase()), NextRoot::File),
    ];
    for (before, next) in steps {
        let keys = ["vault.json", "installation.key", "personas/ada/identity.key", "personas/ada/context/notes.sealed"];
        let old = keys.map(read);
        let rotation = Rotation::begin(&root, before).unwrap();
        assert!(rotation.rewrap().unwrap() >= 5, "both keys, the context, a manifest, the key of a pack");
        assert_eq!(rotation.rewrap().unwrap(), 0);
        let is_passphrase = matches!(next, NextRoot::Passphrase(_))
            || rotation.vault().has_passphrase() && !matches!(next, NextRoot::File);
        rotation.finish(&next).unwrap();
        assert!(keys.map(read).iter().zip(&old).all(|(new, old)| new != old));
        assert_eq!(root.join("seal.key").exists(), !is_passphrase);

        let homes = Homes::open(&root, is_passphrase.then(passphrase).as_ref()).unwrap();
        assert_eq!(homes.identities().installation().public(), installation);
        assert_eq!(homes.identities().find(&persona()).unwrap().unwrap().key.public(), identity.key.public());
        let home = homes.find(&persona()).unwrap().unwrap();
        assert_eq!(home.versions().verify().unwrap().faults, [""; 0]);
        home.versions().rollback(&Target::Version(first), "back", Timestamp(3)).unwrap();
        assert_eq!(&**home.context(&notes).unwrap().unwrap(), b"canary", "as it was sealed in the first version");
    }
}

#[test]
fn an_icon_that_was_changed_by_hand_is_not_shown() {
    let world = World::new();
    let icon = Icon::clean(ICON.as_bytes()).unwrap();
    assert_eq!(world.home.icon().unwrap(), None);
    world.home.set_icon(&icon).unwrap();
    assert_eq!(world.home.icon().unwrap().unwrap().digest(), icon.digest());
    world.write("icon.svg", ICON.replace("<circle", "<script>x</script><circle"));
    assert!(world.home.icon().unwrap_err().to_string().contains("set the icon again"));
}

#[test]
fn an_identity_is_renewed_rotated_and_revoked() {
    let world = World::new();
    let identities = world.homes.identities();
    let icon = Icon::clean(ICON.as_bytes()).unwrap();
    let subject =
        |file: &str| Subject { name: persona(), file: Digest::of(file), icon: Some((icon.digest(), icon.shape())) };
    assert!(identities.find(&persona()).unwrap().is_none());
    let (first, is_new) = identities.ensure(&subject("one"), Timestamp(1)).unwrap();
    assert!(is_new && !identities.ensure(&subject("one"), Timestamp(2)).unwrap().1);
    let (second, _) = identities.ensure(&subject("two"), Timestamp(3)).unwrap();
    assert_eq!((second.card.card().version, second.key.public()), (2, first.key.public()));

    let third = identities.rotate(&subject("two"), Timestamp(4)).unwrap();
    assert_eq!((third.card.card().version, third.card.card().key_epoch), (3, 2));
    let registry = identities.registry().unwrap();
    assert!(registry.is_revoked(&first.key.public()) && !registry.is_revoked(&third.key.public()));
    assert!(registry.faults(&identities.installation().public()).is_empty());
    let again = Homes::open(world.root.path(), None).unwrap();
    assert_eq!(again.identities().find(&persona()).unwrap().unwrap().key.public(), third.key.public());

    let twin = Subject { name: Name::of_persona("a-da").unwrap(), ..subject("one") };
    world.homes.create(&twin.name).unwrap();
    assert!(matches!(identities.ensure(&twin, Timestamp(5)), Err(Error::LookAlike { .. })));
    let same = Subject { name: Name::of_persona("bob").unwrap(), ..subject("one") };
    world.homes.create(&same.name).unwrap();
    assert!(matches!(identities.ensure(&same, Timestamp(5)), Err(Error::SameIcon { .. })));

    identities.revoke(&persona(), "the machine was lost", Timestamp(6)).unwrap();
    assert!(identities.registry().unwrap().is_revoked(&third.key.public()));

    // A rotation that died before the key was in its place.
    let path = world.path("identity.key");
    fs_err::rename(&path, path.with_extension("key.next")).unwrap();
    assert_eq!(identities.find(&persona()).unwrap().unwrap().key.public(), third.key.public());
    assert!(path.exists());

    let registry = world.root.path().join("registry.json");
    let text = fs_err::read_to_string(&registry).unwrap();
    fs_err::write(&registry, text.replace("machine was lost", "machine is found")).unwrap();
    assert!(identities.registry().unwrap_err().to_string().contains("not signed by this installation"));
}
