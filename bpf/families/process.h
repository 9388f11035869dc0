// Process life cycle: the clone family, exec, exit.
#pragma once
#include "../collector.h"
#include "../scope.h"

// The parameters after `res` that all of clone, clone3, fork and vfork share; `flags` in the
// format's values.
INLINE void put_child(struct event *e, struct task_struct *task, bool with_exe, u32 flags, bool started)
{
	if (with_exe) {
		put_exe_and_args(e, task);
	} else {
		put_empty(e);
		put_empty(e);
	}
	put_task(e, task);
	put_cgroups(e, task);
	put_u32(e, flags);
	struct cred *cred = READ(task, cred);
	put_u32(e, READ(cred, euid.val));
	put_u32(e, READ(cred, egid.val));
	put_id(e, id_in_namespace(task, 0));
	put_id(e, id_in_namespace(task, PID_OF_GROUP));
	put_u64(e, started ? namespace_start(task) : 0);
}

// Whether children are or will be in another pid namespace than the initial one.
INLINE u32 namespace_flag(struct task_struct *task)
{
	struct pid_namespace *ns = own_number(pid_of(task, 0)).ns;
	struct nsproxy *proxy = READ(task, nsproxy);
	bool inside = READ(ns, level) != 0 || READ(proxy, pid_ns_for_children) != ns;
	return inside ? CLONE_FLAGS_CLONE_CHILD_IN_PIDNS : 0;
}

// One program for all four calls, as their events have the same parameters.
COLLECT_LIFECYCLE(clone, SYSCALL_CLONE_20_X)
{
	struct task_struct *task = current_task();
	u64 flags = 0;
	if (c->id == NR_CLONE) {
		flags = c->args[0];
	} else if (c->id == NR_CLONE3) {
		e->type = EVENT_SYSCALL_CLONE3_X;
		flags = user_u64(c->args[0]);
	} else {
		e->type = c->id == NR_FORK ? EVENT_SYSCALL_FORK_20_X : EVENT_SYSCALL_VFORK_20_X;
	}
	put_u64(e, c->ret);
	put_child(e, task, c->ret >= 0, to_clone_flags((u32)flags) | namespace_flag(task), c->ret == 0);
}

// An array of strings in the caller's memory, the only place where a failed exec has its arguments.
enum { TEXTS = 24 };
INLINE void put_user_texts(struct event *e, struct call *c, u64 array, u32 first, u32 limit)
{
	u32 start = e->at;
	for (u32 i = first; i < TEXTS; i++) {
		u64 from = user_pointer(c, array, i);
		if (!from || e->at - start >= limit)
			break;
		add_user_text(e, from, PATH_LIMIT);
	}
	u32 len = e->at - start;
	if (len > limit) {
		len = limit;
		e->at = start + limit - 1;
		ADD(e, u8, 0);
	}
	put_len(e, len);
}

INLINE void put_failed_args(struct event *e, struct call *c, u64 argv)
{
	if (!argv) {
		ADD(e, u8, 0);
		put_len(e, 1);
		put_empty(e);
		return;
	}
	u32 exe = add_user_text(e, user_pointer(c, argv, 0), PATH_LIMIT);
	put_len(e, exe);
	put_user_texts(e, c, argv, 1, PATH_LIMIT - (exe & (PATH_LIMIT - 1)));
}

INLINE u32 exe_flags(struct task_struct *task, struct file *file, struct inode *inode)
{
	u32 flags = exe_is_writable(task, inode) ? EXECVE_FLAGS_EXE_WRITABLE : 0;
	enum layer layer = overlay_layer(file, READ(inode, i_sb));
	if (layer == UPPER_LAYER)
		flags |= EXECVE_FLAGS_EXE_UPPER_LAYER;
	else if (layer == LOWER_LAYER)
		flags |= EXECVE_FLAGS_EXE_LOWER_LAYER;
	if (is_memfd(file))
		flags |= EXECVE_FLAGS_EXE_FROM_MEMFD;
	return flags;
}

