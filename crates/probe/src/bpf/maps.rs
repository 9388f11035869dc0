//! Maps of the loaded object, and the ring buffers that are created at run time.

use std::collections::BTreeSet;
use std::iter;
use std::os::fd::{AsFd, OwnedFd};

use aya::Ebpf;
use aya::maps::{ArrayOfMaps, Map, MapData};
use aya::util;
use aya_obj::generated::bpf_map_type::BPF_MAP_TYPE_RINGBUF;
use aya_obj::maps::{LegacyMap, bpf_map_def};

use super::abi::{self, RingKind};
use super::error::ProbeError;

/// One ring. The reader must poll on a timer: it is woken only when the ring is half full.
pub struct Ring {
    /// Which events it carries.
    pub kind: RingKind,
    /// Its number within the kind. All CPUs write to the single ring of [`RingKind::Lifecycle`];
    /// CPUs from `index` × [`super::ProbeConfig::cpus_per_ring`] on write to a data ring.
    pub index: u32,
    /// Its size in bytes.
    pub bytes: u32,
    /// Its records, for [`crate::Ring::map`]; [`crate::event_of`] finds the event of each.
    pub records: OwnedFd,
}

/// A temporary view of a map. Programs are loaded with the descriptors of maps, so none may be
/// closed before.
pub(super) fn borrow<'a>(ebpf: &'a mut Ebpf, name: &str) -> Result<&'a mut Map, ProbeError> {
    ebpf.map_mut(name).ok_or_else(|| ProbeError::Missing(name.into()))
}

/// A map that lives as long as the probe.
pub(super) fn take(ebpf: &mut Ebpf, name: &str) -> Result<Map, ProbeError> {
    ebpf.take_map(name).ok_or_else(|| ProbeError::Missing(name.into()))
}

/// The number of the ring for each possible CPU. CPUs that come online later share those of the
/// online ones.
pub(super) fn ring_of_cpus(online: &[u32], possible: u32, per_ring: u32) -> Vec<u32> {
    let ring_of = |cpu: u32| cpu / per_ring.max(1);
    let in_use: BTreeSet<u32> = online.iter().map(|&cpu| ring_of(cpu)).collect();
    let mut later = in_use.iter().cycle();
    (0..possible.div_ceil(per_ring.max(1)))
        .map(|ring| if in_use.contains(&ring) { ring } else { later.next().copied().unwrap_or(0) })
        .flat_map(|ring| iter::repeat_n(ring, per_ring as usize))
        .take(possible as usize)
        .collect()
}

/// Number of online CPUs; this program may be restricted to fewer.
///
/// # Errors
/// If the system does not report them.
pub fn online_cpus() -> std::io::Result<u32> {
    let online = util::online_cpus().map_err(|(_, error)| error)?;
    Ok(u32::try_from(online.len()).unwrap_or(u32::MAX))
}

/// Size of the ring of [`RingKind::Lifecycle`]. It must last as long as the data rings, and process
/// events are a small share of all events.
pub(super) fn lifecycle_ring_bytes(data_ring: u32, data_rings: usize) -> u32 {
    const LEAST: u32 = 1 << 20;
    let eighth = (data_ring / 8).saturating_mul(u32::try_from(data_rings).unwrap_or(u32::MAX));
    eighth.checked_next_power_of_two().unwrap_or(1 << 31).clamp(LEAST.min(data_ring), 1 << 29)
}

/// Creates a ring for each number in `of_cpus`, and registers it for each of its CPUs.
pub(super) fn make_rings(
    ebpf: &mut Ebpf,
    kind: RingKind,
    of_cpus: &[u32],
    bytes: u32,
) -> Result<Vec<Ring>, ProbeError> {
    let map = match kind {
        RingKind::Lifecycle => abi::LIFECYCLE_RINGS,
        RingKind::Data => abi::DATA_RINGS,
    };
    let mut array: ArrayOfMaps<_, MapData> = ArrayOfMaps::try_from(borrow(ebpf, map)?)?;
    let indices: BTreeSet<u32> = of_cpus.iter().copied().collect();
    indices
        .into_iter()
        .map(|index| {
            let def = bpf_map_def {
                map_type: BPF_MAP_TYPE_RINGBUF as u32,
                max_entries: bytes,
                ..bpf_map_def::default()
            };
            let data = MapData::create(
                aya_obj::Map::Legacy(LegacyMap {
                    def,
                    section_index: 0,
                    section_kind: aya_obj::EbpfSectionKind::Undefined,
                    symbol_index: None,
                    data: Vec::new(),
                    inner_def: None,
                }),
                map,
                None,
            )?;
            for (cpu, _) in (0..).zip(of_cpus).filter(|(_, of)| **of == index) {
                array.set(cpu, &data, 0)?;
            }
            let records = data.fd().as_fd().try_clone_to_owned().map_err(ProbeError::Ring)?;
            Ok(Ring { kind, index, bytes, records })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cpus_that_come_later_share_the_rings_of_others() {
        assert_eq!(ring_of_cpus(&[0, 1], 2, 1), [0, 1]);
        assert_eq!(ring_of_cpus(&[0, 1, 2], 7, 2), [0, 0, 1, 1, 0, 0, 1]);
        assert_eq!(ring_of_cpus(&[1, 3], 6, 1), [1, 1, 3, 3, 1, 3]);
        assert_eq!(ring_of_cpus(&[0, 1], 2, 2), [0, 0]);
        assert_eq!(ring_of_cpus(&[], 1, 1), [0]);
    }
}
