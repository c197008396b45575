//! Which machine this is, as far as the system says: what tells a home from its copy on another one.

/// The system's own random id of this installation; none where there is none to read, as in many containers.
#[must_use]
pub(crate) fn id() -> Option<String> {
    #[cfg(debug_assertions)]
    if let Some(id) = std::env::var("CARO_TEST_MACHINE").ok().filter(|id| !id.is_empty()) {
        // Lets tests play a second machine; a release build knows no such variable.
        return Some(id);
    }
    ["/etc/machine-id", "/var/lib/dbus/machine-id"]
        .iter()
        .filter_map(|file| std::fs::read_to_string(file).ok())
        .map(|id| id.trim().to_owned())
        .find(|id| !id.is_empty())
}

/// Where every home is said to lie, so that tests can play a machine that was copied whole, with its paths and its files'
/// numbers. None in a release build.
#[must_use]
pub(crate) fn cloned_place() -> Option<String> {
    #[cfg(debug_assertions)]
    if let Some(place) = std::env::var("CARO_TEST_PLACE").ok().filter(|place| !place.is_empty()) {
        return Some(place);
    }
    None
}
