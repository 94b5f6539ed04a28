//! Groups of objects, one table.
