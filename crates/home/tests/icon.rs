//! Icons: what is cleaned away, what is drawn, what looks alike.

use masque_home::icon::{Icon, SIZES, look_alike};
use proptest::prelude::*;

const PLAIN: &str = r##"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 16 16">
  <rect x="0" y="0" width="16" height="16" fill="#0000ff"/>
  <g transform="translate(8 8)"><circle r="4" style="fill: red; stroke:none"/></g>
</svg>"##;

fn svg(body: &str) -> String {
    format!(
        "<svg xmlns='http://www.w3.org/2000/svg' xmlns:xlink='http://www.w3.org/1999/xlink' viewBox='0 0 16 16'>{body}</svg>"
    )
}

#[test]
fn nothing_that_acts_or_refers_is_left() {
    let hostile = svg(
        "<script>alert(1)</script><style>@import url(http://x/)</style><rect width='9' height='9' onclick='x()' \
         fill='url(http://x/#a)' stroke='url(#ok)' xlink:href='http://x' style='fill:#123;background:url(http://y)'/>\
         <foreignObject><body xmlns='http://www.w3.org/1999/xhtml'>x</body></foreignObject><image href='file:///etc/x'/>\
         <use href='#a'/><a href='javascript:x'><rect width='1' height='1'/></a><text>x</text><animate/>\
         <h:rect xmlns:h='urn:other' width='1'/><svg/><set/><circle r='1e9'/><path d='M0 0 L 99999999999999 1'/>",
    );
    let icon = Icon::clean(hostile.as_bytes()).unwrap();
    assert_eq!(
        icon.svg(),
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 16 16\"><rect width=\"9\" height=\"9\" stroke=\"url(#ok)\" \
         fill=\"#123\"></rect><circle></circle><path></path></svg>"
    );
    for gone in ["<script>", "<style>", "<foreignObject>", "<image>", "<use>", "<a>", "onclick", "href", "background"] {
        assert!(icon.removed().iter().any(|removed| removed == gone), "{gone}: {:?}", icon.removed());
    }
    assert_eq!(Icon::clean(icon.svg().as_bytes()).unwrap().svg(), icon.svg(), "clean stays as it is");
}

#[test]
fn what_cannot_be_an_icon_is_refused_with_the_reason() {
    let bomb = "<!DOCTYPE svg [<!ENTITY a 'aaaa'>]><svg viewBox='0 0 1 1'><rect width='1' height='1'/></svg>";
    let deep = svg(&format!("{}<rect/>{}", "<g>".repeat(40), "</g>".repeat(40)));
    let large = svg(&"<rect/>".repeat(10_000));
    for (text, why) in [
        ("not xml", "no SVG"),
        ("<html/>", "root element is <html>"),
        ("<svg><rect/></svg>", "no size"),
        ("<svg viewBox='0 0 16 16'><text>x</text></svg>", "nothing can be drawn"),
        ("<svg viewBox='0 0 0 16'><rect/></svg>", "above 0"),
        (bomb, "no SVG"),
        (&deep, "nested deeper"),
        (&large, "at most"),
    ] {
        let error = Icon::clean(text.as_bytes()).unwrap_err().to_string();
        assert!(error.contains(why), "{error}");
    }
}

#[test]
fn it_is_drawn_in_all_sizes_for_files_and_terminals() {
    let icon = Icon::clean(PLAIN.as_bytes()).unwrap();
    for size in SIZES {
        let png = icon.draw(size).unwrap().png().unwrap();
        let decoder = png::Decoder::new(std::io::Cursor::new(png));
        let mut reader = decoder.read_info().unwrap();
        let mut pixels = vec![0; reader.output_buffer_size().unwrap()];
        let info = reader.next_frame(&mut pixels).unwrap();
        assert_eq!((info.width, info.height), (size, size));
        let middle = ((size / 2 * size + size / 2) * 4) as usize;
        assert_eq!(pixels[..4], [0, 0, 255, 255], "the corner");
        assert_eq!(pixels[middle..middle + 4], [255, 0, 0, 255], "the middle");
    }
    let terminal = icon.draw(16).unwrap().terminal();
    assert_eq!(terminal.lines().count(), 8);
    assert!(terminal.lines().next().unwrap().starts_with("\u{1b}[38;2;0;0;255;48;2;0;0;255m▀"));
    assert!(terminal.lines().nth(4).unwrap().contains("[38;2;255;0;0;48;2;255;0;0m▀"));
}

