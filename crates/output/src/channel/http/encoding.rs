//! Compression of bodies.

use std::io::Write;

use flate2::Compression;
use flate2::write::GzEncoder;
use hyper::header::HeaderValue;
use ruzstd::encoding::{CompressionLevel, compress_to_vec};

/// How bodies are compressed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Encoding {
    /// Not at all.
    #[default]
    None,
    /// gzip
    Gzip,
    /// Zstandard
    Zstd,
}

impl Encoding {
    /// Value of the header `Content-Encoding`.
    pub(crate) fn header(self) -> Option<HeaderValue> {
        match self {
            Self::None => None,
            Self::Gzip => Some(HeaderValue::from_static("gzip")),
            Self::Zstd => Some(HeaderValue::from_static("zstd")),
        }
    }

    pub(crate) fn encode(self, body: Vec<u8>) -> Vec<u8> {
        match self {
            Self::None => body,
            Self::Gzip => gzip(&body),
            Self::Zstd => compress_to_vec(body.as_slice(), CompressionLevel::Fastest),
        }
    }
}

fn gzip(body: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    // Writing to memory does not fail.
    let _ = encoder.write_all(body);
    encoder.finish().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use flate2::read::GzDecoder;
    use proptest::prelude::*;
    use ruzstd::decoding::StreamingDecoder;

    use super::*;

    fn decode(encoding: Encoding, body: &[u8]) -> Vec<u8> {
        let mut decoded = Vec::new();
        let read = match encoding {
            Encoding::None => { body }.read_to_end(&mut decoded),
            Encoding::Gzip => GzDecoder::new(body).read_to_end(&mut decoded),
            Encoding::Zstd => StreamingDecoder::new(body).unwrap().read_to_end(&mut decoded),
        };
        assert_eq!(read.unwrap(), decoded.len());
        decoded
    }

    proptest! {
        #[test]
        fn decoding_gives_the_body_back(
            parts in prop::collection::vec((prop::collection::vec(any::<u8>(), 0..40), 1..300_usize), 0..30),
        ) {
            let body: Vec<u8> = parts.into_iter().flat_map(|(part, times)| part.repeat(times)).collect();
            for encoding in [Encoding::None, Encoding::Gzip, Encoding::Zstd] {
                prop_assert_eq!(&decode(encoding, &encoding.encode(body.clone())), &body);
            }
        }
    }

    #[test]
    fn repetitions_are_compressed() {
        let body = b"{\"rule\":\"Read sensitive file\"},".repeat(100);
        for encoding in [Encoding::Gzip, Encoding::Zstd] {
            assert!(encoding.encode(body.clone()).len() < body.len() / 10, "{encoding:?}");
        }
    }
}
