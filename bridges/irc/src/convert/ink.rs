//! The 99 colours of IRC.

use landbridge_framework::format::Rgb;

/// Colours 0 to 98 as the clients agree on them (<https://modern.ircdocs.horse/formatting#colors-16-98>).
#[rustfmt::skip]
const PALETTE: [u32; 99] = [
    0xff_ffff, 0x00_0000, 0x00_007f, 0x00_9300, 0xff_0000, 0x7f_0000, 0x9c_009c, 0xfc_7f00,
    0xff_ff00, 0x00_fc00, 0x00_9393, 0x00_ffff, 0x00_00fc, 0xff_00ff, 0x7f_7f7f, 0xd2_d2d2,
    0x47_0000, 0x47_2100, 0x47_4700, 0x32_4700, 0x00_4700, 0x00_472c, 0x00_4747, 0x00_2747, 0x00_0047, 0x2e_0047, 0x47_0047, 0x47_002a,
    0x74_0000, 0x74_3a00, 0x74_7400, 0x51_7400, 0x00_7400, 0x00_7449, 0x00_7474, 0x00_4074, 0x00_0074, 0x4b_0074, 0x74_0074, 0x74_0045,
    0xb5_0000, 0xb5_6300, 0xb5_b500, 0x7d_b500, 0x00_b500, 0x00_b571, 0x00_b5b5, 0x00_63b5, 0x00_00b5, 0x75_00b5, 0xb5_00b5, 0xb5_006b,
    0xff_0000, 0xff_8c00, 0xff_ff00, 0xb2_ff00, 0x00_ff00, 0x00_ffa0, 0x00_ffff, 0x00_8cff, 0x00_00ff, 0xa5_00ff, 0xff_00ff, 0xff_0098,
    0xff_5959, 0xff_b459, 0xff_ff71, 0xcf_ff60, 0x6f_ff6f, 0x65_ffc9, 0x6d_ffff, 0x59_b4ff, 0x59_59ff, 0xc4_59ff, 0xff_66ff, 0xff_59bc,
    0xff_9c9c, 0xff_d39c, 0xff_ff9c, 0xe2_ff9c, 0x9c_ff9c, 0x9c_ffdb, 0x9c_ffff, 0x9c_d3ff, 0x9c_9cff, 0xdc_9cff, 0xff_9cff, 0xff_94d3,
    0x00_0000, 0x13_1313, 0x28_2828, 0x36_3636, 0x4d_4d4d, 0x65_6565, 0x81_8181, 0x9f_9f9f, 0xbc_bcbc, 0xe2_e2e2, 0xff_ffff,
];

/// The colours every client knows.
const BASIC: usize = 16;

/// A colour by its number; 99 and what is beyond stand for the reader's own.
pub(crate) fn by_number(number: usize) -> Option<Rgb> {
    PALETTE.get(number).map(|rgb| {
        let [_, red, green, blue] = rgb.to_be_bytes();
        Rgb(red, green, blue)
    })
}

/// The number of the nearest of the sixteen colours that every client knows.
pub(crate) fn nearest(colour: Rgb) -> u8 {
    let distance = |number: &usize| {
        let Rgb(r, g, b) = by_number(*number).unwrap_or(Rgb(0, 0, 0));
        let square = |a: u8, b: u8| i32::from(a.abs_diff(b)).pow(2);
        // The eye sees green best and blue least.
        3 * square(r, colour.0) + 6 * square(g, colour.1) + square(b, colour.2)
    };
    (0..BASIC).min_by_key(distance).map_or(1, |number| number as u8)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn knows_the_colours_and_their_neighbours() {
        assert_eq!(by_number(4), Some(Rgb(255, 0, 0)));
        assert_eq!(by_number(98), Some(Rgb(255, 255, 255)));
        assert_eq!(by_number(99), None);
        assert_eq!(nearest(Rgb(250, 10, 10)), 4);
        assert_eq!(nearest(Rgb(1, 1, 1)), 1);
        for number in 0..16_u8 {
            assert_eq!(nearest(by_number(usize::from(number)).unwrap()), number);
        }
    }
}