#[test]
fn gradients_strokes_and_every_shape_are_drawn() {
    let body = "<defs><linearGradient id='a'><stop offset='0' stop-color='#000'/><stop offset='100%' stop-color='#fff'/>\
                </linearGradient></defs><rect width='16' height='16' fill='url(#a)'/>";
    let icon = Icon::clean(svg(body).as_bytes()).unwrap();
    let line = icon.draw(16).unwrap().terminal();
    let greys: Vec<u8> = line
        .lines()
        .next()
        .unwrap()
        .split("38;2;")
        .skip(1)
        .map(|rest| rest.split(';').next().unwrap().parse().unwrap())
        .collect();
    assert!(greys.len() == 16 && greys.is_sorted() && greys[0] < 16 && greys[15] > 240, "{greys:?}");
    for shape in [
        "<path d='M2 2 C 2 8 8 8 14 14 A 3 3 0 0 1 8 8 z'/>",
        "<ellipse cx='8' cy='8' rx='6' ry='3'/>",
        "<rect x='2' y='2' width='12' height='12' rx='3'/>",
        "<line x1='1' y1='1' x2='15' y2='15' stroke='black' stroke-width='3'/>",
        "<polyline points='1,1 8,15 15,1' fill='none' stroke='black' stroke-linecap='round' stroke-linejoin='round'/>",
        "<polygon points='1 1 8 15 15 1' fill-rule='evenodd'/>",
        "<g transform='rotate(45 8 8) scale(.5), translate(4,4)'><circle cx='8' cy='8' r='5' opacity='.9'/></g>",
    ] {
        let icon = Icon::clean(svg(shape).as_bytes()).unwrap();
        assert!(icon.draw(32).unwrap().terminal().contains('▀'), "{shape}");
        assert!(icon.removed().is_empty(), "{:?}", icon.removed());
    }
}

#[test]
fn the_same_picture_is_found_and_another_one_is_not() {
    let shape = |text: &str| Icon::clean(text.as_bytes()).unwrap().shape();
    let near = PLAIN.replace("r=\"4\"", "r=\"4.02\"").replace("#0000ff", "#0202fd");
    assert!(look_alike(shape(PLAIN), shape(&near)));
    for other in [
        PLAIN.replace("#0000ff", "#00a000"),
        PLAIN.replace("<circle r=\"4\"", "<rect x=\"-8\" y=\"-8\" width=\"8\" height=\"8\""),
    ] {
        assert!(!look_alike(shape(PLAIN), shape(&other)));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn whatever_is_cleaned_is_drawn_without_a_fault(
        path in "[MmLlHhVvCcSsQqTtAaZz0-9 .,-]{0,120}",
        numbers in proptest::collection::vec(-99_999.0_f32..99_999.0, 0..12),
        width in 0.0_f32..99_999.0,
        transform in "(rotate|scale|skewX|matrix)\\([0-9 .-]{1,20}\\)",
    ) {
        let points: Vec<String> = numbers.iter().map(ToString::to_string).collect();
        let body = format!(
            "<path d='{path}' stroke='red' stroke-width='{width}' transform='{transform}'/><polygon points='{}'/>",
            points.join(" ")
        );
        let icon = Icon::clean(svg(&body).as_bytes());
        if let Ok(icon) = icon {
            prop_assert_eq!(icon.draw(16).unwrap().pixels(), 16);
        }
    }

    #[test]
    fn arbitrary_bytes_are_refused_or_clean(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _refused_or_clean = Icon::clean(&bytes);
    }
}
