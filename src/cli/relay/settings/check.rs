//! What settings cannot mean, wherever they come from: said before anything is served.

use super::Settings;
use crate::cli::CliError;

/// Where there is no upper end.
const MOST: u32 = u32::MAX;

/// Looks at every setting that has values which mean nothing.
pub(super) fn check(settings: &Settings) -> Result<(), CliError> {
    for (name, value, least, most, otherwise) in [
        ("engines", settings.engines, 1, 64, "that is how many a relay can have"),
        ("max_connections", settings.max_connections, 1, MOST, "nobody could connect"),
        ("max_connections_per_address", settings.max_connections_per_address, 1, MOST, "nobody could connect"),
        ("max_connections_per_account", settings.max_connections_per_account, 1, MOST, "nobody could connect"),
        ("max_messages_per_second", settings.max_messages_per_second, 1, MOST, "nothing would be read"),
        ("max_bytes_per_second", settings.max_bytes_per_second, 1, MOST, "nothing would be read"),
        ("frame_memory_mib", settings.frame_memory_mib, 65, MOST, "the largest frame needs as much"),
        ("frame_timeout", settings.frame_timeout, 1, MOST, "no frame would arrive in time"),
        ("client_timeout", settings.client_timeout, 1, MOST, "no client would answer in time"),
        ("max_stored_mib_per_account", settings.max_stored_mib_per_account, 1, MOST, "nothing could be stored"),
        ("max_covalues_per_account", settings.max_covalues_per_account, 1, MOST, "nothing could be stored"),
        ("max_value_mib", settings.max_value_mib, 1, 1024, "nothing could be stored, or no engine could hold it"),
        ("forget_accounts_after", settings.forget_accounts_after, 1, 36_500, "everything would be erased"),
        ("idle_exit", settings.idle_exit, 1, MOST, "it would end at once"),
    ] {
        let Some(value) = value.filter(|value| !(least..=most).contains(value)) else { continue };
        let range = match most {
            MOST => format!("{least} or more"),
            most => format!("from {least} to {most}"),
        };
        return Err(CliError::usage(format!("`{name}` cannot be {value}: {otherwise}"))
            .hinted(format!("It has to be {range}; leave it out for what is usual.")));
    }
    match settings.origin.iter().find(|origin| !is_origin(origin)) {
        None => Ok(()),
        Some(wrong) => Err(CliError::usage(format!("`origin` cannot be {wrong:?}: no page has it"))
            .hinted("The origin of a page is its scheme, host and port: https://app.example")),
    }
}

/// Whether a browser could name it as the origin of a page.
fn is_origin(text: &str) -> bool {
    let Ok(url) = deno_core::url::Url::parse(text) else { return false };
    let is_bare = matches!(url.path(), "" | "/") && url.query().is_none() && url.fragment().is_none();
    let (user, password) = (url.username(), url.password());
    url.has_host() && is_bare && user.is_empty() && password.is_none() && text.contains("://")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_origin_is_what_a_browser_says() {
        for text in ["https://app.example", "https://app.example/", "http://localhost:8080", "app://here"] {
            assert!(is_origin(text), "{text}");
        }
        for text in ["app", "app.example", "https://app.example/path", "https://me@app.example", "https://", "null", ""]
        {
            assert!(!is_origin(text), "{text}");
        }
    }

    #[test]
    fn what_means_nothing_is_refused_and_what_is_left_out_is_not() {
        let wrong = |settings: &Settings| check(settings).unwrap_err().message;
        assert!(check(&Settings::default()).is_ok());
        let engines = Settings { engines: Some(100), ..Settings::default() };
        assert!(wrong(&engines).contains("`engines` cannot be 100"), "{}", wrong(&engines));
        let nobody = Settings { max_connections: Some(0), ..Settings::default() };
        assert!(wrong(&nobody).contains("nobody could connect"), "{}", wrong(&nobody));
    }
}
