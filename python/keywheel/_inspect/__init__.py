"""What ``python -m keywheel.inspect`` is made of: loading, facts, and what stands in the way."""
