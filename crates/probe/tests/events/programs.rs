//! A minimal program, assembled by hand so that nothing needs to be installed: it writes a byte,
//! reads a byte and exits with 7.

/// Its exit status.
pub(crate) const STATUS: i32 = 7;

#[cfg(target_arch = "x86_64")]
const CODE: &[u8] = &[
    0xb8, 1, 0, 0, 0, 0xbf, 1, 0, 0, 0, // write(1,
    0x48, 0x8d, 0x74, 0x24, 0x80, 0xba, 1, 0, 0, 0, 0x0f, 0x05, // below the stack, 1)
    0x31, 0xc0, 0x31, 0xff, 0x0f, 0x05, // read(0, the same)
    0xb8, 60, 0, 0, 0, 0xbf, 7, 0, 0, 0, 0x0f, 0x05, // exit(7)
];
#[cfg(target_arch = "aarch64")]
const CODE: &[u8] = &[
    0x20, 0x00, 0x80, 0xd2, 0xe1, 0x03, 0x02, 0xd1, // write(1, below the stack,
    0x22, 0x00, 0x80, 0xd2, 0x08, 0x08, 0x80, 0xd2, 0x01, 0x00, 0x00, 0xd4, // 1)
    0x00, 0x00, 0x80, 0xd2, 0xe8, 0x07, 0x80, 0xd2, 0x01, 0x00, 0x00,
    0xd4, // read(0, the same)
    0xe0, 0x00, 0x80, 0xd2, 0xa8, 0x0b, 0x80, 0xd2, 0x01, 0x00, 0x00, 0xd4, // exit(7)
];
/// The same for 32 bits.
const CODE32: &[u8] = &[
    0xb8, 4, 0, 0, 0, 0xbb, 1, 0, 0, 0, // write(1,
    0x8d, 0x4c, 0x24, 0x80, 0xba, 1, 0, 0, 0, 0xcd, 0x80, // below the stack, 1)
    0xb8, 3, 0, 0, 0, 0x31, 0xdb, 0xcd, 0x80, // read(0, the same)
    0xb8, 1, 0, 0, 0, 0xbb, 7, 0, 0, 0, 0xcd, 0x80, // exit(7)
];

const BASE: u32 = 0x40_0000;

/// The program as a file.
pub(crate) fn native() -> Vec<u8> {
    let machine: u16 = if cfg!(target_arch = "aarch64") { 183 } else { 62 };
    let (header, base) = (64 + 56, u64::from(BASE));
    let len = (header + CODE.len()) as u64;
    let mut file = b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0".to_vec();
    halves(&mut file, &[2, machine, 1, 0]);
    longs(&mut file, &[base + header as u64, 64, 0]);
    halves(&mut file, &[0, 0, 64, 56, 1, 0, 0, 0]);
    halves(&mut file, &[1, 0, 5, 0]); // to be loaded, readable and executable
    longs(&mut file, &[0, base, base, len, len, 0x1_0000]);
    file.extend(CODE);
    file
}

/// The 32-bit program.
pub(crate) fn narrow() -> Vec<u8> {
    let header = 52 + 32;
    let len = (header + CODE32.len()) as u32;
    let mut file = b"\x7fELF\x01\x01\x01\0\0\0\0\0\0\0\0\0".to_vec();
    halves(&mut file, &[2, 3, 1, 0]);
    words(&mut file, &[BASE + header as u32, 52, 0, 0]);
    halves(&mut file, &[52, 32, 1, 0, 0, 0]);
    words(&mut file, &[1, 0, BASE, BASE, len, len, 5, 0x1000]);
    file.extend(CODE32);
    file
}

fn halves(file: &mut Vec<u8>, all: &[u16]) {
    file.extend(all.iter().flat_map(|number| number.to_le_bytes()));
}

fn words(file: &mut Vec<u8>, all: &[u32]) {
    file.extend(all.iter().flat_map(|number| number.to_le_bytes()));
}

fn longs(file: &mut Vec<u8>, all: &[u64]) {
    file.extend(all.iter().flat_map(|number| number.to_le_bytes()));
}
