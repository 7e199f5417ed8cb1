"""Networks of the zoo that torchvision and transformers do not have, in plain torch."""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional
from torchvision import models
from transformers import BertConfig, BertModel, GPT2Config, GPT2LMHeadModel

DARKNET53_STAGES = ((64, 1), (128, 2), (256, 8), (512, 8), (1024, 4))
MOBILENET_V1_BLOCKS = (
    (32, 64, 1), (64, 128, 2), (128, 128, 1), (128, 256, 2), (256, 256, 1), (256, 512, 2),
    (512, 512, 1), (512, 512, 1), (512, 512, 1), (512, 512, 1), (512, 512, 1),
    (512, 1024, 2), (1024, 1024, 1),
)  # fmt: skip


def nin() -> nn.Module:
    """Network in Network for ImageNet (Lin et al. 2014, the published Caffe model)."""

    def block(source: int, target: int, kernel: int, stride: int, padding: int) -> list[nn.Module]:
        return [
            nn.Conv2d(source, target, kernel, stride, padding), nn.ReLU(),
            nn.Conv2d(target, target, 1), nn.ReLU(),
            nn.Conv2d(target, target, 1), nn.ReLU(),
        ]  # fmt: skip

    def pool() -> nn.Module:
        return nn.MaxPool2d(3, 2, ceil_mode=True)

    last = block(384, 1024, 3, 1, 1)
    last[4] = nn.Conv2d(1024, 1000, 1)
    return nn.Sequential(
        *block(3, 96, 11, 4, 0), pool(),
        *block(96, 256, 5, 1, 2), pool(),
        *block(256, 384, 3, 1, 1), pool(),
        *last, nn.AdaptiveAvgPool2d(1), nn.Flatten(),
    )  # fmt: skip


class ConvUnit(nn.Module):
    """Convolution without bias, batch norm, activation: the unit of darknet and MobileNetV1."""

    def __init__(
        self, source: int, target: int, kernel: int = 3, stride: int = 1, *,
        groups: int = 1, leaky: bool = True,
    ) -> None:  # fmt: skip
        super().__init__()
        self.conv = nn.Conv2d(source, target, kernel, stride, kernel // 2, groups=groups, bias=False)
        self.bn = nn.BatchNorm2d(target)
        self.act: nn.Module = nn.LeakyReLU(0.1) if leaky else nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        return self.act(self.bn(self.conv(x)))


class SamePool(nn.Module):
    """Darknet's 2x2 max-pooling with stride 1: padded below and on the right only."""

    def forward(self, x: Tensor) -> Tensor:
        return functional.max_pool2d(functional.pad(x, (0, 1, 0, 1), value=float("-inf")), 2, 1)


def tiny_yolov2() -> nn.Module:
    """Tiny-YOLOv2 for Pascal VOC (Redmon & Farhadi 2017): 5 anchors x (20 classes + 5)."""
    layers: list[nn.Module] = []
    widths = (3, 16, 32, 64, 128, 256, 512)
    for source, target in pairwise(widths):
        layers += [ConvUnit(source, target), SamePool() if target == 512 else nn.MaxPool2d(2, 2)]
    layers += [ConvUnit(512, 1024), ConvUnit(1024, 1024), nn.Conv2d(1024, 125, 1)]
    return nn.Sequential(*layers)


class DarkResidual(nn.Module):
    """Residual block of DarkNet-53: 1x1 to half the width, 3x3 back, added to the input."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.squeeze = ConvUnit(width, width // 2, 1)
        self.expand = ConvUnit(width // 2, width)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.expand(self.squeeze(x))


def darknet53() -> nn.Module:
    """DarkNet-53 as the ImageNet classifier (Redmon & Farhadi 2018)."""
    stages: list[nn.Module] = [ConvUnit(3, 32)]
    for width, repeats in DARKNET53_STAGES:
        blocks = [DarkResidual(width) for _ in range(repeats)]
        stages.append(nn.Sequential(ConvUnit(width // 2, width, 3, 2), *blocks))
    return nn.Sequential(*stages, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(1024, 1000))


def mobilenet_v1() -> nn.Module:
    """MobileNetV1, width multiplier 1 (Howard et al. 2017)."""
    layers: list[nn.Module] = [ConvUnit(3, 32, 3, 2, leaky=False)]
    for source, target, stride in MOBILENET_V1_BLOCKS:
        depthwise = ConvUnit(source, source, 3, stride, groups=source, leaky=False)
        layers.append(nn.Sequential(depthwise, ConvUnit(source, target, 1, leaky=False)))
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(1024, 1000))


def charcnn() -> nn.Module:
    """The small character-level CNN of Zhang et al. 2015: 70 characters x 1014, 4 classes."""

    def conv(source: int, kernel: int, *, pool: bool) -> list[nn.Module]:
        layers: list[nn.Module] = [nn.Conv1d(source, 256, kernel), nn.ReLU()]
        return [*layers, nn.MaxPool1d(3)] if pool else layers

    return nn.Sequential(
        *conv(70, 7, pool=True), *conv(256, 7, pool=True), *conv(256, 3, pool=False),
        *conv(256, 3, pool=False), *conv(256, 3, pool=False), *conv(256, 3, pool=True),
        nn.Flatten(),
        nn.Linear(34 * 256, 1024), nn.ReLU(), nn.Dropout(),
        nn.Linear(1024, 1024), nn.ReLU(), nn.Dropout(), nn.Linear(1024, 4),
    )  # fmt: skip


def lenet() -> nn.Module:
    """LeNet-5 (LeCun et al. 1998) in today's usual reading: all maps joined, tanh."""
    return nn.Sequential(
        nn.Conv2d(1, 6, 5), nn.Tanh(), nn.AvgPool2d(2),
        nn.Conv2d(6, 16, 5), nn.Tanh(), nn.AvgPool2d(2), nn.Flatten(),
        nn.Linear(400, 120), nn.Tanh(), nn.Linear(120, 84), nn.Tanh(), nn.Linear(84, 10),
    )  # fmt: skip


def toy_chain() -> nn.Module:
    """Eight small convolutions one after the other, for tests."""
    widths = (3, 8, 8, 16, 16, 32, 32, 64, 64)
    layers: list[nn.Module] = []
    for index, (source, target) in enumerate(pairwise(widths)):
        layers += [nn.Conv2d(source, target, 3, 2 if index in (2, 4, 6) else 1, 1), nn.ReLU()]
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(64, 10))


