// Sockets: addresses, tuples, options, messages.
#pragma once
#include "file.h"

enum { FAMILY_NONE = 0, FAMILY_UNIX = 1, FAMILY_INET = 2, FAMILY_INET6 = 10 };
enum direction { OUTBOUND, INBOUND };
enum { SUN_PATH = 108, SOCK_STREAM = 1, SOCK_RAW = 3 };
// The shortest address of a family that the kernel accepts.
enum { ADDRESS_IN = 16, ADDRESS_IN6 = 24, ADDRESS_UNIX = 2 };

// An address in the caller's memory.
struct given {
	u64 at;
	u32 len;
};

struct address_in {
	u16 family, port;
	u32 addr;
};
struct address_in6 {
	u16 family, port;
	u32 flow;
	u32 addr[4];
};

INLINE u16 swap16(u16 v)
{
	return __builtin_bswap16(v);
}

INLINE struct sock *sock_of_fd(s32 fd)
{
	struct file *file = file_of_fd(fd);
	if (!file)
		return NULL;
	// Only the private data of a socket points back to its file.
	struct socket *socket = READ(file, private_data);
	struct window window = WINDOW(socket, file);
	if (IN_WINDOW(window, socket, file, file) != file)
		return NULL;
	return IN_WINDOW(window, socket, file, sk);
}

#define ADD_IN6(e, address)                                                                        \
	({                                                                                         \
		ADD(e, u32, (address).words[0]);                                                   \
		ADD(e, u32, (address).words[1]);                                                   \
		ADD(e, u32, (address).words[2]);                                                   \
		ADD(e, u32, (address).words[3]);                                                   \
	})

// The NUL that marks an abstract address becomes `@`, as in /proc/net/unix: it is no file. Names
// need not end with one.
INLINE void add_unix_path(struct event *e, const char *path, u32 len)
{
	char first = 0;
	bpf_probe_read_kernel(&first, 1, path);
	u32 limit = (len < SUN_PATH ? len : SUN_PATH) + 1; // and its NUL
	if (!first && limit > 1) {
		ADD(e, u8, '@');
		path++;
		limit--;
	}
	OPAQUE(limit);
	limit &= 127;
	add_kernel_text(e, path, limit);
}

// A datagram may name its own destination, whatever its socket is connected to.
INLINE bool given_counts(struct sock *sk, u16 remote_port, struct given given)
{
	return given.at && (remote_port == 0 || READ(sk, sk_type) != SOCK_STREAM);
}

#define COMMON(sk) WINDOW(sk, __sk_common.skc_daddr)
#define IN_COMMON(field) IN_WINDOW(common, sk, __sk_common.skc_daddr, __sk_common.field)

INLINE void add_tuple_in(struct event *e, struct sock *sk, struct window common, enum direction direction,
			 struct given given)
{
	struct inet_sock *inet = (void *)sk;
	struct window window = WINDOW(inet, inet_saddr);
	u32 local = IN_WINDOW(window, inet, inet_saddr, inet_saddr), remote = IN_COMMON(skc_daddr);
	u16 local_port = IN_WINDOW(window, inet, inet_saddr, inet_sport);
	u16 remote_port = IN_COMMON(skc_dport);
	if (given_counts(sk, remote_port, given)) {
		struct address_in address = {};
		bpf_probe_read_user(&address, sizeof(address), (void *)given.at);
		// Sending without a family, the kernel takes the address for one of IPv4.
		bool taken = address.family == FAMILY_INET || (direction == OUTBOUND && address.family == FAMILY_NONE);
		if (taken && given.len >= ADDRESS_IN) {
			remote = address.addr;
			remote_port = address.port;
		}
	}
	bool out = direction == OUTBOUND;
	ADD(e, u8, FAMILY_INET);
	ADD(e, u32, out ? local : remote);
	ADD(e, u16, swap16(out ? local_port : remote_port));
	ADD(e, u32, out ? remote : local);
	ADD(e, u16, swap16(out ? remote_port : local_port));
}

