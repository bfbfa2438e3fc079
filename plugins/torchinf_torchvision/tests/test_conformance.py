"""The plugin keeps the contract; all but the weights is in the catalogue that it brings."""

import torchinf_torchvision
from torchinf_core.testing import SourceConformance


class TestTorchvision(SourceConformance):
    plugin = torchinf_torchvision
    good_ref, missing_ref = "torchvision:resnet18", "torchvision:resnet18@IMAGENET1K_V9"
    publishes_digests = has_revisions = True
    pattern = "resnet1*"
    files_need = "weights that PyTorch's servers alone have"
