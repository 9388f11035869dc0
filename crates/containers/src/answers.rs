//! Answers of runtimes from bytes alone.

use peregrine_state::ContainerKind;
use prost::Message;

use crate::containerd::Happening;
use crate::containerd::messages::{Envelope, GetContainerResponse};
use crate::containerd::record::{Origin, Record};
use crate::cri::messages::{ContainerStatusResponse, List, ListedContainer, SandboxStatusResponse};
use crate::cri::pod::Pod;
use crate::cri::status;
use crate::image::ImageNames;

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
