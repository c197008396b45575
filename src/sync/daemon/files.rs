//! Tells a daemon when somebody writes to the history, or changes the settings or the state of sync.

use std::sync::mpsc::Sender;

use super::wake::{Wake, Watched};

/// Names that matter in the data folder and in that of the settings. Temporary files beside them do not.
const STATE: [&str; 1] = ["sync.json"];
const SETTINGS: [&str; 2] = ["sync.toml", "config.toml"];
/// What a write to the history changes first.
const LOG: &str = "history.db-wal";

/// Watches from a thread of its own until nobody listens any more.
pub(super) fn watch(watched: Watched, wakes: Sender<Wake>) -> std::io::Result<()> {
    let thread = std::thread::Builder::new().name("caro-files".into());
    #[cfg(target_os = "linux")]
    match linux::Inotify::begin(&watched) {
        Ok(inotify) => return thread.spawn(move || inotify.run(&wakes)).map(drop),
        // As where there is none: the user may have too many watches already.
        Err(error) => tracing::warn!(%error, "the system does not tell of changed files; looking from time to time"),
    }
    thread.spawn(move || poll::run(&watched, &wakes)).map(drop)
}

#[cfg(target_os = "linux")]
mod linux {
    use std::io;
    use std::mem::MaybeUninit;
    use std::os::fd::OwnedFd;
    use std::path::PathBuf;
    use std::sync::mpsc::Sender;

    use rustix::fs::inotify::{self, CreateFlags, ReadFlags, WatchFlags};

    use super::{LOG, SETTINGS, STATE, Wake, Watched};

    pub(super) struct Inotify {
        descriptor: OwnedFd,
        log: PathBuf,
        data: i32,
        config: Option<i32>,
    }

    impl Inotify {
        pub(super) fn begin(watched: &Watched) -> io::Result<Self> {
            let descriptor = inotify::init(CreateFlags::CLOEXEC)?;
            let appears = WatchFlags::MOVED_TO | WatchFlags::CREATE | WatchFlags::CLOSE_WRITE;
            let data = inotify::add_watch(&descriptor, &watched.data_dir, appears)?;
            // Where both folders are one, this is the same watch.
            let config = inotify::add_watch(&descriptor, &watched.config_dir, appears).ok();
            let inotify = Self { descriptor, log: watched.data_dir.join(LOG), data, config };
            inotify.watch_log();
            Ok(inotify)
        }

        /// The log itself: as part of the folder, every write of every file there would wake us.
        fn watch_log(&self) {
            // It may not be there yet; it is watched when it appears.
            let _ = inotify::add_watch(&self.descriptor, &self.log, WatchFlags::MODIFY);
        }

        pub(super) fn run(self, wakes: &Sender<Wake>) {
            let mut buffer = [MaybeUninit::uninit(); 4096];
            let mut events = inotify::Reader::new(&self.descriptor, &mut buffer);
            let mut seen = (false, false);
            while let Ok(event) = events.next() {
                let (history, settings) = self.meaning(&event);
                seen = (seen.0 || history, seen.1 || settings);
                if !events.is_buffer_empty() {
                    continue;
                }
                // What came at once is told once.
                let (history, settings) = std::mem::take(&mut seen);
                for wake in [history.then_some(Wake::History), settings.then_some(Wake::Settings)] {
                    if wake.is_some_and(|wake| wakes.send(wake).is_err()) {
                        return;
                    }
                }
            }
        }

        /// Whether the history, and whether state or settings have changed.
        fn meaning(&self, event: &inotify::Event<'_>) -> (bool, bool) {
            let name = event.file_name().and_then(|name| name.to_str().ok()).unwrap_or_default();
            if event.events().contains(ReadFlags::QUEUE_OVERFLOW) {
                (true, true)
            } else if event.wd() != self.data && Some(event.wd()) != self.config {
                (true, false)
            } else if name == LOG {
                if event.events().contains(ReadFlags::CREATE) {
                    self.watch_log();
                }
                (true, false)
            } else {
                (false, STATE.contains(&name) || SETTINGS.contains(&name))
            }
        }
    }
}

/// Where the system does not tell of changes.
mod poll {
    use std::path::{Path, PathBuf};
    use std::sync::mpsc::Sender;
    use std::time::{Duration, SystemTime};

    use super::{LOG, SETTINGS, STATE, Wake, Watched};

    /// How often to look.
    const LOOK_EVERY: Duration = Duration::from_secs(2);

    pub(super) fn run(watched: &Watched, wakes: &Sender<Wake>) {
        let log = watched.data_dir.join(LOG);
        let state = STATE.iter().map(|name| watched.data_dir.join(name));
        let others: Vec<PathBuf> = state.chain(SETTINGS.iter().map(|name| watched.config_dir.join(name))).collect();
        let look = || (stamp(&log), others.iter().map(|path| stamp(path)).collect::<Vec<_>>());
        let mut before = look();
        loop {
            std::thread::sleep(LOOK_EVERY);
            let now = look();
            let changed = [(now.0 != before.0).then_some(Wake::History), (now.1 != before.1).then_some(Wake::Settings)];
            for wake in changed.into_iter().flatten() {
                if wakes.send(wake).is_err() {
                    return;
                }
            }
            before = now;
        }
    }

    fn stamp(path: &Path) -> Option<(SystemTime, u64)> {
        let metadata = std::fs::metadata(path).ok()?;
        Some((metadata.modified().ok()?, metadata.len()))
    }
}
