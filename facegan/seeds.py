"""Random streams: one well-spread seed out of several numbers."""


def mix_seed(*parts: int) -> int:
    """One well-spread 63-bit seed out of several numbers (SplitMix64, Steele et al. 2014)."""
    mask, state = 2**64 - 1, 0
    for part in parts:
        state = (state + part + 0x9E3779B97F4A7C15) & mask
        state = ((state ^ (state >> 30)) * 0xBF58476D1CE4E5B9) & mask
        state = ((state ^ (state >> 27)) * 0x94D049BB133111EB) & mask
        state ^= state >> 31
    return state >> 1
