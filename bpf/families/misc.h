// Parameters of other events beyond the arguments of the call: memory, limits, files, credentials,
// modules.
#pragma once
#include "../collector.h"

INLINE void put_pipe(struct event *e, struct call *c)
{
	s32 fds[2] = {-1, -1};
	if (bpf_probe_read_user(fds, sizeof(fds), (void *)c->args[0]))
		fds[0] = fds[1] = -1;
	put_id(e, fds[0]);
	put_id(e, fds[1]);
	put_u64(e, c->ret == 0 ? ino_of_fd(fds[0]) : 0);
}

// size and data of what was read.
INLINE void put_read_iov(struct event *e, struct call *c)
{
	if (c->ret <= 0) {
		put_u32(e, 0);
		put_empty(e);
		return;
	}
	put_u32(e, c->ret);
	struct iovecs iov = read_iovecs(e->scratch, c->args[1], c->args[2]);
	put_iov_data(e, &iov, c->ret);
}

// data, fd, size of what was written.
INLINE void put_write_iov(struct event *e, struct call *c)
{
	struct iovecs iov = read_iovecs(e->scratch, c->args[1], c->args[2]);
	put_iov_data(e, &iov, c->ret > 0 ? c->ret : EVENT_LIMIT);
	put_id(e, c->args[0]);
	put_u32(e, iov.size);
}

INLINE void put_vm_data(struct event *e, struct call *c)
{
	if (c->ret <= 0) {
		put_empty(e);
		return;
	}
	struct iovecs iov = read_iovecs(e->scratch, c->args[1], c->args[2]);
	put_iov_data(e, &iov, c->ret);
}

struct pollfd {
	s32 fd;
	u16 events, revents;
};
enum { POLL_LIMIT = 16, POLL_KNOWN = 0x2fff };

// The format numbers poll events without the gap of the kernel's numbers.
INLINE u16 poll_flags(u16 v)
{
	u16 r = 0;
	r |= v & 0x001 ? POLL_FLAGS_POLLIN : 0;
	r |= v & 0x002 ? POLL_FLAGS_POLLPRI : 0;
	r |= v & 0x004 ? POLL_FLAGS_POLLOUT : 0;
	r |= v & 0x2000 ? POLL_FLAGS_POLLRDHUP : 0;
	r |= v & 0x008 ? POLL_FLAGS_POLLERR : 0;
	r |= v & 0x010 ? POLL_FLAGS_POLLHUP : 0;
	r |= v & 0x020 ? POLL_FLAGS_POLLNVAL : 0;
	r |= v & 0x040 ? POLL_FLAGS_POLLRDNORM : 0;
	r |= v & 0x080 ? POLL_FLAGS_POLLRDBAND : 0;
	r |= v & 0x100 ? POLL_FLAGS_POLLWRNORM : 0;
	r |= v & 0x200 ? POLL_FLAGS_POLLWRBAND : 0;
	return r;
}

INLINE void put_poll_fds(struct event *e, struct call *c)
{
	u32 start = e->at, count = c->args[1] < POLL_LIMIT ? c->args[1] : POLL_LIMIT;
	ADD(e, u16, count);
	for (u32 i = 0; i < POLL_LIMIT; i++) {
		if (i >= count)
			break;
		struct pollfd fd = {};
		bpf_probe_read_user(&fd, sizeof(fd), (void *)(c->args[0] + sizeof(fd) * i));
		ADD(e, s64, fd.fd);
		ADD(e, u16, poll_flags(fd.revents));
	}
	put_len(e, e->at - start);
}

// Limits: `cur` and `max`.
INLINE void put_limits(struct event *e, struct call *c, u64 from)
{
	if (c->is32) {
		put_u64(e, user_u32(from));
		put_u64(e, user_u32(from + 4));
	} else {
		put_u64(e, user_u64(from));
		put_u64(e, user_u64(from + 8));
	}
}

