//! Class `evt`: the event itself.

#![allow(
    rustdoc::broken_intra_doc_links,
    reason = "the comments are what --list prints, where brackets are arguments"
)]

use super::fields;

fields! {
    /// Fields that every event has, whatever its source.
    pub enum Generic needs Nothing {
        /// Position of the event in its stream, counted from 1.
        Num = "evt.num" Uint64 Dec Pure 1,
        /// Time of day of the event, to the nanosecond.
        Time = "evt.time" Charbuf Na Pure 40,
        /// Time of day of the event, to the second.
        TimeSeconds = "evt.time.s" Charbuf Na Pure 40,
        /// Date and time of the event as ISO 8601 has it, in UTC and to the nanosecond.
        TimeIso = "evt.time.iso8601" Charbuf Na Pure 40,
        /// Date and time of day of the event, to the nanosecond.
        Datetime = "evt.datetime" Charbuf Na Pure 40,
        /// Date and time of day of the event, to the second.
        DatetimeSeconds = "evt.datetime.s" Charbuf Na Pure 40,
        /// Nanoseconds since the epoch at which the event happened.
        Rawtime = "evt.rawtime" Abstime Dec Pure 40,
        /// Whole seconds since the epoch at which the event happened.
        RawtimeSeconds = "evt.rawtime.s" Abstime Dec Pure 40,
        /// Nanoseconds of the event's time within its second.
        RawtimeNanos = "evt.rawtime.ns" Abstime Padded Pure 40,
        /// Nanoseconds between the first event of the run and this one.
        Reltime = "evt.reltime" Reltime Padded Pure 40,
        /// Whole seconds between the first event of the run and this one.
        ReltimeSeconds = "evt.reltime.s" Reltime Dec Pure 40,
        /// Nanoseconds, within the second, between the first event of the run and this one.
        ReltimeNanos = "evt.reltime.ns" Reltime Padded Pure 40,
        /// Name of the loaded plugin that made the event.
        PluginName = "evt.pluginname" Charbuf Na Pure 40,
        /// One line about the event by the loaded plugin that made it.
        PluginInfo = "evt.plugininfo" Charbuf Na Pure 40,
        /// Event source, such as `syscall`.
        Source = "evt.source" Charbuf Na Pure 40,
        /// Whether something other than the event stream itself reported the event, such as a scan.
        IsAsync = "evt.is_async" Bool Na Pure 40,
        /// Kind of an asynchronous event, such as `container`.
        AsyncType = "evt.asynctype" Charbuf Na Pure 40,
        /// Name of the machine; the environment variable FALCO_HOSTNAME sets another.
        Hostname = "evt.hostname" Charbuf Na Pure 40,
    }
}

