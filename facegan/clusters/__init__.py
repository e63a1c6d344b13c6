"""k-means on what the discriminator sees."""
