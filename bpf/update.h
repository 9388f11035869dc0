// What the kernel knows of a task after a change, for the state: an `asyncevent` with the name
// `task`, whose data crates/state/src/update.rs reads.
#pragma once
#include "task.h"

// The event of a call of this task follows; directory or descriptors are not those of its process;
// the ids of the threads of the process come last; the task joins the scope, and its directory up
// to now is not known.
enum { UPDATE_BY_CALL = 1, UPDATE_OWN_DIRECTORY = 2, UPDATE_OWN_FILES = 4, UPDATE_THREADS = 8, UPDATE_JOINS = 16 };
enum { UPDATE_MOST_THREADS = 128 };

// Names of a path that is surely whole: it may lead through mounts in addition.
enum { LONGEST_WALK = WALK - 8 };

// Threads that join a scope may have events before the kernel gets to tell of them, on other CPUs.
enum { JOIN_TIME = 200000 };

// Begins an `asyncevent`, whose lengths have 32 bits; `name` is up to 8 bytes with their NUL.
INLINE u32 begin_async(struct event *e, struct scratch *s, u64 name, u32 len, u32 class)
{
	begin(e, s, EVENT_ASYNCEVENT_E, ASYNCEVENT_E_PARAMS, class);
	e->at = HEADER_LEN + ASYNCEVENT_E_PARAMS * sizeof(u32);
	ADD(e, u32, 0); // of no plugin
	*(u64 *)room(e) = name;
	e->at += len;
	return e->at;
}

// Ends its data, which began here.
INLINE void end_async(struct event *e, u32 start, u32 name_len)
{
	u32 *lengths = (u32 *)&e->bytes[HEADER_LEN];
	lengths[0] = sizeof(u32);
	lengths[1] = name_len;
	lengths[2] = e->at - start;
}

INLINE void add_threads(struct event *e, struct task_struct *task)
{
	struct signal_struct *signal = READ(task, signal);
	struct list_head *head = &signal->thread_head, *at = READ(head, next);
	e->at = FORGET(e->scratch, e->at);
	for (u32 step = 0; step < UPDATE_MOST_THREADS && at != head; step++) {
		struct task_struct *thread = CONTAINER_OF(at, struct task_struct, thread_node);
		ADD(e, u32, READ(thread, pid));
		e->at = FORGET(e->scratch, e->at);
		at = READ(thread, thread_node.next);
	}
}

// `maker` is the thread that has made the task, where that is not its parent.
INLINE void send_update(struct event *e, struct scratch *s, struct task_struct *task, u32 maker, u32 what,
			void *rings)
{
	u32 start = begin_async(e, s, 0x6b736174, 5, OTHER); // task
	// What changes while it is read has an event of its own, which comes later.
	e->since = bpf_ktime_get_boot_ns() - (what & UPDATE_JOINS ? JOIN_TIME : 0);
	struct task_struct *leader = READ(task, group_leader);
	struct fs_struct *fs = READ(task, fs), *leader_fs = READ(leader, fs);
	struct files_struct *leader_files = READ(leader, files);
	if (leader_fs && leader_fs != fs)
		what |= UPDATE_OWN_DIRECTORY;
	if (leader_files && leader_files != READ(task, files))
		what |= UPDATE_OWN_FILES;
	struct cred *cred = READ(task, cred);
	e->tid = READ(task, pid);
	ADD(e, s64, READ(task, tgid));
	ADD(e, s64, parent_of(task));
	ADD(e, s64, id_in_namespace(task, 0));
	ADD(e, s64, id_in_namespace(task, PID_OF_GROUP));
	ADD(e, s64, maker);
	ADD(e, u64, capabilities(&cred->cap_inheritable));
	ADD(e, u64, capabilities(&cred->cap_permitted));
	ADD(e, u64, capabilities(&cred->cap_effective));
	ADD(e, s64, host_process_group(task));
	ADD(e, s64, id_in_namespace(task, PID_OF_PROCESS_GROUP));
	ADD(e, s64, number_at(pid_of(task, PID_OF_SESSION), 0).nr);
	ADD(e, u32, READ(cred, euid.val));
	ADD(e, u32, READ(cred, egid.val));
	ADD(e, u32, what);
	bpf_probe_read_kernel(room(e), sizeof(task->comm), task->comm);
	e->at += sizeof(task->comm);
	u32 depth = fs && !(what & UPDATE_JOINS) ? walk_up(e, &fs->pwd, &fs->root) : WALK;
	if (depth <= LONGEST_WALK)
		add_walk(e, depth);
	else
		ADD(e, u8, 0);
	if (what & UPDATE_THREADS)
		add_threads(e, task);
	end_async(e, start, 5);
	forget(e);
	send(e, rings);
}
