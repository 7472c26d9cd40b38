//! Whole-system flows against real parts.
