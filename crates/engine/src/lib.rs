//! Who drives a rotation: ports, reconciler, triggers, cluster time and the event journal.
