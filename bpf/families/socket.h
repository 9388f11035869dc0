// Parameters of socket events beyond the arguments of the call.
#pragma once
#include "../collector.h"

INLINE void put_connect_tuple(struct event *e, struct call *c)
{
	if (c->ret == 0 || c->ret == -EINPROGRESS)
		// The kernel knows both ends.
		put_tuple(e, c->args[0], OUTBOUND, (struct given){});
	else
		put_empty(e);
}

// `send` and `recv` are `sendto` and `recvfrom` without an address.
INLINE void put_sent_tuple(struct event *e, struct call *c)
{
	if (c->ret >= 0)
		put_tuple(e, c->args[0], OUTBOUND, (struct given){c->args[4], c->args[5]});
	else
		put_empty(e);
}

INLINE void put_received_tuple(struct event *e, struct call *c)
{
	if (c->ret >= 0)
		put_tuple(e, c->args[0], INBOUND, (struct given){c->args[4], user_u32(c->args[5])});
	else
		put_empty(e);
}

// fd1, fd2 and the two addresses.
INLINE void put_socketpair(struct event *e, struct call *c)
{
	s32 fds[2] = {-1, -1};
	struct unix_sock *source = NULL;
	u64 peer = 0;
	if (c->ret == 0) {
		bpf_probe_read_user(fds, sizeof(fds), (void *)c->args[3]);
		source = (void *)sock_of_fd(fds[0]);
		peer = (u64)READ(source, peer);
	}
	put_id(e, fds[0]);
	put_id(e, fds[1]);
	put_u64(e, (u64)source);
	put_u64(e, peer);
}

// tuple, queuepct, queuelen, queuemax.
INLINE void put_accepted(struct event *e, struct call *c)
{
	u32 len = 0, max = 0;
	if (c->ret >= 0) {
		put_tuple(e, c->ret, INBOUND, (struct given){});
		struct sock *listener = sock_of_fd(c->args[0]);
		struct window window = WINDOW(listener, sk_ack_backlog);
		len = IN_WINDOW(window, listener, sk_ack_backlog, sk_ack_backlog);
		max = IN_WINDOW(window, listener, sk_ack_backlog, sk_max_ack_backlog);
	} else {
		put_empty(e);
	}
	put_u8(e, len && max ? (u64)len * 100 / max : 0);
	put_u32(e, len);
	put_u32(e, max);
}

INLINE void put_option_name(struct event *e, struct call *c)
{
	put_u8(e, (u32)c->args[1] == SOL_SOCKET ? to_sockopt_options(c->args[2]) : 0);
}

// Kinds of option values, as the format numbers them.
enum { OPTION_UNKNOWN, OPTION_ERRNO, OPTION_UINT32, OPTION_UINT64, OPTION_TIMEVAL };

// Options of sockets up to INCOMING_CPU are 32-bit numbers, but for these: ERROR, LINGER, PEERCRED,
// timeouts, ATTACH_FILTER and PEERNAME.
INLINE bool is_number(u32 name)
{
	const u64 others = 1 | 1 << 4 | 1 << 13 | 1 << 17 | 3 << 20 | 1 << 26 | 1 << 28;
	return name < 50 && !(others >> name & 1);
}

INLINE void put_option(struct event *e, struct call *c, u32 len)
{
	u32 start = e->at, name = c->args[2];
	u64 from = c->args[3];
	bool socket = (u32)c->args[1] == SOL_SOCKET;
	if (socket && name == SO_ERROR) {
		ADD(e, u8, OPTION_ERRNO);
		ADD(e, s64, -(s64)(s32)user_u32(from));
	} else if (socket && (name == SO_RCVTIMEO || name == SO_SNDTIMEO ||
			      name == SO_RCVTIMEO_NEW || name == SO_SNDTIMEO_NEW)) {
		u64 sec = user_u64(from), usec = user_u64(from + 8);
		ADD(e, u8, OPTION_TIMEVAL);
		ADD(e, u64, sec * 1000000000 + usec * 1000);
	} else if (socket && name == SO_COOKIE) {
		ADD(e, u8, OPTION_UINT64);
		ADD(e, u64, user_u64(from));
	} else if (socket && is_number(name)) {
		ADD(e, u8, OPTION_UINT32);
		ADD(e, u32, user_u32(from));
	} else {
		ADD(e, u8, OPTION_UNKNOWN);
		add_user_bytes(e, from, len);
	}
	put_len(e, e->at - start);
}