INLINE void add_tuple_in6(struct event *e, struct sock *sk, enum direction direction, struct given given)
{
	struct inet_sock *inet = (void *)sk;
	struct ipv6_pinfo *info = READ(inet, pinet6);
	struct in6 local = READ(info, saddr), remote = READ(sk, __sk_common.skc_v6_daddr);
	u16 local_port = READ(inet, inet_sport), remote_port = READ(sk, __sk_common.skc_dport);
	if (given_counts(sk, remote_port, given)) {
		struct address_in6 address = {};
		bpf_probe_read_user(&address, sizeof(address), (void *)given.at);
		// Without a family, raw sockets take the address for one of IPv6; others ignore it.
		bool taken = address.family == FAMILY_INET6 ||
			     (direction == OUTBOUND && address.family == FAMILY_NONE && READ(sk, sk_type) == SOCK_RAW);
		if (taken && given.len >= ADDRESS_IN6) {
			__builtin_memcpy(&remote, address.addr, sizeof(remote));
			remote_port = address.port;
		} else if (address.family == FAMILY_INET && given.len >= ADDRESS_IN) {
			remote.words[0] = remote.words[1] = 0;
			remote.words[2] = 0xffff0000;
			remote.words[3] = address.flow; // the IPv4 address is at this offset
			remote_port = address.port;
		}
	}
	ADD(e, u8, FAMILY_INET6);
	if (direction == OUTBOUND) {
		ADD_IN6(e, local);
		ADD(e, u16, swap16(local_port));
		ADD_IN6(e, remote);
		ADD(e, u16, swap16(remote_port));
	} else {
		ADD_IN6(e, remote);
		ADD(e, u16, swap16(remote_port));
		ADD_IN6(e, local);
		ADD(e, u16, swap16(local_port));
	}
}

INLINE void add_tuple_unix(struct event *e, struct sock *sk, enum direction direction, struct given given)
{
	struct unix_sock *local = (void *)sk;
	struct unix_sock *peer = (void *)READ(local, peer);
	struct unix_sock *named = direction == OUTBOUND ? peer : local;
	// A connection is called after its server, whichever end is at work.
	struct unix_sock *other = direction == OUTBOUND ? local : peer;
	if (peer && !READ(named, addr) && READ(other, addr)) {
		named = other;
		other = named == local ? peer : local;
	}
	ADD(e, u8, FAMILY_UNIX);
	ADD(e, u64, (u64)named);
	ADD(e, u64, (u64)other);
	if (direction == OUTBOUND && !peer && given.at && given.len >= ADDRESS_UNIX) {
		char *copy = aside(e->scratch);
		bpf_probe_read_user(copy, sizeof(struct sockaddr_un), (void *)given.at);
		add_unix_path(e, copy + 2, given.len - ADDRESS_UNIX);
		return;
	}
	struct unix_address *address = READ(named, addr);
	if (address)
		add_unix_path(e, (void *)&address->name + 2, READ(address, len) - ADDRESS_UNIX);
	else
		ADD(e, u8, 0);
}

// The local and remote address of a socket. `given` is an address from the caller, where the kernel
// keeps none.
INLINE void put_tuple(struct event *e, s32 fd, enum direction direction, struct given given)
{
	struct sock *sk = sock_of_fd(fd);
	u32 start = e->at;
	if (sk) {
		struct window common = COMMON(sk);
		u16 family = IN_COMMON(skc_family);
		if (family == FAMILY_INET)
			add_tuple_in(e, sk, common, direction, given);
		else if (family == FAMILY_INET6)
			add_tuple_in6(e, sk, direction, given);
		else if (family == FAMILY_UNIX)
			add_tuple_unix(e, sk, direction, given);
	}
	put_len(e, e->at - start);
}