INLINE void put_no_limits(struct event *e)
{
	put_u64(e, -1);
	put_u64(e, -1);
}

INLINE void put_getrlimit(struct event *e, struct call *c)
{
	if (c->ret == 0)
		put_limits(e, c, c->args[1]);
	else
		put_no_limits(e);
}

INLINE void put_setrlimit(struct event *e, struct call *c)
{
	put_limits(e, c, c->args[1]);
}

INLINE void put_prlimit(struct event *e, struct call *c)
{
	put_u64(e, user_u64(c->args[2]));
	put_u64(e, user_u64(c->args[2] + 8));
	if (c->ret == 0) {
		put_u64(e, user_u64(c->args[3]));
		put_u64(e, user_u64(c->args[3] + 8));
	} else {
		put_no_limits(e);
	}
}

// Named apart from `put_memory` of task.h, which takes any task.
#define put_memory(e, c) put_memory_of(e, current_task())

// Kinds of ptrace's values, as the format numbers them.
enum { PTRACE_VALUE_U64, PTRACE_VALUE_SIGNAL };

INLINE void put_ptrace_addr(struct event *e, struct call *c)
{
	ADD(e, u8, PTRACE_VALUE_U64);
	ADD(e, u64, c->ret < 0 ? 0 : c->args[2]);
	put_len(e, 9);
}

INLINE void put_ptrace_data(struct event *e, struct call *c)
{
	u32 start = e->at, request = c->args[0];
	if (c->ret >= 0 && (request == PTRACE_CONT || request == PTRACE_SINGLESTEP ||
			    request == PTRACE_DETACH || request == PTRACE_SYSCALL)) {
		ADD(e, u8, PTRACE_VALUE_SIGNAL);
		ADD(e, u8, c->args[3]);
	} else {
		bool peek = request == PTRACE_PEEKTEXT || request == PTRACE_PEEKDATA ||
			    request == PTRACE_PEEKUSR;
		u64 data = peek ? user_u64(c->args[3]) : c->args[3];
		ADD(e, u8, PTRACE_VALUE_U64);
		ADD(e, u64, c->ret < 0 ? 0 : data);
	}
	put_len(e, e->at - start);
}

INLINE void put_mount_flags(struct event *e, struct call *c)
{
	u32 flags = c->args[3];
	put_u32(e, (flags & 0xffff0000) == 0xc0ed0000 ? flags & 0xffff : flags);
}

INLINE void put_capabilities(struct event *e, struct call *c)
{
	struct cred *cred = READ(current_task(), cred);
	put_u64(e, capabilities(&cred->cap_inheritable));
	put_u64(e, capabilities(&cred->cap_permitted));
	put_u64(e, capabilities(&cred->cap_effective));
}

// arg2 as a text, arg2 as a number.
INLINE void put_prctl(struct event *e, struct call *c)
{
	u32 option = c->args[0];
	if (option == PR_SET_NAME || option == PR_GET_NAME) {
		put_path(e, c->args[1]);
		put_u64(e, 0);
	} else {
		put_empty(e);
		put_u64(e, option == PR_GET_CHILD_SUBREAPER ? (s64)(s32)user_u32(c->args[1])
							    : c->args[1]);
	}
}

struct sembuf {
	u16 num;
	s16 op;
	u16 flags;
};

// The first two operations: number, operation, flags of each.
INLINE void put_sembufs(struct event *e, struct call *c)
{
	struct sembuf ops[2] = {};
	u32 count = c->args[2];
	if (c->ret == 0 && c->args[1] && count)
		bpf_probe_read_user(ops, count > 1 ? 12 : 6, (void *)c->args[1]);
	for (u32 i = 0; i < 2; i++) {
		put_u16(e, ops[i].num);
		put_u16(e, ops[i].op);
		put_u16(e, to_semop_flags(ops[i].flags));
	}
}

INLINE void put_semctl_val(struct event *e, struct call *c)
{
	put_u32(e, (u16)c->args[2] == SETVAL ? c->args[3] : 0);
}

