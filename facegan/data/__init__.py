"""Data: any source is packed once into a store of uint8 rows; training only ever reads the store.

source (celeba | mnist | folder | synthetic) -> packing.store.prepare -> Store -> ImageDataModule
"""
