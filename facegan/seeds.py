"""Random streams: one well-mixed seed out of several numbers."""

# Streams of a user's seed, for the last argument of mix_seed.
CALIBRATION = 1  # latents for the generator's BatchNorm statistics
CLUSTERING = 2  # latents of the generated images that are assigned to clusters
CONDITIONS = 3  # what a conditional generator is asked for


def mix_seed(*parts: int) -> int:
    """One 63-bit seed out of several numbers (SplitMix64, Steele et al. 2014).

    Different parts give different seeds: (1, 0) is not (0, 1). The values must never change:
    the pictures of a seed, in every version of facegan, follow from them.
    """
    mask, state = 2**64 - 1, 0
    for part in parts:
        state = (state + part + 0x9E3779B97F4A7C15) & mask
        state = ((state ^ (state >> 30)) * 0xBF58476D1CE4E5B9) & mask
        state = ((state ^ (state >> 27)) * 0x94D049BB133111EB) & mask
        state ^= state >> 31
    return state >> 1
