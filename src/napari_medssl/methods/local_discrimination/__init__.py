"""Local discrimination: an embedding of every pixel, and regions, from unlabelled images."""
