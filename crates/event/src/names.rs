//! Names of error numbers and signals.

/// Name of an error, from the negative number that a syscall returns: -2 → `ENOENT`.
///
/// Numbers of newer kernels have no name: alerts print the number alone.
pub fn errno_name(result: i64) -> Option<&'static str> {
    let number = usize::try_from(result.checked_neg()?).ok()?;
    match number {
        0..512 => ERRNOS.get(number),
        512..521 => INTERNAL.get(number - 512),
        _ => NFS.get(number - 521),
    }
    .copied()
    .filter(|name| !name.is_empty())
}

/// Name of a signal: 9 → `SIGKILL`. Real-time signals have none.
pub fn signal_name(signal: u8) -> Option<&'static str> {
    SIGNALS.get(usize::from(signal).checked_sub(1)?).copied()
}

#[rustfmt::skip]
static ERRNOS: [&str; 126] = [
    "", "EPERM", "ENOENT", "ESRCH", "EINTR", "EIO", "ENXIO", "E2BIG", "ENOEXEC", "EBADF",
    "ECHILD", "EAGAIN", "ENOMEM", "EACCES", "EFAULT", "ENOTBLK", "EBUSY", "EEXIST", "EXDEV", "ENODEV",
    "ENOTDIR", "EISDIR", "EINVAL", "ENFILE", "EMFILE", "ENOTTY", "ETXTBSY", "EFBIG", "ENOSPC", "ESPIPE",
    "EROFS", "EMLINK", "EPIPE", "EDOM", "ERANGE", "EDEADLK", "ENAMETOOLONG", "ENOLCK", "ENOSYS", "ENOTEMPTY",
    "ELOOP", "", "ENOMSG", "EIDRM", "ECHRNG", "EL2NSYNC", "EL3HLT", "EL3RST", "ELNRNG", "EUNATCH",
    "ENOCSI", "EL2HLT", "EBADE", "EBADR", "EXFULL", "ENOANO", "EBADRQC", "EBADSLT", "", "EBFONT",
    "ENOSTR", "ENODATA", "ETIME", "ENOSR", "ENONET", "ENOPKG", "EREMOTE", "ENOLINK", "EADV", "ESRMNT",
    "ECOMM", "EPROTO", "EMULTIHOP", "EDOTDOT", "EBADMSG", "EOVERFLOW", "ENOTUNIQ", "EBADFD", "EREMCHG", "ELIBACC",
    "ELIBBAD", "ELIBSCN", "ELIBMAX", "ELIBEXEC", "EILSEQ", "ERESTART", "ESTRPIPE", "EUSERS", "ENOTSOCK", "EDESTADDRREQ",
    "EMSGSIZE", "EPROTOTYPE", "ENOPROTOOPT", "EPROTONOSUPPORT", "ESOCKTNOSUPPORT", "EOPNOTSUPP", "EPFNOSUPPORT", "EAFNOSUPPORT", "EADDRINUSE", "EADDRNOTAVAIL",
    "ENETDOWN", "ENETUNREACH", "ENETRESET", "ECONNABORTED", "ECONNRESET", "ENOBUFS", "EISCONN", "ENOTCONN", "ESHUTDOWN", "ETOOMANYREFS",
    "ETIMEDOUT", "ECONNREFUSED", "EHOSTDOWN", "EHOSTUNREACH", "EALREADY", "EINPROGRESS", "ESTALE", "EUCLEAN", "ENOTNAM", "ENAVAIL",
    "EISNAM", "EREMOTEIO", "EDQUOT", "ENOMEDIUM", "EMEDIUMTYPE", "ECANCELED",
];

/// From 512: results that are internal to the kernel but visible to a probe.
static INTERNAL: [&str; 5] =
    ["ERESTARTSYS", "ERESTARTNOINTR", "ERESTARTNOHAND", "ENOIOCTLCMD", "ERESTART_RESTARTBLOCK"];

/// From 521: results of network file systems.
#[rustfmt::skip]
static NFS: [&str; 10] = [
    "EBADHANDLE", "ENOTSYNC", "EBADCOOKIE", "ENOTSUPP", "ETOOSMALL",
    "ESERVERFAULT", "EBADTYPE", "EJUKEBOX", "EIOCBQUEUED", "EIOCBRETRY",
];

#[rustfmt::skip]
static SIGNALS: [&str; 31] = [
    "SIGHUP", "SIGINT", "SIGQUIT", "SIGILL", "SIGTRAP", "SIGABRT", "SIGBUS", "SIGFPE", "SIGKILL", "SIGUSR1",
    "SIGSEGV", "SIGUSR2", "SIGPIPE", "SIGALRM", "SIGTERM", "SIGSTKFLT", "SIGCHLD", "SIGCONT", "SIGSTOP", "SIGTSTP",
    "SIGTTIN", "SIGTTOU", "SIGURG", "SIGXCPU", "SIGXFSZ", "SIGVTALRM", "SIGPROF", "SIGWINCH", "SIGIO", "SIGPWR",
    "SIGSYS",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_have_their_numbers() {
        for (number, name) in [
            (1, "EPERM"),
            (11, "EAGAIN"),
            (38, "ENOSYS"),
            (40, "ELOOP"),
            (59, "EBFONT"),
            (88, "ENOTSOCK"),
            (110, "ETIMEDOUT"),
            (115, "EINPROGRESS"),
            (125, "ECANCELED"),
            (512, "ERESTARTSYS"),
            (524, "ENOTSUPP"),
            (530, "EIOCBRETRY"),
        ] {
            assert_eq!(errno_name(-number), Some(name));
            assert_eq!(errno_name(number), None);
        }
        for number in [0, -41, -126, -511, -517, -531, i64::MIN] {
            assert_eq!(errno_name(number), None);
        }
    }

    #[test]
    fn signals_have_their_numbers() {
        assert_eq!(signal_name(1), Some("SIGHUP"));
        assert_eq!(signal_name(17), Some("SIGCHLD"));
        assert_eq!(signal_name(31), Some("SIGSYS"));
        assert_eq!(signal_name(0), None);
        assert_eq!(signal_name(34), None);
    }
}
