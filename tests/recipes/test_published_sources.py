"""Published weights to start from: by address, by id, by name; verified, told, and without patients or unknown."""

from __future__ import annotations

import hashlib
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
import torch
from pydantic import ValidationError

from polydx.config import Config, InitConfig, NetworkConfig
from polydx.errors import BundleError, ConfigError, ReadError
from polydx.models.backbones import BACKBONES, build_backbone
from polydx.models.network import build_network
from polydx.models.options import builder_defaults
from polydx.recipes import imagenet
from polydx.recipes.build import build_recipes
from polydx.recipes.imagenet import FILES, checksum_in, imagenet_file
from polydx.recipes.initial import read_source
from polydx.recipes.loading import load_source
from polydx.recipes.paths import with_absolute_paths
from polydx.recipes.pretrain import save_pretrained
from polydx.recipes.provenance import Seen
from polydx.recipes.remote import fetch_weights, hub_address

TINY = {"name": "resnet", "depth": 10, "width": 0.125}


def config(**backbones):
    return NetworkConfig.model_validate({"kind": "network", "backbones": backbones or {"image": TINY}})


def published(depth=10, channels=3):
    """A state dict under torchvision's names, with a classifier of 1,000 classes."""
    backbone = build_backbone("resnet", 2, channels, depth=depth, width=0.125)
    state = {backbone.published_key(key): value.clone() for key, value in backbone.state_dict().items()}
    return state | {"fc.weight": torch.zeros(1000, backbone.out_width), "fc.bias": torch.zeros(1000)}


def network(channels=3, names=("image",), **options):
    backbones = {name: {**TINY, **options} for name in names}
    heads = {"disease": {"classes": 2}}
    return build_network(dict.fromkeys(names, (channels, 32, 32)), backbones=backbones, heads=heads, seed=0)


def sha(content):
    return hashlib.sha256(content).hexdigest()


@pytest.fixture
def file(tmp_path):
    torch.save(published(), tmp_path / "resnet10.pth")
    return tmp_path / "resnet10.pth"


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "polydx" / "weights"


