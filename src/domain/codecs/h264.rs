//! The sequence parameter set of H.264 (ITU-T H.264, 7.3.2.1.1).

use super::Picture;
use super::bits::Bits;

/// Those with a chroma format and scaling lists.
const HIGH_PROFILES: [u8; 13] = [100, 110, 122, 244, 44, 83, 86, 118, 128, 138, 139, 134, 135];
const SEQUENCE_PARAMETERS: u8 = 7;

/// What a NAL unit says of the picture; `None`: it is no sequence parameter set, or half of one.
pub(super) fn picture(nal: &[u8]) -> Option<Picture> {
    let (header, body) = nal.split_first()?;
    (header & 0x1f == SEQUENCE_PARAMETERS).then_some(())?;
    let mut bits = Bits::of_nal(body);
    let (profile, constraints, level) = (bits.byte()?, bits.byte()?, bits.byte()?);
    bits.golomb()?; // its number
    let chroma = if HIGH_PROFILES.contains(&profile) { read_high(&mut bits)? } else { 1 };
    skip_order(&mut bits)?;
    bits.golomb()?; // reference frames
    bits.flag()?;
    let (columns, rows) = (bits.golomb()?, bits.golomb()?);
    let frames_only = bits.flag()?;
    if !frames_only {
        bits.flag()?;
    }
    bits.flag()?;
    // Rows of macroblocks are those of a field where there may be fields.
    let fields = if frames_only { 1 } else { 2 };
    let unit = match chroma {
        1 => (2, 2 * fields),
        2 => (2, fields),
        _ => (1, fields),
    };
    let crop = if bits.flag()? { read_crop(&mut bits, unit)? } else { (0, 0) };
    let side = |blocks: u32, of: u32| blocks.checked_add(1)?.checked_mul(of);
    Some(Picture {
        codec: avc("avc1", [profile, constraints, level]),
        width: side(columns, 16)?.checked_sub(crop.0)?,
        height: side(rows, 16 * fields)?.checked_sub(crop.1)?,
    })
}

/// `kind`: of the sample entry, RFC 6381 3.3.
pub(super) fn avc(kind: &str, [profile, constraints, level]: [u8; 3]) -> String {
    format!("{kind}.{profile:02x}{constraints:02x}{level:02x}")
}

/// What high profiles say besides: the ChromaArrayType is told.
fn read_high(bits: &mut Bits) -> Option<u32> {
    let chroma = bits.golomb()?;
    let separate = chroma == 3 && bits.flag()?;
    bits.golomb()?; // bit depths
    bits.golomb()?;
    bits.flag()?;
    if bits.flag()? {
        let lists = if chroma == 3 { 12 } else { 8 };
        for list in 0..lists {
            if bits.flag()? {
                skip_scaling_list(bits, if list < 6 { 16 } else { 64 })?;
            }
        }
    }
    Some(if separate { 0 } else { chroma })
}

fn skip_scaling_list(bits: &mut Bits, values: usize) -> Option<()> {
    let mut last = 8;
    for _ in 0..values {
        let next = (last + bits.signed_golomb()?).rem_euclid(256);
        if next == 0 {
            // The rest is as the last one.
            break;
        }
        last = next;
    }
    Some(())
}

/// In which order pictures are shown.
fn skip_order(bits: &mut Bits) -> Option<()> {
    bits.golomb()?; // frame numbers
    match bits.golomb()? {
        0 => drop(bits.golomb()?),
        1 => {
            bits.flag()?;
            bits.golomb()?;
            bits.golomb()?;
            for _ in 0..bits.golomb()? {
                bits.golomb()?;
            }
        }
        _ => {}
    }
    Some(())
}

/// What is cut off of width and height.
pub(super) fn read_crop(bits: &mut Bits, unit: (u32, u32)) -> Option<(u32, u32)> {
    let (left, right) = (bits.golomb()?, bits.golomb()?);
    let (top, bottom) = (bits.golomb()?, bits.golomb()?);
    Some((left.checked_add(right)?.checked_mul(unit.0)?, top.checked_add(bottom)?.checked_mul(unit.1)?))
}
