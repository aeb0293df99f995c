//! A reader of protobuf's wire format: just enough for the messages of a vector tile.

/// A field's value.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Wire<'a> {
    Varint(u64),
    Fixed64,
    Bytes(&'a [u8]),
    Fixed32,
}

/// The fields of a message in their order, or what is wrong with its bytes.
pub fn fields(mut bytes: &[u8]) -> Result<Vec<(u64, Wire<'_>)>, String> {
    let mut out = Vec::new();
    while !bytes.is_empty() {
        let key = varint(&mut bytes)?;
        let value = match key & 7 {
            0 => Wire::Varint(varint(&mut bytes)?),
            1 => take(&mut bytes, 8).map(|_| Wire::Fixed64)?,
            2 => {
                let len = varint(&mut bytes)?;
                Wire::Bytes(take(&mut bytes, len)?)
            }
            5 => take(&mut bytes, 4).map(|_| Wire::Fixed32)?,
            other => return Err(format!("there is no wire type {other}")),
        };
        if key >> 3 == 0 {
            return Err("there is no field 0".to_owned());
        }
        out.push((key >> 3, value));
    }
    Ok(out)
}

/// A packed field of 32-bit numbers.
pub fn packed(mut bytes: &[u8]) -> Result<Vec<u32>, String> {
    let mut out = Vec::new();
    while !bytes.is_empty() {
        let n = varint(&mut bytes)?;
        out.push(u32::try_from(n).map_err(|_| format!("{n} is no 32-bit number"))?);
    }
    Ok(out)
}

fn varint(bytes: &mut &[u8]) -> Result<u64, String> {
    let mut n = 0;
    for shift in (0..70).step_by(7) {
        let (first, rest) = bytes.split_first().ok_or("a number is cut off")?;
        *bytes = rest;
        if shift == 63 && *first > 1 {
            break;
        }
        n |= u64::from(first & 0x7f) << shift;
        if first & 0x80 == 0 {
            return Ok(n);
        }
    }
    Err("a number is longer than 64 bits".to_owned())
}

fn take<'a>(bytes: &mut &'a [u8], len: u64) -> Result<&'a [u8], String> {
    let cut = usize::try_from(len).ok().and_then(|len| bytes.split_at_checked(len));
    let (first, rest) = cut.ok_or_else(|| format!("{len} bytes are announced, {} are there", bytes.len()))?;
    *bytes = rest;
    Ok(first)
}