fields! {
    /// Fields of events that the kernel reports.
    pub enum Syscall needs Nothing {
        /// Always 0: the start of a syscall is no longer an event of its own.
        Latency = "evt.latency" Reltime Dec Pure 2 [deprecated],
        /// Always 0: the start of a syscall is no longer an event of its own.
        LatencySeconds = "evt.latency.s" Reltime Dec Pure 2 [deprecated],
        /// Always 0: the start of a syscall is no longer an event of its own.
        LatencyNanos = "evt.latency.ns" Reltime Padded Pure 2 [deprecated],
        /// Always 0: the start of a syscall is no longer an event of its own.
        LatencyQuantized = "evt.latency.quantized" Uint64 Dec Pure 2 [hidden, deprecated],
        /// Always 0ns: the start of a syscall is no longer an event of its own.
        LatencyHuman = "evt.latency.human" Charbuf Na Pure 2 [deprecated],
        /// Nanoseconds since the event before this one; in an output, since the last one of the
        /// rule.
        Delta = "evt.deltatime" Reltime Dec Impure 2,
        /// Whole seconds since the event before this one; in an output, since the last one of the
        /// rule.
        DeltaSeconds = "evt.deltatime.s" Reltime Dec Impure 2,
        /// Nanoseconds, within the second, since the event before this one; in an output, since the
        /// last one of the rule.
        DeltaNanos = "evt.deltatime.ns" Reltime Padded Impure 2,
        /// The same as evt.time.
        OutputTime = "evt.outputtime" Charbuf Na Pure 2 [print_only],
        /// `>` for the start of a syscall and `<` for its end. Nearly all events are ends.
        Dir = "evt.dir" Charbuf Na Pure 2 [deprecated],
        /// Name of the event: for most events the name of the syscall, such as `openat`.
        Type = "evt.type" Charbuf Na Pure 2,
        /// 1 for events with the name given as argument and 0 for others: evt.type.is.open.
        TypeIs = "evt.type.is" Uint32 Na Pure 2 [event],
        /// Name of the syscall; other events have none.
        SyscallType = "syscall.type" Charbuf Na Pure 2,
        /// How the call was made: `ia32` or `aarch32` as 32-bit programs do, else `native`. A
        /// successful execve reports the new program. Other events than syscalls have none.
        Abi = "evt.abi" Charbuf Na Pure 2,
        /// Topic of the event, such as `file`, `net`, `memory` or `process`. Reading and writing
        /// count as what the fd refers to.
        Category = "evt.category" Charbuf Na Pure 2,
        /// CPU on which the event happened.
        Cpu = "evt.cpu" Int16 Dec Pure 2,
        /// All parameters of the event with their names, in one text.
        Args = "evt.args" Charbuf Na Pure 40,
        /// A parameter of the event as text, by name or by position: evt.arg.flags, evt.arg[0].
        Arg = "evt.arg" Charbuf Na Pure 40 [param],
        /// A parameter of the event as the value it is, by name: evt.rawarg.res.
        RawArg = "evt.rawarg" Dyn Na Pure 2 [raw_param, no_rhs, no_transformer],
        /// The same as evt.args.
        Info = "evt.info" Charbuf Na Pure 40,
        /// Bytes that a call such as read or sendto moved, as many as were captured.
        Buffer = "evt.buffer" Bytebuf Na Pure 2,
        /// Number of bytes that a call such as read or sendto moved.
        Buflen = "evt.buflen" Uint64 Dec Pure 2,
        /// `SUCCESS`, or the name of the error number that the syscall returned.
        Res = "evt.res" Charbuf Dec Pure 2,
        /// What the syscall returned, as a number.
        RawRes = "evt.rawres" Int64 Dec Pure 2,
        /// Whether the syscall returned an error.
        Failed = "evt.failed" Bool Na Pure 2,
        /// Whether the event reads or writes through an fd.
        IsIo = "evt.is_io" Bool Na Pure 2,
        /// Whether the event reads through an fd.
        IsIoRead = "evt.is_io_read" Bool Na Pure 2,
        /// Whether the event writes through an fd.
        IsIoWrite = "evt.is_io_write" Bool Na Pure 2,
        /// `read` or `write` for events that do so through an fd.
        IoDir = "evt.io_dir" Charbuf Na Pure 2,
        /// Whether the call may make the thread wait, such as poll or nanosleep.
        IsWait = "evt.is_wait" Bool Na Pure 2,
        /// Always 0: the start of a syscall is no longer an event of its own.
        WaitLatency = "evt.wait_latency" Reltime Dec Pure 2 [deprecated],
        /// Whether the event writes to /dev/log.
        IsSyslog = "evt.is_syslog" Bool Na Pure 2,
        /// Always 1, to be summed up.
        Count = "evt.count" Uint32 Dec Pure 2,
        /// 1 for calls that returned an error and 0 for others, to be summed up.
        CountError = "evt.count.error" Uint32 Dec Pure 2,
        /// Like evt.count.error, for calls on files and directories alone.
        CountErrorFile = "evt.count.error.file" Uint32 Dec Pure 2,
        /// Like evt.count.error, for calls on sockets alone.
        CountErrorNet = "evt.count.error.net" Uint32 Dec Pure 2,
        /// Like evt.count.error, for calls that manage memory alone.
        CountErrorMemory = "evt.count.error.memory" Uint32 Dec Pure 2,
        /// Like evt.count.error, for all calls not on files, sockets or memory.
        CountErrorOther = "evt.count.error.other" Uint32 Dec Pure 2,
        /// 1 for ends of syscalls, to be summed up.
        CountExit = "evt.count.exit" Uint32 Dec Pure 2,
        /// 1 for process information events of main threads, to be summed up.
        CountProcinfo = "evt.count.procinfo" Uint32 Dec Pure 2 [hidden],
        /// 1 for process information events, to be summed up.
        CountThreadinfo = "evt.count.threadinfo" Uint32 Dec Pure 2 [hidden],
        /// Events at most this many milliseconds from the time in brackets, which is nanoseconds
        /// since the epoch: evt.around[1404996934793590564]=1000.
        Around = "evt.around" Uint64 Dec Pure 2 [time, filter_only, no_rhs, no_transformer],
        /// Absolute path built from the directory fd and the path of calls such as openat or
        /// renameat; with .src or .dst for the calls that take two.
        Abspath = "evt.abspath" Charbuf Na Pure 40 [which_path],
        /// Like evt.buflen, for calls that read.
        BuflenIn = "evt.buflen.in" Uint64 Dec Pure 2 [hidden],
        /// Like evt.buflen, for calls that write.
        BuflenOut = "evt.buflen.out" Uint64 Dec Pure 2 [hidden],
        /// Like evt.buflen, for files.
        BuflenFile = "evt.buflen.file" Uint64 Dec Pure 2 [hidden],
        /// Like evt.buflen, for reading files.
        BuflenFileIn = "evt.buflen.file.in" Uint64 Dec Pure 2 [hidden],
        /// Like evt.buflen, for writing files.
        BuflenFileOut = "evt.buflen.file.out" Uint64 Dec Pure 2 [hidden],
        /// Like evt.buflen, for network sockets.
        BuflenNet = "evt.buflen.net" Uint64 Dec Pure 2 [hidden],
        /// Like evt.buflen, for reading from network sockets.
        BuflenNetIn = "evt.buflen.net.in" Uint64 Dec Pure 2 [hidden],
        /// Like evt.buflen, for writing to network sockets.
        BuflenNetOut = "evt.buflen.net.out" Uint64 Dec Pure 2 [hidden],
        /// Whether a call of the open family asked to read.
        IsOpenRead = "evt.is_open_read" Bool Na Pure 2,
        /// Whether a call of the open family asked to write.
        IsOpenWrite = "evt.is_open_write" Bool Na Pure 2,
        /// What happened, in events about containers of old captures.
        InfraName = "evt.infra.docker.name" Charbuf Na Pure 2 [hidden],
        /// Short container id, in events about containers of old captures.
        InfraContainerId = "evt.infra.docker.container.id" Charbuf Na Pure 2 [hidden],
        /// Container name, in events about containers of old captures.
        InfraContainerName = "evt.infra.docker.container.name" Charbuf Na Pure 2 [hidden],
        /// Container image, in events about containers of old captures.
        InfraContainerImage = "evt.infra.docker.container.image" Charbuf Na Pure 2 [hidden],
        /// Whether a call of the open family, or creat, made a file that may be executed.
        IsOpenExec = "evt.is_open_exec" Bool Na Pure 2,
        /// Whether a call of the open family made a new file.
        IsOpenCreate = "evt.is_open_create" Bool Na Pure 2,
    }
}

fields! {
    /// Fields for measurements. Never listed.
    pub enum Util needs Nothing {
        /// Number of the event in its stream.
        Count = "util.cnt" Uint64 Dec Pure 2,
    }
}
