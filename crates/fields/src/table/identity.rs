//! Classes `user` and `group`: on whose behalf the thread acts.

use super::fields;

fields! {
    /// Fields of the user on whose behalf the thread acts.
    pub enum User needs Nothing {
        /// Number of the user.
        Uid = "user.uid" Uint32 Dec Pure 8,
        /// Name of the user.
        Name = "user.name" Charbuf Na Pure 8 [needs_container],
        /// Home directory of the user.
        Homedir = "user.homedir" Charbuf Na Pure 8 [needs_container],
        /// Shell of the user.
        Shell = "user.shell" Charbuf Na Pure 8 [needs_container],
        /// Number of the user who logged in, even if the process changed users since; -1 without a
        /// login.
        LoginUid = "user.loginuid" Int64 Dec Pure 8,
        /// Name of the user who logged in.
        LoginName = "user.loginname" Charbuf Na Pure 8 [needs_container],
    }
}

fields! {
    /// Fields of the group on whose behalf the thread acts.
    pub enum Group needs Nothing {
        /// Number of the group.
        Gid = "group.gid" Uint32 Dec Pure 8,
        /// Name of the group.
        Name = "group.name" Charbuf Na Pure 8 [needs_container],
    }
}
