//! Keys of a Compose service about its container: build, ports, volumes, networks, devices.

use std::path::PathBuf;

use crate::model::Build;

use super::{
    super::{
        node::{Content, Entry, Node},
        script::clean,
    },
    Reading,
};

/// How its image is built: a directory, or a mapping.
pub(super) fn build(reading: &mut Reading<'_>, value: &Node) {
    let context = value.get("context").unwrap_or(value).written().unwrap_or_else(|| ".".to_owned());
    let file = value.get("dockerfile").and_then(Node::written).map(PathBuf::from);
    reading.container.build = Some(Build { context: clean(&reading.directory.join(context)), file });
    for entry in value.entries().iter().filter(|entry| !matches!(entry.key.as_str(), "context" | "dockerfile")) {
        reading.lost(&entry.place, &format!("`build.{}`", entry.key));
    }
    if reading.container.image.is_none() {
        let name = Node::text(&value.place, format!("localhost/{}", reading.name));
        reading.container.image = name.written();
        reading.set("image", name);
    }
}

/// A published port: in the container, and on the machine.
pub(super) struct Published {
    pub(super) container: u16,
    pub(super) machine: Option<u16>,
}

/// The ports of one item; a range is one for each.
pub(super) fn published(item: &Node) -> Option<Vec<Published>> {
    if let Some(target) = item.get("target") {
        let container = target.written()?.parse().ok()?;
        let machine = item.get("published").and_then(Node::written).map(|port| port.parse()).transpose().ok()?;
        return Some(vec![Published { container, machine }]);
    }
    let text = item.written()?;
    let text = text.split_once('/').map_or(text.as_str(), |(ports, _)| ports);
    let (machine, container) = match text.rsplit_once(':') {
        Some((machine, container)) => {
            (machine.rsplit_once(':').map_or(Some(machine), |(_, port)| Some(port)), container)
        }
        None => (None, text),
    };
    let container = range(container)?;
    let machine = machine.filter(|port| !port.is_empty()).map(range);
    let machine = match machine {
        Some(ports) => ports?.into_iter().map(Some).collect(),
        None => vec![None; container.len()],
    };
    let same = container.len() == machine.len();
    same.then(|| {
        container.into_iter().zip(machine).map(|(container, machine)| Published { container, machine }).collect()
    })
}

fn range(text: &str) -> Option<Vec<u16>> {
    let (from, to) = text.split_once('-').unwrap_or((text, text));
    let (from, to): (u16, u16) = (from.trim().parse().ok()?, to.trim().parse().ok()?);
    (0 < from && from <= to && to - from < 1000).then(|| (from..=to).collect())
}

/// The port of the machine is the service's port: that is where others reach it.
pub(super) fn ports(reading: &mut Reading<'_>, value: &Node) {
    let mut ports: Vec<(u16, &Node)> = Vec::new();
    for item in value.items() {
        let Some(found) = published(item).filter(|found| !found.is_empty()) else {
            let message = format!("this says no ports of `{}`", reading.name);
            reading.notes.push(item.place.error(message).hint("write `\"8080:80\"`, in quotes"));
            continue;
        };
        reading.container.publish.push(item.written().unwrap_or_else(|| long(item, &found)));
        ports.extend(found.iter().map(|port| (port.machine.unwrap_or(port.container), item)));
    }
    let mut ports = ports.into_iter();
    if let Some((first, item)) = ports.next() {
        reading.set("port", Node::text(&item.place, first.to_string()));
    }
    let others = ports.map(|(port, item)| (port.to_string(), Node::text(&item.place, port.to_string())));
    let others: Vec<_> = others.collect();
    if !others.is_empty() {
        reading.set("ports", Node::map(&value.place, others));
    }
}

/// The short form of a long one.
fn long(item: &Node, found: &[Published]) -> String {
    let port = found.first().map_or(0, |port| port.container);
    let machine = found.first().and_then(|port| port.machine).map(|port| format!("{port}:")).unwrap_or_default();
    let address = item.get("host_ip").and_then(Node::written).map(|address| format!("{address}:")).unwrap_or_default();
    let protocol = item.get("protocol").and_then(Node::written).filter(|protocol| protocol != "tcp");
    let protocol = protocol.map(|protocol| format!("/{protocol}")).unwrap_or_default();
    format!("{address}{machine}{port}{protocol}")
}

/// Volumes, in their short form.
pub(super) fn volumes(reading: &mut Reading<'_>, value: &Node) {
    for item in value.items() {
        if let Some(short) = item.written() {
            reading.container.volumes.push(short);
            continue;
        }
        let text = |key: &str| item.get(key).and_then(Node::written);
        let kind = text("type").unwrap_or_else(|| "volume".to_owned());
        match (kind.as_str(), text("source"), text("target")) {
            ("bind" | "volume", Some(source), Some(target)) => {
                let mode = if text("read_only").as_deref() == Some("true") { ":ro" } else { "" };
                reading.container.volumes.push(format!("{source}:{target}{mode}"));
            }
            (kind, ..) => reading.lost(&item.place, &format!("a volume of type `{kind}`")),
        }
    }
}

/// The network with the address in it. One is kept.
pub(super) fn networks(reading: &mut Reading<'_>, value: &Node) {
    let of_list = value.items().iter().filter_map(|item| Some((item.written()?, item.place.clone(), None)));
    let of_map = value.entries().iter().map(|entry| {
        let address = ["ipv4_address", "ipv6_address"].iter().find_map(|key| entry.value.get(key)?.written());
        (entry.key.clone(), entry.place.clone(), address)
    });
    let mut networks = of_list.chain(of_map);
    if let Some((name, _, address)) = networks.next() {
        reading.container.network = Some(name);
        reading.container.address = address;
    }
    for (name, place, _) in networks {
        reading.lost(&place, &format!("the second network `{name}`"));
    }
}

/// `host` is what holds where no network is named.
pub(super) fn network_mode(reading: &mut Reading<'_>, value: &Node) {
    match value.written().as_deref() {
        Some("host" | "bridge") => {}
        _ => reading.lost(&value.place, "`network_mode`"),
    }
}

/// Devices of the machine.
pub(super) fn devices(reading: &mut Reading<'_>, entry: &Entry) {
    if entry.key == "gpus" {
        match entry.value.as_text() {
            Some("all") => reading.container.devices.push("nvidia.com/gpu=all".to_owned()),
            _ => reading.lost(&entry.place, "`gpus`"),
        }
        return;
    }
    match &entry.value.content {
        Content::List(items) => reading.container.devices.extend(items.iter().filter_map(Node::written)),
        _ => reading.lost(&entry.place, "`devices`"),
    }
}
