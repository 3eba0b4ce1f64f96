//! Drawing a clean SVG into pixels.

use std::collections::BTreeMap;

use roxmltree::{Document, Node};
use zeno::{Cap, Fill, Join, Mask, Stroke, Style, Transform};

use super::{
    clean, colour,
    paint::{Gradient, Paint},
    raster::Raster,
    unfit,
};
use crate::Error;

/// Coordinates further out cannot be drawn.
const FURTHEST_PIXEL: f32 = 16_000.0;
/// Widest stroke, in the units of the drawing.
const MOST_WIDTH: f32 = 4_096.0;

/// Draws in a square of that many pixels; a picture that is not square stands in its middle.
pub(super) fn draw(svg: &str, pixels: u32) -> Result<Raster, Error> {
    let document = Document::parse(svg).map_err(|error| unfit(error.to_string()))?;
    let root = document.root_element();
    let [left, top, width, height] = view_box(root)?;
    let scale = pixels as f32 / width.max(height);
    let view = Transform::translation(-left - width / 2.0, -top - height / 2.0)
        .then(&Transform::scale(scale, scale))
        .then_translate(pixels as f32 / 2.0, pixels as f32 / 2.0);
    let gradients = document.descendants().filter_map(Gradient::read).collect();
    let mut canvas = Canvas { raster: Raster::new(pixels), gradients };
    let look = Look::default().of(root);
    canvas.children(root, &look, view);
    Ok(canvas.raster)
}

fn view_box(root: Node<'_, '_>) -> Result<[f32; 4], Error> {
    let sizes = match root.attribute("viewBox") {
        Some(text) => numbers(text),
        None => vec![0.0, 0.0, number(root, "width").unwrap_or(0.0), number(root, "height").unwrap_or(0.0)],
    };
    match sizes.as_slice() {
        [left, top, width, height] if *width > 0.0 && *height > 0.0 => Ok([*left, *top, *width, *height]),
        _ => Err(unfit("its viewBox has not four numbers with a width and a height above 0")),
    }
}

/// What children inherit.
#[derive(Clone)]
struct Look<'a> {
    fill: &'a str,
    stroke: &'a str,
    fill_rule: &'a str,
    cap: &'a str,
    join: &'a str,
    miter: f32,
    width: f32,
    fill_opacity: f32,
    stroke_opacity: f32,
    opacity: f32,
}

impl Default for Look<'_> {
    fn default() -> Self {
        Self {
            fill: "black",
            stroke: "none",
            fill_rule: "nonzero",
            cap: "butt",
            join: "miter",
            miter: 4.0,
            width: 1.0,
            fill_opacity: 1.0,
            stroke_opacity: 1.0,
            opacity: 1.0,
        }
    }
}

impl<'a> Look<'a> {
    fn of(&self, node: Node<'a, '_>) -> Self {
        let word = |name, inherited| node.attribute(name).unwrap_or(inherited);
        let part = |name| number(node, name).map(|part| part.clamp(0.0, 1.0));
        Self {
            fill: word("fill", self.fill),
            stroke: word("stroke", self.stroke),
            fill_rule: word("fill-rule", self.fill_rule),
            cap: word("stroke-linecap", self.cap),
            join: word("stroke-linejoin", self.join),
            miter: number(node, "stroke-miterlimit").unwrap_or(self.miter),
            // The rasteriser cannot count what is much wider.
            width: number(node, "stroke-width").map(|width| width.clamp(0.0, MOST_WIDTH)).unwrap_or(self.width),
            fill_opacity: part("fill-opacity").unwrap_or(self.fill_opacity),
            stroke_opacity: part("stroke-opacity").unwrap_or(self.stroke_opacity),
            // Of a group as well: parts that overlap show through one another.
            opacity: self.opacity * part("opacity").unwrap_or(1.0),
        }
    }

    fn pen(&self) -> Stroke<'static> {
        let mut stroke = Stroke::new(self.width);
        stroke.miter_limit(self.miter);
        stroke.cap(match self.cap {
            "round" => Cap::Round,
            "square" => Cap::Square,
            _ => Cap::Butt,
        });
        stroke.join(match self.join {
            "round" => Join::Round,
            "bevel" => Join::Bevel,
            _ => Join::Miter,
        });
        stroke
    }
}

struct Canvas<'a> {
    raster: Raster,
    gradients: BTreeMap<&'a str, Gradient>,
}

impl<'a> Canvas<'a> {
    fn children(&mut self, node: Node<'a, '_>, look: &Look<'a>, transform: Transform) {
        for child in node.children().filter(Node::is_element) {
            let look = look.of(child);
            let transform =
                child.attribute("transform").map_or(transform, |text| parse_transform(text).then(&transform));
            if let Some(path) = outline(child) {
                self.shape(&path, &look, transform);
            } else if child.tag_name().name() == "g" {
                self.children(child, &look, transform);
            }
        }
    }

    fn shape(&mut self, path: &str, look: &Look<'_>, transform: Transform) {
        let fill = if look.fill_rule == "evenodd" { Fill::EvenOdd } else { Fill::NonZero };
        self.cover(path, fill.into(), transform, look.fill, look.fill_opacity * look.opacity);
        if look.width > 0.0 {
            self.cover(path, look.pen().into(), transform, look.stroke, look.stroke_opacity * look.opacity);
        }
    }

