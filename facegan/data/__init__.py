"""Data: a source is packed once into a store of uint8 rows, which training reads.

source (celeba | mnist | folder | synthetic) -> packing.store.prepare -> Store -> ImageDataModule
"""
