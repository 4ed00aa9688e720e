//! The wire types of API v1, shared by server, client and command line.