    fn cover(&mut self, path: &str, style: Style<'_>, transform: Transform, paint: &str, opacity: f32) {
        let Some(paint) = find_paint(&self.gradients, paint, path, transform) else { return };
        let area = zeno::bounds(path, style, Some(transform));
        let corners = [area.min.x, area.min.y, area.max.x, area.max.y];
        if !corners.iter().all(|corner| corner.abs() < FURTHEST_PIXEL) {
            return;
        }
        let pixels = self.raster.pixels();
        let (mask, _) = Mask::new(path).style(style).transform(Some(transform)).size(pixels, pixels).render();
        self.raster.blend(&mask, opacity, |x, y| paint.at(x, y));
    }
}

/// The paint that a shape names; none for `none`, and for a gradient that there is not.
fn find_paint<'g>(
    gradients: &'g BTreeMap<&str, Gradient>,
    text: &str,
    path: &str,
    transform: Transform,
) -> Option<Paint<'g>> {
    match clean::reference(text) {
        Some(name) => gradients.get(name)?.paint(path, transform),
        None => colour::parse(text).map(Paint::Plain),
    }
}

/// The outline of a shape as path data.
fn outline(node: Node<'_, '_>) -> Option<String> {
    let of = |name| number(node, name).unwrap_or(0.0);
    Some(match node.tag_name().name() {
        "path" => node.attribute("d")?.to_owned(),
        "rect" => {
            let (width, height) = (of("width"), of("height"));
            let rx = number(node, "rx").or(number(node, "ry")).unwrap_or(0.0).clamp(0.0, width.max(0.0) / 2.0);
            let ry = number(node, "ry").unwrap_or(rx).clamp(0.0, height.max(0.0) / 2.0);
            rectangle(of("x"), of("y"), [width, height], [rx, ry])
        }
        "circle" => ellipse(of("cx"), of("cy"), of("r"), of("r")),
        "ellipse" => ellipse(of("cx"), of("cy"), of("rx"), of("ry")),
        "line" => format!("M {} {} L {} {}", of("x1"), of("y1"), of("x2"), of("y2")),
        "polyline" => polygon(node.attribute("points")?, ""),
        "polygon" => polygon(node.attribute("points")?, "Z"),
        _ => return None,
    })
}

fn rectangle(x: f32, y: f32, [width, height]: [f32; 2], [rx, ry]: [f32; 2]) -> String {
    let (right, bottom) = (x + width, y + height);
    if rx <= 0.0 || ry <= 0.0 {
        return format!("M {x} {y} L {right} {y} L {right} {bottom} L {x} {bottom} Z");
    }
    let arc = format!("A {rx} {ry} 0 0 1");
    format!(
        "M {} {y} L {} {y} {arc} {right} {} L {right} {} {arc} {} {bottom} L {} {bottom} {arc} {x} {} L {x} {} {arc} {} {y} Z",
        x + rx,
        right - rx,
        y + ry,
        bottom - ry,
        right - rx,
        x + rx,
        bottom - ry,
        y + ry,
        x + rx
    )
}

fn ellipse(cx: f32, cy: f32, rx: f32, ry: f32) -> String {
    let (left, right) = (cx - rx, cx + rx);
    format!("M {left} {cy} A {rx} {ry} 0 1 1 {right} {cy} A {rx} {ry} 0 1 1 {left} {cy} Z")
}

fn polygon(points: &str, end: &str) -> String {
    let numbers = numbers(points);
    let steps = numbers.chunks_exact(2).enumerate().filter_map(|(place, pair)| {
        let [x, y] = pair else { return None };
        Some(format!("{} {x} {y} ", if place == 0 { 'M' } else { 'L' }))
    });
    steps.collect::<String>() + end
}

pub(super) fn parse_transform(text: &str) -> Transform {
    let calls = text.split(')').filter_map(|call| call.split_once('('));
    // The last one is applied first.
    calls.fold(Transform::IDENTITY, |all, (name, values)| {
        let values = numbers(values);
        let name = name.trim().trim_start_matches(',').trim();
        one_transform(name, &values).map_or(all, |one| one.then(&all))
    })
}

fn one_transform(name: &str, values: &[f32]) -> Option<Transform> {
    use zeno::Angle;
    Some(match (name, values) {
        ("matrix", [a, b, c, d, e, f]) => Transform::new(*a, *b, *c, *d, *e, *f),
        ("translate", [x]) => Transform::translation(*x, 0.0),
        ("translate", [x, y]) => Transform::translation(*x, *y),
        ("scale", [both]) => Transform::scale(*both, *both),
        ("scale", [x, y]) => Transform::scale(*x, *y),
        ("rotate", [angle]) => Transform::rotation(Angle::from_degrees(*angle)),
        ("rotate", [angle, x, y]) => {
            let turn = Transform::rotation(Angle::from_degrees(*angle));
            Transform::translation(-x, -y).then(&turn).then_translate(*x, *y)
        }
        ("skewX", [angle]) => Transform::skew(Angle::from_degrees(*angle), Angle::ZERO),
        ("skewY", [angle]) => Transform::skew(Angle::ZERO, Angle::from_degrees(*angle)),
        _ => return None,
    })
}

/// A number, or a part of 1 as per cent.
pub(super) fn number(node: Node<'_, '_>, name: &str) -> Option<f32> {
    let text = node.attribute(name)?.trim();
    match text.strip_suffix('%') {
        Some(percent) => percent.trim().parse::<f32>().ok().map(|percent| percent / 100.0),
        None => text.strip_suffix("px").unwrap_or(text).trim().parse().ok(),
    }
}

fn numbers(text: &str) -> Vec<f32> {
    text.split([' ', ',', '\t', '\r', '\n']).filter_map(|number| number.parse().ok()).collect()
}
