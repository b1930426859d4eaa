"""The `variants:` section: several runs of one study.yaml, each a change of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def merge_patch(content: Any, patch: Any) -> Any:
    """Return `content` changed by `patch`: sections key by key, null takes a key away, anything else replaces.

    Reference: RFC 7396, JSON Merge Patch.

    Args:
        content: of a YAML or JSON document.
        patch: the change; not kept by reference.
    """
    if not isinstance(patch, Mapping):
        return patch
    merged = dict(content) if isinstance(content, Mapping) else {}
    for key, value in patch.items():
        if value is None:
            merged.pop(key, None)
        else:
            merged[key] = merge_patch(merged.get(key), value)
    return merged
