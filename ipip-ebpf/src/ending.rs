//! What every object of programs ends with: the licence that the kernel reads, and what takes the place of a panic.

/// Helpers that the kernel offers to GPL-compatible programs only are in use; the sources are
/// MIT OR Apache-2.0 all the same.
#[unsafe(link_section = "license")]
#[unsafe(no_mangle)]
static LICENSE: [u8; 13] = *b"Dual MIT/GPL\0";

#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    // SAFETY: no path of the programs can panic; the lint on the linked object shows that this is gone.
    unsafe { core::hint::unreachable_unchecked() }
}