@pytest.fixture
def site():
    """A server of one file, which counts how often it is asked."""

    class Site(ThreadingHTTPServer):
        content, asked = b"weights", 0

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            self.server.asked += 1
            self.send_response(200)
            self.send_header("Content-Length", str(len(self.server.content)))
            self.end_headers()
            self.wfile.write(self.server.content)

        def log_message(self, *arguments):
            pass

    server = Site(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
    server.url = f"http://127.0.0.1:{server.server_port}/models/w.pth?download=true"
    yield server
    server.shutdown()
    server.server_close()


def test_weights_at_an_address_are_downloaded_once_and_verified(site, cache):
    path = fetch_weights(site.url, sha(b"weights"))
    assert path == cache / f"{sha(b'weights')[:8]}-w.pth"
    assert path.read_bytes() == b"weights"
    assert fetch_weights(site.url, sha(b"weights")[:8].upper()) == path
    assert site.asked == 1
    assert list(cache.iterdir()) == [path]


def test_a_wrong_checksum_is_refused_and_nothing_is_kept(site, cache):
    with pytest.raises(ReadError, match=f"not the file meant: its SHA-256 is {sha(b'weights')}, expected {'0' * 64}"):
        fetch_weights(site.url, "0" * 64)
    assert list(cache.iterdir()) == []


def test_a_file_of_the_cache_that_changed_is_refused(site, cache):
    path = fetch_weights(site.url, sha(b"weights"))
    path.write_bytes(b"other")
    with pytest.raises(ReadError, match="is not the file meant"):
        fetch_weights(site.url, sha(b"weights"))


def test_without_a_connection_it_is_said_where_a_copy_may_be_put(cache):
    with pytest.raises(ReadError, match=r"is there a connection\?; a copy got elsewhere may be put at (.*)") as caught:
        fetch_weights("http://127.0.0.1:9/resnet18-f37072fd.pth", "f37072fd")
    assert str(cache / "resnet18-f37072fd.pth") in caught.value.message


def test_a_cache_that_cannot_be_written_is_told(site, cache):
    (cache / f"{sha(b'weights')[:8]}-w.pth").mkdir(parents=True)
    with pytest.raises(ReadError, match="cannot be written"):
        fetch_weights(site.url, sha(b"weights"))


def test_ids_of_a_hub_are_addresses():
    assert hub_address("hf:timm/resnet18/model.safetensors") == (
        "https://huggingface.co/timm/resnet18/resolve/main/model.safetensors"
    )
    assert hub_address("hf:a/b/sub/w.pth@v1.0") == "https://huggingface.co/a/b/resolve/v1.0/sub/w.pth"
    for wrong in ("hf:timm/resnet18", "hf:a/b/c d", "hf:a/b/"):
        with pytest.raises(ConfigError, match="is no id of a hub: expected hf:ORG/NAME/FILE"):
            hub_address(wrong)


def test_a_name_an_address_and_a_path_are_told_apart(tmp_path):
    assert InitConfig.model_validate("imagenet").source == "imagenet"
    checked = {"from": "https://example.org/w.pth", "sha256": "0" * 8}
    recipes = {}
    for name, init in {"name": "imagenet", "path": {"from": "./imagenet"}, "address": checked}.items():
        recipes[name] = {"kind": "network", "backbones": {"image": "resnet"}, "init": init}
    read = Config.model_validate({"study": {"dataset": "als-saliva"}, "recipes": recipes})
    found = {name: recipe.init.source for name, recipe in with_absolute_paths(read.recipes, tmp_path).items()}
    assert found == {"name": "imagenet", "path": tmp_path / "imagenet", "address": checked["from"]}
    again = NetworkConfig.model_validate_json(read.recipes["address"].model_dump_json())
    assert again.init == read.recipes["address"].init


@pytest.mark.parametrize(
    ("init", "message"),
    [
        ({"from": "https://example.org/w.pth"}, "need their checksum"),
        ({"from": "hf:a/b/c.pth"}, "need their checksum"),
        ({"from": "imagenet", "sha256": "0" * 64}, "the checksums of `imagenet` are known"),
        ({"from": "w.pth", "sha256": "xyz"}, "pattern"),
        ({"from": 3}, "expected a path, an address, an id hf:ORG/NAME/FILE or `imagenet`, found 3"),
    ],
)
def test_sections_that_cannot_be_meant_are_refused(init, message):
    with pytest.raises(ValidationError, match=message):
        InitConfig.model_validate(init)


def test_every_backbone_with_published_weights_finds_its_file():
    for name, files in FILES.items():
        for choice, file in files.items():
            assert imagenet_file(config(image={"name": name, **dict(choice)}), ["backbones"]) == file
            assert len(checksum_in(file)) == 8
            assert {key for key, _ in choice} <= builder_defaults(BACKBONES[name]).keys()
    # Left to their defaults, options count as what they are.
    assert imagenet_file(config(image={"name": "resnet"}), ["backbones"]) == "resnet50-0676ba61.pth"
    assert imagenet_file(config(image={"name": "vgg", "squeeze": 16}), ["backbones"]) == "vgg16_bn-6c64b313.pth"


def test_backbones_that_no_file_serves_are_named():
    both = config(ct={"name": "resnet", "depth": 18}, us={"name": "vgg"}, lab={"name": "mlp"})
    assert imagenet_file(both, ["backbones.us"]) == "vgg16_bn-6c64b313.pth"
    with pytest.raises(ConfigError, match="no weights of ImageNet fit") as caught:
        imagenet_file(both, ["backbones"])
    told = {(p.where, p.what.split(";")[0]) for p in caught.value.problems}
    assert ("backbones.lab", "none for mlp with these options") in told
    assert ("backbones.ct", "needs resnet18-f37072fd.pth") in told
    with pytest.raises(ConfigError) as caught:
        imagenet_file(config(image=TINY), ["backbones"])
    assert caught.value.problems[0].what.startswith(
        "none for resnet with these options; there are resnet (18, 34, 50, 101, 152), vgg (11, 13, 16, 19), "
    )
    with pytest.raises(ConfigError, match="`modules` of `init` names no backbone"):
        imagenet_file(both, ["necks"])


def test_a_recipe_that_imagenet_does_not_serve_is_refused_before_anything_runs(make_study):
    study = make_study()
    recipe = {"kind": "network", "backbones": {"raman": {"name": "cnn", "width": 4}}, "init": "imagenet"}
    with pytest.raises(ConfigError, match="init.from.backbones.raman +none for cnn with these options"):
        build_recipes({"net": recipe}, study)


@pytest.fixture
def of_imagenet(file, cache, monkeypatch):
    """The tiny network as one of those published: its file lies in the cache."""
    name = f"resnet10-{sha(file.read_bytes())[:8]}.pth"
    monkeypatch.setitem(imagenet.FILES["resnet"], (("depth", 10),), name)
    monkeypatch.setattr("polydx.recipes.initial.NAMES", {name})
    cache.mkdir(parents=True)
    file.rename(cache / name)
    return cache / name


def test_weights_of_imagenet_load_by_name_and_have_seen_no_patients(of_imagenet):
    init, found = InitConfig.model_validate("imagenet"), config()
    source = read_source(init, found)
    assert source.seen == Seen()
    net = network()
    notes = load_source(net, source, init, found)
    assert notes[0].startswith("init: loaded backbones.image (")
    assert notes[1:] == [
        "init: left aside fc.weight, fc.bias",
        f"init: {of_imagenet.name} was fitted on ImageNet, which holds no patients",
    ]
    assert torch.equal(net.backbone("image").stem.conv.weight, published_of(of_imagenet)["conv1.weight"])


def published_of(path):
    return torch.load(path, weights_only=True)


def test_a_copy_of_a_published_file_is_known_by_name_and_checksum(of_imagenet, tmp_path):
    copy = tmp_path / of_imagenet.name
    copy.write_bytes(of_imagenet.read_bytes())
    assert read_source(InitConfig(source=copy)).seen == Seen()
    torch.save(published() | {"fc.bias": torch.ones(1000)}, copy)
    assert read_source(InitConfig(source=copy)).seen.unknown == (str(copy),)


def test_a_file_with_another_checksum_is_refused(file, tmp_path):
    assert read_source(InitConfig(source=file, sha256=sha(file.read_bytes()))).state.keys() == published().keys()
    with pytest.raises(ReadError, match="is not the file meant: .* get it again, or mend `sha256`"):
        read_source(InitConfig(source=file, sha256="0" * 64))
    with pytest.raises(ReadError, match="no such file of weights"):
        read_source(InitConfig(source=tmp_path / "none.pth", sha256="0" * 64))


def test_weights_at_an_address_are_read(site, cache, file):
    site.content = file.read_bytes()
    source = read_source(InitConfig(source=site.url, sha256=sha(site.content)))
    assert source.state.keys() == published().keys()
    assert source.seen.unknown == (str(source.path),)


def test_that_no_patients_were_seen_is_declared_and_told(file):
    init = InitConfig(source=file, patients="none")
    source = read_source(init)
    assert source.seen == Seen()
    assert "init: resnet10.pth has seen no patients, says `patients: none`" in load_source(
        network(), source, init, config()
    )
    assert read_source(InitConfig(source=file)).seen.unknown == (str(file),)


def test_weights_that_say_whom_they_have_seen_cannot_be_declared_to_have_seen_nobody(make_study, tmp_path):
    study = make_study(patients=4, points=40)
    training = {"epochs": 1, "batch_size": 8, "patience": None}
    recipe = {"kind": "network", "backbones": {"raman": {"name": "cnn", "width": 4}}, "training": training}
    save_pretrained(tmp_path / "w.safetensors", build_recipes({"net": recipe}, study)["net"].fit(study, 0))
    with pytest.raises(ConfigError, match="says itself whom it has seen; leave out `patients: none`"):
        read_source(InitConfig(source=tmp_path / "w.safetensors", patients="none"))


def test_what_is_adapted_and_what_stays_new_is_told(file):
    init = InitConfig(source=file)
    notes = load_source(network(1, squeeze=4), read_source(init), init, config())
    assert notes[1:] == [
        "init: adapted conv1.weight: filters for red, green and blue summed to one for grey",
        "init: not in the weights, and so new: backbones.image.squeeze",
        "init: left aside fc.weight, fc.bias",
    ]


def test_one_file_serves_several_backbones_of_its_kind(file):
    init, net = InitConfig(source=file), network(names=("ct", "us"))
    notes = load_source(net, read_source(init), init, config(ct=TINY, us=TINY))
    assert [note.split(" (")[0] for note in notes[:2]] == ["init: loaded backbones.ct", "init: loaded backbones.us"]
    assert torch.equal(net.backbone("ct").stem.conv.weight, net.backbone("us").stem.conv.weight)


def test_another_architecture_is_refused_by_file_and_backbone(tmp_path):
    torch.save(published(depth=18), tmp_path / "resnet18.pth")
    init = InitConfig(source=tmp_path / "resnet18.pth")
    wrong = (
        "resnet18.pth, backbones.ct: the weights do not fit this backbone: .*; `modules` names the backbones to load"
    )
    with pytest.raises(BundleError, match=wrong):
        load_source(network(names=("ct", "us"), depth=50), read_source(init), init, config(ct=TINY, us=TINY))
