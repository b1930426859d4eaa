"""Read images: one call for photographs and scans of any usual format, as the file holds them.

Shapes: `H, W` height and width, `C` channels.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from polydx.errors import ReadError
from polydx.io.files import open_file, refusal

Pixels: TypeAlias = NDArray[Any]


def read_image(path: str | Path, frame: int = 0) -> Pixels:
    """Read one frame of an image file.

    Args:
        path: the file.
        frame: of a file with several, counted from 0.

    Returns:
        (H, W) grey or (H, W, C) colour, in the file's own dtype.

    Raises:
        ReadError: missing, no image, broken, or no such frame.
    """
    from PIL import Image, ImageOps

    path, _ = open_file(path)
    try:
        with Image.open(path) as image:
            image.seek(frame)
            if image.mode in ("P", "CMYK", "YCbCr", "LAB", "HSV"):
                return np.array(ImageOps.exif_transpose(image).convert("RGB"))
            return np.array(ImageOps.exif_transpose(image))
    except (OSError, SyntaxError, ValueError, EOFError) as error:
        raise refusal(ReadError, path, [f"is no image that can be read ({error})"]) from error
