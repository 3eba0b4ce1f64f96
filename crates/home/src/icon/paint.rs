//! What shapes are filled with: a colour, or a gradient of them.

use roxmltree::Node;
use zeno::{Point, Style, Transform};

use super::{
    colour::{self, Colour},
    draw::{number, parse_transform},
};

/// A colour with its opacity, 0 to 1.
pub(super) type Shade = (Colour, f32);

/// What a shape is filled with, in pixels.
pub(super) enum Paint<'a> {
    Plain(Colour),
    /// A gradient, and the way from pixels to its own space.
    Blended(&'a Gradient, Transform),
}

impl Paint<'_> {
    /// The colour of the pixel whose middle is there.
    pub(super) fn at(&self, x: f32, y: f32) -> Shade {
        match self {
            Paint::Plain(colour) => (*colour, 1.0),
            Paint::Blended(gradient, inward) => gradient.at(inward.transform_point(Point::new(x, y))),
        }
    }
}

#[derive(Debug)]
enum Direction {
    Linear { from: [f32; 2], to: [f32; 2] },
    Radial { centre: [f32; 2], radius: f32 },
}

/// Colours along a line or around a point.
#[derive(Debug)]
pub(super) struct Gradient {
    direction: Direction,
    /// Whether its space is the box around the shape.
    of_box: bool,
    transform: Transform,
    stops: Vec<(f32, Shade)>,
}

impl Gradient {
    /// The gradient of an element, with its name.
    pub(super) fn read<'a>(node: Node<'a, '_>) -> Option<(&'a str, Self)> {
        let of = |name, default| number(node, name).unwrap_or(default);
        let direction = match node.tag_name().name() {
            "linearGradient" => {
                Direction::Linear { from: [of("x1", 0.0), of("y1", 0.0)], to: [of("x2", 1.0), of("y2", 0.0)] }
            }
            "radialGradient" => Direction::Radial { centre: [of("cx", 0.5), of("cy", 0.5)], radius: of("r", 0.5) },
            _ => return None,
        };
        let gradient = Self {
            direction,
            of_box: node.attribute("gradientUnits") != Some("userSpaceOnUse"),
            transform: node.attribute("gradientTransform").map_or(Transform::IDENTITY, parse_transform),
            stops: node.children().filter(|child| child.tag_name().name() == "stop").map(stop).collect(),
        };
        Some((node.attribute("id")?, gradient))
    }

    /// The paint of a shape; none when the shape has no extent that the gradient could follow.
    pub(super) fn paint(&self, path: &str, transform: Transform) -> Option<Paint<'_>> {
        let mut outward = self.transform;
        if self.of_box {
            let area = zeno::bounds(path, Style::default(), None);
            let size = Transform::scale(area.max.x - area.min.x, area.max.y - area.min.y);
            outward = outward.then(&size).then_translate(area.min.x, area.min.y);
        }
        outward.then(&transform).invert().map(|inward| Paint::Blended(self, inward))
    }

    fn at(&self, point: Point) -> Shade {
        let place = match &self.direction {
            Direction::Linear { from: [x, y], to: [to_x, to_y] } => {
                let (dx, dy) = (to_x - x, to_y - y);
                ((point.x - x) * dx + (point.y - y) * dy) / (dx * dx + dy * dy).max(f32::EPSILON)
            }
            Direction::Radial { centre: [x, y], radius } => (point.x - x).hypot(point.y - y) / radius.max(f32::EPSILON),
        };
        let after = self.stops.iter().find(|(offset, _)| *offset >= place);
        let before = self.stops.iter().rev().find(|(offset, _)| *offset <= place);
        match (before, after) {
            (Some((start, one)), Some((end, other))) if end > start => mix(one, other, (place - start) / (end - start)),
            (_, Some((_, shade))) | (Some((_, shade)), None) => *shade,
            (None, None) => ([0; 3], 0.0),
        }
    }
}

fn stop(node: Node<'_, '_>) -> (f32, Shade) {
    let colour = node.attribute("stop-color").and_then(colour::parse).unwrap_or_default();
    let opacity = number(node, "stop-opacity").unwrap_or(1.0).clamp(0.0, 1.0);
    (number(node, "offset").unwrap_or(0.0).clamp(0.0, 1.0), (colour, opacity))
}

fn mix(one: &Shade, other: &Shade, part: f32) -> Shade {
    let between = |a: f32, b: f32| a + (b - a) * part;
    let mut colour = [0; 3];
    for (mixed, (a, b)) in colour.iter_mut().zip(one.0.iter().zip(other.0)) {
        *mixed = between(f32::from(*a), f32::from(b)).round() as u8;
    }
    (colour, between(one.1, other.1))
}
