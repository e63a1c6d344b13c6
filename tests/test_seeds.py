from facegan.seeds import CALIBRATION, CLUSTERING, mix_seed


def test_mixed_seeds_do_not_collide():
    seeds = {mix_seed(a, b) for a in range(50) for b in range(50)}
    assert len(seeds) == 2500
    assert all(0 <= seed < 2**63 for seed in seeds)


def test_values_never_change():
    """The pictures of a seed follow from them."""
    assert (CALIBRATION, CLUSTERING) == (1, 2)
    assert mix_seed(0, CALIBRATION) == 1534736266818221247
    assert mix_seed(7, 3, 2**40) == 3371078716962596921
