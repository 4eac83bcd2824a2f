"""Self-supervised similarity learning for digital pathology: an encoder of tiles."""
