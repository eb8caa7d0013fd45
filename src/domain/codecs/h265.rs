//! The sequence parameter set of H.265 (ITU-T H.265, 7.3.2.2), and its name for players (ISO/IEC 14496-15, annex E).

use std::fmt::Write as _;

use super::Picture;
use super::bits::Bits;
use super::h264::read_crop;

const SEQUENCE_PARAMETERS: u8 = 33;
/// What profile, tier and level take, here and in a sample entry.
pub(super) const GENERAL_BYTES: usize = 12;

/// What a NAL unit says of the picture; `None`: it is no sequence parameter set, or half of one.
pub(super) fn picture(nal: &[u8]) -> Option<Picture> {
    let (header, body) = nal.split_first_chunk::<2>()?;
    let layer = (header[0] & 1) << 5 | header[1] >> 3;
    (header[0] >> 1 & 0x3f == SEQUENCE_PARAMETERS && layer == 0).then_some(())?;
    let mut bits = Bits::of_nal(body);
    bits.number(4)?;
    let sub_layers = bits.number(3)?;
    bits.flag()?;
    let mut general = [0; GENERAL_BYTES];
    for byte in &mut general {
        *byte = bits.byte()?;
    }
    skip_sub_layers(&mut bits, sub_layers)?;
    bits.golomb()?; // its number
    let chroma = bits.golomb()?;
    if chroma == 3 {
        bits.flag()?;
    }
    let (width, height) = (bits.golomb()?, bits.golomb()?);
    let unit = match chroma {
        1 => (2, 2),
        2 => (2, 1),
        _ => (1, 1),
    };
    let crop = if bits.flag()? { read_crop(&mut bits, unit)? } else { (0, 0) };
    Some(Picture {
        codec: hevc("hvc1", general),
        width: width.checked_sub(crop.0)?,
        height: height.checked_sub(crop.1)?,
    })
}

fn skip_sub_layers(bits: &mut Bits, sub_layers: u32) -> Option<()> {
    let told: Vec<_> = (0..sub_layers).map_while(|_| Some((bits.flag()?, bits.flag()?))).collect();
    if sub_layers > 0 {
        bits.skip(2 * (8 - sub_layers as usize));
    }
    for (has_profile, has_level) in told {
        bits.skip(if has_profile { 88 } else { 0 });
        bits.skip(if has_level { 8 } else { 0 });
    }
    Some(())
}

/// `kind`: of the sample entry.
pub(super) fn hevc(kind: &str, general: [u8; GENERAL_BYTES]) -> String {
    let [first, c0, c1, c2, c3, constraints @ .., level] = general;
    let space = ["", "A", "B", "C"][usize::from(first >> 6)];
    let tier = if first & 0x20 == 0 { 'L' } else { 'H' };
    let compatible = u32::from_be_bytes([c0, c1, c2, c3]).reverse_bits();
    let mut name = format!("{kind}.{space}{}.{compatible:X}.{tier}{level}", first & 0x1f);
    let told = constraints.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
    for byte in &constraints[..told] {
        // Writing to a String can't fail.
        let _ = write!(name, ".{byte:X}");
    }
    name
}
