// Maps and structures that kernel and user space share; crates/probe/src/bpf/abi.rs is the other
// half.
#pragma once
#include "helpers.h"

enum { SYSCALL_WORDS = 8, SYSCALL_LIMIT = SYSCALL_WORDS * 64 };
enum { DROP_FAILED = 1, SCOPED = 2 };

struct config {
	u64 selected[SYSCALL_WORDS];   // native numbers
	u64 selected32[SYSCALL_WORDS]; // numbers of the 32-bit table
	u64 boot_epoch_ns;
	u64 own_tgid;
	u64 snaplen;
	u64 flags;
	u64 inline_record[SYSCALL_WORDS]; // native numbers whose collector needs no scratch buffer
	u64 wakeup_check_bytes; // after so many bytes a CPU checks whether its ring is half full
	u64 scope_id; // of the cgroup in `scope`
};

enum cause { RING_FULL, SCRATCH, PAGE_FAULT, BUG, CAUSES };
enum class { CLONE_FORK, EXECVE, CONNECT, OPEN, DIR_FILE, OTHER_INTEREST, CLOSE, PROC_EXIT, OTHER,
	     CLASSES };

struct counters {
	u64 seen[CLASSES];
	u64 lost[CLASSES][CAUSES];
	u64 unchecked_bytes; // since the CPU last checked how full its ring is
};

// A process that lost events, and how many it lost.
struct offender {
	u64 cgroup;
	u64 tgid;
};
struct losses {
	u64 lost[CLASSES];
};

// A system call at its exit, the same for all hooks.
struct call {
	u64 args[6];
	s64 ret;
	u32 id;   // native number
	u32 is32; // made through the 32-bit table
	u32 tid;
	s64 round; // how often its collector has run
};

// A buffer in which an event is assembled. The record starts two bytes before the event, with the
// CPU number, so that the event itself is aligned. The highest bit of these two marks a 32-bit
// call.
enum { EVENT_LIMIT = 1 << 16, RECORD_AT = 6, EVENT_AT = 8, WALK = 64, MARK_SHIFT = 15 };
struct scratch {
	struct call call;
	u64 users; // programs that claim it
	u64 owner; // registers of the call that it holds for the collector
	u64 forgotten;
	u64 walk[WALK];             // names of the directories or cgroups up to the root
	u8 record[2 * EVENT_LIMIT + 4 * 4096]; // the event, then room for intermediate reads
};

struct {
	__uint(type, MAP_ARRAY);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, struct config);
} config SEC(".maps");

struct {
	__uint(type, MAP_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, struct counters);
} counters SEC(".maps");

struct {
	__uint(type, MAP_LRU_HASH);
	__uint(max_entries, 1024);
	__type(key, struct offender);
	__type(value, struct losses);
} offenders SEC(".maps");

// Each CPU has several, as the kernel may preempt a program and run another one on the same CPU.
// The first one is nearly always free.
enum { SLOTS = 3 };
struct {
	__uint(type, MAP_ARRAY);
	__uint(max_entries, SLOTS); // per CPU; the loader multiplies by the number of CPUs
	__type(key, u32);
	__type(value, struct scratch);
} scratches SEC(".maps");

struct ring {
	__uint(type, MAP_RINGBUF);
	__uint(max_entries, 4096);
};
struct {
	__uint(type, MAP_ARRAY_OF_MAPS);
	__uint(max_entries, 1); // the loader sets the number of CPUs; each entry is the ring of a CPU
	__type(key, u32);
	__array(values, struct ring);
} lifecycle_rings SEC(".maps"), data_rings SEC(".maps");

struct {
	__uint(type, MAP_CGROUP_ARRAY);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, u32);
} scope SEC(".maps");

struct {
	__uint(type, MAP_PROG_ARRAY);
	__uint(max_entries, SYSCALL_LIMIT);
	__type(key, u32);
	__type(value, u32);
} collectors SEC(".maps"), alt_collectors SEC(".maps");

struct {
	__uint(type, MAP_ARRAY);
	__uint(max_entries, SYSCALL_LIMIT);
	__type(key, u32);
	__type(value, u32);
} native_numbers SEC(".maps"); // native number plus one by number of the 32-bit table; 0 where there is none

struct {
	__uint(type, MAP_ARRAY);
	__uint(max_entries, SYSCALL_LIMIT);
	__type(key, u32);
	__type(value, u32);
} syscall_codes SEC(".maps"); // by native number: the format's code, and which arguments are paths

INLINE struct config *get_config(void)
{
	u32 zero = 0;
	return bpf_map_lookup_elem(&config, &zero);
}

INLINE struct counters *get_counters(void)
{
	u32 zero = 0;
	return bpf_map_lookup_elem(&counters, &zero);
}

INLINE struct scratch *scratch_at(u32 slot)
{
	u32 at = bpf_get_smp_processor_id() * SLOTS + slot;
	return bpf_map_lookup_elem(&scratches, &at);
}

// Claims a scratch buffer until it is released. A program may be preempted in the middle of an
// event (seen on 7.3) and another one start on the same CPU, between any two lines of this
// function: then one of them, or both, take the next buffer.
INLINE struct scratch *claim_scratch(void)
{
	for (u32 slot = 0; slot < SLOTS; slot++) {
		struct scratch *s = scratch_at(slot);
		if (!s)
			return NULL;
		__sync_fetch_and_add(&s->users, 1);
		if (*(volatile u64 *)&s->users == 1)
			return s;
		__sync_fetch_and_add(&s->users, -1);
	}
	return NULL;
}

INLINE void release_scratch(struct scratch *s)
{
	s->owner = 0;
	__sync_fetch_and_add(&s->users, -1);
}

// The buffer in which the hook stored the call. Registers identify it: those of each thread have
// their own address.
INLINE struct scratch *own_scratch(u64 *ctx)
{
	for (u32 slot = 0; slot < SLOTS; slot++) {
		struct scratch *s = scratch_at(slot);
		if (s && s->owner == ctx[0])
			return s;
	}
	return NULL;
}
