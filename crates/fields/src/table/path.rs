//! Class `fs.path`: the paths that a syscall acts on.

use super::fields;

fields! {
    /// Fields of the paths that a successful syscall acts on, with or without an fd.
    pub enum FsPath needs Nothing {
        /// The path, absolute and tidied.
        Name = "fs.path.name" Charbuf Na Pure 20,
        /// The path as it was given.
        NameRaw = "fs.path.nameraw" Charbuf Na Pure 20,
        /// The first of two paths, absolute and tidied: old name, new link or device.
        Source = "fs.path.source" Charbuf Na Pure 20,
        /// The first of two paths, as it was given.
        SourceRaw = "fs.path.sourceraw" Charbuf Na Pure 20,
        /// The second of two paths, absolute and tidied: new name, what a link points to, mount
        /// point.
        Target = "fs.path.target" Charbuf Na Pure 20,
        /// The second of two paths, as it was given.
        TargetRaw = "fs.path.targetraw" Charbuf Na Pure 20,
    }
}
