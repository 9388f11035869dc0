// Number and arguments of a system call, from the registers of its thread.
#pragma once
#include "abi.h"
#include "task.h"

#if defined(__TARGET_ARCH_x86)
enum { TS_COMPAT = 2 };

INLINE u32 call_number(struct pt_regs *regs) { return regs->orig_ax; }
#define IS_32(task, GET) (GET(task, thread_info.status) & TS_COMPAT)

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
enum { TIF_32BIT = 1 << 22 };

INLINE u32 call_number(struct pt_regs *regs) { return regs->syscallno; }
#define IS_32(task, GET) (GET(task, thread_info.flags) & TIF_32BIT)

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

// The current thread, and whether its call is a 32-bit one.
struct caller {
	u32 tid, tgid;
	bool is32;
};

// One helper gives both where it returns a pointer that can be dereferenced without helpers.
INLINE struct caller caller(void)
{
	if (HAS_HELPER(get_current_task_btf)) {
		struct task_struct *task = bpf_get_current_task_btf();
		return (struct caller){task->pid, task->tgid, IS_32(task, FOLLOW)};
	}
	u64 ids = bpf_get_current_pid_tgid();
	return (struct caller){ids, ids >> 32, IS_32(current_task(), READ)};
}

// The native number of a 32-bit call; negative if there is none.
INLINE s32 native_number(u32 number)
{
	u32 *known = bpf_map_lookup_elem(&native_numbers, &number);
	return known ? (s32)*known - 1 : -1;
}
