"""UMAP (McInnes, Healy & Melville, arXiv 1802.03426): a fuzzy graph, and its layout on the plane.

We differ from the package umap-learn, which is the oracle of the tests, in the layout alone: see
`kernels`. It is the same for a seed on any number of cores.
"""

from napari_medssl.methods.umap_layout.fuzzy_graph import Edges, curve_of, fuzzy_edges, memberships
from napari_medssl.methods.umap_layout.layout import Layout, settle

__all__ = ["Edges", "Layout", "curve_of", "fuzzy_edges", "memberships", "settle"]
