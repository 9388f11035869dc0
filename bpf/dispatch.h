// The hooks at the exit of system calls, which return at once for calls that are not selected.
// `sys_exit` is attached to the tracepoint of all calls; the loader attaches `call_exit` to the
// functions of single calls (fexit), whose context is the same.
#pragma once
#include "collector.h"
#include "scope.h"

INLINE bool selected(const u64 *set, u32 number)
{
	return set[number / 64 & (SYSCALL_WORDS - 1)] >> (number & 63) & 1;
}

// The arguments of a call through socketcall are in memory; the first argument of socketcall says
// which call it is, and the loader puts the numbers of these calls behind those of the table.
enum { SOCKETCALL = 102, SOCKETCALLS_AT = SYSCALL_LIMIT - 32, SEND = 9, RECV = 10 };
INLINE void unpack_socketcall(struct call *c, u32 *number)
{
	u64 from = c->args[1];
	u32 which = c->args[0] & 31;
	bool has_address = which != SEND && which != RECV;
	*number = SOCKETCALLS_AT + which;
	for (u32 i = 0; i < 6; i++)
		c->args[i] = i < 4 || has_address ? user_u32(from + 4 * i) : 0;
}

// Tail-calls the collector. With a constant index the JIT emits a direct jump where it can
// (x86_64); an indirect one costs as much as everything before it. So the most frequent calls have
// constant indices. Patching them takes long, so there are none where the hook is loaded for each
// of some hundred functions.
INLINE void jump(u64 *ctx, void *collectors, u32 number, bool direct)
{
#define JUMP(known)                                                                                \
	case known:                                                                                \
		asm volatile("r1 = %[ctx]\n r2 = %[table]\n r3 = %[place]\n call 12"               \
			     :                                                                     \
			     : [ctx] "r"(ctx), [table] "r"(collectors), [place] "i"(known)         \
			     : "r0", "r1", "r2", "r3", "r4", "r5", "memory");                      \
		return;
	switch (direct ? number : SYSCALL_LIMIT) {
		FOR_FREQUENT_CALLS(JUMP)
	default:
		bpf_tail_call(ctx, collectors, number);
	}
#undef JUMP
}

INLINE int dispatch(u64 *ctx, void *collectors, bool direct)
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
	struct caller who = caller();
	if (who.is32 ? !narrow : !native)
		return 0;
	if (!in_scope(config, who.tgid))
		return 0;
	if (!who.is32 && selected(config->inline_record, number)) {
		jump(ctx, collectors, number, direct);
		return 0;
	}

	struct scratch *s = claim_scratch();
	if (!s) {
		no_scratch(OTHER);
		return 0;
	}
	struct call *c = &s->call;
	s->owner = ctx[0];
	c->is32 = who.is32;
	c->tid = who.tid;
	c->ret = ret;
	c->round = 0;
	read_args(c, regs);
	if (who.is32) {
		if (number == SOCKETCALL)
			unpack_socketcall(c, &number);
		s32 native = native_number(number);
		if (native < 0 || !selected(config->selected, native)) {
			release_scratch(s);
			return 0;
		}
		number = native;
	}
	c->id = number;
	jump(ctx, collectors, number, direct);
	release_scratch(s);
	return 0;
}

SEC("tp_btf/sys_exit") int sys_exit(u64 *ctx) { return dispatch(ctx, &collectors, true); }

// The functions of system calls all take the same parameter, but its name has two spellings, so
// that the kernel's BTF has two prototypes; programs of different prototypes cannot be in one
// program array.
SEC("tp_btf/sys_exit") int call_exit(u64 *ctx) { return dispatch(ctx, &collectors, false); }
SEC("tp_btf/sys_exit") int call_exit_alt_proto(u64 *ctx) { return dispatch(ctx, &alt_collectors, false); }

// Loaded at start to find out whether this kernel supports fexit and knows that syscall functions
// take registers.
SEC("fexit/any") int takes_functions(u64 *ctx)
{
	struct pt_regs *regs = (void *)ctx[0];
	u32 number = call_number(regs);
	OPAQUE(number);
	return 0;
}
