// A collector writes the event of one kind of system call. The hook stores the call in a scratch
// buffer of the CPU before it jumps here, so that collectors do not depend on the hook.
#pragma once
#include "call.h"
#include "net.h"
#include "task.h"
#include "uapi.h"
#include "update.h"
#include "generated/convert.h"

#define COLLECT_INTO(rings, wanted, name, id)                                                               \
	INLINE void write_##name(struct event *e, struct call *c);                                 \
	SEC("tp_btf/sys_exit") int x_##name(u64 *ctx)                                              \
	{                                                                                          \
		struct scratch *s = own_scratch(ctx);                                              \
		if (!s)                                                                            \
			return 0;                                                                  \
		if (!wanted(&s->call)) {                                                           \
			release_scratch(s);                                                        \
			return 0;                                                                  \
		}                                                                                  \
		struct event e;                                                                    \
		begin(&e, s, EVENT_##id, id##_PARAMS, id##_CLASS);                                 \
		write_##name(&e, &s->call);                                                        \
		submit(&e, &rings);                                                                 \
		return 0;                                                                          \
	}                                                                                          \
	INLINE void write_##name(struct event *e, struct call *c)

#define COLLECT(name, id) COLLECT_INTO(data_rings, always, name, id)
#define COLLECT_LIFECYCLE(name, id) COLLECT_INTO(lifecycle_rings, always, name, id)
// A tracepoint reports an exec that succeeded: here the arguments of the caller are gone.
#define COLLECT_FAILED_LIFECYCLE(name, id) COLLECT_INTO(lifecycle_rings, failed, name, id)

// For calls that change the state of their task, which precedes the event.
#define COLLECT_CHANGE(name, id)                                                                   \
	INLINE void write_##name(struct event *e, struct call *c);                                 \
	SEC("tp_btf/sys_exit") int x_##name(u64 *ctx)                                              \
	{                                                                                          \
		struct scratch *s = own_scratch(ctx);                                              \
		if (!s)                                                                            \
			return 0;                                                                  \
		struct event e;                                                                    \
		if (changes_task(&s->call, EVENT_##id))                                            \
			send_update(&e, s, current_task(), 0, UPDATE_BY_CALL, &data_rings);           \
		begin(&e, s, EVENT_##id, id##_PARAMS, id##_CLASS);                                 \
		write_##name(&e, &s->call);                                                        \
		submit(&e, &data_rings);                                                           \
		return 0;                                                                          \
	}                                                                                          \
	INLINE void write_##name(struct event *e, struct call *c)

// The call at its exit: from the scratch buffer for 32-bit calls, from the registers for all
// others.
INLINE bool take_call(struct call *c, struct caller *who, u64 *ctx)
{
	*who = caller();
	if (who->is32) {
		struct scratch *s = own_scratch(ctx);
		if (!s)
			return false;
		*c = s->call;
		release_scratch(s);
		return true;
	}
	struct pt_regs *regs = (void *)ctx[0];
	c->is32 = 0;
	c->ret = ctx[1];
	c->id = call_number(regs);
	read_args(c, regs);
	return true;
}

// Begins an event in a newly claimed scratch buffer; false if none is free.
INLINE bool begin_anew(struct event *e, struct caller who, u32 type, u32 nparams, u32 class)
{
	struct scratch *s = claim_scratch();
	if (!s) {
		no_scratch(class);
		return false;
	}
	s->call.is32 = who.is32;
	s->call.tid = who.tid;
	begin(e, s, type, nparams, class);
	return true;
}

// For events whose parameters take exactly `size` bytes. The record is written in place in the
// ring, without a scratch buffer, which would double the cost.
#define COLLECT_FIXED(name, id, size)                                                              \
	INLINE void write_##name(struct event *e, struct call *c);                                 \
	SEC("tp_btf/sys_exit") int inline_##name(u64 *ctx)                                          \
	{                                                                                          \
		struct call c;                                                                     \
		struct caller who;                                                                 \
		struct event e;                                                                    \
		if (take_call(&c, &who, ctx) &&                                                    \
		    begin_in_ring(&e, &data_rings, EVENT_##id, id##_PARAMS, id##_CLASS, size,      \
				  0, who.tid, who.is32)) {                                         \
			write_##name(&e, &c);                                                      \
			submit_in_ring(&e);                                                        \
		}                                                                                  \
		return 0;                                                                          \
	}                                                                                          \
	INLINE void write_##name(struct event *e, struct call *c)

// The same with one path in addition, which is nearly always short; with a longer path the event is
// assembled in a scratch buffer.
enum { SHORT_PATH = 64 };
#define COLLECT_SHORT(name, id, size)                                                              \
	INLINE void write_##name(struct event *e, struct call *c);                                 \
	SEC("tp_btf/sys_exit") int inline_##name(u64 *ctx)                                          \
	{                                                                                          \
		struct call c;                                                                     \
		struct caller who;                                                                 \
		struct event e;                                                                    \
		if (!take_call(&c, &who, ctx) ||                                                   \
		    !begin_in_ring(&e, &data_rings, EVENT_##id, id##_PARAMS, id##_CLASS, size,     \
				   SHORT_PATH, who.tid, who.is32))                                 \
			return 0;                                                                  \
		write_##name(&e, &c);                                                              \
		if (!e.cut) {                                                                      \
			submit_in_ring(&e);                                                        \
			return 0;                                                                  \
		}                                                                                  \
		discard_in_ring(&e, id##_CLASS);                                                   \
		if (begin_anew(&e, who, EVENT_##id, id##_PARAMS, id##_CLASS)) {                    \
			write_##name(&e, &c);                                                      \
			submit(&e, &data_rings);                                                   \
		}                                                                                  \
		return 0;                                                                          \
	}                                                                                          \
	INLINE void write_##name(struct event *e, struct call *c)

// As many events as the result says: the program tail-calls itself, which the kernel allows 32
// times.
#define COLLECT_EACH_BY(table, program, name, kind)                                                \
	SEC("tp_btf/sys_exit") int program(void *ctx)                                              \
	{                                                                                          \
		struct scratch *s = own_scratch(ctx);                                              \
		if (!s)                                                                            \
			return 0;                                                                  \
		struct event e;                                                                    \
		begin(&e, s, EVENT_##kind, kind##_PARAMS, kind##_CLASS);                           \
		write_##name(&e, &s->call);                                                        \
		send(&e, &data_rings);                                                             \
		if (++s->call.round < s->call.ret)                                                 \
			bpf_tail_call(ctx, &table, s->call.id);                                    \
		release_scratch(s);                                                                \
		return 0;                                                                          \
	}
#define COLLECT_EACH(name, kind)                                                                   \
	INLINE void write_##name(struct event *e, struct call *c);                                 \
	COLLECT_EACH_BY(collectors, x_##name, name, kind)                                          \
	COLLECT_EACH_BY(alt_collectors, alt_proto_##name, name, kind)                                  \
	INLINE void write_##name(struct event *e, struct call *c)

INLINE bool always(struct call *c) { return true; }
INLINE bool failed(struct call *c) { return c->ret < 0; }
// Most options of prctl change nothing that is kept.
INLINE bool changes_task(struct call *c, u32 type)
{
	return c->ret >= 0 && (type != EVENT_SYSCALL_PRCTL_X || (u32)c->args[0] == PR_SET_NAME);
}

// A value in the caller's memory; zero where it cannot be read. A fault costs as much as ten reads,
// and null pointers are common.
#define USER_VALUE(type, from)                                                                     \
	({                                                                                         \
		type value_ = 0;                                                                   \
		u64 from_ = (from);                                                                \
		if (from_)                                                                         \
			bpf_probe_read_user(&value_, sizeof(value_), (void *)from_);               \
		value_;                                                                            \
	})
INLINE u32 user_u32(u64 from) { return USER_VALUE(u32, from); }
INLINE u64 user_u64(u64 from) { return USER_VALUE(u64, from); }

// A pointer in the caller's memory, which is half as wide in a 32-bit program. Both widths share
// one read, so that the verifier need not analyse loops over pointers twice.
INLINE u64 user_pointer(struct call *c, u64 array, u32 index)
{
	u64 pointer[2] = {};
	u32 width = 8 >> (c->is32 & 1);
	OPAQUE(width);
	width &= 15;
	bpf_probe_read_user(pointer, width, (void *)(array + width * index));
	return pointer[0];
}

INLINE void put_timespec(struct event *e, struct call *c, u64 from)
{
	if (c->is32)
		put_u64(e, nanoseconds(user_u32(from), user_u32(from + 4)));
	else
		put_u64(e, nanoseconds(user_u64(from), user_u64(from + 8)));
}
