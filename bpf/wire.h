// Writes events in the format of captures: header, lengths, parameters.
#pragma once
#include "abi.h"
#include "kernel.h"

enum { PATH_LIMIT = 4096, HEADER_LEN = 26 };

// An event being written. All functions are inlined, so that its members are in registers and the
// offsets before the first parameter of variable length are constants.
struct event {
	struct scratch *scratch;
	u8 *bytes;  // its start: in a scratch buffer, or in the ring
	u32 at;     // offset of the next parameter
	u32 index;  // number of the next parameter
	u32 nparams;
	u32 type;
	u32 class;
	u64 tid;
	u64 wake;   // wakeup flag for the ring
	u64 since;  // boot time to which it applies; 0 for that of its delivery
	u32 path_room; // reserved for the path in the ring; 0 in a scratch buffer
	bool cut;   // the reserved room was too small
};

INLINE u8 *room(struct event *e)
{
	return &e->bytes[e->at & (EVENT_LIMIT - 1)];
}

// Room behind the event for what must be read before it is known what to write.
INLINE void *aside(struct scratch *s)
{
	return &s->record[EVENT_LIMIT + 2 * 4096];
}

// Hides the range of a value from the verifier. States that differ only in the range of a value are
// then merged, and loops and optional parts do not multiply the instructions it analyses.
#define FORGET(s, value)                                                                           \
	({                                                                                         \
		*(volatile u64 *)&(s)->forgotten = (value);                                        \
		(typeof(value)) * (volatile u64 *)&(s)->forgotten;                                 \
	})

INLINE void begin(struct event *e, struct scratch *s, u32 type, u32 nparams, u32 class)
{
	e->scratch = s;
	e->bytes = &s->record[EVENT_AT];
	e->at = HEADER_LEN + 2 * nparams;
	e->index = 0;
	e->nparams = nparams;
	e->type = type;
	e->class = class;
	e->tid = s->call.tid;
	e->since = 0;
	e->path_room = 0;
}

// Merges the verifier states of all paths that lead here.
INLINE void forget(struct event *e)
{
	e->at = FORGET(e->scratch, e->at);
	e->type = FORGET(e->scratch, e->type);
	e->nparams = FORGET(e->scratch, e->nparams);
}

INLINE void put_len(struct event *e, u32 len)
{
	*(u16 *)&e->bytes[HEADER_LEN + 2 * e->index] = len;
	e->index++;
}

// Bytes of a parameter, without its length.
#define ADD(e, type, value)                                                                        \
	({                                                                                         \
		*(type *)room(e) = (value);                                                        \
		(e)->at += sizeof(type);                                                           \
	})
#define PUT(e, type, value)                                                                        \
	({                                                                                         \
		ADD(e, type, value);                                                               \
		put_len(e, sizeof(type));                                                          \
	})

INLINE void put_u8(struct event *e, u8 v) { PUT(e, u8, v); }
INLINE void put_u16(struct event *e, u16 v) { PUT(e, u16, v); }
INLINE void put_u32(struct event *e, u32 v) { PUT(e, u32, v); }
INLINE void put_u64(struct event *e, u64 v) { PUT(e, u64, v); }
INLINE void put_empty(struct event *e) { put_len(e, 0); }
// File descriptors and process ids are 32 bits wide and signed.
INLINE void put_id(struct event *e, u64 v) { PUT(e, s64, (s32)v); }

// Reads a string with its NUL; returns the number of bytes.
INLINE u32 read_user_text(u8 *to, u64 from, u32 limit)
{
	*to = 0;
	long len = bpf_probe_read_user_str(to, limit, (void *)from);
	// Older kernels return 0 for an empty string.
	if (len == 0)
		len = 1;
	return len < 0 ? 0 : len;
}

// Adds a string; returns the number of bytes added.
INLINE u32 add_user_text(struct event *e, u64 from, u32 limit)
{
	u32 len = read_user_text(room(e), from, limit);
	OPAQUE(len);
	len &= 2 * PATH_LIMIT - 1;
	e->at = FORGET(e->scratch, e->at + (u32)len);
	return len;
}

