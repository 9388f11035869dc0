// The kernel side of Peregrine. All programs are in one translation unit, so that the object has
// each map once; there is one header per concern.
#include "scope.h"
#include "families/process.h"
#include "families/open.h"
#include "families/socket.h"
#include "families/misc.h"
#include "families/entry.h"
#include "families/kernel.h"
#include "generated/collect.h"
#include "dispatch.h"

// Some helpers are available to GPL programs only.
char LICENSE[] SEC("license") = "Dual MIT/GPL";
