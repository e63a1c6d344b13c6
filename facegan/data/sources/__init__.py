"""Where pictures come from: CelebA, MNIST, a folder, drawn faces."""