INLINE u32 add_kernel_text(struct event *e, const void *from, u32 limit)
{
	long len = bpf_probe_read_kernel_str(room(e), limit, from);
	if (len < 0)
		len = 0;
	len &= 2 * PATH_LIMIT - 1;
	e->at = FORGET(e->scratch, e->at + (u32)len);
	return len;
}

INLINE void put_user_text(struct event *e, u64 from, u32 limit)
{
	put_len(e, from ? add_user_text(e, from, limit) : 0);
}

INLINE void put_path(struct event *e, u64 from)
{
	if (e->path_room) {
		u32 len = from ? read_user_text(room(e), from, e->path_room) : 0;
		e->cut = len == e->path_room;
		OPAQUE(len);
		len &= e->path_room - 1;
		e->at += len;
		put_len(e, len);
		return;
	}
	put_user_text(e, from, PATH_LIMIT);
}

INLINE void put_kernel_text(struct event *e, const void *from, u32 limit)
{
	put_len(e, add_kernel_text(e, from, limit));
}

// Adds bytes, all or none; returns the number added.
INLINE u32 add_user_bytes(struct event *e, u64 from, u64 len)
{
	u32 bounded = len;
	OPAQUE(bounded);
	bounded &= EVENT_LIMIT - 1;
	if (bpf_probe_read_user(room(e), bounded, (void *)from))
		return 0;
	e->at = FORGET(e->scratch, e->at + bounded);
	return bounded;
}

INLINE void put_user_bytes(struct event *e, u64 from, u64 len)
{
	put_len(e, from ? add_user_bytes(e, from, len) : 0);
}

// `len`, at most the configured snaplen.
INLINE u64 snap(u64 len)
{
	struct config *c = get_config();
	u64 snaplen = c ? c->snaplen : 0;
	return len < snaplen ? len : snaplen;
}

// Counts a lost event for the CPU and for the process, whose state may have to be read again.
INLINE void lose(struct counters *c, u32 class, u32 cause)
{
	c->lost[class][cause]++;
	struct offender who = {bpf_get_current_cgroup_id(), bpf_get_current_pid_tgid() >> 32};
	struct losses *losses = bpf_map_lookup_elem(&offenders, &who);
	if (!losses) {
		struct losses none = {};
		bpf_map_update_elem(&offenders, &who, &none, UPDATE_NEW);
		losses = bpf_map_lookup_elem(&offenders, &who);
	}
	if (losses)
		__sync_fetch_and_add(&losses->lost[class], 1);
}

// Counts an event that is lost because no scratch buffer is free.
INLINE void no_scratch(u32 class)
{
	struct counters *c = get_counters();
	if (!c)
		return;
	c->seen[class]++;
	lose(c, class, SCRATCH);
}

// Writes time, thread, length, type and number of parameters with few stores.
INLINE void write_header(u8 *to, struct config *config, u64 tid, u32 len, u32 type, u32 nparams)
{
	*(u64 *)to = bpf_ktime_get_boot_ns() + config->boot_epoch_ns;
	*(u64 *)(to + 8) = tid;
	*(u64 *)(to + 16) = len | (u64)type << 32 | (u64)nparams << 48;
	*(u16 *)(to + 24) = 0;
}

// The ring of one kind for a CPU.
INLINE void *ring_of(void *rings, u32 cpu)
{
	return bpf_map_lookup_elem(rings, &cpu);
}

// Whether to wake the reader, which otherwise polls on a timer: when the ring is half full.
// Querying the fill level is expensive, so it is done once per `wakeup_check_bytes`.
INLINE u64 wake(void *ring, struct config *config, struct counters *c, u32 len)
{
	c->unchecked_bytes += len;
	if (c->unchecked_bytes < config->wakeup_check_bytes)
		return RB_NO_WAKEUP;
	c->unchecked_bytes = 0;
	u64 size = bpf_ringbuf_query(ring, RB_RING_SIZE);
	return bpf_ringbuf_query(ring, RB_AVAIL_DATA) < size / 2 ? RB_NO_WAKEUP : RB_FORCE_WAKEUP;
}

