"""How good generated images are: numbers from two sets of vectors, real and generated.

Pure functions over float tensors (N, d) as an extractor gives them, on the CPU.
"""
