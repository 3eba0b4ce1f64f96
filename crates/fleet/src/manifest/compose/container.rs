//! Keys of a Compose service about its container: build, ports, volumes, networks, devices.

use std::path::PathBuf;

use crate::model::{Build, Network, Published};

use super::{
    super::{
        mount,
        node::{Content, Entry, Node, Place},
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
        let name = Node::text_at(&value.place, format!("localhost/{}", reading.name));
        reading.container.image = name.written();
        reading.set("image", name);
    }
}

/// Ports that the machine passes on.
pub(super) fn ports(reading: &mut Reading<'_>, value: &Node) {
    for item in value.items() {
        match item.written().or_else(|| long_port(reading, item)).as_deref().and_then(Published::all) {
            Some(found) => reading.container.publish.extend(found),
            None => {
                let message = format!("this says no ports of `{}`", reading.name);
                reading.notes.push(item.place.error(message).hint("write `\"8080:80\"`, in quotes"));
            }
        }
    }
}

/// The short form of a long one.
fn long_port(reading: &mut Reading<'_>, item: &Node) -> Option<String> {
    const KNOWN: [&str; 7] = ["target", "published", "host_ip", "protocol", "mode", "name", "app_protocol"];
    for entry in item.entries().iter().filter(|entry| !KNOWN.contains(&entry.key.as_str())) {
        reading.lost(&entry.place, &format!("`{}` of a port", entry.key));
    }
    let text = |key: &str| item.get(key).and_then(Node::written).filter(|text| !text.is_empty());
    let address = text("host_ip")
        .map(|address| if address.contains(':') { format!("[{address}]:") } else { format!("{address}:") });
    let machine = text("published").map(|port| format!("{port}:"));
    let machine = machine.or_else(|| address.is_some().then(|| ":".to_owned())).unwrap_or_default();
    let protocol = text("protocol").map(|protocol| format!("/{protocol}")).unwrap_or_default();
    Some(format!("{}{machine}{}{protocol}", address.unwrap_or_default(), text("target")?))
}

/// The ports of the service: those of the machine where they are known, because there others reach it.
pub(super) fn listening(reading: &mut Reading<'_>, place: &Place) {
    let is_own = reading.container.network != Some(Network::Host);
    let outside = |port: &Published| port.machine_port().filter(|_| is_own).unwrap_or(port.container);
    let ports: Vec<String> = reading.container.publish.iter().map(|port| outside(port).to_string()).collect();
    let Some((first, others)) = ports.split_first() else { return };
    reading.set("port", Node::text_at(place, first));
    if !others.is_empty() {
        reading.set("ports", Node::map_at(place, others.iter().map(|port| (port, Node::text_at(place, port)))));
    }
}

/// Volumes, in their short form; their paths begin at the file's directory.
pub(super) fn volumes(reading: &mut Reading<'_>, value: &Node) {
    for item in value.items() {
        if let Some(volume) = item.written().or_else(|| long_volume(reading, item)) {
            match mount::absolute(&volume, reading.directory, reading.environment.get("HOME")) {
                Ok(volume) => reading.container.volumes.push(volume),
                Err(fault) => reading.notes.push(item.place.error(fault).hint("write the whole path")),
            }
        }
    }
}

fn long_volume(reading: &mut Reading<'_>, item: &Node) -> Option<String> {
    let text = |key: &str| item.get(key).and_then(Node::written);
    let kind = text("type").unwrap_or_else(|| "volume".to_owned());
    let Some(target) = text("target").filter(|_| matches!(kind.as_str(), "bind" | "volume")) else {
        reading.lost(&item.place, &format!("a volume of type `{kind}`"));
        return None;
    };
    let is_path = kind == "bind";
    let source = text("source").map(|source| {
        // Without a point it would be the name of a volume.
        let bare = is_path && !source.starts_with(['.', '/', '~']);
        if bare { format!("./{source}:") } else { format!("{source}:") }
    });
    let options = volume_options(reading, item);
    let options = if options.is_empty() { String::new() } else { format!(":{}", options.join(",")) };
    Some(format!("{}{target}{options}", source.unwrap_or_default()))
}

fn volume_options(reading: &mut Reading<'_>, item: &Node) -> Vec<String> {
    let mut options = Vec::new();
    for entry in item.entries() {
        let inner = entry.value.entries().iter().map(|inner| (format!("{}.{}", entry.key, inner.key), inner));
        let own = (!entry.value.is_map()).then(|| (entry.key.clone(), entry));
        for (key, entry) in inner.chain(own) {
            match (key.as_str(), entry.value.written().as_deref()) {
                ("type" | "source" | "target", _) => {}
                ("read_only", Some("true")) => options.push("ro".to_owned()),
                ("volume.nocopy", Some("true")) => options.push("nocopy".to_owned()),
                ("bind.selinux" | "bind.propagation", Some(option)) => options.push(option.to_owned()),
                // So it is always.
                ("bind.create_host_path", Some("true")) | ("read_only" | "volume.nocopy", Some("false")) => {}
                (key, _) => reading.lost(&entry.place, &format!("`{key}` of a volume")),
            }
        }
    }
    options
}

/// The network with the address and the names in it. One is kept.
pub(super) fn networks(reading: &mut Reading<'_>, value: &Node) {
    let of_list = value.items().iter().filter_map(|item| Some((item.written()?, &item.place, item)));
    let of_map = value.entries().iter().map(|entry| (entry.key.clone(), &entry.place, &entry.value));
    for (number, (name, place, settings)) in of_list.chain(of_map).enumerate() {
        if number > 0 {
            reading.lost(place, &format!("the second network `{name}`"));
            continue;
        }
        for entry in settings.entries() {
            match entry.key.as_str() {
                "ipv4_address" => reading.container.address = entry.value.written(),
                "aliases" => reading.container.aliases = entry.value.items().iter().filter_map(Node::written).collect(),
                other => reading.lost(&entry.place, &format!("`{other}` in the network `{name}`")),
            }
        }
        reading.container.network = Some(Network::Named(name));
    }
}

/// The network of the machine; a bridge of its own is what every container has where nothing is said.
pub(super) fn network_mode(reading: &mut Reading<'_>, value: &Node) {
    match value.written().as_deref() {
        Some("host") => reading.container.network = Some(Network::Host),
        Some("bridge") => {}
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
