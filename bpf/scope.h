// Which threads are monitored.
#pragma once
#include "task.h"

INLINE bool in_scope(struct config *config, u32 tgid)
{
	if (tgid == config->own_tgid)
		return false;
	return !(config->flags & SCOPED) || bpf_current_task_under_cgroup(&scope, 0) == 1;
}

// The same for another task than the current one.
INLINE bool task_in_scope(struct config *config, struct task_struct *task)
{
	if (READ(task, tgid) == config->own_tgid)
		return false;
	if (!(config->flags & SCOPED))
		return true;
	struct css_set *set = READ(task, cgroups);
	struct cgroup *cgroup = READ(set, dfl_cgrp);
	struct kernfs_node *node = READ(cgroup, kn);
	for (u32 step = 0; step < 16 && node; step++) {
		if (READ(node, id) == config->scope_id)
			return true;
		node = parent_directory(node);
	}
	return false;
}
