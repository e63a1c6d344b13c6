"""How fast is a training step? facegan's against the textbook's, alternating in the same minutes.

    python experiments/benchmarks/step.py
    python experiments/benchmarks/step.py --accelerator gpu --precision bf16-mixed --steps 200

Contenders, each in a process of its own that rests while another one works (an allocator setting
holds for a whole process):

- textbook: the DCGAN step as it is usually written. Sigmoid and BCE, default memory format and
  Adam, D's gradients computed, and thrown away, while G learns.
- textbook, memory kept: the same with the C library told to keep freed memory.
- bare, direct: facegan's step without Lightning, by PyTorch's own convolutions.
- bare: the same with those of facegan.winograd.
- facegan.train: the same step as the command runs it: Lightning, data from a store, logging; on a
  GPU as a CUDA graph, which bare is not.

The textbook is always in float32. Memory is the process's own peak, with PyTorch in it
(on Linux).
"""

import argparse
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import nn

CONTENDERS = ("textbook", "textbook, memory kept", "bare, direct", "bare", "facegan.train")


def textbook_networks(size: int, width: int) -> tuple[nn.Module, nn.Module]:
    """G and D of facegan's shapes by PyTorch's own convolutions, with a sigmoid at the end of D."""
    from facegan.networks.dcgan import base_size, default_blocks, init_weights

    blocks = default_blocks(size)
    base, maps = base_size(size, blocks), [width * 2**n for n in range(blocks)]
    G = nn.Sequential(
        nn.Unflatten(1, (100, 1, 1)),
        nn.ConvTranspose2d(100, maps[-1], base, bias=False),
        nn.BatchNorm2d(maps[-1]),
        nn.ReLU(inplace=True),
    )
    for wide, narrow in pairwise(reversed(maps)):
        G.append(nn.ConvTranspose2d(wide, narrow, 4, stride=2, padding=1, bias=False))
        G.extend([nn.BatchNorm2d(narrow), nn.ReLU(inplace=True)])
    G.extend([nn.ConvTranspose2d(width, 3, 4, stride=2, padding=1), nn.Tanh()])
    D = nn.Sequential(nn.Conv2d(3, width, 4, stride=2, padding=1), nn.LeakyReLU(0.2, inplace=True))
    for narrow, wide in pairwise(maps):
        D.append(nn.Conv2d(narrow, wide, 4, stride=2, padding=1, bias=False))
        D.extend([nn.BatchNorm2d(wide), nn.LeakyReLU(0.2, inplace=True)])
    D.extend([nn.Conv2d(maps[-1], 1, base), nn.Flatten(0), nn.Sigmoid()])
    return G.apply(init_weights), D.apply(init_weights)


def textbook_step(
    G: nn.Module, D: nn.Module, device: torch.device
) -> Callable[[torch.Tensor], None]:
    G, D = G.to(device), D.to(device)
    optimizer_d = torch.optim.Adam(D.parameters(), lr=2e-4, betas=(0.5, 0.999))
    optimizer_g = torch.optim.Adam(G.parameters(), lr=2e-4, betas=(0.5, 0.999))

    def step(images: torch.Tensor) -> None:
        """On uint8 images (B, 3, size, size)."""
        real, batch = images.to(device) / 127.5 - 1, len(images)
        ones, zeros = torch.ones(batch, device=device), torch.zeros(batch, device=device)
        fake = G(torch.randn(batch, 100, device=device))
        D.zero_grad()
        F.binary_cross_entropy(D(real), ones).backward()
        F.binary_cross_entropy(D(fake.detach()), zeros).backward()
        optimizer_d.step()
        G.zero_grad()
        F.binary_cross_entropy(D(fake), ones).backward()
        optimizer_g.step()

    return step


def bare_step(
    size: int, width: int, device: torch.device, precision: str, compiled: bool, winograd: bool
) -> Callable[[torch.Tensor], None]:
    from facegan.gan.ema import update_average
    from facegan.gan.gan import GAN

    gan = GAN(image_size=size, width_g=width, width_d=width, winograd=winograd).to(device)
    optimizer_d, optimizer_g = gan.configure_optimizers()
    half = torch.autocast(device.type, torch.bfloat16, enabled=precision == "bf16-mixed")
    if compiled:
        gan.generator.compile()
        gan.discriminator.compile()

    def step(images: torch.Tensor) -> None:
        real = images.to(device)
        real = real.to(torch.float32, memory_format=torch.channels_last).div_(127.5).sub_(1)
        with half:
            fake = gan.generator(torch.randn(len(images), 100, device=device))
            loss_d = gan.loss_d(real, fake.detach())[0]
        optimizer_d.zero_grad()
        loss_d.backward()
        optimizer_d.step()
        gan.discriminator.requires_grad_(False)
        optimizer_g.zero_grad()
        with half:
            loss_g = gan.loss_g(fake, real)
        loss_g.backward()
        optimizer_g.step()
        gan.discriminator.requires_grad_(True)
        update_average(gan.generator_ema, gan.generator, 0.99)

    return step


