//! The one shape of every 32-byte secret key in this room.
//!
//! Invariants: the bytes live on the heap, so that moving the value leaves no copy behind on the
//! stack; they are wiped on drop; `Debug` prints the type's name only; comparison takes constant
//! time; there is no `Clone`, `Display` or serialisation. A macro rather than a generic type, so
//! that two keys of different purposes are different types and can't be swapped by mistake.

/// Defines a 32-byte secret key type with the properties the module names.
macro_rules! secret_key {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        pub struct $name(Box<[u8; 32]>);

        impl $name {
            /// Lets `fill` write the 32 bytes in place, so that no other copy of them exists.
            pub(crate) fn try_init<E>(
                fill: impl FnOnce(&mut [u8; 32]) -> Result<(), E>,
            ) -> Result<Self, E> {
                let mut key = Self(Box::new([0; 32]));
                fill(&mut key.0)?;
                Ok(key)
            }

            /// The secret bytes. Copy them only into another type that wipes itself.
            pub fn expose(&self) -> &[u8; 32] {
                &self.0
            }
        }

        impl Drop for $name {
            fn drop(&mut self) {
                zeroize::Zeroize::zeroize(self.0.as_mut_slice());
            }
        }

        impl zeroize::ZeroizeOnDrop for $name {}

        impl std::fmt::Debug for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(concat!(stringify!($name), "(..)"))
            }
        }

        impl subtle::ConstantTimeEq for $name {
            fn ct_eq(&self, other: &Self) -> subtle::Choice {
                self.0.as_slice().ct_eq(other.0.as_slice())
            }
        }
    };
}
