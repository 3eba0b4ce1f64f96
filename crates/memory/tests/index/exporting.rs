//! Export and import.

use masque_memory::{Error, Import};
use masque_store::MemoryFilter;
use masque_types::{
    memory::{Namespace, Origin},
    time::Timestamp,
};

use crate::support::{NOW, found, index, project, query, source};

#[tokio::test]
async fn what_is_exported_is_found_again_elsewhere() {
    let from = index(None).await;
    let mut trusted = source("bread.md", "# Bread\n\nKnead the dough.\n");
    trusted.origin = Origin::Trusted;
    from.add_all(vec![trusted, source("soup.md", "Boil the water.")], NOW).await.unwrap();
    let mut lines = Vec::new();
    assert_eq!(from.export(&MemoryFilter::of([project()]), &mut lines).await.unwrap(), 2);

    let to = index(None).await;
    let as_is = Import { into: None, trust: Origin::Trusted };
    assert_eq!(to.import(&mut lines.as_slice(), &as_is, NOW).await.unwrap(), 2);
    assert_eq!(found(&to, &query("kneading")).await, ["bread.md"]);
    let mut again = Vec::new();
    to.export(&MemoryFilter::of([project()]), &mut again).await.unwrap();
    assert_eq!(String::from_utf8(again).unwrap(), String::from_utf8(lines.clone()).unwrap());

    let room = Namespace::Room("kitchen".to_owned());
    let elsewhere = Import { into: Some(room.clone()), trust: Origin::Untrusted };
    to.import(&mut lines.as_slice(), &elsewhere, Timestamp(NOW.0 + 1)).await.unwrap();
    let mut in_room = query("kneading");
    in_room.namespaces = vec![room];
    let answer = to.search(&in_room).await.unwrap();
    assert_eq!(answer.hits[0].document.origin, Origin::Untrusted);
}

#[tokio::test]
async fn a_broken_line_is_named() {
    let index = index(None).await;
    let import = Import { into: None, trust: Origin::Untrusted };
    let no_export = index.import(&mut "hello\n".as_bytes(), &import, NOW).await.unwrap_err();
    assert!(matches!(no_export, Error::Import { line: 1, .. }), "{no_export}");
    let broken = index.import(&mut "{\"masque_memory\":1}\n\n{\"x\":1}\n".as_bytes(), &import, NOW).await.unwrap_err();
    assert!(matches!(broken, Error::Import { line: 3, .. }), "{broken}");
}
