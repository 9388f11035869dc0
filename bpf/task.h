// Facts about processes.
#pragma once
#include "file.h"

INLINE s32 parent_of(struct task_struct *task)
{
	struct task_struct *parent = READ(task, real_parent);
	return READ(parent, pid);
}

INLINE struct pid *pid_of(struct task_struct *task, u32 kind)
{
	if (kind == 0)
		return READ(task, thread_pid);
	struct signal_struct *signal = READ(task, signal);
	struct pid *pid = NULL;
	bpf_probe_read_kernel(&pid, sizeof(pid), &signal->pids[kind]);
	return pid;
}

// The number of a pid in the namespace at a level. The offset is computed here, as the array is of
// variable length.
INLINE struct upid number_at(struct pid *pid, u32 level)
{
	struct upid upid = {};
	void *first = (void *)pid + __builtin_preserve_field_info(((struct pid *)0)->numbers, 0);
	bpf_probe_read_kernel(&upid, sizeof(upid), first + level * sizeof(upid));
	return upid;
}

INLINE struct upid own_number(struct pid *pid)
{
	return number_at(pid, READ(pid, level));
}

// An id of a task in the task's own pid namespace; 0 if it has none there.
INLINE s32 id_in_namespace(struct task_struct *task, u32 kind)
{
	struct pid *own = pid_of(task, 0), *pid = pid_of(task, kind);
	u32 level = READ(own, level);
	if (READ(pid, level) < level)
		return 0;
	struct upid number = number_at(pid, level);
	return number.ns == number_at(own, level).ns ? number.nr : 0;
}

// Process groups in the initial pid namespace.
INLINE s32 host_process_group(struct task_struct *task)
{
	return number_at(pid_of(task, PID_OF_PROCESS_GROUP), 0).nr;
}

INLINE u64 namespace_start(struct task_struct *task)
{
	struct pid_namespace *ns = own_number(pid_of(task, PID_OF_GROUP)).ns;
	struct task_struct *reaper = READ(ns, child_reaper);
	return READ(reaper, start_boottime);
}

INLINE u64 capabilities(const kernel_cap_t *from)
{
	if (FIELD_EXISTS(((struct kernel_cap_struct *)0)->cap)) {
		kernel_cap_t old = {};
		bpf_probe_read_kernel(&old, sizeof(old), from);
		return ((u64)old.cap[1] << 32) | old.cap[0];
	}
	return READ((kernel_cap_t___since_6_3 *)from, val);
}

#define CAPABILITIES(task, set) capabilities(&READ(task, cred)->set)
enum { CAP_DAC_OVERRIDE = 1, CAP_FOWNER = 3 };

// The format has the capabilities of Linux up to CHECKPOINT_RESTORE, with the bits of the kernel.
enum { PAGE_KIB = 4 };

INLINE s64 rss_count(struct mm_struct *mm, u32 kind)
{
	s64 pages = 0;
	if (FIELD_EXISTS(((struct mm_struct___since_6_2 *)0)->rss_stat[0].count)) {
		struct mm_struct___since_6_2 *newer = (void *)mm;
		pages = kind == RSS_FILE    ? READ(newer, rss_stat[RSS_FILE].count)
			: kind == RSS_ANON  ? READ(newer, rss_stat[RSS_ANON].count)
			: kind == RSS_SWAP  ? READ(newer, rss_stat[RSS_SWAP].count)
					    : READ(newer, rss_stat[RSS_SHMEM].count);
	} else {
		pages = kind == RSS_FILE    ? READ(mm, rss_stat.count[RSS_FILE].counter)
			: kind == RSS_ANON  ? READ(mm, rss_stat.count[RSS_ANON].counter)
			: kind == RSS_SWAP  ? READ(mm, rss_stat.count[RSS_SWAP].counter)
					    : READ(mm, rss_stat.count[RSS_SHMEM].counter);
	}
	return pages;
}

// vm_size, vm_rss, vm_swap in KiB.
INLINE void put_memory_of(struct event *e, struct task_struct *task)
{
	struct mm_struct *mm = READ(task, mm);
	put_u32(e, READ(mm, total_vm) * PAGE_KIB);
	s64 resident = rss_count(mm, RSS_FILE) + rss_count(mm, RSS_ANON) + rss_count(mm, RSS_SHMEM);
	put_u32(e, resident * PAGE_KIB);
	put_u32(e, rss_count(mm, RSS_SWAP) * PAGE_KIB);
}

INLINE u32 terminal(struct task_struct *task)
{
	struct signal_struct *signal = READ(task, signal);
	struct tty_struct *tty = READ(signal, tty);
	if (!tty)
		return 0;
	struct tty_driver *driver = READ(tty, driver);
	u32 major = READ(driver, major), minor = READ(driver, minor_start) + READ(tty, index);
	return encode_dev(major << 20 | (minor & 0xfffff));
}

INLINE u32 login_uid(struct task_struct *task)
{
	return FIELD_EXISTS(task->loginuid) ? READ(task, loginuid.val) : (u32)-1;
}

