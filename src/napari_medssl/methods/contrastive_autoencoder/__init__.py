"""Contrastive autoencoder: embeddings, clusters, reconstruction and sampling without labels."""
