// Which threads are monitored.
#pragma once
#include "wire.h"

INLINE bool in_scope(struct config *config, u32 tgid)
{
	if (tgid == config->own_tgid)
		return false;
	return !(config->flags & SCOPED) || bpf_current_task_under_cgroup(&scope, 0) == 1;
}
