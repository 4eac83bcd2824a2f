"""Embeddings that do not mind how a picture was taken: features whitened by their views.

Source: within-class covariance normalisation (Hatch, Kajarekar and Stolcke, Interspeech 2006), each
picture with its views as a class of its own.
"""
