//! Tests of the key file: forms, permissions, passphrases, damage, crash safety.

use std::os::unix::fs::PermissionsExt;

use proptest::prelude::*;
use tempfile::TempDir;

use super::super::credentials::tests::{assert_same, sample};
use super::*;

/// Cheap, so that the tests measure the logic and not Argon2.
fn cheap() -> Cost {
    Cost::new(64, 1, 1).unwrap()
}

fn store(directory: &TempDir, passphrase: Option<&str>) -> FileKeyStore {
    let mut store = FileKeyStore::new(directory.path().join("home/keys"), passphrase.and_then(Passphrase::new));
    store.cost = cheap();
    store
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[test]
fn plain_round_trip_replace_and_delete() {
    let directory = TempDir::new().unwrap();
    let file = store(&directory, None);
    assert!(!file.exists());
    assert!(file.load().unwrap().is_none());
    assert!(!file.delete().unwrap());
    assert_eq!(file.protection().unwrap(), Protection::Plain);
    file.store(&sample(1)).unwrap();
    file.store(&sample(2)).unwrap();
    assert!(file.exists());
    assert!(!file.needs_passphrase().unwrap());
    assert_same(&file.load().unwrap().unwrap(), &sample(2));
    assert_eq!(file.protection().unwrap(), Protection::Plain);
    assert!(file.delete().unwrap());
    assert!(file.load().unwrap().is_none());
}

#[test]
fn sealed_round_trip_with_the_real_cost() {
    let directory = TempDir::new().unwrap();
    let passphrase = Passphrase::new("Größe ﬁnal");
    let file = FileKeyStore::new(directory.path().join("keys"), passphrase);
    assert_eq!(file.protection().unwrap(), Protection::Sealed);
    file.store(&sample(7)).unwrap();
    let bytes = fs::read(file.path()).unwrap();
    assert_eq!(bytes[10..22], [0, 0, 1, 0, 3, 0, 0, 0, 4, 0, 0, 0], "64 MiB, 3 passes, 4 lanes");
    for secret in [&[7; 32][..], &[7 ^ 0x55; 32]] {
        assert!(!bytes.windows(32).any(|window| window == secret));
    }
    // The same passphrase from a keyboard that composes differently.
    let same = Passphrase::new("Gro\u{308}ße final");
    let again = FileKeyStore::new(file.path(), same);
    assert_same(&again.load().unwrap().unwrap(), &sample(7));
}

#[test]
fn wrong_or_missing_passphrase_is_not_called_damage() {
    let directory = TempDir::new().unwrap();
    store(&directory, Some("right")).store(&sample(7)).unwrap();
    let wrong = store(&directory, Some("wrong")).load().unwrap_err();
    assert!(matches!(wrong, KeyStoreError::WrongPassphrase { .. }));
    let missing = store(&directory, None);
    assert!(missing.needs_passphrase().unwrap());
    assert_eq!(missing.protection().unwrap(), Protection::Sealed);
    let error = missing.load().unwrap_err();
    assert!(matches!(error, KeyStoreError::PassphraseNeeded { .. }));
    assert!(error.to_string().contains("--passphrase-file"));
    assert!(Passphrase::new("").is_none());
}

#[test]
fn the_same_credentials_never_give_the_same_sealed_file() {
    let directory = TempDir::new().unwrap();
    let file = store(&directory, Some("right"));
    file.store(&sample(7)).unwrap();
    let first = fs::read(file.path()).unwrap();
    file.store(&sample(7)).unwrap();
    let second = fs::read(file.path()).unwrap();
    assert_ne!(first[22..38], second[22..38], "salt");
    assert_ne!(first[38..62], second[38..62], "nonce");
}

#[test]
fn only_the_owner_may_read_it() {
    let directory = TempDir::new().unwrap();
    let file = store(&directory, None);
    file.store(&sample(1)).unwrap();
    assert_eq!(mode(file.path()), 0o600);
    assert_eq!(mode(file.path().parent().unwrap()), 0o700);
    assert!(!file.open_to_others().unwrap());
    for wide in [0o640, 0o604, 0o666] {
        fs::set_permissions(file.path(), fs::Permissions::from_mode(wide)).unwrap();
        assert!(file.open_to_others().unwrap());
    }
    // Still readable (the warning is for doctor), and replacing it closes it again.
    file.store(&file.load().unwrap().unwrap()).unwrap();
    assert!(!file.open_to_others().unwrap());
}

#[test]
fn replacing_leaves_nothing_behind_and_never_a_half_file() {
    let directory = TempDir::new().unwrap();
    let file = store(&directory, None);
    for fill in 0..20 {
        file.store(&sample(fill)).unwrap();
    }
    let names: Vec<_> =
        fs::read_dir(file.path().parent().unwrap()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(names, ["keys"]);
    // A reader during a replacement sees the old or the new file, whole.
    std::thread::scope(|scope| {
        let writer = scope.spawn(|| (0..200).for_each(|i| file.store(&sample(i)).unwrap()));
        while !writer.is_finished() {
            file.load().unwrap().unwrap();
        }
    });
}

#[test]
fn a_failed_replacement_keeps_the_old_file() {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("home/keys");
    fs::create_dir_all(path.join("in the way")).unwrap();
    let error = store(&directory, None).store(&sample(1)).unwrap_err();
    assert!(matches!(&error, KeyStoreError::File { action: "written", .. }));
    assert!(error.to_string().contains("home/keys"));
    let left: Vec<_> = fs::read_dir(path.parent().unwrap()).unwrap().collect();
    assert_eq!(left.len(), 1, "no temporary file stays");
}

#[test]
fn hostile_parameters_are_refused_before_any_work() {
    let directory = TempDir::new().unwrap();
    let file = store(&directory, Some("right"));
    file.store(&sample(1)).unwrap();
    let good = fs::read(file.path()).unwrap();
    // 4 TiB of memory; 4 billion passes; no lanes.
    for (at, value) in [(10, u32::MAX), (14, u32::MAX), (18, 0)] {
        let mut bad = good[..good.len() - CHECKSUM_LEN].to_vec();
        bad[at..at + 4].copy_from_slice(&value.to_le_bytes());
        bad.extend_from_slice(&checksum(&bad));
        fs::write(file.path(), &bad).unwrap();
        assert!(matches!(file.load(), Err(KeyStoreError::Damaged)));
    }
}

#[test]
fn a_forged_file_with_a_sound_checksum_does_not_open() {
    let directory = TempDir::new().unwrap();
    let file = store(&directory, Some("right"));
    file.store(&sample(1)).unwrap();
    let good = fs::read(file.path()).unwrap();
    // Salt, nonce, ciphertext, tag; and passes 1 → 2, which is within bounds.
    for at in [14, 22, 40, 70, good.len() - CHECKSUM_LEN - 1] {
        let mut bad = good[..good.len() - CHECKSUM_LEN].to_vec();
        bad[at] ^= 3;
        bad.extend_from_slice(&checksum(&bad));
        fs::write(file.path(), &bad).unwrap();
        assert!(matches!(file.load(), Err(KeyStoreError::WrongPassphrase { .. })), "byte {at}");
    }
}

#[test]
fn newer_and_foreign_files_are_told_apart() {
    let directory = TempDir::new().unwrap();
    let file = store(&directory, None);
    file.store(&sample(1)).unwrap();
    let mut newer = fs::read(file.path()).unwrap();
    newer[8] = 2;
    newer.extend_from_slice(&[0; 5000]);
    fs::write(file.path(), &newer).unwrap();
    assert!(matches!(file.load(), Err(KeyStoreError::FutureVersion)));
    for foreign in [&b""[..], b"CAROKEYS", b"-----BEGIN KEY-----\n", &[0; 10_000]] {
        fs::write(file.path(), foreign).unwrap();
        assert!(matches!(file.load(), Err(KeyStoreError::Damaged)));
    }
}

#[test]
fn debug_shows_no_secret() {
    let directory = TempDir::new().unwrap();
    let shown = format!("{:?}", store(&directory, Some("hunter2")));
    assert!(shown.contains("Passphrase(..)"));
    assert!(!shown.contains("hunter2"));
}

proptest! {
    #[test]
    fn damage_is_found_whatever_it_is(sealed: bool, at in 0usize..92, bit in 0u8..8, keep in 0usize..92) {
        let directory = TempDir::new().unwrap();
        let file = store(&directory, sealed.then_some("right"));
        file.store(&sample(5)).unwrap();
        let good = fs::read(file.path()).unwrap();
        let mut flipped = good.clone();
        flipped[at] ^= 1 << bit;
        for bad in [&flipped[..], &good[..keep]] {
            fs::write(file.path(), bad).unwrap();
            prop_assert!(matches!(
                file.load(),
                Err(KeyStoreError::Damaged | KeyStoreError::FutureVersion)
            ));
        }
    }

    #[test]
    fn junk_never_panics(junk: Vec<u8>, with_magic: bool) {
        let mut bytes = if with_magic { b"CAROKEYS\x01\x01".to_vec() } else { Vec::new() };
        bytes.extend_from_slice(&junk);
        prop_assert!(Content::parse(&bytes).is_err());
        bytes.extend_from_slice(&checksum(&bytes));
        let _ = Content::parse(&bytes);
    }
}
