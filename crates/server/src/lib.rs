//! API v1 over HTTP: routes, change feed, rights, metrics; thin.