INLINE void put_set_option(struct event *e, struct call *c)
{
	put_option(e, c, c->args[4]);
}

INLINE void put_get_option(struct event *e, struct call *c)
{
	u32 len = user_u32(c->args[4]);
	put_option(e, c, len);
	put_u32(e, len);
}

// data, fd, size, tuple.
INLINE void put_sendmsg(struct event *e, struct call *c)
{
	struct msghdr header = {};
	if (!read_msghdr(e->scratch, c->args[1], &header)) {
		put_empty(e);
		put_id(e, c->args[0]);
		put_empty(e);
		put_empty(e);
		return;
	}
	struct iovecs iov = read_iovecs(e->scratch, header.iov, header.iovlen);
	put_iov_data(e, &iov, c->ret > 0 ? c->ret : EVENT_LIMIT);
	put_id(e, c->args[0]);
	put_u32(e, iov.size);
	if (c->ret >= 0)
		put_tuple(e, c->args[0], OUTBOUND, (struct given){header.name, header.namelen});
	else
		put_empty(e);
}

INLINE void put_control(struct event *e, struct msghdr *header)
{
	bool some = header->control && header->controllen > 0 && header->controllen < EVENT_LIMIT;
	put_user_bytes(e, header->control, some ? header->controllen : 0);
}

// size, data, tuple, msgcontrol.
INLINE void put_recvmsg(struct event *e, struct call *c)
{
	struct msghdr header = {};
	if (c->ret < 0) {
		put_u32(e, 0);
		put_empty(e);
		put_empty(e);
		put_empty(e);
		return;
	}
	put_u32(e, c->ret);
	read_msghdr(e->scratch, c->args[1], &header);
	struct iovecs iov = read_iovecs(e->scratch, header.iov, header.iovlen);
	put_iov_data(e, &iov, c->ret);
	put_tuple(e, c->args[0], INBOUND, (struct given){header.name, header.namelen});
	put_control(e, &header);
}

// Calls with several messages produce one event per message.
struct message {
	struct msghdr header;
	u32 len;
};

INLINE struct message read_message(struct scratch *s, u32 index)
{
	struct message m = {};
	u64 header = s->call.is32 ? sizeof(struct msghdr32) : sizeof(struct msghdr) + 8;
	u64 from = s->call.args[1] + index * (header + (s->call.is32 ? 4 : 8));
	read_msghdr(s, from, &m.header);
	m.len = user_u32(from + header);
	return m;
}

INLINE void put_sent_message(struct event *e, struct call *c, u32 index)
{
	struct message m = read_message(e->scratch, index);
	put_u64(e, m.len);
	put_id(e, c->args[0]);
	struct iovecs iov = read_iovecs(e->scratch, m.header.iov, m.header.iovlen);
	put_u32(e, iov.size);
	put_iov_data(e, &iov, m.len);
	put_tuple(e, c->args[0], OUTBOUND, (struct given){m.header.name, m.header.namelen});
}

INLINE void put_received_message(struct event *e, struct call *c, u32 index)
{
	struct message m = read_message(e->scratch, index);
	put_u64(e, m.len);
	put_id(e, c->args[0]);
	put_u32(e, m.len);
	struct iovecs iov = read_iovecs(e->scratch, m.header.iov, m.header.iovlen);
	put_iov_data(e, &iov, m.len);
	put_tuple(e, c->args[0], INBOUND, (struct given){m.header.name, m.header.namelen});
	put_control(e, &m.header);
}

COLLECT_EACH(sendmmsg, SOCKET_SENDMMSG_X)
{
	if (c->ret > 0) {
		put_sent_message(e, c, c->round);
		return;
	}
	put_u64(e, c->ret);
	put_id(e, c->args[0]);
	put_u32(e, 0);
	put_empty(e);
	put_empty(e);
}

COLLECT_EACH(recvmmsg, SOCKET_RECVMMSG_X)
{
	if (c->ret > 0) {
		put_received_message(e, c, c->round);
		return;
	}
	put_u64(e, c->ret);
	put_id(e, c->args[0]);
	put_u32(e, 0);
	put_empty(e);
	put_empty(e);
	put_empty(e);
}
