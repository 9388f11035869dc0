// Events of the kernel that are no system calls, for those who ask for them.
#pragma once
#include "process.h"

SEC("tp_btf/sched_switch") int sched_switch(u64 *ctx)
{
	struct task_struct *previous = (void *)ctx[1], *next = (void *)ctx[2];
	struct event e;
	if (!BEGIN_TRACED(&e, SCHEDSWITCH_6_E, OTHER))
		return 0;
	put_id(&e, READ(next, pid));
	put_u64(&e, READ(previous, maj_flt));
	put_u64(&e, READ(previous, min_flt));
	put_memory_of(&e, previous);
	submit(&e, &data_rings);
	return 0;
}

struct fault_record {
	u16 cpu;
	struct header header;
	u16 lengths[PAGE_FAULT_E_PARAMS];
	u64 addr, ip;
	u32 flags;
} __attribute__((packed));

// A collector that reads the memory of a program may fault, and then this runs in its midst: the CPU's
// scratch is taken.
INLINE int page_fault(u64 *ctx)
{
	struct pt_regs *regs = (void *)ctx[1];
	u64 error = ctx[2];
	struct config *config = get_config();
	struct counters *c = get_counters();
	if (!config || !c || !in_scope(config))
		return 0;
	u32 flags = error & 1 ? PF_FLAGS_PROTECTION_VIOLATION : PF_FLAGS_PAGE_NOT_PRESENT;
	flags |= error & 2 ? PF_FLAGS_WRITE_ACCESS : PF_FLAGS_READ_ACCESS;
	flags |= error & 4 ? PF_FLAGS_USER_FAULT : PF_FLAGS_SUPERVISOR_FAULT;
	flags |= error & 8 ? PF_FLAGS_RESERVED_PAGE : 0;
	flags |= error & 16 ? PF_FLAGS_INSTRUCTION_FETCH : 0;
	struct fault_record r = {
		.cpu = bpf_get_smp_processor_id(),
		.lengths = {sizeof(r.addr), sizeof(r.ip), sizeof(r.flags)},
		.addr = ctx[0],
#if defined(__TARGET_ARCH_x86)
		.ip = regs->ip,
#else
		.ip = regs->pc,
#endif
		.flags = flags,
	};
	write_header(&r.header, config, (u32)bpf_get_current_pid_tgid(), sizeof(r) - sizeof(r.cpu),
		     EVENT_PAGE_FAULT_E, PAGE_FAULT_E_PARAMS);
	deliver(&data_rings, config, c, r.cpu, &r, sizeof(r), OTHER);
	return 0;
}

SEC("tp_btf/page_fault_user") int page_fault_user(u64 *ctx) { return page_fault(ctx); }
SEC("tp_btf/page_fault_kernel") int page_fault_kernel(u64 *ctx) { return page_fault(ctx); }

// Who sent a signal is in the third word of its description, for those kinds that have a sender.
INLINE s32 sender(u32 signal, struct kernel_siginfo *info)
{
	enum { CHLD = 17, USER = 0, QUEUE = -1, MESGQ = -3, TKILL = -6 };
	if ((u64)info <= 2) // no description: the kernel's own
		return 0;
	s32 code = READ(info, si_code), pid = 0;
	bool sent = code == USER || code == QUEUE || code == MESGQ || code == TKILL;
	if (sent || (signal == CHLD && code > 0))
		bpf_probe_read_kernel(&pid, sizeof(pid), (void *)info + 16);
	return pid;
}

SEC("tp_btf/signal_deliver") int signal_deliver(u64 *ctx)
{
	u32 signal = ctx[0];
	struct event e;
	if (!BEGIN_TRACED(&e, SIGNALDELIVER_E, OTHER))
		return 0;
	put_u64(&e, sender(signal, (void *)ctx[1]));
	put_u64(&e, (u32)bpf_get_current_pid_tgid());
	put_u8(&e, signal);
	submit(&e, &data_rings);
	return 0;
}
