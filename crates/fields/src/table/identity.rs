//! Classes `user` and `group`: on whose behalf the thread acts.

use super::fields;

fields! {
    /// Fields of the user on whose behalf the thread acts.
    pub enum User {
        /// Number of the user.
        Uid = "user.uid" Uint32 Dec,
        /// Name of the user.
        Name = "user.name" Charbuf Na,
        /// Home directory of the user.
        Homedir = "user.homedir" Charbuf Na,
        /// Shell of the user.
        Shell = "user.shell" Charbuf Na,
        /// Number of the user who logged in, whoever the process became since; -1 when nobody did.
        LoginUid = "user.loginuid" Int64 Dec,
        /// Name of the user who logged in.
        LoginName = "user.loginname" Charbuf Na,
    }
}

fields! {
    /// Fields of the group on whose behalf the thread acts.
    pub enum Group {
        /// Number of the group.
        Gid = "group.gid" Uint32 Dec,
        /// Name of the group.
        Name = "group.name" Charbuf Na,
    }
}