INLINE struct kernfs_node *parent_directory(struct kernfs_node *node)
{
	return FIELD_EXISTS(node->parent) ? READ(node, parent)
					  : READ((struct kernfs_node___since_6_15 *)node, __parent);
}

// The path of a cgroup, with the NUL.
INLINE void add_cgroup_path(struct event *e, struct cgroup *cgroup)
{
	struct kernfs_node *node = READ(cgroup, kn);
	u32 depth = 0;
	for (u32 step = 0; step < 16 && node; step++) {
		struct kernfs_node *parent = parent_directory(node);
		if (!parent)
			break; // the root has no name
		e->scratch->walk[depth & 15] = (u64)READ(node, name);
		depth = FORGET(e->scratch, depth + 1);
		node = parent;
	}
	if (depth == 0)
		ADD(e, u8, '/');
	for (u32 step = 0; step < 16; step++) {
		if (depth == 0)
			break;
		depth--;
		ADD(e, u8, '/');
		if (add_kernel_text(e, (void *)e->scratch->walk[depth & 15], 256))
			e->at--;
	}
	ADD(e, u8, 0);
}

// `controller=/path` of one cgroup controller, with the NUL; returns its cgroup.
INLINE struct cgroup *add_cgroup(struct event *e, struct css_set *set, u32 controller)
{
	struct cgroup_subsys_state *state = NULL;
	bpf_probe_read_kernel(&state, sizeof(state), &set->subsys[controller & 15]);
	struct cgroup_subsys *subsys = READ(state, ss);
	if (!add_kernel_text(e, READ(subsys, name), 32))
		return NULL;
	e->at--;
	ADD(e, u8, '=');
	struct cgroup *cgroup = READ(state, cgroup);
	add_cgroup_path(e, cgroup);
	return cgroup;
}

// The groups of a task, each `controller=/path` with a NUL; returns the number of bytes. The group
// of version 2 comes last as `unified`, where none of these controllers is in its hands.
INLINE u32 add_cgroups(struct event *e, struct task_struct *task)
{
	struct css_set *set = READ(task, cgroups);
	struct cgroup *unified = READ(set, dfl_cgrp);
	e->at = FORGET(e->scratch, e->at);
	u32 start = e->at;
	u64 shown = 0;
#define ADD_CGROUP(id)                                                                             \
	if (ENUM_EXISTS(enum cgroup_subsys_id, id))                                                \
	shown |= add_cgroup(e, set, ENUM_VALUE(enum cgroup_subsys_id, id)) == unified
	ADD_CGROUP(cpuset_cgrp_id);
	ADD_CGROUP(cpu_cgrp_id);
	ADD_CGROUP(cpuacct_cgrp_id);
	ADD_CGROUP(io_cgrp_id);
	ADD_CGROUP(memory_cgrp_id);
#undef ADD_CGROUP
	shown = FORGET(e->scratch, shown);
	struct kernfs_node *node = READ(unified, kn);
	if (!shown && parent_directory(node)) {
		ADD(e, u64, 0x3d64656966696e75); // unified=
		add_cgroup_path(e, unified);
	}
	return e->at - start;
}

INLINE void put_cgroups(struct event *e, struct task_struct *task)
{
	put_len(e, add_cgroups(e, task));
}

// exe and args from the memory of the process, as the kernel put them there. The first string is
// the exe.
INLINE void put_exe_and_args(struct event *e, struct task_struct *task)
{
	struct mm_struct *mm = READ(task, mm);
	u64 from = READ(mm, arg_start), end = READ(mm, arg_end);
	u32 exe = add_user_text(e, from, PATH_LIMIT);
	put_len(e, exe);
	u64 len = end - from - exe;
	if (end < from + exe)
		len = 0;
	u64 limit = exe < PATH_LIMIT ? PATH_LIMIT - exe : 0;
	u32 args = add_user_bytes(e, from + exe, len < limit ? len : limit);
	if (args) {
		e->at--;
		ADD(e, u8, 0); // the last string may be truncated
	}
	put_len(e, args);
}

INLINE void put_environment(struct event *e, struct task_struct *task)
{
	struct mm_struct *mm = READ(task, mm);
	u64 from = READ(mm, env_start), end = READ(mm, env_end);
	u64 len = end > from ? end - from : 0;
	if (!len) {
		// Not the same as one that can't be read.
		ADD(e, u8, 0);
		put_len(e, 1);
		return;
	}
	u32 env = add_user_bytes(e, from, len < PATH_LIMIT ? len : PATH_LIMIT);
	if (env == PATH_LIMIT) {
		e->at -= 4;
		ADD(e, u32, 0x2e2e2e); // "...": there is more
	} else if (env) {
		e->at--;
		ADD(e, u8, 0);
	}
	put_len(e, env);
}

