"""Settings of the data sets: one place for defaults, ranges and sentences."""

import subprocess
import sys

import pytest

from facegan.data.settings import (
    CelebASettings,
    DataSettings,
    FolderSettings,
    MNISTSettings,
    SyntheticSettings,
)
from facegan.errors import InputError


@pytest.mark.parametrize(
    ("settings", "values", "sentence"),
    [
        (CelebASettings, {"crop": 4}, "dataset.crop must be a whole number of at least 8, not 4."),
        (CelebASettings, {"download": "wget"}, "dataset.download must be one of kaggle or null"),
        (CelebASettings, {"root": 3}, "dataset.root must be a path, not 3."),
        (FolderSettings, {"crop": 4}, "dataset.crop must be a whole number of at least 8 or null"),
        (MNISTSettings, {"image_size": 48}, "dataset.image_size must be one of 28, 32, 64 for"),
        (MNISTSettings, {"flip": True}, "mirrored digits are not digits"),
        (SyntheticSettings, {"channels": 1}, "dataset.channels must be 3 for drawn faces, not 1."),
        (DataSettings, {"data_dir": ""}, "data_dir must be a directory, not ''."),
        (DataSettings, {"image_sise": 64}, "did you mean dataset.image_size?"),
    ],
)
def test_a_wrong_value_is_one_sentence_that_names_the_key(settings, values, sentence):
    with pytest.raises(InputError) as raised:
        settings(**values)
    assert sentence in str(raised.value)


def test_settings_import_no_torch():
    code = "import sys, facegan.data.settings; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
