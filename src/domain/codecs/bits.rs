//! The bits of a parameter set (ITU-T H.264, 7.2 and 9.1; H.265 has the same).

/// The longest that anybody has needed, several times.
const MOST_BYTES: usize = 4096;

/// Reads from the front; `None` behind the end.
#[derive(Debug)]
pub(super) struct Bits {
    bytes: Vec<u8>,
    at: usize,
}

impl Bits {
    /// Of a NAL unit: without the bytes that keep it from looking like a start code.
    pub(super) fn of_nal(nal: &[u8]) -> Self {
        let (mut bytes, mut zeros) = (Vec::new(), 0);
        for &byte in nal.iter().take(MOST_BYTES) {
            if zeros >= 2 && byte == 3 {
                zeros = 0;
                continue;
            }
            zeros = if byte == 0 { zeros + 1 } else { 0 };
            bytes.push(byte);
        }
        Self { bytes, at: 0 }
    }

    pub(super) fn flag(&mut self) -> Option<bool> {
        let byte = self.bytes.get(self.at / 8)?;
        let bit = byte >> (7 - self.at % 8) & 1;
        self.at += 1;
        Some(bit == 1)
    }

    /// Of up to 32 bits.
    pub(super) fn number(&mut self, bits: u32) -> Option<u32> {
        (0..bits).try_fold(0u32, |number, _| Some(number << 1 | u32::from(self.flag()?)))
    }

    pub(super) fn byte(&mut self) -> Option<u8> {
        self.number(8).map(|number| number as u8)
    }

    pub(super) fn skip(&mut self, bits: usize) {
        self.at = self.at.saturating_add(bits);
    }

    /// `ue(v)`.
    pub(super) fn golomb(&mut self) -> Option<u32> {
        let mut zeros = 0;
        while !self.flag()? {
            zeros += 1;
        }
        (zeros < 32).then_some(())?;
        Some((1u32 << zeros) - 1 + self.number(zeros)?)
    }

    /// `se(v)`.
    pub(super) fn signed_golomb(&mut self) -> Option<i64> {
        let code = i64::from(self.golomb()?);
        Some(if code % 2 == 1 { code / 2 + 1 } else { -(code / 2) })
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// Writes what [`Bits`] reads.
    #[derive(Debug, Default)]
    pub(crate) struct Writer {
        bits: Vec<bool>,
    }

    impl Writer {
        pub(crate) fn bits(&mut self, number: u32, bits: u32) -> &mut Self {
            self.bits.extend((0..bits).rev().map(|bit| number.checked_shr(bit).unwrap_or_default() & 1 == 1));
            self
        }

        pub(crate) fn golomb(&mut self, number: u32) -> &mut Self {
            let zeros = (number + 1).ilog2();
            self.bits(0, zeros).bits(number + 1, zeros + 1)
        }

        pub(crate) fn golombs(&mut self, numbers: impl IntoIterator<Item = u32>) -> &mut Self {
            numbers.into_iter().fold(self, |writer, number| writer.golomb(number))
        }

        /// With the bytes that keep it from looking like a start code.
        pub(crate) fn finish(&self) -> Vec<u8> {
            let mut bytes = Vec::new();
            let whole = self.bits.chunks(8).map(|bits| {
                bits.iter().enumerate().fold(0, |byte, (at, bit)| byte | u8::from(*bit) << (7 - at))
            });
            for byte in whole {
                if byte <= 3 && bytes.ends_with(&[0, 0]) {
                    bytes.push(3);
                }
                bytes.push(byte);
            }
            bytes
        }
    }

    #[test]
    fn numbers_of_any_length_come_in_order() {
        // 1 | 010 | 011 | 00100 | 00111 | 0001000 and zeros
        let mut bits = Bits::of_nal(&[0b1010_0110, 0b0100_0011, 0b1000_1000, 0]);
        let read: Vec<_> = (0..6).map_while(|_| bits.golomb()).collect();
        assert_eq!(read, [0, 1, 2, 3, 6, 7]);
        assert_eq!(bits.golomb(), None, "zeros to the end");
        let mut bits = Bits::of_nal(&[0b1010_0110, 0b0100_0011, 0b1000_1000]);
        let read: Vec<_> = (0..6).map_while(|_| bits.signed_golomb()).collect();
        assert_eq!(read, [0, 1, -1, 2, -3, 4]);
        let mut bits = Bits::of_nal(&[0x12, 0x34, 0x56]);
        assert_eq!((bits.number(12), bits.flag(), bits.byte()), (Some(0x123), Some(false), Some(0x8a)));
        bits.skip(2);
        assert_eq!((bits.number(1), bits.number(1), bits.number(0)), (Some(0), None, Some(0)));
    }

    #[test]
    fn what_hides_start_codes_is_no_part_of_it() {
        let bytes = [0, 0, 3, 1, 0, 0, 3, 0, 0, 3, 3, 0, 3];
        assert_eq!(Bits::of_nal(&bytes).bytes, [0, 0, 1, 0, 0, 0, 0, 3, 0, 3]);
    }

    #[test]
    fn the_largest_number_is_read_and_none_larger() {
        let mut bits = Bits::of_nal(&[0, 0, 0, 1, 0xff, 0xff, 0xff, 0xfe]);
        assert_eq!(bits.golomb(), Some(u32::MAX - 1));
        let mut bits = Bits::of_nal(&[0, 0, 0, 0, 0x80, 0, 0, 0, 0]);
        assert_eq!(bits.golomb(), None);
    }
}
