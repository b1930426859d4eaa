"""The architectures of torchvision written down a second time, in plain torch, with its parameter names."""

from __future__ import annotations

import math

import torch
from torch import nn
from torch.nn import functional


class Bottleneck(nn.Module):
    expansion = 4

    def __init__(self, before, width, stride):
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(before, width, 1, bias=False), nn.BatchNorm2d(width)
        self.conv2, self.bn2 = nn.Conv2d(width, width, 3, stride, 1, bias=False), nn.BatchNorm2d(width)
        self.conv3, self.bn3 = nn.Conv2d(width, 4 * width, 1, bias=False), nn.BatchNorm2d(4 * width)
        if stride != 1 or before != 4 * width:
            self.downsample = nn.Sequential(
                nn.Conv2d(before, 4 * width, 1, stride, bias=False), nn.BatchNorm2d(4 * width)
            )

    def forward(self, x):
        y = torch.relu(self.bn1(self.conv1(x)))
        y = torch.relu(self.bn2(self.conv2(y)))
        y = self.bn3(self.conv3(y))
        return torch.relu(y + (self.downsample(x) if hasattr(self, "downsample") else x))


class BasicBlock(nn.Module):
    expansion = 1

    def __init__(self, before, width, stride):
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(before, width, 3, stride, 1, bias=False), nn.BatchNorm2d(width)
        self.conv2, self.bn2 = nn.Conv2d(width, width, 3, 1, 1, bias=False), nn.BatchNorm2d(width)
        if stride != 1 or before != width:
            self.downsample = nn.Sequential(nn.Conv2d(before, width, 1, stride, bias=False), nn.BatchNorm2d(width))

    def forward(self, x):
        y = self.bn2(self.conv2(torch.relu(self.bn1(self.conv1(x)))))
        return torch.relu(y + (self.downsample(x) if hasattr(self, "downsample") else x))


class ResNet(nn.Module):
    def __init__(self, block, blocks):
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(3, 64, 7, 2, 3, bias=False), nn.BatchNorm2d(64)
        before = 64
        for number, count in enumerate(blocks, start=1):
            width, layers = 32 * 2**number, []
            for i in range(count):
                layers.append(block(before, width, 2 if number > 1 and i == 0 else 1))
                before = width * block.expansion
            setattr(self, f"layer{number}", nn.Sequential(*layers))
        self.fc = nn.Linear(before, 1000)

    def maps(self, x):
        x = functional.max_pool2d(torch.relu(self.bn1(self.conv1(x))), 3, 2, 1)
        return self.layer4(self.layer3(self.layer2(self.layer1(x))))


class Vgg(nn.Module):
    def __init__(self, counts, batch_norm):
        super().__init__()
        layers, before = [], 3
        for count, width in zip(counts, (64, 128, 256, 512, 512), strict=True):
            for _ in range(count):
                layers += [nn.Conv2d(before, width, 3, padding=1), *([nn.BatchNorm2d(width)] if batch_norm else [])]
                layers.append(nn.ReLU())
                before = width
            layers.append(nn.MaxPool2d(2, 2))
        self.features = nn.Sequential(*layers)
        for layer in self.features:
            if isinstance(layer, nn.Conv2d):
                nn.init.kaiming_normal_(layer.weight, mode="fan_out")
        self.classifier = nn.Sequential(nn.Linear(512, 8))  # torchvision's takes 25,088 values and is not loaded

    def maps(self, x):
        return self.features(x)


class DenseLayer(nn.Module):
    def __init__(self, before, growth):
        super().__init__()
        self.norm1, self.conv1 = nn.BatchNorm2d(before), nn.Conv2d(before, 4 * growth, 1, bias=False)
        self.norm2, self.conv2 = nn.BatchNorm2d(4 * growth), nn.Conv2d(4 * growth, growth, 3, padding=1, bias=False)

    def forward(self, x):
        y = self.conv1(torch.relu(self.norm1(x)))
        return torch.cat([x, self.conv2(torch.relu(self.norm2(y)))], dim=1)