struct io_uring_params {
	u32 sq_entries, cq_entries, flags, sq_thread_cpu, sq_thread_idle, features;
};

INLINE void put_io_uring_params(struct event *e, struct call *c)
{
	struct io_uring_params p = {};
	bpf_probe_read_user(&p, sizeof(p), (void *)c->args[1]);
	put_u32(e, p.sq_entries);
	put_u32(e, p.cq_entries);
	put_u32(e, to_io_uring_setup_flags(p.flags));
	put_u32(e, p.sq_thread_cpu);
	put_u32(e, p.sq_thread_idle);
	put_u32(e, to_io_uring_setup_feats(p.features));
}

// The value as bytes, the value as a text.
INLINE void put_fsconfig_value(struct event *e, struct call *c)
{
	u32 command = c->args[1];
	bool bytes = c->ret >= 0 && command == FSCONFIG_SET_BINARY;
	bool text = c->ret >= 0 && (command == FSCONFIG_SET_STRING || command == FSCONFIG_SET_PATH ||
				    command == FSCONFIG_SET_PATH_EMPTY);
	put_user_bytes(e, c->args[3], bytes ? c->args[4] : 0);
	put_path(e, text ? c->args[3] : 0);
}

struct quota {
	u64 bhard, bsoft, curspace, ihard, isoft, inodes, btime, itime;
	u32 valid;
};
struct quota_info {
	u64 bgrace, igrace;
	u32 flags, valid;
};

INLINE void put_quota(struct event *e, struct call *c)
{
	enum { BLIMITS = 1, SPACE = 2, ILIMITS = 4, BTIME = 16, ITIME = 32 };
	enum { BGRACE = 1, IGRACE = 2, FLAGS = 4 };
	u32 command = to_quotactl_cmds((u32)c->args[0] >> 8);
	bool on = command == QUOTACTL_CMDS_Q_QUOTAON;
	struct quota q = {};
	struct quota_info info = {};
	u32 format = 0;
	if (command == QUOTACTL_CMDS_Q_GETQUOTA || command == QUOTACTL_CMDS_Q_SETQUOTA)
		bpf_probe_read_user(&q, sizeof(q), (void *)c->args[3]);
	if (command == QUOTACTL_CMDS_Q_GETINFO || command == QUOTACTL_CMDS_Q_SETINFO)
		bpf_probe_read_user(&info, sizeof(info), (void *)c->args[3]);
	if (command == QUOTACTL_CMDS_Q_GETFMT)
		format = user_u32(c->args[3]);

	put_path(e, on ? c->args[3] : 0);
	put_u64(e, q.valid & BLIMITS ? q.bhard : 0);
	put_u64(e, q.valid & BLIMITS ? q.bsoft : 0);
	put_u64(e, q.valid & SPACE ? q.curspace : 0);
	put_u64(e, q.valid & ILIMITS ? q.ihard : 0);
	put_u64(e, q.valid & ILIMITS ? q.isoft : 0);
	put_u64(e, q.valid & BTIME ? q.btime : 0);
	put_u64(e, q.valid & ITIME ? q.itime : 0);
	put_u64(e, info.valid & BGRACE ? info.bgrace : 0);
	put_u64(e, info.valid & IGRACE ? info.igrace : 0);
	put_u8(e, info.valid & FLAGS ? info.flags : 0);
	put_u8(e, to_quotactl_quota_fmts(format));
	put_u16(e, command);
	put_u8(e, to_quotactl_types(c->args[0] & 0xff));
	bool of_id = command == QUOTACTL_CMDS_Q_GETQUOTA || command == QUOTACTL_CMDS_Q_SETQUOTA ||
		     command == QUOTACTL_CMDS_Q_XGETQUOTA || command == QUOTACTL_CMDS_Q_XSETQLIM;
	put_u32(e, of_id ? c->args[2] : 0);
	put_u8(e, to_quotactl_quota_fmts(on ? c->args[2] : 0));
}

