"""Images to vectors: the discriminator's features and other extractors."""
