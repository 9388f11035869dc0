//! Answers of runtimes from bytes alone.

use peregrine_state::ContainerKind;
use prost::Message;

use crate::client::Change;
use crate::containerd::Happening;
use crate::containerd::messages::{Envelope, GetContainerResponse};
use crate::containerd::record::{Origin, Record};
use crate::cri::image::ImageNames;
use crate::cri::messages::{ContainerStatusResponse, List, ListedContainer, SandboxStatusResponse};
use crate::cri::pod::Pod;
use crate::cri::status;
use crate::docker::{change, describe_docker, describe_podman, listed};

/// Takes any bytes for answers of runtimes by gRPC: for fuzz targets.
#[doc(hidden)]
pub fn parse_grpc_answers(bytes: &[u8]) {
    if let Ok(answer) = ContainerStatusResponse::decode(bytes) {
        let info = status::info(&answer.info);
        if let Some(container) = status::container(answer, &info, None) {
            container.describe(ContainerKind::Cri, None);
        }
    }
    if let Ok(SandboxStatusResponse { status: Some(status), info }) =
        SandboxStatusResponse::decode(bytes)
    {
        Pod::from_status(status, &status::info(&info), ImageNames::default())
            .describe(ContainerKind::Cri);
    }
    if let Ok(GetContainerResponse { container: Some(container) }) =
        GetContainerResponse::decode(bytes)
    {
        let mut record = Record::new(container);
        match std::mem::replace(&mut record.origin, Origin::Client) {
            Origin::Sandbox(metadata) => {
                record.pod(&metadata, ImageNames::default()).describe(ContainerKind::Containerd);
            }
            Origin::Container(metadata) => {
                record.container(&metadata, None, None).describe(ContainerKind::Containerd, None);
            }
            Origin::Client => {
                record.describe(ImageNames::default());
            }
        }
    }
    if let Ok(event) = Envelope::decode(bytes) {
        Happening::new(event);
    }
    let _ = List::<ListedContainer>::decode(bytes);
}

/// Takes any bytes for answers of docker and podman: for fuzz targets.
#[doc(hidden)]
pub fn parse_http_answers(bytes: &[u8]) {
    let Ok(json) = serde_json::from_slice(bytes) else { return };
    describe_docker(&json, &json, Some(&json));
    describe_podman(&json, None);
    listed(&json);
    if let Some(Change { said: Some(said), .. }) = change(&json) {
        describe_docker(&said, &json, None);
        describe_podman(&said, None);
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;
    use crate::containerd::messages::{Any, Container};
    use crate::cri::messages::{ContainerStatus, SandboxMetadata, SandboxStatus};

    /// JSON, and texts that are nearly so.
    fn json() -> impl Strategy<Value = String> {
        let leaf = prop_oneof![
            Just("null".to_owned()),
            Just("-1".to_owned()),
            Just("\"sha256:00\"".to_owned()),
            Just("[{\"type\":\"bind\",\"options\":[\"ro\",7]}]".to_owned()),
            ".*",
        ];
        let names = prop::sample::select(vec![
            "Metadata",
            "Config",
            "runtimeSpec",
            "process",
            "env",
            "user",
            "uid",
            "linux",
            "mounts",
            "image",
            "metadata",
            "labels",
            "cniResult",
            "Interfaces",
            "annotations",
            "namespaces",
        ]);
        leaf.prop_recursive(6, 32, 4, move |inner| {
            prop::collection::vec((names.clone(), inner), 0..4).prop_map(|members| {
                let members: Vec<_> =
                    members.iter().map(|(name, value)| format!("\"{name}\":{value}")).collect();
                format!("{{{}}}", members.join(","))
            })
        })
    }

    fn answers() -> impl Strategy<Value = Vec<u8>> {
        (json(), json(), 0..3).prop_map(|(first, second, which)| {
            let info: BTreeMap<_, _> = [("info".to_owned(), first.clone())].into();
            match which {
                0 => ContainerStatusResponse { status: Some(ContainerStatus::default()), info }
                    .encode_to_vec(),
                1 => {
                    let metadata = Some(SandboxMetadata { name: second, ..Default::default() });
                    let status = Some(SandboxStatus { metadata, ..Default::default() });
                    SandboxStatusResponse { status, info }.encode_to_vec()
                }
                _ => {
                    let any = |json: String| Any { value: json.into_bytes().into() };
                    let kinds = ["sandbox", "container"].map(|kind| {
                        (format!("io.cri-containerd.{kind}.metadata"), any(second.clone()))
                    });
                    let kind = if first.len() % 2 == 0 { "sandbox" } else { "container" };
                    let labels = [("io.cri-containerd.kind".to_owned(), kind.to_owned())].into();
                    let (spec, extensions) = (Some(any(first)), kinds.into());
                    let container = Container { labels, spec, extensions, ..Default::default() };
                    GetContainerResponse { container: Some(container) }.encode_to_vec()
                }
            }
        })
    }

    proptest! {
        #[test]
        fn any_answer_is_taken(answer in answers(), cut in any::<prop::sample::Index>()) {
            parse_grpc_answers(&answer);
            parse_grpc_answers(&answer[..cut.index(answer.len() + 1)]);
        }

        #[test]
        fn any_bytes_are_taken(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            parse_grpc_answers(&bytes);
        }
    }
}
