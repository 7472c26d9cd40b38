//! Calls we record-routed: sessions, limits, call records.