// tid, pid, ptid, cwd (the state knows it), fdlimit, pgft_maj, pgft_min, vm_size, vm_rss, vm_swap,
// comm.
INLINE void put_task(struct event *e, struct task_struct *task)
{
	put_id(e, READ(task, pid));
	put_id(e, READ(task, tgid));
	put_id(e, parent_of(task));
	put_empty(e);
	struct signal_struct *signal = READ(task, signal);
	put_u64(e, READ(signal, rlim[7].rlim_cur)); // RLIMIT_NOFILE
	put_u64(e, READ(task, maj_flt));
	put_u64(e, READ(task, min_flt));
	put_memory_of(e, task);
	put_kernel_text(e, task->comm, 16);
}

INLINE bool is_member(struct cred *cred, u32 group)
{
	struct group_info *groups = READ(cred, group_info);
	u32 left = 0, right = READ(groups, ngroups);
	void *first = (void *)groups + __builtin_preserve_field_info(((struct group_info *)0)->gid, 0);
	for (u32 step = 0; step < 16 && left < right; step++) {
		u32 middle = (left + right) / 2, gid = 0;
		bpf_probe_read_kernel(&gid, sizeof(gid), first + 4 * middle);
		if (gid == group)
			return true;
		if (gid < group)
			left = middle + 1;
		else
			right = middle;
	}
	return false;
}

INLINE bool is_mapped(struct uid_gid_map *map, u32 id)
{
	u32 extents = READ(map, nr_extents);
	if (extents > 5)
		return true; // in another field; CPU maps of this size cover the possible CPUs
	for (u32 i = 0; i < 5; i++) {
		struct uid_gid_extent extent = {};
		bpf_probe_read_kernel(&extent, sizeof(extent), &map->extent[i]);
		if (i < extents && id - extent.lower_first < extent.count)
			return true;
	}
	return false;
}

// Whether the process may write to the file that it executes.
INLINE bool exe_is_writable(struct task_struct *task, struct inode *inode)
{
	enum { READ_ONLY = 1, IMMUTABLE = 8, WRITE = 2 };
	u32 mode = READ(inode, i_mode);
	struct super_block *sb = READ(inode, i_sb);
	u32 kind = mode & 0170000;
	if ((READ(sb, s_flags) & READ_ONLY) &&
	    (kind == 0100000 || kind == 0040000 || kind == 0120000))
		return false;
	if (READ(inode, i_flags) & IMMUTABLE)
		return false;
	u32 uid = READ(inode, i_uid.val), gid = READ(inode, i_gid.val);
	if (uid == (u32)-1 || gid == (u32)-1)
		return false;
	struct cred *cred = READ(task, cred);
	if (READ(cred, fsuid.val) == uid)
		return true;
	if (READ(cred, fsgid.val) == gid || is_member(cred, gid))
		mode >>= 3;
	if (mode & WRITE)
		return true;
	struct user_namespace *ns = READ(cred, user_ns);
	if (!is_mapped(&ns->uid_map, uid))
		return false;
	u64 caps = capabilities(&cred->cap_effective);
	return (caps & 1 << CAP_FOWNER) ||
	       ((caps & 1 << CAP_DAC_OVERRIDE) && is_mapped(&ns->gid_map, gid));
}

INLINE bool is_memfd(struct file *file)
{
	struct dentry *dentry = READ(file, f_path.dentry);
	if (READ(dentry, d_parent) != dentry)
		return false;
	u8 prefix[6] = {};
	bpf_probe_read_kernel(prefix, sizeof(prefix), READ(dentry, d_name.name));
	return prefix[0] == 'm' && prefix[1] == 'e' && prefix[2] == 'm' && prefix[3] == 'f' &&
	       prefix[4] == 'd' && prefix[5] == ':';
}

INLINE u64 nanoseconds(s64 sec, u64 nsec)
{
	return sec < 0 ? 0 : (u64)sec * 1000000000 + nsec;
}

INLINE u64 changed_at(struct inode *inode)
{
	if (FIELD_EXISTS(inode->i_ctime))
		return nanoseconds(READ(inode, i_ctime.tv_sec), READ(inode, i_ctime.tv_nsec));
	struct inode___since_6_6 *since_6_6 = (void *)inode;
	if (FIELD_EXISTS(since_6_6->__i_ctime))
		return nanoseconds(READ(since_6_6, __i_ctime.tv_sec),
				   READ(since_6_6, __i_ctime.tv_nsec));
	// From 6.13 on the highest bit says that the value was queried.
	struct inode___since_6_11 *since_6_11 = (void *)inode;
	return nanoseconds(READ(since_6_11, i_ctime_sec), READ(since_6_11, i_ctime_nsec) & ~(1u << 31));
}

INLINE u64 modified_at(struct inode *inode)
{
	if (FIELD_EXISTS(inode->i_mtime))
		return nanoseconds(READ(inode, i_mtime.tv_sec), READ(inode, i_mtime.tv_nsec));
	struct inode___since_6_7 *since_6_7 = (void *)inode;
	if (FIELD_EXISTS(since_6_7->__i_mtime))
		return nanoseconds(READ(since_6_7, __i_mtime.tv_sec),
				   READ(since_6_7, __i_mtime.tv_nsec));
	struct inode___since_6_11 *since_6_11 = (void *)inode;
	return nanoseconds(READ(since_6_11, i_mtime_sec), READ(since_6_11, i_mtime_nsec));
}
