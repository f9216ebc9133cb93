"""What draws the embedded sample and clip: `python -m tools.sample`."""