class DenseNet(nn.Module):
    def __init__(self, blocks, growth=32):
        super().__init__()
        self.features = nn.Module()
        self.features.conv0, self.features.norm0 = nn.Conv2d(3, 64, 7, 2, 3, bias=False), nn.BatchNorm2d(64)
        self.blocks, width = len(blocks), 64
        for number, count in enumerate(blocks, start=1):
            block = nn.Sequential()
            for layer in range(1, count + 1):
                block.add_module(f"denselayer{layer}", DenseLayer(width, growth))
                width += growth
            self.features.add_module(f"denseblock{number}", block)
            if number < len(blocks):
                transition = nn.Module()
                transition.norm = nn.BatchNorm2d(width)
                transition.conv = nn.Conv2d(width, width // 2, 1, bias=False)
                self.features.add_module(f"transition{number}", transition)
                width //= 2
        self.features.norm5 = nn.BatchNorm2d(width)
        self.classifier = nn.Linear(width, 1000)

    def maps(self, x):
        parts = self.features
        x = functional.max_pool2d(torch.relu(parts.norm0(parts.conv0(x))), 3, 2, 1)
        for number in range(1, self.blocks + 1):
            x = parts.get_submodule(f"denseblock{number}")(x)
            if number < self.blocks:
                step = parts.get_submodule(f"transition{number}")
                x = functional.avg_pool2d(step.conv(torch.relu(step.norm(x))), 2)
        return torch.relu(parts.norm5(x))


def conv_norm(before, after, kernel, stride, groups, eps):
    conv = nn.Conv2d(before, after, kernel, stride, (kernel - 1) // 2, groups=groups, bias=False)
    return nn.Sequential(conv, nn.BatchNorm2d(after, eps=eps))


class Squeeze(nn.Module):
    def __init__(self, width, squeezed):
        super().__init__()
        self.fc1, self.fc2 = nn.Conv2d(width, squeezed, 1), nn.Conv2d(squeezed, width, 1)

    def forward(self, x):
        pooled = x.mean(dim=(2, 3), keepdim=True)
        return x * torch.sigmoid(self.fc2(functional.silu(self.fc1(pooled))))


class InvertedBottleneck(nn.Module):
    def __init__(self, before, after, expansion, kernel, stride, eps):
        super().__init__()
        width = before * expansion
        expand = [conv_norm(before, width, 1, 1, 1, eps)] if expansion != 1 else []
        self.block = nn.Sequential(
            *expand,
            conv_norm(width, width, kernel, stride, width, eps),
            Squeeze(width, max(1, before // 4)),
            conv_norm(width, after, 1, 1, 1, eps),
        )
        self.residual = stride == 1 and before == after

    def forward(self, x):
        *expand, depthwise, squeeze, project = self.block
        y = x
        for part in (*expand, depthwise):
            y = functional.silu(part(y))
        y = project(squeeze(y))
        return x + y if self.residual else y


class EfficientNet(nn.Module):
    SETTING = (
        *((1, 3, 1, 32, 16, 1), (6, 3, 2, 16, 24, 2), (6, 5, 2, 24, 40, 2), (6, 3, 2, 40, 80, 3)),
        *((6, 5, 1, 80, 112, 3), (6, 5, 2, 112, 192, 4), (6, 3, 1, 192, 320, 1)),
    )

    def __init__(self, wider, deeper, eps):
        super().__init__()
        stages = [conv_norm(3, self.rounded(32 * wider), 3, 2, 1, eps)]
        for expansion, kernel, stride, before, after, count in self.SETTING:
            before, after = self.rounded(before * wider), self.rounded(after * wider)
            blocks = []
            for i in range(math.ceil(count * deeper)):
                blocks.append(
                    InvertedBottleneck(after if i else before, after, expansion, kernel, 1 if i else stride, eps)
                )
            stages.append(nn.Sequential(*blocks))
        stages.append(conv_norm(after, 4 * after, 1, 1, 1, eps))
        self.features = nn.Sequential(*stages)
        self.classifier = nn.Sequential(nn.Dropout(0.2), nn.Linear(4 * after, 1000))

    @staticmethod
    def rounded(width):
        """To a multiple of 8, never down by more than a tenth."""
        found = max(8, int(width + 4) // 8 * 8)
        return found + 8 if found < 0.9 * width else found

    def maps(self, x):
        first, *stages, last = self.features
        x = functional.silu(first(x))
        for stage in stages:
            x = stage(x)
        return functional.silu(last(x))


class VitLayer(nn.Module):
    def __init__(self, width, heads):
        super().__init__()
        self.heads = heads
        self.ln_1, self.ln_2 = nn.LayerNorm(width, eps=1e-6), nn.LayerNorm(width, eps=1e-6)
        self.self_attention = nn.Module()
        self.self_attention.in_proj_weight = nn.Parameter(torch.randn(3 * width, width) / math.sqrt(width))
        self.self_attention.in_proj_bias = nn.Parameter(torch.randn(3 * width) * 0.1)
        self.self_attention.out_proj = nn.Linear(width, width)
        self.mlp = nn.Sequential(nn.Linear(width, 4 * width), nn.GELU(), nn.Identity(), nn.Linear(4 * width, width))

    def forward(self, x):
        part = self.self_attention
        mixed = self.ln_1(x) @ part.in_proj_weight.T + part.in_proj_bias
        q, k, v = (t.unflatten(2, (self.heads, -1)) for t in mixed.chunk(3, dim=2))  # (B, T, heads, D / heads)
        scores = torch.einsum("bqhd,bkhd->bhqk", q, k) / math.sqrt(q.shape[3])
        seen = torch.einsum("bhqk,bkhd->bqhd", scores.softmax(dim=3), v).flatten(2)
        x = x + part.out_proj(seen)
        return x + self.mlp(self.ln_2(x))


class Vit(nn.Module):
    def __init__(self, width, layers, heads, patch, size):
        super().__init__()
        self.conv_proj = nn.Conv2d(3, width, patch, patch)
        self.class_token = nn.Parameter(torch.randn(1, 1, width))
        self.encoder = nn.Module()
        self.encoder.pos_embedding = nn.Parameter(torch.randn(1, 1 + (size // patch) ** 2, width))
        self.encoder.layers = nn.Sequential()
        for number in range(layers):
            self.encoder.layers.add_module(f"encoder_layer_{number}", VitLayer(width, heads))
        self.encoder.ln = nn.LayerNorm(width, eps=1e-6)
        self.heads = nn.Sequential()
        self.heads.add_module("head", nn.Linear(width, 1000))

    def maps(self, x):
        tokens = self.conv_proj(x).flatten(2).transpose(1, 2)
        tokens = torch.cat([self.class_token.expand(len(x), -1, -1), tokens], dim=1) + self.encoder.pos_embedding
        return self.encoder.ln(self.encoder.layers(tokens))[:, :1].transpose(1, 2)


def with_own_statistics(network, seed=5):
    """Give the batch norms running statistics and weights that no two of them share; return the state dict."""
    generator = torch.Generator().manual_seed(seed)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.normal_(0, 0.1, generator=generator)
            module.running_var.uniform_(0.5, 1.5, generator=generator)
            module.weight.data.uniform_(0.5, 1.5, generator=generator)
            module.bias.data.normal_(0, 0.1, generator=generator)
    return network.eval().state_dict()