def lightning_steps(
    size: int, width: int, batch: int, overrides: list[str], block: Callable[[], bool]
) -> None:
    """facegan.train itself, handing over to the other contenders between its steps."""
    import pytorch_lightning as pl

    from facegan.train import main
    from facegan.training import fit as training

    class Pause(pl.Callback):
        def on_train_batch_end(self, trainer: pl.Trainer, *_: Any) -> None:
            if not block():
                trainer.should_stop = True

    fit = training.fit
    training.fit = lambda plan: fit(replace(plan, callbacks=[*plan.callbacks, Pause()]))
    with (
        tempfile.TemporaryDirectory() as folder,
        Path(os.devnull).open("w", encoding="utf-8") as nowhere,
    ):
        sys.argv = [
            "train",
            *(f"dataset.image_size={size} dataset.batch_size={batch}").split(),
            *(f"model.width_g={width} model.width_d={width} trainer.max_epochs=1000").split(),
            "callbacks=progress",
            *overrides,
            f"data_dir={folder}",
            f"hydra.run.dir={folder}/run",
        ]
        sys.stdout = sys.stderr = nowhere  # the progress bar costs what it costs, unseen
        main()


def contend(name: str, options: argparse.Namespace) -> None:
    """On each line on standard input: time ``steps`` steps, print the seconds and the peak MiB."""
    from facegan.training.memory import keep_freed_memory

    size, width, batch = options.image_size, options.width, options.batch_size
    device = torch.device("cuda" if options.accelerator == "gpu" else "cpu")
    torch.backends.cudnn.benchmark = True  # as conf/trainer has it
    answers = sys.stdout
    sys.stdout = sys.stderr
    if name != "textbook":
        keep_freed_memory()
    began, count = 0.0, 0

    def block() -> bool:
        """After a step: when a block is done, report and wait for the next turn."""
        nonlocal began, count
        count += 1
        if count < options.steps:
            return True
        if device.type == "cuda":
            torch.cuda.synchronize()
        seconds = time.perf_counter() - began
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        print(seconds, peak, file=answers, flush=True)
        alive = bool(sys.stdin.readline())
        began, count = time.perf_counter(), 0
        return alive

    sys.stdin.readline()
    began = time.perf_counter()
    if name == "facegan.train":
        overrides = [
            f"dataset.n={4096 if device.type == 'cpu' else 65536}",  # an epoch of some seconds
            f"trainer.accelerator={options.accelerator}",
            f"trainer.precision={options.precision}",
            f"model.compile={options.compile}",
        ]
        lightning_steps(size, width, batch, overrides, block)
        return
    if name.startswith("bare"):
        winograd = name != "bare, direct"
        step = bare_step(size, width, device, options.precision, options.compile, winograd)
    else:
        step = textbook_step(*textbook_networks(size, width), device)
    images = torch.randint(0, 256, (batch, 3, size, size), dtype=torch.uint8)
    while True:
        step(images)
        if not block():
            return


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--image-size", type=int, default=64)
    parser.add_argument("--width", type=int, default=64)
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--steps", type=int, default=8, help="steps in a turn")
    parser.add_argument("--rounds", type=int, default=6, help="turns of each, after a warm-up")
    parser.add_argument("--accelerator", choices=("cpu", "gpu"), default="cpu")
    parser.add_argument("--precision", choices=("32-true", "bf16-mixed"), default="32-true")
    parser.add_argument("--compile", action="store_true", help="facegan's networks")
    parser.add_argument("--contender", choices=CONTENDERS, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.contender:
        contend(options.contender, options)
        return

    on_cpu = options.accelerator == "cpu"
    command = [sys.executable, *sys.argv, "--contender"]
    contenders = [name for name in CONTENDERS if name != "bare, direct" or on_cpu]
    processes = {
        name: subprocess.Popen(
            [*command, name], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        for name in contenders
    }
    seconds: dict[str, list[float]] = {name: [] for name in contenders}
    peaks: dict[str, float] = {}
    for _ in range(options.rounds + 1):
        for name, process in processes.items():
            process.stdin.write("\n")
            process.stdin.flush()
            taken, peaks[name] = map(float, process.stdout.readline().split())
            seconds[name].append(taken)
    for process in processes.values():
        process.stdin.close()
        process.wait()

    images = options.steps * options.batch_size
    print(
        f"{options.image_size} px, width {options.width}, batch {options.batch_size}, "
        f"{options.accelerator}, {options.precision}{', compiled' if options.compile else ''}, "
        f"{torch.get_num_threads()} threads, torch {torch.__version__}; "
        f"medians of {options.rounds} turns of {options.steps} steps\n"
    )
    print("| step | images/s | against textbook (min, max) | peak MiB |\n|---|---:|---:|---:|")
    for name in contenders:
        own, textbook = seconds[name][1:], seconds["textbook"][1:]
        ratios = [theirs / mine for mine, theirs in zip(own, textbook, strict=True)]
        print(
            f"| {name} | {images / statistics.median(own):.1f} | "
            f"{statistics.median(ratios):.2f} ({min(ratios):.2f}, {max(ratios):.2f}) | "
            f"{peaks[name]:,.0f} |"
        )
    if not on_cpu:
        return
    ratios = [
        bare / whole
        for bare, whole in zip(seconds["bare"][1:], seconds["facegan.train"][1:], strict=True)
    ]
    print(f"\nfacegan.train has {statistics.median(ratios):.1%} of its bare step's speed.")


if __name__ == "__main__":
    main()
