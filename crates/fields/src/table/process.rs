//! Class `process`: the thread that caused the event, its process and its ancestors.

#![allow(
    rustdoc::broken_intra_doc_links,
    reason = "the comments are what --list prints, where brackets are arguments"
)]

use super::fields;

fields! {
    /// Fields of the thread that caused the event, of its process and of its ancestors.
    pub enum Process {
        /// First argument of the command line, as the process was started: often the program.
        Exe = "proc.exe" Charbuf Na,
        /// proc.exe of the parent.
        ParentExe = "proc.pexe" Charbuf Na,
        /// proc.exe of an ancestor: 1 is the parent, 2 its parent. Without a number, a condition holds
        /// when it holds for any ancestor.
        AncestorExe = "proc.aexe" Charbuf Na [ancestor, no_rhs, no_transformer],
        /// Path of the program that runs, with links followed.
        Exepath = "proc.exepath" Charbuf Na,
        /// proc.exepath of the parent.
        ParentExepath = "proc.pexepath" Charbuf Na,
        /// proc.exepath of an ancestor: 1 is the parent, 2 its parent. Without a number, a condition
        /// holds when it holds for any ancestor.
        AncestorExepath = "proc.aexepath" Charbuf Na [ancestor, no_rhs, no_transformer],
        /// Name of the program that runs, cut to 15 bytes by the kernel.
        Name = "proc.name" Charbuf Na,
        /// proc.name of the parent.
        ParentName = "proc.pname" Charbuf Na,
        /// proc.name of an ancestor: 1 is the parent, 2 its parent. Without a number, a condition holds
        /// when it holds for any ancestor.
        AncestorName = "proc.aname" Charbuf Na [ancestor, no_rhs, no_transformer],
        /// Arguments on the command line after the program, or the one with the number in brackets.
        Args = "proc.args" Charbuf Na [index],
        /// proc.args of an ancestor: 1 is the parent, 2 its parent. Without a number, those of all.
        AncestorArgs = "proc.aargs" Charbuf Na [index],
        /// Name of the program and its arguments.
        Cmdline = "proc.cmdline" Charbuf Na,
        /// proc.cmdline of the parent.
        ParentCmdline = "proc.pcmdline" Charbuf Na,
        /// proc.cmdline of an ancestor: 1 is the parent, 2 its parent. Without a number, a condition
        /// holds when it holds for any ancestor.
        AncestorCmdline = "proc.acmdline" Charbuf Na [ancestor, no_rhs, no_transformer],
        /// Number of arguments after the program.
        Cmdnargs = "proc.cmdnargs" Uint64 Dec,
        /// Bytes in all arguments after the program, without what separates them.
        Cmdlenargs = "proc.cmdlenargs" Uint64 Dec,
        /// proc.exe and the arguments.
        Exeline = "proc.exeline" Charbuf Na,
        /// Environment of the process, or the value of the variable in brackets: proc.env[HOME].
        Env = "proc.env" Charbuf Na [variable],
        /// Environment of an ancestor, by number (1 is the parent), or the value that the nearest
        /// ancestor has for the variable in brackets. Without brackets, a condition holds when it holds
        /// for any ancestor.
        AncestorEnv = "proc.aenv" Charbuf Na [ancestor_variable, no_rhs, no_transformer],
        /// Working directory.
        Cwd = "proc.cwd" Charbuf Na,
        /// Pid of the oldest shell among the process and its ancestors.
        LoginShellId = "proc.loginshellid" Int64 Dec,
        /// Controlling terminal; 0 when there is none.
        Tty = "proc.tty" Uint32 Dec,
        /// Pid of the process.
        Pid = "proc.pid" Int64 Dec,
        /// Pid of the parent.
        Ppid = "proc.ppid" Int64 Dec,
        /// Pid of an ancestor: 1 is the parent, 2 its parent. Without a number, a condition holds when
        /// it holds for any ancestor.
        AncestorPid = "proc.apid" Int64 Dec [ancestor, no_rhs, no_transformer],
        /// Pid as the process itself sees it, in its pid namespace.
        Vpid = "proc.vpid" Int64 Dec,
        /// proc.vpid of the parent.
        ParentVpid = "proc.pvpid" Int64 Dec,
        /// Session, as the process itself sees it.
        Sid = "proc.sid" Int64 Dec,
        /// proc.name of the process that leads the session, or of the oldest ancestor in the session.
        SidName = "proc.sname" Charbuf Na,
        /// proc.exe of the process that leads the session, or of the oldest ancestor in the session.
        SidExe = "proc.sid.exe" Charbuf Na,
        /// proc.exepath of the process that leads the session, or of the oldest ancestor in the session.
        SidExepath = "proc.sid.exepath" Charbuf Na,
        /// Process group, as the process itself sees it.
        Vpgid = "proc.vpgid" Int64 Dec,
        /// proc.name of the process that leads the process group, or of the oldest ancestor in it.
        VpgidName = "proc.vpgid.name" Charbuf Na,
        /// proc.exe of the process that leads the process group, or of the oldest ancestor in it.
        VpgidExe = "proc.vpgid.exe" Charbuf Na,
        /// proc.exepath of the process that leads the process group, or of the oldest ancestor in it.
        VpgidExepath = "proc.vpgid.exepath" Charbuf Na,
        /// Process group, as the host sees it.
        Pgid = "proc.pgid" Int64 Dec,
        /// proc.name of the process that leads the process group on the host.
        PgidName = "proc.pgid.name" Charbuf Na,
        /// proc.exe of the process that leads the process group on the host.
        PgidExe = "proc.pgid.exe" Charbuf Na,
        /// proc.exepath of the process that leads the process group on the host.
        PgidExepath = "proc.pgid.exepath" Charbuf Na,
        /// Nanoseconds since the process was started.
        Duration = "proc.duration" Reltime Dec,
        /// Nanoseconds since the parent was started.
        ParentDuration = "proc.ppid.duration" Reltime Dec,
        /// When the process was started, nanoseconds since the epoch.
        StartTs = "proc.pid.ts" Reltime Dec,
        /// When the parent was started, nanoseconds since the epoch.
        ParentStartTs = "proc.ppid.ts" Reltime Dec,
        /// Whether the user of the process may write to the program that runs.
        IsExeWritable = "proc.is_exe_writable" Bool Na,
        /// Whether the program that runs is in the upper layer of an overlay: not from the image.
        IsExeUpperLayer = "proc.is_exe_upper_layer" Bool Na,
        /// Whether the program that runs is in a lower layer of an overlay: from the image.
        IsExeLowerLayer = "proc.is_exe_lower_layer" Bool Na,
        /// Whether the program that runs is in memory alone, made by memfd_create.
        IsExeFromMemfd = "proc.is_exe_from_memfd" Bool Na,
        /// Whether the process leads its session.
        IsSidLeader = "proc.is_sid_leader" Bool Na,
        /// Whether the process leads its process group, as it sees it.
        IsVpgidLeader = "proc.is_vpgid_leader" Bool Na,
        /// Whether the process leads its process group, as the host sees it.
        IsPgidLeader = "proc.is_pgid_leader" Bool Na,
        /// Inode of the program that runs.
        ExeIno = "proc.exe_ino" Int64 Dec,
        /// When the inode of the program last changed, nanoseconds since the epoch.
        ExeInoCtime = "proc.exe_ino.ctime" Abstime Dec,
        /// When the contents of the program last changed, nanoseconds since the epoch.
        ExeInoMtime = "proc.exe_ino.mtime" Abstime Dec,
        /// Nanoseconds from the last change of the program's inode to the start of the process.
        ExeInoCtimeToStart = "proc.exe_ino.ctime_duration_proc_start" Abstime Dec,
        /// Nanoseconds from the start of the pid namespace to the last change of the program's inode.
        ExeInoCtimeFromPidns = "proc.exe_ino.ctime_duration_pidns_start" Abstime Dec,
        /// When the pid namespace of the process was started, nanoseconds since the epoch.
        PidnsStartTs = "proc.pidns_init_start_ts" Uint64 Dec,
        /// Capabilities that the thread may take.
        CapPermitted = "thread.cap_permitted" Charbuf Na,
        /// Capabilities that the thread may keep when it starts another program.
        CapInheritable = "thread.cap_inheritable" Charbuf Na,
        /// Capabilities that the thread has.
        CapEffective = "thread.cap_effective" Charbuf Na,
        /// Number of open fds of the process.
        FdOpenCount = "proc.fdopencount" Uint64 Dec,
        /// Most fds that the process may have open.
        FdLimit = "proc.fdlimit" Int64 Dec,
        /// Open fds of the process in percent of what it may have open.
        FdUsage = "proc.fdusage" Double Na,
        /// Virtual memory of the process in kB.
        VmSize = "proc.vmsize" Uint64 Dec,
        /// Memory of the process that is in RAM, in kB.
        VmRss = "proc.vmrss" Uint64 Dec,
        /// Memory of the process that is swapped out, in kB.
        VmSwap = "proc.vmswap" Uint64 Dec,
        /// Major page faults since the thread was started.
        PfMajor = "thread.pfmajor" Uint64 Dec,
        /// Minor page faults since the thread was started.
        PfMinor = "thread.pfminor" Uint64 Dec,
        /// Id of the thread.
        Tid = "thread.tid" Int64 Dec,
        /// Whether the thread is the main one of its process.
        IsMain = "thread.ismain" Bool Na,
        /// Id of the thread as it sees it itself, in its pid namespace.
        Vtid = "thread.vtid" Int64 Dec,
        /// Name of the program, followed by the id of the thread.
        NameTid = "thread.nametid" Charbuf Na [hidden],
        /// Nanoseconds that the thread which gives up the CPU had it; for switch events.
        ExecTime = "thread.exectime" Reltime Dec,
        /// Nanoseconds of CPU that the thread had since the run began; grows with switch events.
        TotalExecTime = "thread.totexectime" Reltime Dec,
        /// All control groups of the thread.
        Cgroups = "thread.cgroups" Charbuf Na,
        /// The control group of the thread for a controller: thread.cgroup.cpu.
        Cgroup = "thread.cgroup" Charbuf Na [subsystem],
        /// Number of threads of the process.
        NThreads = "proc.nthreads" Uint64 Dec,
        /// Number of threads of the process besides the main one.
        NChilds = "proc.nchilds" Uint64 Dec,
        /// CPU time of the thread since the process information before, in percent.
        Cpu = "thread.cpu" Double Na,
        /// CPU time of the thread in user mode since the process information before, in percent.
        CpuUser = "thread.cpu.user" Double Na,
        /// CPU time of the thread in the kernel since the process information before, in percent.
        CpuSystem = "thread.cpu.system" Double Na,
        /// Virtual memory of the process in kB for its main thread, 0 for others.
        ThreadVmSize = "thread.vmsize" Uint64 Dec,
        /// Memory of the process in RAM in kB for its main thread, 0 for others.
        ThreadVmRss = "thread.vmrss" Uint64 Dec,
        /// Virtual memory of the process in bytes for its main thread, 0 for others.
        ThreadVmSizeBytes = "thread.vmsize.b" Uint64 Dec [hidden],
        /// Memory of the process in RAM in bytes for its main thread, 0 for others.
        ThreadVmRssBytes = "thread.vmrss.b" Uint64 Dec [hidden],
        /// What standard input refers to, as fd.type has it.
        StdinType = "proc.stdin.type" Charbuf Na,
        /// What standard output refers to, as fd.type has it.
        StdoutType = "proc.stdout.type" Charbuf Na,
        /// What standard error refers to, as fd.type has it.
        StderrType = "proc.stderr.type" Charbuf Na,
        /// Name of what standard input refers to, as fd.name has it.
        StdinName = "proc.stdin.name" Charbuf Na,
        /// Name of what standard output refers to, as fd.name has it.
        StdoutName = "proc.stdout.name" Charbuf Na,
        /// Name of what standard error refers to, as fd.name has it.
        StderrName = "proc.stderr.name" Charbuf Na,
    }
}