// An address as passed by the caller.
INLINE void put_sockaddr(struct event *e, u64 from, u32 len)
{
	u32 start = e->at;
	u8 *copy = aside(e->scratch);
	len &= 0xffff;
	if (len > 128)
		len = 128;
	OPAQUE(len);
	len &= 255;
	copy[len] = 0; // for names that do not end with NUL
	if (len && !bpf_probe_read_user(copy, len, (void *)from)) {
		u16 family = *(u16 *)copy;
		if (family == FAMILY_INET && len >= ADDRESS_IN) {
			struct address_in *in = (void *)copy;
			ADD(e, u8, FAMILY_INET);
			ADD(e, u32, in->addr);
			ADD(e, u16, swap16(in->port));
		} else if (family == FAMILY_INET6 && len >= ADDRESS_IN6) {
			struct address_in6 *in6 = (void *)copy;
			ADD(e, u8, FAMILY_INET6);
			for (u32 i = 0; i < 4; i++)
				ADD(e, u32, in6->addr[i]);
			ADD(e, u16, swap16(in6->port));
		} else if (family == FAMILY_UNIX && len >= ADDRESS_UNIX) {
			ADD(e, u8, FAMILY_UNIX);
			add_unix_path(e, (char *)copy + 2, len - ADDRESS_UNIX);
		}
	}
	put_len(e, e->at - start);
}

// Vectors of buffers.
enum { IOV_LIMIT = 32 };
struct iovec {
	u64 base, len;
};
struct iovec32 {
	u32 base, len;
};
struct iovecs {
	struct iovec *all; // in the scratch buffer, always in the 64-bit layout
	u32 count;
	u32 size; // of all buffers together
};

INLINE struct iovecs read_iovecs(struct scratch *s, u64 from, u64 count)
{
	struct iovecs iov = {.all = aside(s)};
	struct iovec32 *narrow = (void *)(iov.all + IOV_LIMIT);
	bool is32 = s->call.is32;
	u32 known = count < IOV_LIMIT ? count : IOV_LIMIT;
	OPAQUE(known);
	known &= 2 * IOV_LIMIT - 1;
	void *to = is32 ? (void *)narrow : (void *)iov.all;
	if (bpf_probe_read_user(to, known * (is32 ? sizeof(*narrow) : sizeof(*iov.all)), (void *)from))
		return iov;
	iov.count = FORGET(s, known);
	for (u32 i = 0; i < IOV_LIMIT; i++) {
		if (i >= iov.count)
			break;
		if (is32) {
			iov.all[i].base = narrow[i].base;
			iov.all[i].len = narrow[i].len;
		}
		iov.size = FORGET(s, iov.size + (u32)iov.all[i].len);
	}
	return iov;
}

INLINE void put_iov_data(struct event *e, struct iovecs *iov, u64 len)
{
	u64 wanted = snap(len);
	u32 start = e->at;
	for (u32 i = 0; i < IOV_LIMIT; i++) {
		wanted = FORGET(e->scratch, wanted);
		if (i >= iov->count || wanted == 0)
			break;
		u64 part = iov->all[i].len < wanted ? iov->all[i].len : wanted;
		if (add_user_bytes(e, iov->all[i].base, part) != part)
			break;
		wanted -= part;
	}
	put_len(e, e->at - start);
}

struct msghdr {
	u64 name;
	u32 namelen;
	u64 iov, iovlen, control, controllen;
};
struct msghdr32 {
	u32 name, namelen, iov, iovlen, control, controllen, flags;
};
struct mmsghdr {
	struct msghdr header;
	u64 flags;
	u64 len;
};

INLINE bool read_msghdr(struct scratch *s, u64 from, struct msghdr *to)
{
	if (!s->call.is32)
		return bpf_probe_read_user(to, sizeof(*to), (void *)from) == 0;
	struct msghdr32 narrow = {};
	if (bpf_probe_read_user(&narrow, sizeof(narrow), (void *)from))
		return false;
	to->name = narrow.name;
	to->namelen = narrow.namelen;
	to->iov = narrow.iov;
	to->iovlen = narrow.iovlen;
	to->control = narrow.control;
	to->controllen = narrow.controllen;
	return true;
}