// Puts a record into a ring of this kind; returns the cause if that fails.
enum { DELIVERED = CAUSES };
INLINE u32 push(void *rings, struct config *config, struct counters *c, u32 cpu, void *record, u32 len)
{
	if (len >= EVENT_LIMIT)
		return SCRATCH;
	void *ring = ring_of(rings, cpu);
	if (!ring)
		return BUG;
	u64 flags = wake(ring, config, c, len);
	OPAQUE(len); // repeated, as older verifiers forget bounds across calls
	len &= EVENT_LIMIT - 1;
	return bpf_ringbuf_output(ring, record, len, flags) ? RING_FULL : DELIVERED;
}

// Counts an event and submits it, or counts it as lost.
INLINE void send(struct event *e, void *rings)
{
	u32 cpu = bpf_get_smp_processor_id();
	struct config *config = get_config();
	struct counters *c = get_counters();
	if (!config || !c)
		return;
	write_header(&e->scratch->record[EVENT_AT], config, e->tid, e->at, e->type, e->nparams);
	if (e->since)
		*(u64 *)&e->scratch->record[EVENT_AT] = e->since + config->boot_epoch_ns;
	*(u16 *)&e->scratch->record[RECORD_AT] = cpu | e->scratch->call.is32 << MARK_SHIFT;

	u32 len = e->at + (EVENT_AT - RECORD_AT);
	OPAQUE(len);
	c->seen[e->class]++;
	u32 cause = push(rings, config, c, cpu, &e->scratch->record[RECORD_AT], len);
	OPAQUE(cause); // keeps the compiler from duplicating the code below per cause
	if (cause < CAUSES)
		lose(c, e->class, cause);
}

// The same for the last event in this scratch buffer, which is released.
INLINE void submit(struct event *e, void *rings)
{
	send(e, rings);
	release_scratch(e->scratch);
}

// Begins an event directly in the ring, without a scratch buffer: its parameters take `size` bytes,
// apart from a path that is shorter than its reserved room (a power of two). False when the ring is
// full, which is counted.
INLINE bool begin_in_ring(struct event *e, void *rings, u32 type, u32 nparams, u32 class, u32 size, u32 path_room,
			  u32 tid, u32 is32)
{
	u32 cpu = bpf_get_smp_processor_id(), len = HEADER_LEN + 2 * nparams + size + path_room;
	struct config *config = get_config();
	struct counters *c = get_counters();
	if (!config || !c)
		return false;
	c->seen[class]++;
	void *ring = ring_of(rings, cpu);
	u8 *record = NULL;
	if (ring)
		record = bpf_ringbuf_reserve(ring, sizeof(u16) + len, 0);
	if (!record) {
		lose(c, class, ring ? RING_FULL : BUG);
		return false;
	}
	*(u16 *)record = cpu | is32 << MARK_SHIFT;
	e->bytes = record + sizeof(u16);
	e->at = HEADER_LEN + 2 * nparams;
	e->index = 0;
	e->tid = tid;
	e->wake = wake(ring, config, c, len);
	e->path_room = path_room;
	write_header(e->bytes, config, tid, len, type, nparams);
	return true;
}

// The unused rest of the path's room stays behind the event.
INLINE void submit_in_ring(struct event *e)
{
	if (e->path_room)
		*(u32 *)&e->bytes[16] = e->at;
	bpf_ringbuf_submit(e->bytes - sizeof(u16), e->wake);
}

// Discards a record whose path turned out to need more room.
INLINE void discard_in_ring(struct event *e, u32 class)
{
	struct counters *c = get_counters();
	if (c)
		c->seen[class]--;
	bpf_ringbuf_discard(e->bytes - sizeof(u16), e->wake);
}
