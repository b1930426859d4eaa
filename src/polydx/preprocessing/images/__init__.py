"""Preparing images: one class a step, over batches (B, H, W, C) of pixels from 0 to 1.

`STEPS` maps the names used in YAML to the classes. Steps that learn nothing give an image the same answer alone and in
any batch.
"""

from __future__ import annotations

from polydx.preprocessing.images.base import ImageStep
from polydx.preprocessing.images.colour import Normalise, Rescale, ToGrey, ToRGB
from polydx.preprocessing.images.contrast import CLAHE
from polydx.preprocessing.images.geometry import CentreCrop, Letterbox, Resize
from polydx.preprocessing.images.histogram import ColourHistogram
from polydx.preprocessing.images.region import MaskRegion
from polydx.preprocessing.images.stain import StainNormalise
from polydx.preprocessing.images.texture import LocalBinaryPatterns

STEPS: dict[str, type[ImageStep]] = {
    "resize": Resize,
    "centre_crop": CentreCrop,
    "letterbox": Letterbox,
    "to_grey": ToGrey,
    "to_rgb": ToRGB,
    "rescale": Rescale,
    "normalise": Normalise,
    "clahe": CLAHE,
    "stain_normalise": StainNormalise,
    "mask_region": MaskRegion,
    "colour_histogram": ColourHistogram,
    "local_binary_patterns": LocalBinaryPatterns,
}

__all__ = [
    "CLAHE",
    "STEPS",
    "CentreCrop",
    "ColourHistogram",
    "ImageStep",
    "Letterbox",
    "LocalBinaryPatterns",
    "MaskRegion",
    "Normalise",
    "Rescale",
    "Resize",
    "StainNormalise",
    "ToGrey",
    "ToRGB",
]
