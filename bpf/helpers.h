// BPF helpers, and how kernel memory is read.
#pragma once

typedef unsigned char u8;
typedef unsigned short u16;
typedef unsigned int u32;
typedef unsigned long long u64;
typedef signed short s16;
typedef signed int s32;
typedef signed long long s64;
typedef _Bool bool;
#define NULL ((void *)0)
#define true 1
#define false 0

#define SEC(name) __attribute__((section(name), used))
#define INLINE static inline __attribute__((always_inline))

// Numbers of helpers and types of maps, from the kernel's uapi.
static void *(*bpf_map_lookup_elem)(const void *map, const void *key) = (void *)1;
static long (*bpf_map_update_elem)(void *map, const void *key, const void *value, u64 flags) = (void *)2;
static u32 (*bpf_get_smp_processor_id)(void) = (void *)8;
static long (*bpf_tail_call)(void *ctx, const void *map, u32 index) = (void *)12;
static u64 (*bpf_get_current_pid_tgid)(void) = (void *)14;
static u64 (*bpf_get_current_task)(void) = (void *)35;
static long (*bpf_current_task_under_cgroup)(const void *map, u32 index) = (void *)37;
static u64 (*bpf_get_current_cgroup_id)(void) = (void *)80;
static long (*bpf_probe_read_user)(void *to, u32 size, const void *from) = (void *)112;
static long (*bpf_probe_read_kernel)(void *to, u32 size, const void *from) = (void *)113;
static long (*bpf_probe_read_user_str)(void *to, u32 size, const void *from) = (void *)114;
static long (*bpf_probe_read_kernel_str)(void *to, u32 size, const void *from) = (void *)115;
static u64 (*bpf_ktime_get_boot_ns)(void) = (void *)125;
static long (*bpf_ringbuf_output)(void *ring, void *data, u64 size, u64 flags) = (void *)130;
static void *(*bpf_ringbuf_reserve)(void *ring, u64 size, u64 flags) = (void *)131;
static void (*bpf_ringbuf_submit)(void *data, u64 flags) = (void *)132;
static void (*bpf_ringbuf_discard)(void *data, u64 flags) = (void *)133;
static u64 (*bpf_ringbuf_query)(void *ring, u64 what) = (void *)134;
// Newer than Linux 5.8: to be called only where HAS_HELPER is true.
static struct task_struct *(*bpf_get_current_task_btf)(void) = (void *)158;
static void *(*bpf_task_pt_regs)(struct task_struct *task) = (void *)175;

enum { MAP_ARRAY = 2, MAP_PROG_ARRAY = 3, MAP_PERCPU_ARRAY = 6, MAP_CGROUP_ARRAY = 8,
       MAP_LRU_HASH = 9, MAP_ARRAY_OF_MAPS = 12, MAP_RINGBUF = 27 };
enum { UPDATE_NEW = 1 };
enum { RB_NO_WAKEUP = 1, RB_FORCE_WAKEUP = 2 };
enum { RB_AVAIL_DATA = 0, RB_RING_SIZE = 1 };

#define __uint(name, value) int(*name)[value]
#define __type(name, value) typeof(value) *name
#define __array(name, value) typeof(value) *name[]

// Keeps the compiler from removing a bounds check that the verifier must see.
#define OPAQUE(x) asm volatile("" : "+r"(x))

// The value of a field behind a kernel pointer; zero where it cannot be read.
#define READ(from, field)                                                                          \
	({                                                                                         \
		typeof((from)->field) value_;                                                      \
		bpf_probe_read_kernel(&value_, sizeof(value_), &(from)->field);                    \
		value_;                                                                            \
	})

// A copy of part of a kernel structure, from a given field on, so that neighbouring fields take one
// read.
struct window {
	u64 words[5];
};
#define WINDOW_START(from, first) (FIELD_OFFSET((from)->first) & ~7ull)
#define WINDOW(from, first)                                                                        \
	({                                                                                         \
		struct window window_;                                                             \
		bpf_probe_read_kernel(&window_, sizeof(window_),                                   \
				      (void *)(from) + WINDOW_START(from, first));                 \
		window_;                                                                           \
	})
// A field of the copy. Where a kernel has the field elsewhere (known at load time), it is read by
// itself.
#define IN_WINDOW(window, from, first, field)                                                      \
	({                                                                                         \
		typeof((from)->field) value_;                                                      \
		u64 at_ = FIELD_OFFSET((from)->field) - WINDOW_START(from, first);                 \
		if (at_ <= sizeof(window) - sizeof(value_))                                        \
			value_ = *(typeof(value_) *)((void *)&(window) + at_);                     \
		else                                                                               \
			value_ = READ(from, field);                                                \
		value_;                                                                            \
	})

// The same for a pointer whose type the verifier knows: read without a helper.
#define FOLLOW(from, field) ((from)->field)

// Facts about the running kernel, resolved by the loader (CO-RE).
#define FIELD_EXISTS(place) __builtin_preserve_field_info(place, 2)
#define FIELD_OFFSET(place) __builtin_preserve_field_info(place, 0)
#define TYPE_SIZE(type) __builtin_preserve_type_info(*(type *)0, 1)
#define ENUM_EXISTS(type, value) __builtin_preserve_enum_value(*(typeof(type) *)value, 0)
#define ENUM_VALUE(type, value) __builtin_preserve_enum_value(*(typeof(type) *)value, 1)
enum bpf_func_id { BPF_FUNC_get_current_task_btf = 158, BPF_FUNC_task_pt_regs = 175 };
#define HAS_HELPER(name) ENUM_EXISTS(enum bpf_func_id, BPF_FUNC_##name)
#define CONTAINER_OF(pointer, type, member)                                                        \
	((type *)((void *)(pointer) - __builtin_preserve_field_info(((type *)0)->member, 0)))
