"""Weights that torchvision publishes for ImageNet: which file belongs to which backbone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from polydx.config import NetworkConfig, Open
from polydx.errors import ConfigError, Problem
from polydx.models.backbones import BACKBONES
from polydx.models.options import builder_defaults

ADDRESS = "https://download.pytorch.org/models/"

Choice = tuple[tuple[str, object], ...]

FILES: dict[str, dict[Choice, str]] = {
    "resnet": {
        (("depth", 18),): "resnet18-f37072fd.pth",
        (("depth", 34),): "resnet34-b627a593.pth",
        (("depth", 50),): "resnet50-0676ba61.pth",
        (("depth", 101),): "resnet101-63fe2227.pth",
        (("depth", 152),): "resnet152-394f9c45.pth",
    },
    "vgg": {
        (("depth", 11), ("batch_norm", False)): "vgg11-8a719046.pth",
        (("depth", 13), ("batch_norm", False)): "vgg13-19584684.pth",
        (("depth", 16), ("batch_norm", False)): "vgg16-397923af.pth",
        (("depth", 19), ("batch_norm", False)): "vgg19-dcbb9e9d.pth",
        (("depth", 11), ("batch_norm", True)): "vgg11_bn-6002323d.pth",
        (("depth", 13), ("batch_norm", True)): "vgg13_bn-abd245e5.pth",
        (("depth", 16), ("batch_norm", True)): "vgg16_bn-6c64b313.pth",
        (("depth", 19), ("batch_norm", True)): "vgg19_bn-c79401a0.pth",
    },
    "densenet": {
        (("depth", 121),): "densenet121-a639ec97.pth",
        (("depth", 169),): "densenet169-b2777c0a.pth",
        (("depth", 201),): "densenet201-c1103571.pth",
    },
    "efficientnet": {
        (("size", "b0"),): "efficientnet_b0_rwightman-7f5810bc.pth",
        (("size", "b1"),): "efficientnet_b1_rwightman-bac287d4.pth",
        (("size", "b2"),): "efficientnet_b2_rwightman-c35c1473.pth",
        (("size", "b3"),): "efficientnet_b3_rwightman-b3899882.pth",
        (("size", "b4"),): "efficientnet_b4_rwightman-23ab8bcd.pth",
        (("size", "b5"),): "efficientnet_b5_lukemelas-1a07897c.pth",
        (("size", "b6"),): "efficientnet_b6_lukemelas-24a108a5.pth",
        (("size", "b7"),): "efficientnet_b7_lukemelas-c5b4e57e.pth",
    },
    "vit": {
        (("width", 768), ("layers", 12), ("patch", 16)): "vit_b_16-c867db91.pth",
        (("width", 768), ("layers", 12), ("patch", 32)): "vit_b_32-d86f8d99.pth",
        (("width", 1024), ("layers", 24), ("patch", 16)): "vit_l_16-852ce7e3.pth",
        (("width", 1024), ("layers", 24), ("patch", 32)): "vit_l_32-c7638314.pth",
    },
}
"""Backbone -> options that choose -> file; its name ends in the first digits of its SHA-256, as torch.hub checks it."""

NAMES = frozenset(name for files in FILES.values() for name in files.values())


def checksum_in(name: str) -> str:
    """Return the first digits of the SHA-256 that the name of a file of `FILES` ends in."""
    return name.removesuffix(".pth").rpartition("-")[2]


def imagenet_file(config: NetworkConfig | None, modules: Sequence[str]) -> str:
    """Return the name of the file for the backbones that are to be loaded.

    Args:
        config: of the recipe.
        modules: of its `init`: `backbones` for all of them, or `backbones.MODALITY`.

    Raises:
        ConfigError: no such weights are published for a backbone, or the backbones need different files.
    """
    backbones = {} if config is None else config.backbones
    wanted = {n: b for n, b in backbones.items() if "backbones" in modules or f"backbones.{n}" in modules}
    files = {name: _file_of(backbone) for name, backbone in wanted.items()}
    problems = [
        Problem(f"backbones.{name}", f"none for {wanted[name].name} with these options; there are {_published()}")
        for name, file in files.items()
        if file is None
    ]
    found = {file for file in files.values() if file is not None}
    if len(found) > 1:
        remedy = "one file a recipe: name its backbones with `modules: [backbones.NAME]`"
        problems += [Problem(f"backbones.{name}", f"needs {file}; {remedy}") for name, file in files.items()]
    if problems or not found:
        raise ConfigError("no weights of ImageNet fit: `modules` of `init` names no backbone they serve", problems)
    return found.pop()


def _file_of(backbone: Open) -> str | None:
    files = FILES.get(backbone.name)
    if files is None:
        return None
    options: Mapping[str, Any] = builder_defaults(BACKBONES[backbone.name]) | backbone.options
    return next((file for choice, file in files.items() if all(options[k] == v for k, v in choice)), None)


def _published() -> str:
    return ", ".join(f"{name} ({', '.join(dict.fromkeys(_told(c) for c in files))})" for name, files in FILES.items())


def _told(choice: Choice) -> str:
    return "/".join(str(value) for key, value in choice if key != "batch_norm")
