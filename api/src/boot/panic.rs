//! A panic is a defect, and what it left behind cannot be trusted: the process ends at once, and
//! recovery, which is tested, takes over. A replica that lives on with a dead task would be worse.

/// Makes every panic, in whatever thread or task, log where it was and end the process (SIGABRT).
pub fn stop_on_panic() {
    let print = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        print(info);
        let backtrace = std::backtrace::Backtrace::force_capture();
        eprintln!("ledgermq {} stops: this is a defect.\n{backtrace}", env!("CARGO_PKG_VERSION"));
        std::process::abort();
    }));
}
