//! Colours as SVG writes them.

/// Red, green, blue, each 0 to 255.
pub(super) type Colour = [u8; 3];

/// The names that icons use; the others of CSS are to be written as `#rrggbb`.
const NAMED: [(&str, Colour); 24] = [
    ("black", [0, 0, 0]),
    ("white", [255, 255, 255]),
    ("red", [255, 0, 0]),
    ("green", [0, 128, 0]),
    ("blue", [0, 0, 255]),
    ("yellow", [255, 255, 0]),
    ("orange", [255, 165, 0]),
    ("purple", [128, 0, 128]),
    ("gray", [128, 128, 128]),
    ("grey", [128, 128, 128]),
    ("silver", [192, 192, 192]),
    ("maroon", [128, 0, 0]),
    ("olive", [128, 128, 0]),
    ("lime", [0, 255, 0]),
    ("aqua", [0, 255, 255]),
    ("cyan", [0, 255, 255]),
    ("teal", [0, 128, 128]),
    ("navy", [0, 0, 128]),
    ("fuchsia", [255, 0, 255]),
    ("magenta", [255, 0, 255]),
    ("brown", [165, 42, 42]),
    ("pink", [255, 192, 203]),
    ("gold", [255, 215, 0]),
    // Readable on dark and on light ground.
    ("currentColor", [128, 128, 128]),
];

/// `#rgb`, `#rrggbb`, `rgb(r, g, b)` or a name.
pub(super) fn parse(text: &str) -> Option<Colour> {
    if let Some(digits) = text.strip_prefix('#') {
        return from_hex(digits);
    }
    if let Some(parts) = text.strip_prefix("rgb(").and_then(|rest| rest.strip_suffix(')')) {
        let parts: Vec<u8> = parts.split(',').map(|part| part.trim().parse().ok()).collect::<Option<_>>()?;
        return parts.try_into().ok();
    }
    NAMED.iter().find(|(name, _)| *name == text).map(|(_, colour)| *colour)
}

fn from_hex(digits: &str) -> Option<Colour> {
    let values: Vec<u8> =
        digits.chars().map(|digit| digit.to_digit(16).and_then(|d| u8::try_from(d).ok())).collect::<Option<_>>()?;
    match values.as_slice() {
        [r, g, b] => Some([r * 17, g * 17, b * 17]),
        [r1, r0, g1, g0, b1, b0] => Some([r1 * 16 + r0, g1 * 16 + g0, b1 * 16 + b0]),
        _ => None,
    }
}
