//! Names of images of CRI.

use crate::image::ImageName;

/// The names of a container's image. What is not known is empty.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct ImageNames {
    /// As users write it.
    pub(crate) name: String,
    pub(crate) repository: String,
    pub(crate) tag: String,
    /// Of the manifest: `sha256:…`.
    pub(crate) digest: String,
    /// Digits of the digest of its configuration.
    pub(crate) id: String,
}

/// Whether a text that stands for an image is its id: `sha256:` and digits, or the digits alone.
pub(crate) fn is_id(text: &str) -> bool {
    let digits = text.strip_prefix("sha256:").unwrap_or(text);
    digits.len() == 64 && digits.bytes().all(|b| b.is_ascii_hexdigit())
}

/// What a CRI runtime says of the image of a container.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct CriImage<'a> {
    /// As the author of the pod wrote it, where the runtime keeps that.
    pub(crate) requested: &'a str,
    /// Texts that may be its name, the best first. Ids and empty texts among them are skipped.
    pub(crate) names: &'a [&'a str],
    /// All its names with tags.
    pub(crate) tags: &'a [String],
    /// All its names with digests.
    pub(crate) digests: &'a [String],
    /// Texts that may be its id, the best first. Others are skipped.
    pub(crate) ids: &'a [&'a str],
}

impl ImageNames {
    /// Chooses among several names of an image the one that the container was made with.
    pub(crate) fn from_cri(image: &CriImage<'_>) -> Self {
        let named = |name: &&&str| !name.is_empty() && !is_id(name);
        let requested = image.tags.iter().chain(image.digests).map(String::as_str);
        let requested =
            requested.chain(image.names.iter().copied()).find(|name| means(name, image.requested));
        let name = requested.or_else(|| image.names.iter().find(named).copied());
        let name = name.or_else(|| image.tags.first().map(String::as_str));
        let name = name.or_else(|| image.digests.first().map(String::as_str)).unwrap_or_default();
        let reference = ImageName::parse(name);
        let same = |text: &&str| ImageName::parse(text).repository == reference.repository;
        // One that was asked for by digest may have a tag too.
        let tags =
            image.tags.iter().map(String::as_str).chain(image.names.iter().copied()).filter(same);
        let tag = match (reference.tag, reference.digest) {
            ("", "") => "",
            ("", _) => {
                tags.map(|text| ImageName::parse(text).tag).find(|t| !t.is_empty()).unwrap_or("")
            }
            (tag, _) => tag,
        };
        let digest = match reference.digest {
            "" => {
                let mut digests = image.digests.iter().map(String::as_str);
                let digest = digests.find(same).or(image.digests.first().map(String::as_str));
                digest.map_or("", |text| ImageName::parse(text).digest)
            }
            digest => digest,
        };
        let id = image.ids.iter().find(|id| is_id(id)).copied().unwrap_or_default();
        Self::new(name, reference.repository, tag, digest, id)
    }

    fn new(name: &str, repository: &str, tag: &str, digest: &str, id: &str) -> Self {
        let named_by_digest = name.contains('@') && !tag.is_empty();
        Self {
            name: if named_by_digest { format!("{repository}:{tag}") } else { name.to_owned() },
            repository: repository.to_owned(),
            tag: tag.to_owned(),
            digest: digest.to_owned(),
            id: id.strip_prefix("sha256:").unwrap_or(id).to_owned(),
        }
    }

    /// From the one name that a runtime gives it.
    pub(crate) fn from_name(name: &str, digest: &str, id: &str) -> Self {
        let reference = ImageName::parse(name);
        let digest = if digest.is_empty() { reference.digest } else { digest };
        Self::new(name, reference.repository, reference.tag, digest, id)
    }
}

/// Whether a full name is what a user means by `requested`, which may leave out the registry, the
/// library and the tag.
fn means(name: &str, requested: &str) -> bool {
    if requested.is_empty() || is_id(requested) {
        return false;
    }
    let (full, asked) = (ImageName::parse(name), ImageName::parse(requested));
    let rest = full.repository.strip_suffix(asked.repository);
    let repository = rest.is_some_and(|rest| rest.is_empty() || rest.ends_with('/'));
    repository
        && match (asked.tag, asked.digest) {
            ("", "") => full.tag == "latest",
            (tag, "") => full.tag == tag,
            (_, digest) => full.digest == digest,
        }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "sha256:6d3fcd7d1e2b3a4c5d6e7f8091a2b3c4d5e6f708192a3b4c5d6e7f8091a2b3c4";
    const DIGEST: &str = "sha256:00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff";

    fn names(image: CriImage<'_>) -> [String; 5] {
        let ImageNames { name, repository, tag, digest, id } = ImageNames::from_cri(&image);
        [name, repository, tag, digest, id]
    }

    #[test]
    fn the_name_that_was_asked_for_is_chosen() {
        let tags = ["docker.io/a/other:1".to_owned(), "docker.io/library/nginx:1.25".to_owned()];
        let digests =
            [format!("docker.io/a/other@{ID}"), format!("docker.io/library/nginx@{DIGEST}")];
        let image = CriImage {
            requested: "nginx:1.25",
            names: &["docker.io/a/other:1", ID],
            tags: &tags,
            digests: &digests,
            ids: &["", ID],
        };
        let id = &ID["sha256:".len()..];
        let nginx = "docker.io/library/nginx";
        assert_eq!(names(image), ["docker.io/library/nginx:1.25", nginx, "1.25", DIGEST, id]);
        // Without it, what the runtime says.
        let other = "docker.io/a/other";
        let unknown = CriImage { requested: "", ..image };
        assert_eq!(names(unknown), ["docker.io/a/other:1", other, "1", ID, id]);
        // By digest: the tag of the same repository.
        let requested = format!("nginx@{DIGEST}");
        let by_digest = CriImage { requested: &requested, ..image };
        assert_eq!(names(by_digest), ["docker.io/library/nginx:1.25", nginx, "1.25", DIGEST, id]);
    }

    #[test]
    fn an_id_is_no_name() {
        let image =
            CriImage { names: &[ID, &ID[7..], "", "localhost/bb:1.0"], ..CriImage::default() };
        assert_eq!(names(image), ["localhost/bb:1.0", "localhost/bb", "1.0", "", ""]);
        assert_eq!(names(CriImage::default()), ["", "", "", "", ""]);
    }

    #[test]
    fn short_names_mean_full_ones() {
        assert!(means("docker.io/library/nginx:latest", "nginx"));
        assert!(means("quay.io/a/b:1", "a/b:1"));
        assert!(!means("docker.io/library/mynginx:latest", "nginx"));
        assert!(!means("docker.io/library/nginx:1", "nginx"));
    }
}
