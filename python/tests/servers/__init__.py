"""One application under every server and every way to fork."""
