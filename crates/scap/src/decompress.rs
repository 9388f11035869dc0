//! Plain or compressed bytes, detected by the first ones.

use std::fmt;
use std::io::{self, BufRead, BufReader, ErrorKind, Read};

use flate2::bufread::GzDecoder;
use lz4_flex::frame::FrameDecoder as Lz4Decoder;
use ruzstd::decoding::{BlockDecodingStrategy, FrameDecoder as ZstdDecoder};

/// A form of compression that is recognized and not read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Packed {
    /// Of `zip`.
    Zip,
    /// Of `xz`.
    Xz,
    /// Of `bzip2`.
    Bzip2,
    /// Of 7-Zip.
    SevenZip,
}

impl Packed {
    /// Its name, and the command that unpacks it.
    pub(crate) fn remedy(self) -> &'static str {
        match self {
            Self::Zip => "is a zip archive; unpack it first: unzip FILE",
            Self::Xz => "is compressed by xz; unpack it first: xz -dk FILE",
            Self::Bzip2 => "is compressed by bzip2; unpack it first: bzip2 -dk FILE",
            Self::SevenZip => "is a 7-Zip archive; unpack it first: 7z x FILE",
        }
    }
}

/// What the first bytes say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Gzip,
    Zstd,
    Lz4,
    Packed(Packed),
    Plain,
}

/// Bytes that files of each kind begin with.
const BEGINNINGS: [(&[u8], Kind); 7] = [
    (b"\x1f\x8b", Kind::Gzip),
    (b"\x28\xb5\x2f\xfd", Kind::Zstd),
    (b"\x04\x22\x4d\x18", Kind::Lz4),
    (b"PK\x03\x04", Kind::Packed(Packed::Zip)),
    (b"\xfd7zXZ\0", Kind::Packed(Packed::Xz)),
    (b"BZh", Kind::Packed(Packed::Bzip2)),
    (b"7z\xbc\xaf\x27\x1c", Kind::Packed(Packed::SevenZip)),
];

impl Kind {
    /// One byte is enough: a pipe may give no more, and a plain capture begins with another one.
    fn of(bytes: &[u8]) -> Self {
        let begins = |with: &[u8]| bytes.iter().zip(with).all(|(byte, first)| byte == first);
        let known = BEGINNINGS.iter().filter(|_| !bytes.is_empty());
        known.into_iter().find(|(with, _)| begins(with)).map_or(Self::Plain, |(_, kind)| *kind)
    }
}

/// Decompressed bytes.
#[derive(Debug)]
pub(crate) struct Source<R: Read> {
    form: Form<R>,
    /// See [`Self::is_cut`].
    cut: bool,
}

#[derive(Debug)]
enum Form<R: Read> {
    Unknown(BufReader<R>),
    Plain(BufReader<R>),
    Compressed(Box<Member<R>>),
    Packed(Packed),
    Ended,
}

/// One of the members or frames that a compressed file consists of.
enum Member<R: Read> {
    Gzip(GzDecoder<BufReader<R>>),
    Zstd(Box<ZstdDecoder>, BufReader<R>),
    Lz4(Lz4Decoder<BufReader<R>>),
}

impl<R: Read> Source<R> {
    pub(crate) fn new(reader: BufReader<R>) -> Self {
        Self { form: Form::Unknown(reader), cut: false }
    }

    /// Whether the compressed bytes end without their end mark, as those of a writer that was
    /// killed.
    pub(crate) fn is_cut(&self) -> bool {
        self.cut
    }

    /// The form of compression, if it is one that is not read.
    pub(crate) fn packed(&self) -> Option<Packed> {
        match self.form {
            Form::Packed(packed) => Some(packed),
            _ => None,
        }
    }

    fn begin(&mut self, mut reader: BufReader<R>) -> io::Result<()> {
        self.form = match Kind::of(reader.fill_buf()?) {
            Kind::Plain => Form::Plain(reader),
            Kind::Packed(packed) => Form::Packed(packed),
            kind => Form::Compressed(Box::new(Member::new(kind, reader)?)),
        };
        Ok(())
    }

    /// Goes on with the member after one that has ended. Bytes after the last are ignored.
    fn next_member(&mut self) -> io::Result<()> {
        let Form::Compressed(member) = std::mem::replace(&mut self.form, Form::Ended) else {
            return Ok(());
        };
        let kind = member.kind();
        let mut reader = member.into_reader();
        if Kind::of(reader.fill_buf()?) == kind {
            self.form = Form::Compressed(Box::new(Member::new(kind, reader)?));
        }
        Ok(())
    }
}

