//! A square of pixels: as PNG, in a terminal, and as a coarse shape to compare.

use std::fmt::Write as _;

use super::{paint::Shade, unfit};
use crate::Error;

/// Rows and columns of the grid that shapes are compared on, and the bits of the shape that it gives.
const GRID: u32 = 7;
const GRID_BITS: u32 = 48;
const GRID_ROWS: u32 = 8;
/// The least difference of two cells that counts, in thousandths of a step of 256: even areas have none.
const VISIBLE: u64 = 6_000;
/// How many bits of two shapes may differ, and how far their colours may be apart, so that they still look alike.
const CLOSE_BITS: u32 = 2;
const CLOSE_COLOUR: u64 = 2;

/// A square picture.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Raster {
    pixels: u32,
    /// Red, green, blue and opacity of each pixel, row by row; not multiplied with one another.
    rgba: Vec<[u8; 4]>,
}

impl Raster {
    pub(super) fn new(pixels: u32) -> Self {
        Self { pixels, rgba: vec![[0; 4]; (pixels * pixels) as usize] }
    }

    /// Its width and height.
    #[must_use]
    pub const fn pixels(&self) -> u32 {
        self.pixels
    }

    /// Lays a shape over the picture: how much of each pixel is covered, and its colour at a place.
    pub(super) fn blend(&mut self, mask: &[u8], opacity: f32, shade: impl Fn(f32, f32) -> Shade) {
        for (place, (pixel, cover)) in self.rgba.iter_mut().zip(mask).enumerate().filter(|(_, (_, cover))| **cover > 0)
        {
            let (x, y) = (place as u32 % self.pixels, place as u32 / self.pixels);
            let (colour, own) = shade(x as f32 + 0.5, y as f32 + 0.5);
            let over = own * opacity * f32::from(*cover) / 255.0;
            let [r, g, b, under] = *pixel;
            let under = f32::from(under) / 255.0 * (1.0 - over);
            let sum = over + under;
            if sum > 0.0 {
                let mixed =
                    |top: u8, bottom: u8| ((f32::from(top) * over + f32::from(bottom) * under) / sum).round() as u8;
                let [top_r, top_g, top_b] = colour;
                *pixel = [mixed(top_r, r), mixed(top_g, g), mixed(top_b, b), (sum * 255.0).round() as u8];
            }
        }
    }

    /// The picture as a PNG file.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn png(&self) -> Result<Vec<u8>, Error> {
        let mut out = Vec::new();
        let mut encoder = png::Encoder::new(&mut out, self.pixels, self.pixels);
        encoder.set_color(png::ColorType::Rgba);
        encoder.set_depth(png::BitDepth::Eight);
        let written = encoder.write_header().and_then(|mut writer| writer.write_image_data(&self.rgba.concat()));
        written.map_err(|error| unfit(error.to_string()))?;
        Ok(out)
    }

    /// The picture for a terminal with 24-bit colours: two pixels per character, the upper one as the half block's
    /// colour, the lower one as the ground's. Transparent pixels are left as the terminal has them.
    #[must_use]
    pub fn terminal(&self) -> String {
        let mut text = String::new();
        for row in (0..self.pixels).step_by(2) {
            for column in 0..self.pixels {
                let (upper, lower) = (self.at(column, row), self.at(column, row + 1));
                let _ = match (seen(upper), seen(lower)) {
                    (None, None) => write!(text, " "),
                    (Some([r, g, b]), None) => write!(text, "\u{1b}[38;2;{r};{g};{b}m▀\u{1b}[0m"),
                    (None, Some([r, g, b])) => write!(text, "\u{1b}[38;2;{r};{g};{b}m▄\u{1b}[0m"),
                    (Some([r, g, b]), Some([r2, g2, b2])) => {
                        write!(text, "\u{1b}[38;2;{r};{g};{b};48;2;{r2};{g2};{b2}m▀\u{1b}[0m")
                    }
                };
            }
            text.push('\n');
        }
        text
    }

    fn at(&self, column: u32, row: u32) -> [u8; 4] {
        let place = (row * self.pixels + column) as usize;
        self.rgba.get(place).copied().filter(|_| row < self.pixels).unwrap_or_default()
    }

    /// A coarse shape: where it gets lighter from left to right, and its mean colour.
    #[must_use]
    pub fn shape(&self) -> u64 {
        let mut bits: u64 = 0;
        for row in 0..GRID_ROWS {
            for column in 0..GRID - 1 {
                let (one, other) = (self.cell(column, row), self.cell(column + 1, row));
                let light = |[r, g, b]: [u64; 3]| r * 299 + g * 587 + b * 114;
                bits = bits << 1 | u64::from(light(other) > light(one) + VISIBLE);
            }
        }
        let [r, g, b] = self.mean(0..self.pixels, 0..self.pixels).map(|channel| channel >> 3);
        bits << 16 | r << 10 | g << 5 | b
    }

    fn cell(&self, column: u32, row: u32) -> [u64; 3] {
        let part = |place: u32, parts: u32| place * self.pixels / parts..((place + 1) * self.pixels).div_ceil(parts);
        self.mean(part(column, GRID), part(row, GRID_ROWS))
    }

    /// The mean colour of an area, on white.
    fn mean(&self, columns: std::ops::Range<u32>, rows: std::ops::Range<u32>) -> [u64; 3] {
        let count = u64::from(columns.len() as u32 * rows.len() as u32).max(1);
        let mut sums = [0; 3];
        for row in rows {
            for column in columns.clone() {
                let [r, g, b, opacity] = self.at(column, row).map(u64::from);
                for (sum, channel) in sums.iter_mut().zip([r, g, b]) {
                    *sum += (channel * opacity + 255 * (255 - opacity)) / 255;
                }
            }
        }
        sums.map(|sum| sum / count)
    }
}

fn seen([r, g, b, opacity]: [u8; 4]) -> Option<[u8; 3]> {
    (opacity >= 96).then_some([r, g, b])
}

/// Whether two shapes of icons could be taken for one another: nearly the same drawing in nearly the same colours.
#[must_use]
pub fn look_alike(one: u64, other: u64) -> bool {
    let drawing = |shape: u64| shape >> 16 & ((1 << GRID_BITS) - 1);
    let channels = |shape: u64| [shape >> 10 & 31, shape >> 5 & 31, shape & 31];
    (drawing(one) ^ drawing(other)).count_ones() <= CLOSE_BITS
        && channels(one).iter().zip(channels(other)).all(|(one, other)| one.abs_diff(other) <= CLOSE_COLOUR)
}
