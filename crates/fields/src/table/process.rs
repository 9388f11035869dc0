//! Class `process`: the thread that caused the event, its process and its ancestors.

#![allow(
    rustdoc::broken_intra_doc_links,
    reason = "the comments are what --list prints, where brackets are arguments"
)]

use super::fields;

fields! {
    /// Fields of the thread that caused the event, of its process and of its ancestors.
    pub enum Process needs Nothing {
        /// First argument of the command line, as the process was started: often the program.
        Exe = "proc.exe" Charbuf Na Pure 2,
        /// proc.exe of the parent.
        ParentExe = "proc.pexe" Charbuf Na Pure 4,
        /// proc.exe of an ancestor: 1 is the parent, 2 its parent. Without a number, a condition
        /// holds when it holds for any ancestor.
        AncestorExe = "proc.aexe" Charbuf Na Pure 30|4 [ancestor, no_rhs, no_transformer],
        /// Path of the program that runs, with links followed.
        Exepath = "proc.exepath" Charbuf Na Pure 2,
        /// proc.exepath of the parent.
        ParentExepath = "proc.pexepath" Charbuf Na Pure 4,
        /// proc.exepath of an ancestor: 1 is the parent, 2 its parent. Without a number, a
        /// condition holds when it holds for any ancestor.
        AncestorExepath = "proc.aexepath" Charbuf Na Pure 30|4 [ancestor, no_rhs, no_transformer],
        /// Name of the program that runs, cut to 15 bytes by the kernel.
        Name = "proc.name" Charbuf Na Pure 2,
        /// proc.name of the parent.
        ParentName = "proc.pname" Charbuf Na Pure 4,
        /// proc.name of an ancestor: 1 is the parent, 2 its parent. Without a number, a condition
        /// holds when it holds for any ancestor.
        AncestorName = "proc.aname" Charbuf Na Pure 30|4 [ancestor, no_rhs, no_transformer],
        /// Arguments on the command line after the program, or the one with the number in brackets.
        Args = "proc.args" Charbuf Na Pure 4 [index],
        /// proc.args of an ancestor: 1 is the parent, 2 its parent. Without a number, those of all.
        AncestorArgs = "proc.aargs" Charbuf Na Pure 30|4 [index],
        /// Name of the program and its arguments.
        Cmdline = "proc.cmdline" Charbuf Na Pure 4,
        /// proc.cmdline of the parent.
        ParentCmdline = "proc.pcmdline" Charbuf Na Pure 4,
        /// proc.cmdline of an ancestor: 1 is the parent, 2 its parent. Without a number, a
        /// condition holds when it holds for any ancestor.
        AncestorCmdline = "proc.acmdline" Charbuf Na Pure 30|4 [ancestor, no_rhs, no_transformer],
        /// Number of arguments after the program.
        Cmdnargs = "proc.cmdnargs" Uint64 Dec Pure 4,
        /// Bytes in all arguments after the program, without what separates them.
        Cmdlenargs = "proc.cmdlenargs" Uint64 Dec Pure 4,
        /// proc.exe and the arguments.
        Exeline = "proc.exeline" Charbuf Na Pure 40,
        /// Environment of the process, or the value of the variable in brackets: proc.env[HOME].
        Env = "proc.env" Charbuf Na Pure 40 [variable],
        /// Environment of an ancestor, by number (1 is the parent), or the value that the nearest
        /// ancestor has for the variable in brackets. Without brackets, a condition holds when it
        /// holds for any ancestor.
        AncestorEnv = "proc.aenv" Charbuf Na Pure 30|40 [ancestor_variable, no_rhs, no_transformer],
        /// Working directory.
        Cwd = "proc.cwd" Charbuf Na Pure 4,
        /// Pid of the oldest shell among the process and its ancestors.
        LoginShellId = "proc.loginshellid" Int64 Dec Pure 4,
        /// Controlling terminal; 0 when there is none.
        Tty = "proc.tty" Uint32 Dec Pure 4,
        /// Pid of the process.
        Pid = "proc.pid" Int64 Dec Pure 2,
        /// Pid of the parent.
        Ppid = "proc.ppid" Int64 Dec Pure 4,
        /// Pid of an ancestor: 1 is the parent, 2 its parent. Without a number, a condition holds
        /// when it holds for any ancestor.
        AncestorPid = "proc.apid" Int64 Dec Pure 30|4 [ancestor, no_rhs, no_transformer],
        /// Pid as the process itself sees it, in its pid namespace.
        Vpid = "proc.vpid" Int64 Dec Pure 4,
        /// proc.vpid of the parent.
        ParentVpid = "proc.pvpid" Int64 Dec Pure 4,
        /// Session, as the process itself sees it.
        Sid = "proc.sid" Int64 Dec Pure 4,
        /// proc.name of the process that leads the session, or of the oldest ancestor in the
        /// session.
        SidName = "proc.sname" Charbuf Na Pure 4,
        /// proc.exe of the process that leads the session, or of the oldest ancestor in the
        /// session.
        SidExe = "proc.sid.exe" Charbuf Na Pure 4,
        /// proc.exepath of the process that leads the session, or of the oldest ancestor in the
        /// session.
        SidExepath = "proc.sid.exepath" Charbuf Na Pure 4,
        /// Process group, as the process itself sees it.
        Vpgid = "proc.vpgid" Int64 Dec Pure 4,
        /// proc.name of the process that leads the process group, or of the oldest ancestor in it.
        VpgidName = "proc.vpgid.name" Charbuf Na Pure 4,
        /// proc.exe of the process that leads the process group, or of the oldest ancestor in it.
        VpgidExe = "proc.vpgid.exe" Charbuf Na Pure 4,
        /// proc.exepath of the process that leads the process group, or of the oldest ancestor in
        /// it.
        VpgidExepath = "proc.vpgid.exepath" Charbuf Na Pure 4,
        /// Process group, as the host sees it.
        Pgid = "proc.pgid" Int64 Dec Pure 4,
        /// proc.name of the process that leads the process group on the host.
        PgidName = "proc.pgid.name" Charbuf Na Pure 4,
        /// proc.exe of the process that leads the process group on the host.
        PgidExe = "proc.pgid.exe" Charbuf Na Pure 4,
        /// proc.exepath of the process that leads the process group on the host.
        PgidExepath = "proc.pgid.exepath" Charbuf Na Pure 4,
        /// Nanoseconds since the process was started.
        Duration = "proc.duration" Reltime Dec Pure 4,
        /// Nanoseconds since the parent was started.
        ParentDuration = "proc.ppid.duration" Reltime Dec Pure 4,
        /// When the process was started, nanoseconds since the epoch.
        StartTs = "proc.pid.ts" Reltime Dec Pure 4,
        /// When the parent was started, nanoseconds since the epoch.
        ParentStartTs = "proc.ppid.ts" Reltime Dec Pure 4,
        /// Whether the user of the process may write to the program that runs.
        IsExeWritable = "proc.is_exe_writable" Bool Na Pure 4,
        /// Whether the program that runs is in the upper layer of an overlay: not from the image.
        IsExeUpperLayer = "proc.is_exe_upper_layer" Bool Na Pure 4,
        /// Whether the program that runs is in a lower layer of an overlay: from the image.
        IsExeLowerLayer = "proc.is_exe_lower_layer" Bool Na Pure 4,
        /// Whether the program that runs is in memory alone, made by memfd_create.
        IsExeFromMemfd = "proc.is_exe_from_memfd" Bool Na Pure 4,
        /// Whether the process leads its session.
        IsSidLeader = "proc.is_sid_leader" Bool Na Pure 4,
        /// Whether the process leads its process group, as it sees it.
        IsVpgidLeader = "proc.is_vpgid_leader" Bool Na Pure 4,
        /// Whether the process leads its process group, as the host sees it.
        IsPgidLeader = "proc.is_pgid_leader" Bool Na Pure 4,
        /// Inode of the program that runs.
        ExeIno = "proc.exe_ino" Int64 Dec Pure 4,
        /// When the inode of the program last changed, nanoseconds since the epoch.
        ExeInoCtime = "proc.exe_ino.ctime" Abstime Dec Pure 4,
        /// When the contents of the program last changed, nanoseconds since the epoch.
        ExeInoMtime = "proc.exe_ino.mtime" Abstime Dec Pure 4,
        /// Nanoseconds from the last change of the program's inode to the start of the process.
        ExeInoCtimeToStart = "proc.exe_ino.ctime_duration_proc_start" Abstime Dec Pure 4,
        /// Nanoseconds from the start of the pid namespace to the last change of the program's
        /// inode.
        ExeInoCtimeFromPidns = "proc.exe_ino.ctime_duration_pidns_start" Abstime Dec Pure 4,
        /// When the pid namespace of the process was started, nanoseconds since the epoch.
        PidnsStartTs = "proc.pidns_init_start_ts" Uint64 Dec Pure 4,
        /// Capabilities that the thread may take.
        CapPermitted = "thread.cap_permitted" Charbuf Na Pure 40,
        /// Capabilities that the thread may keep when it starts another program.
        CapInheritable = "thread.cap_inheritable" Charbuf Na Pure 40,
        /// Capabilities that the thread has.
        CapEffective = "thread.cap_effective" Charbuf Na Pure 40,
        /// Number of open fds of the process.
        FdOpenCount = "proc.fdopencount" Uint64 Dec Pure 4,
        /// Most fds that the process may have open.
        FdLimit = "proc.fdlimit" Int64 Dec Pure 4,
        /// Open fds of the process in percent of what it may have open.
        FdUsage = "proc.fdusage" Double Na Pure 4,
        /// Virtual memory of the process in kB.
        VmSize = "proc.vmsize" Uint64 Dec Pure 4,
        /// Memory of the process that is in RAM, in kB.
        VmRss = "proc.vmrss" Uint64 Dec Pure 4,
        /// Memory of the process that is swapped out, in kB.
        VmSwap = "proc.vmswap" Uint64 Dec Pure 4,
        /// Major page faults since the thread was started.
        PfMajor = "thread.pfmajor" Uint64 Dec Pure 4,
        /// Minor page faults since the thread was started.
        PfMinor = "thread.pfminor" Uint64 Dec Pure 4,
        /// Id of the thread.
        Tid = "thread.tid" Int64 Dec Pure 2,
        /// Whether the thread is the main one of its process.
        IsMain = "thread.ismain" Bool Na Pure 4,
        /// Id of the thread as it sees it itself, in its pid namespace.
        Vtid = "thread.vtid" Int64 Dec Pure 4,
        /// Name of the program, followed by the id of the thread.
        NameTid = "thread.nametid" Charbuf Na Pure 40 [hidden],
        /// Nanoseconds that the thread which gives up the CPU had it; for switch events.
        ExecTime = "thread.exectime" Reltime Dec Pure 4,
        /// Nanoseconds of CPU that the thread had since the run began; grows with switch events.
        TotalExecTime = "thread.totexectime" Reltime Dec Pure 4,
        /// All control groups of the thread.
        Cgroups = "thread.cgroups" Charbuf Na Pure 40,
        /// The control group of the thread for a controller: thread.cgroup.cpu.
        Cgroup = "thread.cgroup" Charbuf Na Pure 4 [subsystem],
        /// Number of threads of the process.
        NThreads = "proc.nthreads" Uint64 Dec Pure 4,
        /// Number of threads of the process besides the main one.
        NChilds = "proc.nchilds" Uint64 Dec Pure 4,
        /// CPU time of the thread since the process information before, in percent.
        Cpu = "thread.cpu" Double Na Impure 4,
        /// CPU time of the thread in user mode since the process information before, in percent.
        CpuUser = "thread.cpu.user" Double Na Impure 4,
        /// CPU time of the thread in the kernel since the process information before, in percent.
        CpuSystem = "thread.cpu.system" Double Na Impure 4,
        /// Virtual memory of the process in kB for its main thread, 0 for others.
        ThreadVmSize = "thread.vmsize" Uint64 Dec Pure 4,
        /// Memory of the process in RAM in kB for its main thread, 0 for others.
        ThreadVmRss = "thread.vmrss" Uint64 Dec Pure 4,
        /// Virtual memory of the process in bytes for its main thread, 0 for others.
        ThreadVmSizeBytes = "thread.vmsize.b" Uint64 Dec Pure 4 [hidden],
        /// Memory of the process in RAM in bytes for its main thread, 0 for others.
        ThreadVmRssBytes = "thread.vmrss.b" Uint64 Dec Pure 4 [hidden],
        /// What standard input refers to, as fd.type has it.
        StdinType = "proc.stdin.type" Charbuf Na Pure 4,
        /// What standard output refers to, as fd.type has it.
        StdoutType = "proc.stdout.type" Charbuf Na Pure 4,
        /// What standard error refers to, as fd.type has it.
        StderrType = "proc.stderr.type" Charbuf Na Pure 4,
        /// Name of what standard input refers to, as fd.name has it.
        StdinName = "proc.stdin.name" Charbuf Na Pure 4,
        /// Name of what standard output refers to, as fd.name has it.
        StdoutName = "proc.stdout.name" Charbuf Na Pure 4,
        /// Name of what standard error refers to, as fd.name has it.
        StderrName = "proc.stderr.name" Charbuf Na Pure 4,
    }
}
