//! Fields that no event gives a value: rules that test them never match.

use peregrine_event::source::SourceNames;

use crate::table::{Container, Fd, FieldId, Generic};

/// Why a field never has a value, and what serves instead.
/// `kubernetes`: whether the API server of Kubernetes is queried.
pub(crate) fn reason(
    field: FieldId,
    source: &str,
    kubernetes: bool,
) -> Option<(&'static str, &'static str)> {
    match field {
        FieldId::Fd(Fd::ClientIpName | Fd::ServerIpName | Fd::LocalIpName | Fd::RemoteIpName) => {
            Some((
                "names of addresses are not looked up, because a query would block and reveal what is monitored",
                "compare the address itself, as in `fd.sip in (addresses)` or `fd.snet in (networks)`",
            ))
        }
        FieldId::Generic(Generic::PluginName | Generic::PluginInfo)
            if source == SourceNames::SYSCALL =>
        {
            Some((
                "events of the source `syscall` come from no plugin",
                "remove it, or give the rule the `source` of the plugin",
            ))
        }
        FieldId::Container(field) if !kubernetes && only_from_api_server(field) => Some((
            "only the Kubernetes API server has it, and it is not queried",
            "set `peregrine.kubernetes.enabled`, or use `k8s.pod.name`, `k8s.ns.name` or `k8s.pod.label`",
        )),
        _ => None,
    }
}

/// Whether a text may name one of them.
pub(crate) fn may_name(text: &str) -> bool {
    ["ip.name", "evt.plugin", "k8s."].iter().any(|part| text.contains(part))
}

/// Whether no container runtime knows a field.
pub(crate) fn only_from_api_server(field: Container) -> bool {
    matches!(
        field,
        Container::RcName
            | Container::RcId
            | Container::RcLabel
            | Container::RcLabels
            | Container::SvcName
            | Container::SvcId
            | Container::SvcLabel
            | Container::SvcLabels
            | Container::NsId
            | Container::NsLabel
            | Container::NsLabels
            | Container::RsName
            | Container::RsId
            | Container::RsLabel
            | Container::RsLabels
            | Container::DeploymentName
            | Container::DeploymentId
            | Container::DeploymentLabel
            | Container::DeploymentLabels
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::table::classes;

    #[test]
    fn the_search_finds_every_field_that_never_has_a_value() {
        let all = classes().iter().flat_map(|class| class.fields.iter());
        let without: Vec<_> = all
            .filter(|field| reason(field.id, SourceNames::SYSCALL, false).is_some())
            .map(|field| &*field.name)
            .collect();
        assert_eq!(without.len(), 25, "{without:?}");
        assert!(without.iter().all(|name| may_name(name)));
    }
}
