//! Icons: pictures that stand for personas. Cleaned of everything that is not a plain drawing, drawn in some sizes,
//! compared with others, shown in terminals.
//!
//! Leaves out whose icon it is: the registry of [`crate::identity`] binds its digest to a card.

mod clean;
mod colour;
mod draw;
mod paint;
mod raster;

use masque_types::digest::Digest;

pub use raster::{Raster, look_alike};

use crate::Error;

/// The sizes that icons are drawn in, in pixels.
pub const SIZES: [u32; 4] = [16, 32, 64, 128];

/// A clean icon.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Icon {
    svg: String,
    removed: Vec<String>,
    shape: u64,
}

impl Icon {
    /// Cleans an SVG file: what is not a shape, a gradient or a group of them is removed, as is every attribute that
    /// a drawing does not need. No script, reference, style sheet, text or foreign content is left.
    ///
    /// # Errors
    /// When it is no SVG, too large, has no size, or nothing of it is left.
    pub fn clean(svg: &[u8]) -> Result<Self, Error> {
        let (svg, removed) = clean::clean(svg)?;
        let shape = draw::draw(&svg, 64)?.shape();
        Ok(Self { svg, removed, shape })
    }

    /// The clean text.
    #[must_use]
    pub fn svg(&self) -> &str {
        &self.svg
    }

    /// What was removed, once each: elements as `<name>`, attributes by their names.
    #[must_use]
    pub fn removed(&self) -> &[String] {
        &self.removed
    }

    /// The digest of the clean text.
    #[must_use]
    pub fn digest(&self) -> Digest {
        Digest::of(&self.svg)
    }

    /// What it looks like, coarsely: see [`look_alike`].
    #[must_use]
    pub const fn shape(&self) -> u64 {
        self.shape
    }

    /// Draws it in a square of that many pixels, at most 512.
    ///
    /// # Errors
    /// When it cannot be drawn.
    pub fn draw(&self, pixels: u32) -> Result<Raster, Error> {
        draw::draw(&self.svg, pixels.clamp(1, 512))
    }
}

fn unfit(why: impl Into<String>) -> Error {
    Error::Icon { why: why.into() }
}