// tty to gid: the parameters of exec events after the environment.
INLINE void put_identity(struct event *e, struct task_struct *task)
{
	struct mm_struct *mm = READ(task, mm);
	struct file *file = READ(mm, exe_file);
	struct inode *inode = READ(file, f_inode);
	struct cred *cred = READ(task, cred);
	put_u32(e, terminal(task));
	put_id(e, id_in_namespace(task, PID_OF_PROCESS_GROUP));
	put_u32(e, login_uid(task));
	put_u32(e, exe_flags(task, file, inode));
	put_u64(e, capabilities(&cred->cap_inheritable));
	put_u64(e, capabilities(&cred->cap_permitted));
	put_u64(e, capabilities(&cred->cap_effective));
	put_u64(e, READ(inode, i_ino));
	put_u64(e, changed_at(inode));
	put_u64(e, modified_at(inode));
	put_u32(e, READ(cred, euid.val));
	put_kernel_path(e, &file->f_path);
	put_id(e, host_process_group(task));
	put_u32(e, READ(cred, egid.val));
}

// One program for both calls; the event of execveat has no `filename`.
COLLECT_FAILED_LIFECYCLE(execve, SYSCALL_EXECVE_19_X)
{
	struct task_struct *task = current_task();
	u32 at = c->id == NR_EXECVEAT;
	if (at)
		begin(e, e->scratch, EVENT_SYSCALL_EXECVEAT_X, SYSCALL_EXECVEAT_X_PARAMS, EXECVE);
	forget(e);
	put_u64(e, c->ret);
	put_failed_args(e, c, at ? c->args[2] : c->args[1]);
	forget(e);
	put_task(e, task);
	put_cgroups(e, task);
	put_user_texts(e, c, at ? c->args[3] : c->args[2], 0, PATH_LIMIT);
	put_identity(e, task);
	if (!at)
		put_path(e, c->args[0]);
}

// Whether the current thread is monitored.
INLINE bool watched(struct caller who)
{
	struct config *config = get_config();
	return config && in_scope(config, who.tgid);
}

// Begins an event of a tracepoint; false if it is not selected. At the tracepoint of an exec the
// 32-bit flag is that of the new program, not that of the call.
INLINE bool begin_traced(struct event *e, u32 type, u32 nparams, u32 class)
{
	struct caller who = caller();
	return watched(who) && begin_anew(e, who, type, nparams, class);
}
#define BEGIN_TRACED(e, id, class) begin_traced(e, EVENT_##id, id##_PARAMS, class)

