//! Where the code of plugins is in memory, so that a signal handler can tell whose thread died.

use core::ffi::{c_int, c_void};
use std::ptr;
use std::sync::atomic::{AtomicPtr, Ordering};

/// Libraries beyond these are not told apart.
const MOST: usize = 64;

static LIBRARIES: [AtomicPtr<Range>; MOST] = [const { AtomicPtr::new(ptr::null_mut()) }; MOST];

struct Range {
    start: usize,
    end: usize,
    plugin: String,
}

/// Remembers where the library with this address is. Libraries stay in memory, and so does this.
pub(crate) fn remember(plugin: &str, address: usize) {
    // Miri has no libraries.
    let Some((start, end)) = (!cfg!(miri)).then(|| object(address)).flatten() else { return };
    let range = Box::into_raw(Box::new(Range { start, end, plugin: plugin.to_owned() }));
    for place in &LIBRARIES {
        let null = ptr::null_mut();
        if place.compare_exchange(null, range, Ordering::Release, Ordering::Relaxed).is_ok() {
            return;
        }
    }
    // SAFETY: it was made above, and no place has it.
    drop(unsafe { Box::from_raw(range) });
}

/// The plugin whose library has this address. For signal handlers: it neither waits nor allocates.
pub(crate) fn plugin_at(address: usize) -> Option<&'static str> {
    let of = |place: &AtomicPtr<Range>| {
        // SAFETY: what was remembered is never freed.
        let range = unsafe { place.load(Ordering::Acquire).as_ref() }?;
        (range.start..range.end).contains(&address).then_some(range.plugin.as_str())
    };
    LIBRARIES.iter().find_map(of)
}

/// Begin and end of the loaded object that has this address.
fn object(address: usize) -> Option<(usize, usize)> {
    let mut search = Search { address, found: None };
    // SAFETY: the callback has the signature that the function asks for, and gets the pointer that
    // is passed here.
    unsafe { libc::dl_iterate_phdr(Some(visit), (&raw mut search).cast::<c_void>()) };
    search.found
}

struct Search {
    address: usize,
    found: Option<(usize, usize)>,
}

unsafe extern "C" fn visit(
    info: *mut libc::dl_phdr_info,
    _: libc::size_t,
    search: *mut c_void,
) -> c_int {
    // SAFETY: the dynamic linker passes a description with that many headers, and what `object` has
    // passed on, which nothing else uses meanwhile.
    let (search, base, headers) = unsafe {
        let info = &*info;
        let headers = match info.dlpi_phdr.is_null() {
            true => &[][..],
            false => core::slice::from_raw_parts(info.dlpi_phdr, info.dlpi_phnum.into()),
        };
        (&mut *search.cast::<Search>(), info.dlpi_addr as usize, headers)
    };
    let segments = headers.iter().filter(|header| header.p_type == libc::PT_LOAD);
    let segment = |header: &libc::Elf64_Phdr| {
        let start = base.wrapping_add(header.p_vaddr as usize);
        (start, start.wrapping_add(header.p_memsz as usize))
    };
    let all = segments.map(segment).reduce(|all, it| (all.0.min(it.0), all.1.max(it.1)));
    search.found = all.filter(|(start, end)| (*start..*end).contains(&search.address));
    search.found.is_some().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg_attr(miri, ignore = "Miri has no libraries")]
    fn addresses_belong_to_the_library_that_has_them() {
        let function = libc::getpid as *const () as usize;
        assert_eq!(plugin_at(function), None);
        remember("libc", function);
        assert_eq!(plugin_at(function), Some("libc"));
        assert_eq!(plugin_at(libc::getppid as *const () as usize), Some("libc"));
        assert_eq!(plugin_at(0), None);
    }
}
