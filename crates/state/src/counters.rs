//! How much there is and what was lost.

use std::ops::Add;

use crate::fd::FdKind;

/// A struct of counters that can be summed.
macro_rules! counters {
    ($(#[$doc:meta])* pub struct $name:ident {
        $($(#[$field_doc:meta])* pub $field:ident: $ty:ty,)*
    }) => {
        $(#[$doc])*
        pub struct $name {
            $($(#[$field_doc])* pub $field: $ty,)*
        }

        impl Add for $name {
            type Output = Self;

            fn add(self, other: Self) -> Self {
                Self { $($field: self.$field + other.$field,)* }
            }
        }
    };
}

counters! {
    /// How much there is and what was lost.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
    pub struct Counters {
        /// Threads added.
        pub added_threads: u64,
        /// Threads removed.
        pub removed_threads: u64,
        /// Threads that found no room.
        pub dropped_threads: u64,
        /// Open files added.
        pub added_fds: u64,
        /// Open files removed.
        pub removed_fds: u64,
        /// Open files that found no room.
        pub dropped_fds: u64,
        /// Events whose thread was known.
        pub found_threads: u64,
        /// Events of threads that were not known.
        pub unknown_threads: u64,
        /// Events whose fd was known.
        pub found_fds: u64,
        /// Events about fds that were not known.
        pub unknown_fds: u64,
        /// Enter events stored for their exits.
        pub stored_events: u64,
        /// Enter events that could not be stored.
        pub dropped_events: u64,
        /// Exit events that found their stored enter event.
        pub retrieved_events: u64,
        /// Exit events that needed a stored enter event and had none.
        pub missing_events: u64,
        /// Requests for a container's accounts that had to wait for room in the queue.
        pub postponed_account_requests: u64,
        /// Container descriptions that could not be read.
        pub bad_containers: u64,
        /// Containers whose processes can't be told from those of the host.
        pub unidentified_containers: u64,
        /// Users, groups and containers that found no room.
        pub dropped_others: u64,
        /// Processes that were read again because they had lost events.
        pub reread_processes: u64,
        /// Threads that a re-read found to be new, gone or changed.
        pub corrected_threads: u64,
        /// Open files that a re-read found to be new, closed or others.
        pub corrected_fds: u64,
        /// What the source described besides events.
        pub scanned: Scanned,
    }
}

counters! {
    /// What snapshots and look-ups of unknown threads contained.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
    #[allow(missing_docs, reason = "the names say it")]
    pub struct Scanned {
        pub threads: u64,
        pub files: u64,
        pub directories: u64,
        pub pipes: u64,
        pub memfds: u64,
        pub ipv4_sockets: u64,
        pub ipv6_sockets: u64,
        pub unix_sockets: u64,
        pub netlink_sockets: u64,
        /// What has no other name than its kind: eventfd, epoll and the like.
        pub anonymous: u64,
    }
}

impl Scanned {
    pub(crate) fn count(&mut self, kind: &FdKind) {
        *match kind {
            FdKind::File => &mut self.files,
            FdKind::Directory => &mut self.directories,
            FdKind::Pipe => &mut self.pipes,
            FdKind::Memfd => &mut self.memfds,
            FdKind::Ipv4(_) | FdKind::Ipv4Server { .. } => &mut self.ipv4_sockets,
            FdKind::Ipv6(_) | FdKind::Ipv6Server { .. } => &mut self.ipv6_sockets,
            FdKind::Unix { .. } => &mut self.unix_sockets,
            FdKind::Netlink => &mut self.netlink_sockets,
            _ => &mut self.anonymous,
        } += 1;
    }
}
