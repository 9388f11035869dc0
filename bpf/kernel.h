// The fields of kernel structures that are read, and no others. Their offsets come from the running
// kernel (CO-RE); `___since_X` is a structure as it is from version X on.
#pragma once
#include "helpers.h"

// Part of the event format, so not relocated.
struct in6 {
	u32 words[4];
};

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

#if defined(__TARGET_ARCH_x86)
struct pt_regs {
	unsigned long r10, r9, r8, cx, dx, si, di, bx, bp, orig_ax, ip;
};
struct thread_info {
	u32 status;
};
#elif defined(__TARGET_ARCH_arm64)
struct user_pt_regs {
	u64 regs[31];
	u64 pc;
};
struct pt_regs {
	u64 regs[31];
	u64 pc;
	u64 orig_x0;
	s32 syscallno;
};
struct thread_info {
	unsigned long flags;
};
#endif

typedef struct {
	int counter;
} atomic_t;
typedef struct {
	s64 counter;
} atomic64_t;
typedef struct {
	u32 val;
} kuid_t;
typedef struct {
	u32 val;
} kgid_t;
struct list_head {
	struct list_head *next;
};
struct timespec64 {
	s64 tv_sec;
	long tv_nsec;
};

// Processes.
struct pid_namespace {
	struct task_struct *child_reaper;
	u32 level;
};
struct upid {
	int nr;
	struct pid_namespace *ns;
};
struct pid {
	u32 level;
	struct upid numbers[1];
};
enum { PID_OF_GROUP = 1, PID_OF_PROCESS_GROUP = 2, PID_OF_SESSION = 3 };
struct tty_driver {
	int major, minor_start;
};
struct tty_struct {
	struct tty_driver *driver;
	int index;
};
struct rlimit {
	unsigned long rlim_cur, rlim_max;
};
struct signal_struct {
	struct list_head thread_head;
	struct pid *pids[4];
	struct tty_struct *tty;
	struct rlimit rlim[16];
	u32 is_child_subreaper : 1;
	u32 has_child_subreaper : 1;
};
struct kernel_cap_struct {
	u32 cap[2];
};
typedef struct kernel_cap_struct kernel_cap_t;
typedef struct {
	u64 val;
} kernel_cap_t___since_6_3;
struct uid_gid_extent {
	u32 first, lower_first, count;
};
struct uid_gid_map {
	u32 nr_extents;
	struct uid_gid_extent extent[5];
};
struct user_namespace {
	struct uid_gid_map uid_map, gid_map;
};
struct group_info {
	int ngroups;
	kgid_t gid[1];
};
struct cred {
	kuid_t euid, fsuid;
	kgid_t egid, fsgid;
	kernel_cap_t cap_inheritable, cap_permitted, cap_effective;
	struct user_namespace *user_ns;
	struct group_info *group_info;
};
struct nsproxy {
	struct pid_namespace *pid_ns_for_children;
};

// Memory.
enum { RSS_FILE = 0, RSS_ANON = 1, RSS_SWAP = 2, RSS_SHMEM = 3 };
struct mm_rss_stat {
	atomic64_t count[4];
};
struct mm_struct {
	unsigned long total_vm, arg_start, arg_end, env_start, env_end;
	struct mm_rss_stat rss_stat;
	struct file *exe_file;
};
struct percpu_counter {
	s64 count;
};
struct mm_struct___since_6_2 {
	struct percpu_counter rss_stat[4];
};

// Files.
struct super_block {
	u32 s_dev;
	unsigned long s_flags, s_magic;
};
struct inode {
	u16 i_mode;
	kuid_t i_uid;
	kgid_t i_gid;
	u32 i_flags;
	struct super_block *i_sb;
	unsigned long i_ino;
	struct timespec64 i_ctime, i_mtime;
};
struct inode___since_6_6 {
	struct timespec64 __i_ctime;
};
struct inode___since_6_7 {
	struct timespec64 __i_mtime;
};
struct inode___since_6_11 {
	s64 i_ctime_sec, i_mtime_sec;
	u32 i_ctime_nsec, i_mtime_nsec;
};
struct qstr {
	u32 len;
	const u8 *name;
};
struct dentry {
	struct dentry *d_parent;
	struct qstr d_name;
	struct inode *d_inode;
	struct super_block *d_sb;
};
struct vfsmount {
	struct dentry *mnt_root;
};
struct mount {
	struct mount *mnt_parent;
	struct dentry *mnt_mountpoint;
	struct vfsmount mnt;
};
struct path {
	struct vfsmount *mnt;
	struct dentry *dentry;
};
struct file {
	struct path f_path;
	struct inode *f_inode;
	const void *f_op;
	u32 f_mode;
	void *private_data;
};
struct fdtable {
	u32 max_fds;
	struct file **fd;
};
struct files_struct {
	struct fdtable *fdt;
};
struct fs_struct {
	struct path root, pwd;
};

// Cgroups.
struct kernfs_node {
	struct kernfs_node *parent;
	const char *name;
	u64 id;
};
struct kernfs_node___since_6_15 {
	struct kernfs_node *__parent;
};
struct cgroup {
	struct kernfs_node *kn;
};
struct cgroup_subsys {
	const char *name;
};
struct cgroup_subsys_state {
	struct cgroup *cgroup;
	struct cgroup_subsys *ss;
};
struct css_set {
	struct cgroup_subsys_state *subsys[16];
	struct cgroup *dfl_cgrp;
};
enum cgroup_subsys_id {
	cpuset_cgrp_id,
	cpu_cgrp_id,
	cpuacct_cgrp_id,
	io_cgrp_id,
	memory_cgrp_id,
};

struct task_struct {
	struct thread_info thread_info;
	u32 flags;
	int pid, tgid, exit_code;
	struct task_struct *real_parent;
	struct list_head children, thread_node;
	struct task_struct *group_leader;
	struct pid *thread_pid;
	struct signal_struct *signal;
	struct mm_struct *mm;
	struct fs_struct *fs;
	struct files_struct *files;
	struct cred *cred;
	struct nsproxy *nsproxy;
	struct css_set *cgroups;
	unsigned long min_flt, maj_flt;
	u64 start_boottime;
	kuid_t loginuid;
	char comm[16];
};
struct linux_binprm {
	const char *filename;
};

// Sockets.
struct ipv6_pinfo {
	struct in6 saddr;
};
struct sock_common {
	u16 skc_family, skc_dport;
	u32 skc_daddr;
	struct in6 skc_v6_daddr;
};
struct sock {
	struct sock_common __sk_common;
	u32 sk_ack_backlog, sk_max_ack_backlog;
	u16 sk_type;
};
struct inet_sock {
	struct ipv6_pinfo *pinet6;
	u32 inet_saddr;
	u16 inet_sport;
};
struct sockaddr_un {
	u16 sun_family;
	char sun_path[108];
};
struct unix_address {
	int len;
	struct sockaddr_un name[1];
};
struct unix_sock {
	struct unix_address *addr;
	struct sock *peer;
};
struct proto_ops;
struct socket {
	struct file *file;
	struct sock *sk;
};

// Signals.
struct kernel_siginfo {
	int si_signo, si_errno, si_code;
};

#pragma clang attribute pop
