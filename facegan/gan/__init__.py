"""The GAN: networks' losses, training step, averaged generator, checkpoints and sampling."""
