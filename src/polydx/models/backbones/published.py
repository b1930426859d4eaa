"""Weights under the names their authors gave them, brought to a backbone's names and channels."""

from __future__ import annotations

import re
from collections.abc import Mapping

from torch import Tensor

from polydx.errors import BundleError, Problem

COLOURS = 3


def with_present_names(state: Mapping[str, Tensor], older: Mapping[str, str]) -> dict[str, Tensor]:
    """Return the weights with names of older files replaced by those in use now.

    Args:
        state: published key -> tensor.
        older: regular expression of an older name -> what stands in its place.
    """
    renamed = {}
    for key, value in state.items():
        for pattern, now in older.items():
            key = re.sub(pattern, now, key)
        renamed[key] = value
    return renamed


def is_colour_for_grey(theirs: Tensor, own: Tensor) -> bool:
    """Tell whether filters (D, 3, h, w) for red, green and blue meet a first convolution (D, 1, h, w) for grey."""
    return theirs.ndim == own.ndim == 4 and theirs.shape == (len(own), COLOURS, *own.shape[2:]) and own.shape[1] == 1


def state_to_load(
    own: Mapping[str, Tensor], wanted: Mapping[str, str], state: Mapping[str, Tensor]
) -> dict[str, Tensor]:
    """Return own key -> tensor of the file.

    Where the file's first convolution is for colour and ours for grey, its filters are summed: what a grey image copied
    into three channels would give.

    Args:
        own: own key -> tensor of the backbone.
        wanted: own key -> published key.
        state: published key -> tensor.

    Raises:
        BundleError: a parameter is missing or has another shape; all are listed.
    """
    problems = [Problem(p, "missing from the file") for p in wanted.values() if p not in state]
    found = {}
    for key, theirs in ((k, state[p]) for k, p in wanted.items() if p in state):
        found[key] = theirs.sum(dim=1, keepdim=True) if is_colour_for_grey(theirs, own[key]) else theirs
    problems += [
        Problem(wanted[k], f"expected shape {tuple(own[k].shape)}, found {tuple(value.shape)}")
        for k, value in found.items()
        if own[k].shape != value.shape
    ]
    if problems:
        raise BundleError("the weights do not fit this backbone: another architecture or input", problems)
    return found
