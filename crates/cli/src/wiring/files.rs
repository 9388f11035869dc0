//! What metrics tell of the files of configuration and rules.

use std::path::Path;
use std::time::UNIX_EPOCH;

use peregrine_config::{Loaded, sha256};
use peregrine_telemetry::LoadedFiles;
use peregrine_telemetry::metrics::FileDigest;

use super::rules::Texts;

/// The files that configuration and rules were read from. Only metrics tell of them, so without
/// metrics there are no digests.
pub(crate) fn loaded_files(loaded: &Loaded, rules: &Texts) -> LoadedFiles {
    if !loaded.config.metrics.enabled {
        return LoadedFiles::default();
    }
    let read_at = loaded.read_at.duration_since(UNIX_EPOCH).unwrap_or_default();
    LoadedFiles {
        read_at: read_at.as_nanos().try_into().unwrap_or(u64::MAX),
        rules: rules.iter().map(|(name, text)| digest(name, sha256(text))).collect(),
        config: (loaded.files.iter())
            .map(|(name, file)| digest(name, file.sha256.clone()))
            .collect(),
    }
}

fn digest(path: &str, sha256: String) -> FileDigest {
    let name = Path::new(path).file_name().unwrap_or_default();
    FileDigest { name: name.to_string_lossy().into_owned(), sha256 }
}