impl<R: Read> Read for Source<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            match &mut self.form {
                Form::Plain(reader) => return reader.read(buffer),
                Form::Compressed(member) => match member.read(buffer) {
                    Ok(0) if !buffer.is_empty() => self.next_member()?,
                    Err(error) if error.kind() == ErrorKind::UnexpectedEof => {
                        (self.form, self.cut) = (Form::Ended, true);
                    }
                    result => return result,
                },
                Form::Unknown(_) => {
                    let form = std::mem::replace(&mut self.form, Form::Ended);
                    let Form::Unknown(reader) = form else { continue };
                    self.begin(reader)?;
                }
                Form::Packed(_) => return Err(ErrorKind::Unsupported.into()),
                Form::Ended => return Ok(0),
            }
        }
    }
}

impl<R: Read> Member<R> {
    fn new(kind: Kind, mut reader: BufReader<R>) -> io::Result<Self> {
        Ok(match kind {
            Kind::Zstd => {
                let mut decoder = Box::new(ZstdDecoder::new());
                let begun = decoder.init(&mut reader);
                begun.map_err(|error| broken(&mut reader, error))?;
                Self::Zstd(decoder, reader)
            }
            Kind::Lz4 => Self::Lz4(Lz4Decoder::new(reader)),
            _ => Self::Gzip(GzDecoder::new(reader)),
        })
    }

    fn kind(&self) -> Kind {
        match self {
            Self::Gzip(_) => Kind::Gzip,
            Self::Zstd(..) => Kind::Zstd,
            Self::Lz4(_) => Kind::Lz4,
        }
    }

    fn into_reader(self) -> BufReader<R> {
        match self {
            Self::Gzip(decoder) => decoder.into_inner(),
            Self::Zstd(_, reader) => reader,
            Self::Lz4(decoder) => decoder.into_inner(),
        }
    }

    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Gzip(decoder) => decoder.read(buffer),
            Self::Lz4(decoder) => decoder.read(buffer),
            Self::Zstd(decoder, reader) => {
                while decoder.can_collect() == 0 && !decoder.is_finished() {
                    let one = BlockDecodingStrategy::UptoBlocks(1);
                    let decoded = decoder.decode_blocks(&mut *reader, one);
                    decoded.map_err(|error| broken(reader, error))?;
                }
                decoder.read(buffer)
            }
        }
    }
}

/// The error of a decoder that does not say whether the bytes are wrong or have ended.
fn broken<E>(reader: &mut impl BufRead, error: E) -> io::Error
where
    E: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    match reader.fill_buf() {
        Ok([]) => io::Error::new(ErrorKind::UnexpectedEof, error),
        Ok(_) => io::Error::new(ErrorKind::InvalidData, error),
        Err(error) => error,
    }
}

impl<R: Read> fmt::Debug for Member<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Gzip(_) => "Gzip",
            Self::Zstd(..) => "Zstd",
            Self::Lz4(_) => "Lz4",
        })
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn all(bytes: &[u8]) -> (io::Result<Vec<u8>>, Source<&[u8]>) {
        let mut source = Source::new(BufReader::new(bytes));
        let mut out = Vec::new();
        let result = source.read_to_end(&mut out).map(|_| out);
        (result, source)
    }

    fn text() -> Vec<u8> {
        (0..20_000_u32).flat_map(|i| (i * i).to_le_bytes()).collect()
    }

    fn compressed() -> [Vec<u8>; 3] {
        use ruzstd::encoding::{CompressionLevel, compress_to_vec};
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
        gzip.write_all(&text()).unwrap();
        let mut lz4 = lz4_flex::frame::FrameEncoder::new(Vec::new());
        lz4.write_all(&text()).unwrap();
        let zstd = compress_to_vec(&text()[..], CompressionLevel::Fastest);
        [gzip.finish().unwrap(), zstd, lz4.finish().unwrap()]
    }

    #[test]
    fn each_form_is_read_whole_and_in_several_members() {
        for bytes in compressed() {
            let (out, source) = all(&bytes);
            assert!(out.unwrap() == text() && !source.is_cut());
            let twice = [&bytes[..], &bytes, b"rest"].concat();
            let (out, source) = all(&twice);
            assert!(out.unwrap() == [text(), text()].concat() && !source.is_cut());
        }
        assert_eq!(all(b"\x0a\x0d\x0d\x0a").0.unwrap(), b"\x0a\x0d\x0d\x0a");
        assert_eq!(all(b"").0.unwrap(), b"");
    }

    #[test]
    fn what_was_cut_is_read_to_its_end() {
        for bytes in compressed() {
            let (out, source) = all(&bytes[..bytes.len() / 2]);
            let out = out.unwrap();
            assert!(source.is_cut() && text().starts_with(&out), "{source:?}");
        }
    }

    #[test]
    fn other_forms_are_named() {
        for (begin, packed) in [
            (&b"PK\x03\x04rest"[..], Packed::Zip),
            (b"\xfd7zXZ\0", Packed::Xz),
            (b"BZh91AY", Packed::Bzip2),
            (b"7z\xbc\xaf\x27\x1c", Packed::SevenZip),
        ] {
            let (out, source) = all(begin);
            assert_eq!(out.unwrap_err().kind(), ErrorKind::Unsupported);
            assert_eq!(source.packed(), Some(packed));
        }
    }
}