// The same for an event whose parameters take exactly `size` bytes.
INLINE bool begin_traced_in_ring(struct event *e, void *rings, u32 type, u32 nparams, u32 class, u32 size)
{
	struct caller who = caller();
	return watched(who) && begin_in_ring(e, rings, type, nparams, class, size, 0, who.tid, false);
}
#define BEGIN_TRACED_IN_RING(e, rings, id, class, size)                                             \
	begin_traced_in_ring(e, rings, EVENT_##id, id##_PARAMS, class, size)

SEC("tp_btf/sched_process_exec") int process_exec(u64 *ctx)
{
	struct linux_binprm *binprm = (void *)ctx[2];
	struct task_struct *task = current_task();
	struct event e;
	if ((READ(task, flags) & PF_KTHREAD) || !BEGIN_TRACED(&e, SYSCALL_EXECVE_19_X, EXECVE))
		return 0;
	put_u64(&e, 0);
	put_exe_and_args(&e, task);
	put_task(&e, task);
	put_cgroups(&e, task);
	put_environment(&e, task);
	put_identity(&e, task);
	put_kernel_text(&e, READ(binprm, filename), PATH_LIMIT);
	submit(&e, &lifecycle_rings);
	return 0;
}

// What the current call creates, from its registers: the event type of the child, and clone flags
// in the kernel's values. False if it creates no process, or on kernels before 5.15, which do not
// give the registers.
INLINE bool made_by(bool is32, u32 *event, u64 *flags)
{
	struct call c = {.is32 = is32};
	struct pt_regs *regs = bpf_task_pt_regs(bpf_get_current_task_btf());
	s32 number = c.is32 ? native_number(call_number(regs)) : call_number(regs);
	read_args(&c, regs);
	*flags = 0;
	if (number == NR_CLONE)
		*flags = c.args[0];
	else if (number == NR_CLONE3)
		*flags = user_u64(c.args[0]);
	*event = number == NR_CLONE    ? EVENT_SYSCALL_CLONE_20_X
		 : number == NR_CLONE3 ? EVENT_SYSCALL_CLONE3_X
		 : number == NR_FORK   ? EVENT_SYSCALL_FORK_20_X
		 : number == NR_VFORK  ? EVENT_SYSCALL_VFORK_20_X
				       : 0;
	return *event;
}

// Reports the child of a clone where the child does not pass a syscall exit hook (arm64, and hooks
// on single functions).
SEC("tp_btf/sched_process_fork") int process_fork(u64 *ctx)
{
	struct task_struct *parent = (void *)ctx[0], *child = (void *)ctx[1];
	struct config *config = get_config();
	struct caller who = caller();
	struct event e;
	if (!config || (READ(child, flags) & PF_KTHREAD))
		return 0;
	// A parent can put its child into the scope without being in it.
	bool joins = !in_scope(config, who.tgid);
	if (joins && (who.tgid == config->own_tgid || !task_in_scope(config, child)))
		return 0;
	if (!begin_anew(&e, who, EVENT_SYSCALL_CLONE_20_X, SYSCALL_CLONE_20_X_PARAMS, CLONE_FORK))
		return 0;
	e.tid = READ(child, pid);
	u32 flags = 0;
	if (HAS_HELPER(task_pt_regs)) {
		u64 asked = 0;
		if (!made_by(e.scratch->call.is32, &e.type, &asked)) {
			release_scratch(e.scratch);
			return 0;
		}
		flags = to_clone_flags((u32)asked);
	} else {
		if (READ(child, pid) != READ(child, tgid))
			flags |= CLONE_FLAGS_CLONE_THREAD | CLONE_FLAGS_CLONE_SIGHAND |
				 CLONE_FLAGS_CLONE_VM;
		if (READ(child, files) == READ(parent, files))
			flags |= CLONE_FLAGS_CLONE_FILES;
	}
	put_u64(&e, 0);
	struct scratch *s = e.scratch;
	put_child(&e, child, true, flags | namespace_flag(child), true);
	send(&e, &lifecycle_rings);
	// Of a parent out of scope little is known, and the siblings of the maker have its files.
	if (joins || (flags & CLONE_FLAGS_CLONE_PARENT))
		send_update(&e, s, child, who.tid, 0, &lifecycle_rings);
	release_scratch(s);
	return 0;
}

// A task that was moved to other cgroups, with its whole process unless it is told otherwise. The
// event is one of this program: an `asyncevent` with the name `moved`, whose data `state` reads.
enum { MOVED_PROCESS = 1 };
SEC("tp_btf/cgroup_attach_task") int cgroup_attach(u64 *ctx)
{
	struct task_struct *task = (void *)ctx[2];
	struct config *config = get_config();
	struct event e;
	if (!config || !task_in_scope(config, task) ||
	    !begin_anew(&e, caller(), EVENT_ASYNCEVENT_E, ASYNCEVENT_E_PARAMS, CLONE_FORK))
		return 0;
	struct scratch *s = e.scratch;
	u32 start = begin_async(&e, s, 0x6465766f6d, 6, CLONE_FORK); // moved
	e.tid = READ(task, pid);
	e.since = bpf_ktime_get_boot_ns() - JOIN_TIME;
	ADD(&e, s64, READ(task, tgid));
	ADD(&e, s64, parent_of(task));
	ADD(&e, s64, id_in_namespace(task, 0));
	ADD(&e, s64, id_in_namespace(task, PID_OF_GROUP));
	ADD(&e, u64, namespace_start(task));
	struct cred *cred = READ(task, cred);
	ADD(&e, u32, READ(cred, euid.val));
	ADD(&e, u32, READ(cred, egid.val));
	ADD(&e, u32, namespace_flag(task));
	ADD(&e, u32, (bool)ctx[3] ? MOVED_PROCESS : 0);
	bpf_probe_read_kernel(room(&e), sizeof(task->comm), task->comm);
	e.at += sizeof(task->comm);
	add_cgroups(&e, task);
	end_async(&e, start, 6);
	forget(&e);
	send(&e, &lifecycle_rings);
	// What it did before was not monitored.
	if (config->flags & SCOPED)
		send_update(&e, s, task, 0, UPDATE_JOINS | ((bool)ctx[3] ? UPDATE_THREADS : 0), &lifecycle_rings);
	send_update(&e, s, task, 0, 0, &lifecycle_rings);
	release_scratch(s);
	return 0;
}

// A thread of the group that is still alive: 0 if there is none, -1 if the search was cut short.
enum { GROUP_STEPS = 24, ANCESTOR_STEPS = 24 };
INLINE s32 living_thread(struct task_struct *task)
{
	struct signal_struct *signal = READ(task, signal);
	struct list_head *head = &signal->thread_head, *at = READ(head, next);
	for (u32 step = 0; step < GROUP_STEPS; step++) {
		if (at == head)
			return 0;
		struct task_struct *thread = CONTAINER_OF(at, struct task_struct, thread_node);
		if (!(READ(thread, flags) & PF_EXITING))
			return READ(thread, pid);
		at = READ(thread, thread_node.next);
	}
	return -1;
}

INLINE u64 bitfield(const void *base, u32 offset, u32 size, u32 left, u32 right)
{
	u64 word = 0;
	bpf_probe_read_kernel(&word, size > 8 ? 8 : size, base + offset);
	return word << left >> right;
}
#define BIT(pointer, field)                                                                        \
	bitfield(pointer, __builtin_preserve_field_info((pointer)->field, 0),                      \
		 __builtin_preserve_field_info((pointer)->field, 1),                               \
		 __builtin_preserve_field_info((pointer)->field, 4),                               \
		 __builtin_preserve_field_info((pointer)->field, 5))

// The reaper of the children of a thread that exits, chosen as the kernel will do after this hook.
INLINE s32 find_reaper(struct task_struct *task)
{
	s32 thread = living_thread(task);
	if (thread)
		return thread;
	struct pid_namespace *ns = own_number(pid_of(task, 0)).ns;
	struct task_struct *init = READ(ns, child_reaper);
	if (init == task)
		return 0; // its pid namespace ends with it
	struct signal_struct *signal = READ(task, signal);
	s32 init_pid = READ(init, pid);
	if (!BIT(signal, has_child_subreaper))
		return init_pid;
	u32 level = READ(ns, level);
	struct task_struct *ancestor = READ(task, real_parent);
	for (u32 step = 0; step < ANCESTOR_STEPS; step++) {
		struct pid *pid = READ(ancestor, thread_pid);
		if (READ(pid, level) != level || ancestor == init)
			return init_pid;
		struct signal_struct *theirs = READ(ancestor, signal);
		if (BIT(theirs, is_child_subreaper))
			return READ(ancestor, pid); // its main thread ends last
		ancestor = READ(ancestor, real_parent);
	}
	return -1;
}

SEC("tp_btf/sched_process_exit") int process_exit(u64 *ctx)
{
	struct task_struct *task = (void *)ctx[0];
	struct event e;
	if (!BEGIN_TRACED_IN_RING(&e, &lifecycle_rings, PROCEXIT_1_E, PROC_EXIT, 26))
		return 0;
	u32 code = READ(task, exit_code);
	u32 signal = code & 0x7f;
	put_u64(&e, (s64)(s32)code);
	put_u64(&e, code >> 8 & 0xff);
	put_u8(&e, signal == 0x7f ? 0 : signal);
	put_u8(&e, (code & 0x80) != 0);
	bool children = READ(task, children.next) != &task->children;
	put_id(&e, children ? find_reaper(task) : 0);
	submit_in_ring(&e);
	return 0;
}
