// The kernel side of Peregrine. Every program of an object lies in one translation unit, so that the
// loader sees each map once; the parts are headers, one for each concern.
#include "scope.h"
#include "families/process.h"
#include "families/open.h"
#include "families/socket.h"
#include "families/misc.h"
#include "families/entry.h"
#include "families/kernel.h"
#include "generated/collect.h"
#include "dispatch.h"

// The kernel lends some helpers to programs under the GPL only.
char LICENSE[] SEC("license") = "Dual MIT/GPL";
