//! Memory and CPU time: what the kernel counts of a thread.

use peregrine_event::params::{
    schedswitch_6_e as switch, syscall_brk_4_x as brk, syscall_mmap_x as mmap,
    syscall_mmap2_x as mmap2, syscall_munmap_x as munmap,
};

use super::context::ApplyContext;
use crate::partition::Partition;
use crate::tree::Tree;

peregrine_event::same_params!(brk, mmap, mmap2, munmap: VM_SIZE, VM_RSS, VM_SWAP);

impl Partition {
    pub(super) fn switch(&mut self, tree: &Tree, cx: &mut ApplyContext<'_>) {
        if self.live {
            cx.exec_time = self.clock.switch(cx.event.cpu, cx.event.ts);
        }
        let Some(at) = cx.at else { return };
        let Some(usage) = self.usage_mut(at) else { return };
        usage.exec_time_total += cx.exec_time;
        let Some(swap) = cx.event.u32(switch::VM_SWAP) else { return };
        usage.pfmajor = cx.u64(switch::PGFT_MAJ);
        usage.pfminor = cx.u64(switch::PGFT_MIN);
        if let Some(leader) = tree.leader_ref(at).and_then(|leader| self.usage_mut(leader)) {
            leader.vmsize_kb = cx.u32(switch::VM_SIZE);
            leader.vmrss_kb = cx.u32(switch::VM_RSS);
            leader.vmswap_kb = swap;
        }
    }

    pub(super) fn memory(&mut self, cx: &ApplyContext<'_>) {
        let Some(usage) = cx.at.and_then(|at| self.usage_mut(at)) else { return };
        if let Some(size) = cx.event.u32(brk::VM_SIZE) {
            usage.vmsize_kb = size;
        }
        if let Some(swap) = cx.event.u32(brk::VM_SWAP) {
            usage.vmrss_kb = cx.u32(brk::VM_RSS);
            usage.vmswap_kb = swap;
        }
    }
}
