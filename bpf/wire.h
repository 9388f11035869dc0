// Writes events in the format of captures: header, lengths, parameters.
#pragma once
#include "abi.h"
#include "kernel.h"

enum { PATH_LIMIT = 4096, HEADER_LEN = 26 };

// An event being written. Everything is inlined, so that its members live in registers and offsets
// before the first parameter of variable length are constants.
struct event {
	struct scratch *scratch;
	u8 *bytes;  // where it begins: in the scratch, or in the ring
	u32 at;     // where the next parameter goes, from the start of the event
	u32 index;  // which one that is
	u32 nparams;
	u32 type;
	u32 class;
	u64 tid;
	u64 wake;   // flags of its ring
	u32 path_room; // in the ring; 0 where it is put together elsewhere
	bool cut;   // that was too small
};

INLINE u8 *room(struct event *e)
{
	return &e->bytes[e->at & (EVENT_LIMIT - 1)];
}

// Memory that no event reaches: what has to be read to know what to write.
INLINE void *aside(struct scratch *s)
{
	return &s->record[EVENT_LIMIT + 2 * 4096];
}

// The same value, but the verifier no longer knows what it can be. States that differ only in what is
// known of a value are then one, and loops and optional parts don't multiply what it has to look at.
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
	e->path_room = 0;
}

// Makes the ways that led here one.
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

// Reads a text up to and with its NUL; gives its bytes.
INLINE u32 read_user_text(u8 *to, u64 from, u32 limit)
{
	*to = 0;
	long len = bpf_probe_read_user_str(to, limit, (void *)from);
	// Older kernels do not count the NUL of a text that is empty.
	if (len == 0)
		len = 1;
	return len < 0 ? 0 : len;
}

// Adds a text; gives the bytes added.
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

// Adds bytes, all or none; gives how many.
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

// Of `len` bytes as many as are wanted of data.
INLINE u64 snap(u64 len)
{
	struct config *c = get_config();
	u64 snaplen = c ? c->snaplen : 0;
	return len < snaplen ? len : snaplen;
}

// Counts a lost event, for the CPU and for the process, which may have to be read anew.
INLINE void lose(struct counters *c, u32 class, u32 cause)
{
	c->lost[class][cause]++;
	struct loser who = {bpf_get_current_cgroup_id(), bpf_get_current_pid_tgid() >> 32};
	struct losses *losses = bpf_map_lookup_elem(&losers, &who);
	if (!losses) {
		struct losses none = {};
		bpf_map_update_elem(&losers, &who, &none, UPDATE_NEW);
		losses = bpf_map_lookup_elem(&losers, &who);
	}
	if (losses)
		__sync_fetch_and_add(&losses->lost[class], 1);
}

// Counts an event that there was no room to put together in.
INLINE void no_scratch(u32 class)
{
	struct counters *c = get_counters();
	if (!c)
		return;
	c->seen[class]++;
	lose(c, class, SCRATCH);
}

// Time, thread, length, type and number of parameters: in few stores, wherever it lies.
INLINE void write_header(u8 *to, struct config *config, u64 tid, u32 len, u32 type, u32 nparams)
{
	*(u64 *)to = bpf_ktime_get_boot_ns() + config->boot_epoch_ns;
	*(u64 *)(to + 8) = tid;
	*(u64 *)(to + 16) = len | (u64)type << 32 | (u64)nparams << 48;
	*(u16 *)(to + 24) = 0;
}

// The ring of a lane for a CPU.
INLINE void *ring_of(void *lane, u32 cpu)
{
	return bpf_map_lookup_elem(lane, &cpu);
}

// Whether to wake the reader, who else looks at the rings on a timer: when one is half full. Asking the ring is dear,
// so it is done only once for some bytes.
INLINE u64 wake(void *ring, struct config *config, struct counters *c, u32 len)
{
	c->unasked += len;
	if (c->unasked < config->ask_bytes)
		return RB_NO_WAKEUP;
	c->unasked = 0;
	u64 size = bpf_ringbuf_query(ring, RB_RING_SIZE);
	return bpf_ringbuf_query(ring, RB_AVAIL_DATA) < size / 2 ? RB_NO_WAKEUP : RB_FORCE_WAKEUP;
}

// Puts a record into a ring of the lane; gives the cause if that fails.
enum { DELIVERED = CAUSES };
INLINE u32 push(void *lane, struct config *config, struct counters *c, u32 cpu, void *record, u32 len)
{
	if (len >= EVENT_LIMIT)
		return SCRATCH;
	void *ring = ring_of(lane, cpu);
	if (!ring)
		return BUG;
	u64 flags = wake(ring, config, c, len);
	OPAQUE(len); // said again: older verifiers forget bounds over calls
	len &= EVENT_LIMIT - 1;
	return bpf_ringbuf_output(ring, record, len, flags) ? RING_FULL : DELIVERED;
}

// Counts an event and hands it over, or counts that it could not.
INLINE void send(struct event *e, void *lane)
{
	u32 cpu = bpf_get_smp_processor_id();
	struct config *config = get_config();
	struct counters *c = get_counters();
	if (!config || !c)
		return;
	write_header(&e->scratch->record[EVENT_AT], config, e->tid, e->at, e->type, e->nparams);
	*(u16 *)&e->scratch->record[RECORD_AT] = cpu | e->scratch->call.is32 << MARK_SHIFT;

	u32 len = e->at + (EVENT_AT - RECORD_AT);
	OPAQUE(len);
	c->seen[e->class]++;
	u32 cause = push(lane, config, c, cpu, &e->scratch->record[RECORD_AT], len);
	OPAQUE(cause); // one copy of what follows for all causes
	if (cause < CAUSES)
		lose(c, e->class, cause);
}

// The same, for the last event that is put together here.
INLINE void submit(struct event *e, void *lane)
{
	send(e, lane);
	release_scratch(e->scratch);
}

// An event whose parameters are all of fixed size, `size` bytes together, but for a path that is shorter than its room (a
// power of two), is written where it lies in the ring, and needs no scratch. False when there is no room, which is
// counted.
INLINE bool begin_in_ring(struct event *e, void *lane, u32 type, u32 nparams, u32 class, u32 size, u32 path_room,
			  u32 tid, u32 is32)
{
	u32 cpu = bpf_get_smp_processor_id(), len = HEADER_LEN + 2 * nparams + size + path_room;
	struct config *config = get_config();
	struct counters *c = get_counters();
	if (!config || !c)
		return false;
	c->seen[class]++;
	void *ring = ring_of(lane, cpu);
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

// What its path left of its room stays behind it.
INLINE void submit_in_ring(struct event *e)
{
	if (e->path_room)
		*(u32 *)&e->bytes[16] = e->at;
	bpf_ringbuf_submit(e->bytes - sizeof(u16), e->wake);
}

// Takes back one that turned out to need more room.
INLINE void discard_in_ring(struct event *e, u32 class)
{
	struct counters *c = get_counters();
	if (c)
		c->seen[class]--;
	bpf_ringbuf_discard(e->bytes - sizeof(u16), e->wake);
}
