//! What a rotation is: rings, versions, states, stages, gates, policy and schedule, with no input or output.
