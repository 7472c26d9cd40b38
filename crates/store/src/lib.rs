//! The resource store: files and SQLite behind one set of live tables.
