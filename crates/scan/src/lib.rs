//! Reads what consumes keys. So far this is the parser of nginx configurations, the only one in
//! keywheel; whatever asks something of an nginx configuration asks it here.

pub mod nginx;
