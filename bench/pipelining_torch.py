"""The PyTorch side of bench/pipelining.py: one of two stages under `torch.distributed.pipelining`, schedule GPipe.

    python bench/pipelining_torch.py MODEL RANK MICROBATCHES RENDEZVOUS_FILE

Needs torch alone. Prints what it is and, for each line that it is given, the seconds of one step of the schedule.
"""

import json
import sys
import time
from datetime import timedelta
from functools import partial

import torch
import torch.distributed as dist
from torch import nn
from torch.distributed.pipelining import PipelineStage, ScheduleGPipe

_PATIENCE = timedelta(seconds=300)
_CHECKED = 4
Outputs = torch.Tensor | tuple[torch.Tensor, ...]
WIDTH, HEADS, HIDDEN, LAYERS, VOCABULARY, POSITIONS, TOKENS = 768, 12, 3072, 12, 30522, 512, 128


class Embedding(nn.Module):
    """Tokens [1, length] -> states [1, length, width]."""

    def __init__(self) -> None:
        super().__init__()
        self.tokens = nn.Embedding(VOCABULARY, WIDTH)
        self.positions = nn.Embedding(POSITIONS, WIDTH)
        self.norm = nn.LayerNorm(WIDTH)

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        return self.norm(self.tokens(tokens) + self.positions.weight[: tokens.shape[1]])


class Pooled(nn.Module):
    """States, and the first of them through a layer of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.dense = nn.Linear(WIDTH, WIDTH)

    def forward(self, states: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        return states, torch.tanh(self.dense(states[:, 0]))


def bert_base() -> tuple[nn.Sequential, nn.Sequential]:
    """An encoder of the shape of BERT base, in two halves of six layers."""
    layer = partial(nn.TransformerEncoderLayer, WIDTH, HEADS, HIDDEN, dropout=0.0, activation="gelu", batch_first=True)
    half = LAYERS // 2
    first = nn.Sequential(Embedding(), *(layer() for _ in range(half)))
    return first, nn.Sequential(*(layer() for _ in range(half)), Pooled())


class Bottleneck(nn.Module):
    """The block of ResNet-50; its convolutions have a bias, as they have after normalisation is folded into them."""

    def __init__(self, inputs: int, width: int, stride: int) -> None:
        super().__init__()
        outputs = 4 * width
        self.narrow = nn.Conv2d(inputs, width, 1)
        self.middle = nn.Conv2d(width, width, 3, stride, 1)
        self.widen = nn.Conv2d(width, outputs, 1)
        self.aside = nn.Conv2d(inputs, outputs, 1, stride) if inputs != outputs else nn.Identity()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = torch.relu_(self.middle(torch.relu_(self.narrow(x))))
        return torch.relu_(self.widen(y) + self.aside(x))


class Contiguous(nn.Module):
    """Channels first again: gloo sends nothing else."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.contiguous()


def resnet50() -> tuple[nn.Sequential, nn.Sequential]:
    """ResNet-50, cut after the second of its four stages."""
    stages, inputs = [], 64
    for number, (blocks, width) in enumerate(((3, 64), (4, 128), (6, 256), (3, 512))):
        made = []
        for block in range(blocks):
            made.append(Bottleneck(inputs, width, 2 if number and not block else 1))
            inputs = 4 * width
        stages.append(nn.Sequential(*made))
    stem = nn.Sequential(nn.Conv2d(3, 64, 7, 2, 3), nn.ReLU(inplace=True), nn.MaxPool2d(3, 2, 1))
    head = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(inputs, 1000))
    return nn.Sequential(stem, *stages[:2], Contiguous()), nn.Sequential(*stages[2:], head)


MODELS = {"bert_base": bert_base, "resnet50": resnet50}


def batch_of(name: str, count: int) -> torch.Tensor:
    """So many random requests."""
    if name == "bert_base":
        return torch.randint(VOCABULARY, (count, TOKENS))
    return torch.randn(count, 3, 224, 224).contiguous(memory_format=torch.channels_last)


def difference(halves: tuple[nn.Module, nn.Module], batch: torch.Tensor, outputs: Outputs) -> float:
    """Largest difference of some piped outputs from the whole model's, in terms of the largest output."""
    whole, worst = nn.Sequential(*halves), 0.0
    for number in range(_CHECKED):
        expected = whole(batch[number : number + 1])
        for one, other in zip(_tuple(expected), _tuple(outputs), strict=True):
            worst = max(worst, float((one[0] - other[number]).abs().max() / one.abs().max()))
    return worst


def _tuple(outputs: Outputs) -> tuple[torch.Tensor, ...]:
    return outputs if isinstance(outputs, tuple) else (outputs,)


@torch.inference_mode()
def main(name: str, rank: int, count: int, rendezvous: str) -> None:
    torch.set_num_threads(1)
    torch.manual_seed(0)
    halves = MODELS[name]()
    for half in halves:
        # Convolutions are faster with the channels last; linear layers do not care.
        half.eval().to(memory_format=torch.channels_last)
    batch = batch_of(name, count)
    dist.init_process_group("gloo", init_method=f"file://{rendezvous}", rank=rank, world_size=2, timeout=_PATIENCE)
    stage = PipelineStage(halves[rank], rank, 2, torch.device("cpu"))
    schedule = ScheduleGPipe(stage, count)
    given = (batch,) if rank == 0 else ()
    outputs = schedule.eval(*given)
    worst = difference(halves, batch, outputs) if rank else 0.0
    print(json.dumps({"torch": torch.__version__, "difference": worst}), flush=True)
    for _ in sys.stdin:
        dist.barrier()
        start_s = time.perf_counter()
        schedule.eval(*given)
        print(json.dumps({"seconds": time.perf_counter() - start_s}), flush=True)
    dist.destroy_process_group()


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), sys.argv[4])
