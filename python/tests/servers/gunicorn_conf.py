"""gunicorn's configuration, as the guide has it."""

from keywheel.gunicorn import post_fork, worker_exit  # noqa: F401
