"""Read by gunicorn from the folder in which it starts."""

# Each worker, also an idle one, proves that it holds the next key; none is waited for in vain.
from keywheel.gunicorn import post_fork, worker_exit  # noqa: F401

workers = 3
preload_app = True
