"""What the tests share: a real server, and the verbs of an operator."""
