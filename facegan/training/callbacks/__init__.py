"""Lightning callbacks: checkpoints, pictures, measurements and progress of a training."""