// Which arguments each keyctl operation uses: a low bit for a number, a high bit for a string.
enum { KEY_NUMBER, KEY_TEXT };
enum { N2 = 1, N3 = 2, N4 = 4, N5 = 8, T2 = 16, T3 = 32, T4 = 64 };

INLINE u32 key_arguments(u32 operation)
{
	switch (operation) {
	case 1: // JOIN_SESSION_KEYRING
		return T2;
	case 3: case 7: case 14: case 16: case 21: // REVOKE CLEAR SET_REQKEY_KEYRING ASSUME_AUTHORITY INVALIDATE
		return N2;
	case 0: case 5: case 8: case 9: case 15: case 22: case 31:
		// GET_KEYRING_ID SETPERM LINK UNLINK SET_TIMEOUT GET_PERSISTENT CAPABILITIES
		return N2 | N3;
	case 2: case 4: case 6: case 11: case 13: case 17: case 32:
		// UPDATE CHOWN DESCRIBE READ NEGATE GET_SECURITY WATCH_KEY
		return N2 | N3 | N4;
	case 29: // RESTRICT_KEYRING
		return N2 | T3 | T4;
	case 24: // PKEY_QUERY
		return N2 | N3 | T4;
	case 10: // SEARCH
		return N2 | T3 | T4 | N5;
	case 12: case 19: case 20: case 23: case 30: // INSTANTIATE REJECT INSTANTIATE_IOV DH_COMPUTE MOVE
		return N2 | N3 | N4 | N5;
	case 25: case 26: case 27: case 28: // PKEY_ENCRYPT PKEY_DECRYPT PKEY_SIGN PKEY_VERIFY
		return N2 | T3 | N4 | N5;
	default: // SESSION_TO_PARENT and unknown operations
		return 0;
	}
}

INLINE void put_key_argument(struct event *e, u64 arg, bool number, bool text)
{
	u32 start = e->at;
	if (text) {
		ADD(e, u8, KEY_TEXT);
		if (arg)
			add_user_text(e, arg, PATH_LIMIT);
	} else {
		ADD(e, u8, KEY_NUMBER);
		ADD(e, u64, number ? arg : 0);
	}
	put_len(e, e->at - start);
}

INLINE void put_keyctl(struct event *e, struct call *c)
{
	u32 has = key_arguments(c->args[0]);
	put_key_argument(e, c->args[1], has & N2, has & T2);
	put_key_argument(e, c->args[2], has & N3, has & T3);
	put_key_argument(e, c->args[3], has & N4, has & T4);
	put_key_argument(e, c->args[4], has & N5, false);
}

enum { CURRENT_DIRECTORY = -100 };

// An argument by its number plus one; 0 stands for none.
INLINE u64 argument(struct call *c, u32 number, u64 none)
{
	u64 value = none;
	for (u32 i = 0; i < 6; i++)
		if (number == i + 1)
			value = c->args[i];
	return value;
}

INLINE void put_argument_path(struct event *e, struct call *c, u32 which)
{
	put_id(e, argument(c, which & 7, CURRENT_DIRECTORY));
	put_path(e, argument(c, which >> 3 & 7, 0));
}

// Any syscall that has no event of its own. If it succeeds, its paths follow the parameters of the
// format.
COLLECT(generic, GENERIC_X)
{
	u32 id = c->id;
	u32 *known = bpf_map_lookup_elem(&syscall_codes, &id);
	u32 entry = known ? *known : 0;
	u32 one = c->ret >= 0 ? entry >> 16 & 63 : 0, two = one ? entry >> 22 & 63 : 0;
	begin(e, e->scratch, EVENT_GENERIC_X, two ? 6 : one ? 4 : 2, GENERIC_X_CLASS);
	put_u16(e, entry);
	put_u16(e, id);
	if (one)
		put_argument_path(e, c, one);
	if (two)
		put_argument_path(e, c, two);
}
