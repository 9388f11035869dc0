// Opening of files.
#pragma once
#include "../collector.h"

// The mode is used only where a file may be created.
INLINE u32 creation_mode(u64 flags, u64 mode)
{
	return flags & (O_CREAT | O_TMPFILE) ? mode & 07777 : 0;
}

INLINE void put_device(struct event *e, struct opened *file)
{
	put_u32(e, file->dev);
	put_u64(e, file->ino);
}

COLLECT_SHORT(open, SYSCALL_OPEN_X, 28)
{
	struct opened file = opened_file(c->ret);
	put_u64(e, c->ret);
	put_path(e, c->args[0]);
	put_u32(e, to_file_flags(c->args[1]) | file.flags);
	put_u32(e, creation_mode(c->args[1], c->args[2]));
	put_device(e, &file);
}

COLLECT_SHORT(openat, SYSCALL_OPENAT_2_X, 36)
{
	struct opened file = opened_file(c->ret);
	put_u64(e, c->ret);
	put_id(e, c->args[0]);
	put_path(e, c->args[1]);
	put_u32(e, to_file_flags(c->args[2]) | file.flags);
	put_u32(e, creation_mode(c->args[2], c->args[3]));
	put_device(e, &file);
}

COLLECT(openat2, SYSCALL_OPENAT2_X)
{
	struct opened file = opened_file(c->ret);
	u64 flags = user_u64(c->args[2]), mode = user_u64(c->args[2] + 8);
	put_u64(e, c->ret);
	put_id(e, c->args[0]);
	put_path(e, c->args[1]);
	put_u32(e, to_file_flags(flags) | file.flags);
	put_u32(e, creation_mode(flags, mode));
	put_u32(e, to_openat2_flags(user_u64(c->args[2] + 16)));
	put_device(e, &file);
}

COLLECT(creat, SYSCALL_CREAT_X)
{
	struct opened file = opened_file(c->ret);
	put_u64(e, c->ret);
	put_path(e, c->args[0]);
	put_u32(e, creation_mode(O_CREAT, c->args[1]));
	put_device(e, &file);
	put_u16(e, file.layer == UPPER_LAYER   ? CREAT_FLAGS_FD_UPPER_LAYER_CREAT
		   : file.layer == LOWER_LAYER ? CREAT_FLAGS_FD_LOWER_LAYER_CREAT
					       : 0);
}

COLLECT(open_by_handle_at, SYSCALL_OPEN_BY_HANDLE_AT_X)
{
	struct opened opened = opened_file(c->ret);
	put_u64(e, c->ret);
	put_id(e, c->args[0]);
	put_u32(e, to_file_flags(c->args[2]) | opened.flags);
	struct file *file = c->ret >= 0 ? file_of_fd(c->ret) : NULL;
	if (file)
		put_kernel_path(e, &file->f_path);
	else
		put_empty(e);
	put_device(e, &opened);
}
