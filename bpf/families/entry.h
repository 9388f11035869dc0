// The arguments of five calls at their entry: at their exit another thread may have changed them.
#pragma once
#include "open.h"
#include "process.h"

// The context of tracepoints at the entry of a system call.
struct entry {
	u64 common, number, args[6];
};

#define ENTRY(call, id, class)                                                                     \
	INLINE void write_##call##_entry(struct event *e, struct entry *c);                        \
	SEC("tracepoint/syscalls/sys_enter_" #call) int enter_##call(struct entry *c)              \
	{                                                                                          \
		struct event e;                                                                    \
		if (!BEGIN_TRACED(&e, id, class))                                                  \
			return 0;                                                                  \
		write_##call##_entry(&e, c);                                                       \
		submit(&e, &data_rings);                                                           \
		return 0;                                                                          \
	}                                                                                          \
	INLINE void write_##call##_entry(struct event *e, struct entry *c)

ENTRY(open, SYSCALL_OPEN_E, OPEN)
{
	put_path(e, c->args[0]);
	put_u32(e, to_file_flags(c->args[1]));
	put_u32(e, creation_mode(c->args[1], c->args[2]));
}

ENTRY(openat, SYSCALL_OPENAT_2_E, OPEN)
{
	put_id(e, c->args[0]);
	put_path(e, c->args[1]);
	put_u32(e, to_file_flags(c->args[2]));
	put_u32(e, creation_mode(c->args[2], c->args[3]));
}

ENTRY(openat2, SYSCALL_OPENAT2_E, OPEN)
{
	u64 flags = user_u64(c->args[2]), mode = user_u64(c->args[2] + 8);
	put_id(e, c->args[0]);
	put_path(e, c->args[1]);
	put_u32(e, to_file_flags(flags));
	put_u32(e, creation_mode(flags, mode));
	put_u32(e, to_openat2_flags(user_u64(c->args[2] + 16)));
}

ENTRY(creat, SYSCALL_CREAT_E, OPEN)
{
	put_path(e, c->args[0]);
	put_u32(e, creation_mode(O_CREAT, c->args[1]));
}

ENTRY(connect, SOCKET_CONNECT_E, CONNECT)
{
	put_id(e, c->args[0]);
	put_sockaddr(e, c->args[1], c->args[2]);
}