class ToyDag(nn.Module):
    """Branches, a residual sum and a tensor with three readers, for tests."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 16, 3, 2, 1)
        self.left = nn.Conv2d(16, 8, 1)
        self.middle = nn.Sequential(nn.Conv2d(16, 12, 1), nn.ReLU(), nn.Conv2d(12, 16, 3, 1, 1))
        self.right = nn.Sequential(nn.MaxPool2d(3, 1, 1), nn.Conv2d(16, 8, 1))
        self.body = nn.Sequential(nn.Conv2d(32, 32, 3, 1, 1), nn.ReLU(), nn.Conv2d(32, 32, 3, 1, 1))
        self.head = nn.Conv2d(32, 48, 3, 2, 1)
        self.classifier = nn.Linear(48, 10)

    def forward(self, x: Tensor) -> Tensor:
        stem = functional.relu(self.stem(x))
        branches = [self.left(stem), self.middle(stem), self.right(stem)]
        joined = functional.relu(torch.cat(branches, 1))
        residual = functional.relu(joined + self.body(joined))
        pooled = functional.relu(self.head(residual)).mean((2, 3))
        return self.classifier(pooled)


class Affine(nn.Module):
    """What a batch norm does when it is not trained: a factor and a shift per channel."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(channels, 1, 1))
        self.bias = nn.Parameter(torch.zeros(channels, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        return x * self.weight + self.bias


def densenet121() -> nn.Module:
    """DenseNet-121; batch norms that follow no convolution cannot be folded and become factor and shift."""
    model = models.densenet121()
    for name, module in list(model.named_modules()):
        if isinstance(module, nn.BatchNorm2d) and name.split(".")[-1] in ("norm", "norm1", "norm5"):
            model.set_submodule(name, Affine(module.num_features))
    return model


class Bert(nn.Module):
    """BERT base, uncased, with its pooler, for one full sentence: no padding, all tokens of the first type."""

    def __init__(self) -> None:
        super().__init__()
        self.bert = BertModel(BertConfig(attn_implementation="sdpa"))

    def forward(self, tokens: Tensor) -> tuple[Tensor, Tensor]:
        table = self.bert.embeddings
        positions = table.position_embeddings.weight[: tokens.shape[1]]
        embedded = table.word_embeddings(tokens) + positions + table.token_type_embeddings.weight[0]
        states = self.bert.encoder(table.LayerNorm(embedded), attention_mask=None)[0]
        return states, self.bert.pooler(states)


class Gpt2(nn.Module):
    """GPT-2 (124 M) with its language-model head and without a cache."""

    def __init__(self) -> None:
        super().__init__()
        # The same function as the published "gelu_new", which is written in eight operators.
        self.gpt2 = GPT2LMHeadModel(GPT2Config(attn_implementation="sdpa", activation_function="gelu_pytorch_tanh"))

    def forward(self, tokens: Tensor) -> Tensor:
        states = self.gpt2.transformer(tokens, use_cache=False, return_dict=False)[0]
        logits = self.gpt2.lm_head(states.reshape(-1, states.shape[-1]))
        return logits.reshape(*tokens.shape, -1)
