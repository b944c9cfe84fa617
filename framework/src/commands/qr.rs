//! QR codes as pictures, for logins on devices that have no other way to read.

use qrcode::{Color, QrCode};

/// The side of a module in pixels, and the white border in modules (ISO/IEC 18004 wants four).
const SCALE: usize = 8;
const BORDER: usize = 4;

/// A square picture.
pub(super) struct Picture {
    /// As PNG.
    pub(super) png: Vec<u8>,
    /// Its side in pixels.
    pub(super) side: usize,
}

/// The QR code of a text; nothing if the text is too long for one.
pub(super) fn picture(text: &str) -> Option<Picture> {
    let code = QrCode::new(text).ok()?;
    let (modules, colors) = (code.width(), code.to_colors());
    let side = (modules + 2 * BORDER) * SCALE;
    let dark = |x: usize, y: usize| {
        let place = |at: usize| (at / SCALE).checked_sub(BORDER).filter(|at| *at < modules);
        match (place(x), place(y)) {
            (Some(x), Some(y)) => colors[y * modules + x] == Color::Dark,
            _ => false,
        }
    };
    let pixels: Vec<u8> =
        (0..side * side).map(|at| if dark(at % side, at / side) { 0 } else { u8::MAX }).collect();
    let mut png = Vec::new();
    let pixel_side = u32::try_from(side).ok()?;
    let mut encoder = png::Encoder::new(&mut png, pixel_side, pixel_side);
    encoder.set_color(png::ColorType::Grayscale);
    encoder.set_depth(png::BitDepth::Eight);
    let mut writer = encoder.write_header().ok()?;
    writer.write_image_data(&pixels).ok()?;
    writer.finish().ok()?;
    Some(Picture { png, side })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_picture_is_the_code_within_a_border() {
        let drawn = picture("tg://login?token=abc").unwrap();
        let mut reader = png::Decoder::new(std::io::Cursor::new(&drawn.png)).read_info().unwrap();
        let mut pixels = vec![0; drawn.side * drawn.side];
        reader.next_frame(&mut pixels).unwrap();
        let code = QrCode::new("tg://login?token=abc").unwrap();
        let at = |x: usize, y: usize| {
            let middle = |module: usize| (BORDER + module) * SCALE + SCALE / 2;
            pixels[middle(y) * drawn.side + middle(x)]
        };
        for x in 0..code.width() {
            for y in 0..code.width() {
                assert_eq!(at(x, y) == 0, code[(x, y)] == Color::Dark);
            }
        }
        assert!(pixels[..BORDER * SCALE * drawn.side].iter().all(|pixel| *pixel == u8::MAX));
        assert!(picture(&"x".repeat(10_000)).is_none());
    }
}
