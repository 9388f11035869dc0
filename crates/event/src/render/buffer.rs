//! Bytes of any value as text.

/// Printable ASCII as it is, a dot for every other byte.
pub fn dots(bytes: &[u8], out: &mut Vec<u8>) {
    let dot = |&byte: &u8| if matches!(byte, b' '..=b'~') { byte } else { b'.' };
    out.extend(bytes.iter().map(dot));
}

/// Base64 with padding.
pub fn base64(bytes: &[u8], out: &mut Vec<u8>) {
    for chunk in bytes.chunks(3) {
        let mut three = [0; 3];
        three.iter_mut().zip(chunk).for_each(|(to, from)| *to = *from);
        let [a, b, c] = three.map(u32::from);
        let bits = a << 16 | b << 8 | c;
        for digit in 0..4 {
            let sextet = bits >> (18 - 6 * digit) & 0x3f;
            out.push(if digit > chunk.len() { b'=' } else { symbol(sextet as u8) });
        }
    }
}

fn symbol(sextet: u8) -> u8 {
    match sextet {
        0..26 => b'A' + sextet,
        26..52 => b'a' + sextet - 26,
        52..62 => b'0' + sextet - 52,
        62 => b'+',
        _ => b'/',
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unprintable_bytes_are_dots() {
        let mut out = Vec::new();
        dots(b"a b~\x7f\n\0\xc3\xa9", &mut out);
        assert_eq!(out, b"a b~.....");
    }

    #[test]
    fn base64_pads() {
        for (bytes, text) in [
            (&b""[..], &b""[..]),
            (b"f", b"Zg=="),
            (b"fo", b"Zm8="),
            (b"foo", b"Zm9v"),
            (b"\xfb\xff\xfe!", b"+//+IQ=="),
        ] {
            let mut out = Vec::new();
            base64(bytes, &mut out);
            assert_eq!(out, text);
        }
    }
}
