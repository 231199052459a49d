//! What the programs log, where they were built to (`cargo xtask build --trace`): handed on to the daemon's own log.

use aya::Ebpf;
use aya_log::EbpfLogger;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// Reads the programs' log in the background; does nothing where they have none. Needs a tokio runtime.
pub(super) fn follow(programs: &mut Ebpf) {
    let Ok(logger) = EbpfLogger::init(programs) else { return };
    // The logger owns its ring buffer's descriptor and always gives the same one, as the reactor asks for.
    // SAFETY: see above.
    let logger = match unsafe { AsyncFd::register_with_interest(logger, Interest::READABLE) } {
        Ok(logger) => logger,
        Err(error) => {
            let error = std::io::Error::from(error);
            log::warn!("the programs' log cannot be read: {error}");
            return;
        }
    };
    log::info!("the programs log every refused packet");
    tokio::spawn(read(logger));
}

async fn read(mut logger: AsyncFd<EbpfLogger<&'static dyn log::Log>>) {
    while let Ok(mut ready) = logger.readable_mut().await {
        ready.get_inner_mut().flush();
        ready.clear_ready();
    }
}
