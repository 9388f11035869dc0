// One hook on the end of every system call: returns at once for what nobody selected.
#pragma once
#include "collector.h"
#include "scope.h"

#if defined(__TARGET_ARCH_x86)
enum { TS_COMPAT = 2, SOCKETCALL = 102 };

INLINE u32 call_number(struct pt_regs *regs) { return regs->orig_ax; }
INLINE bool call_is_32(void) { return READ(current_task(), thread_info.status) & TS_COMPAT; }

INLINE void read_args(struct call *c, struct pt_regs *regs)
{
	if (c->is32) {
		c->args[0] = (u32)regs->bx;
		c->args[1] = (u32)regs->cx;
		c->args[2] = (u32)regs->dx;
		c->args[3] = (u32)regs->si;
		c->args[4] = (u32)regs->di;
		c->args[5] = (u32)regs->bp;
	} else {
		c->args[0] = regs->di;
		c->args[1] = regs->si;
		c->args[2] = regs->dx;
		c->args[3] = regs->r10;
		c->args[4] = regs->r8;
		c->args[5] = regs->r9;
	}
}
#else
enum { TIF_32BIT = 1 << 22, SOCKETCALL = 102 };

INLINE u32 call_number(struct pt_regs *regs) { return regs->syscallno; }
INLINE bool call_is_32(void) { return READ(current_task(), thread_info.flags) & TIF_32BIT; }

INLINE void read_args(struct call *c, struct pt_regs *regs)
{
	c->args[0] = regs->orig_x0;
	c->args[1] = regs->regs[1];
	c->args[2] = regs->regs[2];
	c->args[3] = regs->regs[3];
	c->args[4] = regs->regs[4];
	c->args[5] = regs->regs[5];
}
#endif

INLINE bool selected(const u64 *set, u32 number)
{
	return set[number / 64 & (SYSCALL_WORDS - 1)] >> (number & 63) & 1;
}

// Arguments of a call through socketcall lie in memory; its first argument says which call it is,
// and the loader put those after the table's own numbers.
enum { SOCKETCALLS_AT = SYSCALL_LIMIT - 32, SEND = 9, RECV = 10 };
INLINE void unpack_socketcall(struct call *c, u32 *number)
{
	u64 from = c->args[1];
	u32 which = c->args[0] & 31;
	bool has_address = which != SEND && which != RECV;
	*number = SOCKETCALLS_AT + which;
	for (u32 i = 0; i < 6; i++)
		c->args[i] = i < 4 || has_address ? user_u32(from + 4 * i) : 0;
}

SEC("tp_btf/sys_exit") int sys_exit(u64 *ctx)
{
	struct pt_regs *regs = (void *)ctx[0];
	u32 number = call_number(regs);
	struct config *config = get_config();
	if (!config || number >= SYSCALL_LIMIT)
		return 0;
	bool native = selected(config->selected, number);
	bool narrow = selected(config->selected32, number);
	if (!native && !narrow)
		return 0;
	s64 ret = ctx[1];
	if (ret < 0 && (config->flags & DROP_FAILED))
		return 0;
	bool is32 = call_is_32();
	if (is32 ? !narrow : !native)
		return 0;
	if (!in_scope(config))
		return 0;

	struct scratch *s = get_scratch();
	if (!s)
		return 0;
	struct call *c = &s->call;
	c->is32 = is32;
	c->ret = ret;
	c->round = 0;
	read_args(c, regs);
	if (is32) {
		if (number == SOCKETCALL)
			unpack_socketcall(c, &number);
		u32 *known = bpf_map_lookup_elem(&native_numbers, &number);
		if (!known || !*known)
			return 0;
		number = *known - 1;
		if (!selected(config->selected, number))
			return 0;
	}
	c->id = number;
	bpf_tail_call(ctx, &collectors, number);
	return 0;
}
