//! What can be read of a damaged SQLite database that the engine refuses to read: its pages as they lie on disk, and the rows
//! on each.

#[cfg(any(test, feature = "fuzz"))]
pub(crate) mod fuzz;
mod pages;
mod rows;

pub(crate) use pages::{PAGE, Pages};
pub(crate) use rows::{Row, on_page};
