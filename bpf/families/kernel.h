// Events that are not system calls, for rules that use them.
#pragma once
#include "process.h"

SEC("tp_btf/sched_switch") int sched_switch(u64 *ctx)
{
	struct task_struct *previous = (void *)ctx[1], *next = (void *)ctx[2];
	struct event e;
	if (!BEGIN_TRACED_IN_RING(&e, &data_rings, SCHEDSWITCH_6_E, OTHER, 36))
		return 0;
	put_id(&e, READ(next, pid));
	put_u64(&e, READ(previous, maj_flt));
	put_u64(&e, READ(previous, min_flt));
	put_memory_of(&e, previous);
	submit_in_ring(&e);
	return 0;
}

INLINE int page_fault(u64 *ctx)
{
	struct pt_regs *regs = (void *)ctx[1];
	u64 error = ctx[2];
	u32 flags = error & 1 ? PF_FLAGS_PROTECTION_VIOLATION : PF_FLAGS_PAGE_NOT_PRESENT;
	flags |= error & 2 ? PF_FLAGS_WRITE_ACCESS : PF_FLAGS_READ_ACCESS;
	flags |= error & 4 ? PF_FLAGS_USER_FAULT : PF_FLAGS_SUPERVISOR_FAULT;
	flags |= error & 8 ? PF_FLAGS_RESERVED_PAGE : 0;
	flags |= error & 16 ? PF_FLAGS_INSTRUCTION_FETCH : 0;
	struct event e;
	if (!BEGIN_TRACED_IN_RING(&e, &data_rings, PAGE_FAULT_E, OTHER, 20))
		return 0;
	put_u64(&e, ctx[0]);
#if defined(__TARGET_ARCH_x86)
	put_u64(&e, regs->ip);
#else
	put_u64(&e, regs->pc);
#endif
	put_u32(&e, flags);
	submit_in_ring(&e);
	return 0;
}

SEC("tp_btf/page_fault_user") int page_fault_user(u64 *ctx) { return page_fault(ctx); }
SEC("tp_btf/page_fault_kernel") int page_fault_kernel(u64 *ctx) { return page_fault(ctx); }

// The sender of a signal is in the third word of siginfo, for kinds that have one.
INLINE s32 sender(u32 signal, struct kernel_siginfo *info)
{
	enum { CHLD = 17, USER = 0, QUEUE = -1, MESGQ = -3, TKILL = -6 };
	if ((u64)info <= 2) // no siginfo: sent by the kernel
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
	if (!BEGIN_TRACED_IN_RING(&e, &data_rings, SIGNALDELIVER_E, OTHER, 17))
		return 0;
	put_u64(&e, sender(signal, (void *)ctx[1]));
	put_u64(&e, e.tid);
	put_u8(&e, signal);
	submit_in_ring(&e);
	return 0;
}
