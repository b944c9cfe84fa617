//! The loudness of voice messages: Telegram packs values of 5 bits, the least significant first; Matrix has numbers.

/// The most values read or written: Telegram's own clients show 100.
const MAX: usize = 256;

/// Telegram's bytes as values of 0 to 255.
pub fn unpack(bytes: &[u8]) -> Vec<u8> {
    let values = (bytes.len() * 8 / 5).min(MAX);
    let value = |at: usize| {
        let bit = at * 5;
        let low = u16::from(bytes[bit / 8]);
        let high = u16::from(bytes.get(bit / 8 + 1).copied().unwrap_or(0));
        let level = (low | high << 8) >> (bit % 8) & 31;
        // 31 is the loudest, as 255 is.
        u8::try_from(level * 255 / 31).unwrap_or(u8::MAX)
    };
    (0..values).map(value).collect()
}

/// Values of 0 to 255 as Telegram's bytes; more than it shows are thinned out.
pub fn pack(values: &[u8]) -> Vec<u8> {
    const SHOWN: usize = 100;
    let count = values.len().min(SHOWN);
    let mut bytes = vec![0; (count * 5).div_ceil(8)];
    for at in 0..count {
        // The loudest of those that fall together.
        let (from, to) = (at * values.len() / count, (at + 1) * values.len() / count);
        let loudest = values[from..to.max(from + 1)].iter().copied().max().unwrap_or(0);
        let level = u16::from(loudest) * 31 / 255;
        let bit = at * 5;
        let shifted = level << (bit % 8);
        bytes[bit / 8] |= (shifted & 255) as u8;
        if let Some(next) = bytes.get_mut(bit / 8 + 1) {
            *next |= (shifted >> 8) as u8;
        }
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packed_values_come_back() {
        let values: Vec<u8> =
            (0..32).map(|level| u8::try_from(level * 255 / 31).unwrap()).collect();
        let back = unpack(&pack(&values));
        assert_eq!(back.len(), 32);
        for (was, is) in values.iter().zip(back) {
            assert!(was.abs_diff(is) <= 9, "{was} became {is}");
        }
    }

    #[test]
    fn any_length_is_taken() {
        assert!(unpack(&[]).is_empty());
        assert_eq!(unpack(&[0xff]), [255]);
        assert_eq!(unpack(&vec![0xff; 10_000]).len(), 256);
        assert!(pack(&[]).is_empty());
        assert_eq!(unpack(&pack(&vec![255; 1000])), vec![255; 100]);
    }
}
