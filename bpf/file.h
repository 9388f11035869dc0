// Files of the current process: descriptors, devices, inodes, overlay layers, paths.
#pragma once
#include "wire.h"
#include "generated/events.h"

enum { OVERLAYFS_MAGIC = 0x794c7630, FMODE_CREATED = 0x100000 };

INLINE struct task_struct *current_task(void)
{
	return (struct task_struct *)bpf_get_current_task();
}

INLINE struct file *file_of_fd(s32 fd)
{
	if (fd < 0)
		return NULL;
	struct file **slot;
	u32 max;
	if (HAS_HELPER(get_current_task_btf)) {
		struct fdtable *table = bpf_get_current_task_btf()->files->fdt;
		max = table->max_fds;
		slot = table->fd;
	} else {
		struct files_struct *files = READ(current_task(), files);
		struct fdtable *table = READ(files, fdt);
		max = READ(table, max_fds);
		slot = READ(table, fd);
	}
	if ((u32)fd >= max)
		return NULL;
	struct file *file = NULL;
	bpf_probe_read_kernel(&file, sizeof(file), slot + fd);
	return file;
}

// Devices as `stat` and /proc number them.
INLINE u32 encode_dev(u32 dev)
{
	u32 major = dev >> 20, minor = dev & 0xfffff;
	return (minor & 0xff) | (major << 8) | ((minor & ~0xff) << 12);
}

enum layer { NO_OVERLAY, UPPER_LAYER, LOWER_LAYER };

// The kernel places the dentry of the upper layer, if there is one, directly behind an overlay
// inode.
INLINE enum layer overlay_layer(struct file *file, struct super_block *sb)
{
	if (READ(sb, s_magic) != OVERLAYFS_MAGIC)
		return NO_OVERLAY;
	struct dentry *dentry = READ(file, f_path.dentry);
	void *inode = READ(dentry, d_inode);
	struct dentry *upper = NULL;
	bpf_probe_read_kernel(&upper, sizeof(upper), inode + TYPE_SIZE(struct inode));
	if (!upper)
		return LOWER_LAYER;
	struct inode *upper_inode = READ(upper, d_inode);
	return READ(upper_inode, i_ino) ? UPPER_LAYER : LOWER_LAYER;
}

struct opened {
	u32 dev;
	u64 ino;
	u32 flags; // of the table `file_flags`
	enum layer layer;
};

INLINE struct opened opened_file(s64 fd)
{
	struct opened o = {};
	struct file *file = fd >= 0 ? file_of_fd(fd) : NULL;
	if (!file)
		return o;
	struct window of_file = WINDOW(file, f_mode);
	struct inode *inode = IN_WINDOW(of_file, file, f_mode, f_inode);
	struct window of_inode = WINDOW(inode, i_sb);
	struct super_block *sb = IN_WINDOW(of_inode, inode, i_sb, i_sb);
	o.dev = encode_dev(READ(sb, s_dev));
	o.ino = IN_WINDOW(of_inode, inode, i_sb, i_ino);
	o.layer = overlay_layer(file, sb);
	if (IN_WINDOW(of_file, file, f_mode, f_mode) & FMODE_CREATED)
		o.flags |= FILE_FLAGS_O_F_CREATED;
	if (o.layer == UPPER_LAYER)
		o.flags |= FILE_FLAGS_FD_UPPER_LAYER;
	else if (o.layer == LOWER_LAYER)
		o.flags |= FILE_FLAGS_FD_LOWER_LAYER;
	return o;
}

INLINE u64 ino_of_fd(s32 fd)
{
	struct file *file = file_of_fd(fd);
	if (!file)
		return 0;
	struct inode *inode = READ(file, f_inode);
	return READ(inode, i_ino);
}

// Collects the names from a path up to the root of all mounts, or to `root`, and at most `WALK`;
// returns how many.
INLINE u32 walk_up(struct event *e, struct path *path, struct path *root)
{
	struct vfsmount *vfsmount = READ(path, mnt), *last = root ? READ(root, mnt) : NULL;
	struct dentry *dentry = READ(path, dentry), *last_dentry = root ? READ(root, dentry) : NULL;
	struct mount *mount = CONTAINER_OF(vfsmount, struct mount, mnt);
	struct mount *last_mount = last ? CONTAINER_OF(last, struct mount, mnt) : NULL;
	struct dentry *mount_root = READ(vfsmount, mnt_root);
	u32 depth = 0;

	e->at = FORGET(e->scratch, e->at);
	for (u32 step = 0; step < WALK; step++) {
		if (root && dentry == last_dentry && mount == last_mount)
			break;
		struct dentry *parent = READ(dentry, d_parent);
		if (dentry == mount_root) {
			struct mount *above = READ(mount, mnt_parent);
			if (above == mount)
				break;
			dentry = READ(mount, mnt_mountpoint);
			mount = above;
			mount_root = READ(mount, mnt.mnt_root);
			continue;
		}
		if (dentry == parent)
			break;
		e->scratch->walk[depth & (WALK - 1)] = (u64)READ(dentry, d_name.name);
		depth = FORGET(e->scratch, depth + 1);
		dentry = parent;
	}
	return depth;
}

// Adds the names that were collected, with the NUL.
INLINE void add_walk(struct event *e, u32 depth)
{
	if (depth == 0)
		ADD(e, u8, '/');
	for (u32 step = 0; step < WALK; step++) {
		if (depth == 0)
			break;
		depth--;
		ADD(e, u8, '/');
		u32 len = add_kernel_text(e, (void *)e->scratch->walk[depth & (WALK - 1)], 256);
		if (len > 0)
			e->at--; // the next name overwrites the NUL of this one
	}
	ADD(e, u8, 0);
}

// The path from the root of all mounts, up to `WALK` components; files without a path have their
// name.
INLINE void put_kernel_path(struct event *e, struct path *path)
{
	struct vfsmount *mount = READ(path, mnt);
	struct dentry *first = READ(path, dentry);
	u32 depth = walk_up(e, path, NULL);
	if (depth == 0 && first != READ(mount, mnt_root)) {
		put_kernel_text(e, READ(first, d_name.name), PATH_LIMIT);
		return;
	}
	u32 start = e->at;
	add_walk(e, depth);
	put_len(e, e->at - start);
}
