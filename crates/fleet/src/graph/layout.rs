//! Where the drawing puts what: hosts side by side, groups as boxes in them, services in the row of their wave.

use std::collections::BTreeMap;

use super::Graph;
use crate::model::{Fleet, Service, ServiceId};

/// Width of a service's box.
pub(super) const WIDTH: usize = 208;
/// Height of a service's box.
pub(super) const HEIGHT: usize = 34;
/// Space between boxes of services.
const GAP: usize = 12;
/// From one row to the next; the space between holds the edges and the frames of groups.
const ROW: usize = 96;
/// Space of a group's frame around its services.
const FRAME: usize = 10;
/// Height of a group's title.
const TITLE: usize = 18;
/// Space of a host's frame.
const HOST_FRAME: usize = 24;
/// Height of the drawing's title, and of the hosts' ones.
const HEAD: usize = 44;

/// A rectangle.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Area {
    pub(super) x: usize,
    pub(super) y: usize,
    pub(super) width: usize,
    pub(super) height: usize,
}

/// All rectangles of a drawing.
#[derive(Debug, Default)]
pub(super) struct Layout {
    pub(super) width: usize,
    pub(super) height: usize,
    pub(super) hosts: Vec<(String, Area)>,
    pub(super) groups: Vec<(String, Area)>,
    pub(super) services: BTreeMap<ServiceId, Area>,
}

/// Services of one group, by row.
struct Block<'a> {
    name: Option<&'a str>,
    rows: BTreeMap<usize, Vec<&'a Service>>,
    first: usize,
    last: usize,
    columns: usize,
}

impl Layout {
    /// Services in a circle are drawn in the first row.
    pub(super) fn of(graph: &Graph, fleet: &Fleet) -> Self {
        let waves = graph.wave_numbers().unwrap_or_default();
        let mut layout = Self::default();
        let deepest = waves.values().max().copied().unwrap_or_default();
        let bottom = 2 * HEAD + (deepest + 1) * ROW + HOST_FRAME;
        let mut x = HOST_FRAME;
        let mut hosts: Vec<&str> = Vec::new();
        for service in &fleet.services {
            if !hosts.contains(&service.id.host.as_str()) {
                hosts.push(&service.id.host);
            }
        }
        for host in hosts {
            let width = layout.place_host(x, blocks(fleet, host, &waves));
            let area = Area { x, y: HEAD, width, height: bottom - HEAD };
            layout.hosts.push((host.to_owned(), area));
            x += width + HOST_FRAME;
        }
        layout.width = x.max(480);
        layout.height = bottom + HOST_FRAME;
        layout
    }

    /// Puts each group into the first columns that are free in all of its rows. Gives the host's width.
    fn place_host(&mut self, left: usize, blocks: Vec<Block<'_>>) -> usize {
        let mut taken: BTreeMap<usize, Vec<(usize, usize)>> = BTreeMap::new();
        let mut most = 1;
        for block in blocks {
            let free = |at: &usize| {
                let overlaps = |row| {
                    let spans = taken.get(&row).into_iter().flatten();
                    spans.into_iter().any(|(from, to)| *at < *to && *from < at + block.columns)
                };
                !(block.first..=block.last).any(overlaps)
            };
            let column = (0..).find(free).unwrap_or_default();
            for row in block.first..=block.last {
                taken.entry(row).or_default().push((column, column + block.columns));
            }
            most = most.max(column + block.columns);
            self.place_group(left + HOST_FRAME + column * step(), &block);
        }
        2 * HOST_FRAME + most * step() - GAP
    }

    fn place_group(&mut self, left: usize, block: &Block<'_>) {
        let top = 2 * HEAD + block.first * ROW;
        if let Some(name) = block.name {
            let area = Area {
                x: left,
                y: top,
                width: block.columns * step() - GAP,
                height: (block.last - block.first) * ROW + TITLE + HEIGHT + 2 * FRAME,
            };
            self.groups.push((name.to_owned(), area));
        }
        for (row, services) in &block.rows {
            for (place, service) in services.iter().enumerate() {
                let x = left + FRAME + place * step();
                let y = 2 * HEAD + row * ROW + FRAME + TITLE;
                self.services.insert(service.id.clone(), Area { x, y, width: WIDTH, height: HEIGHT });
            }
        }
    }
}

/// From one column to the next.
const fn step() -> usize {
    WIDTH + 2 * FRAME + GAP
}

/// The groups of a host, the ones of the first rows first, tall ones before short ones.
fn blocks<'a>(fleet: &'a Fleet, host: &'a str, waves: &BTreeMap<ServiceId, usize>) -> Vec<Block<'a>> {
    let mut groups: BTreeMap<Option<&str>, BTreeMap<usize, Vec<&Service>>> = BTreeMap::new();
    for service in fleet.services_of(host) {
        let row = waves.get(&service.id).copied().unwrap_or_default();
        groups.entry(service.group.as_deref()).or_default().entry(row).or_default().push(service);
    }
    let block = |(name, rows): (_, BTreeMap<usize, Vec<&'a Service>>)| Block {
        name,
        first: rows.keys().next().copied().unwrap_or_default(),
        last: rows.keys().next_back().copied().unwrap_or_default(),
        columns: rows.values().map(Vec::len).max().unwrap_or(1),
        rows,
    };
    let mut blocks: Vec<_> = groups.into_iter().map(block).collect();
    blocks.sort_by_key(|block| (block.first, std::cmp::Reverse(block.last)));
    blocks
}
