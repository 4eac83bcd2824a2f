"""What `bench_action.py` measures beside: the network of ACTION in loops as one writes them.

The same `SegmentationUNet` with the same weights, but torch's own group normalisation and
convolutions, planes in torch's usual order, and no code of ours but what draws the views: a loop
needs augmentation too, and so both have the same. As many images as in ours go through student and
teacher; what is made of them is cross-entropy and Dice, the teacher's classes where it is sure, or
the squared differences of mean teacher. ACTION's distillation and contrast, UniMatch's perturbed
features and mixed views are left out: what they cost is in the ratios.
"""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from napari_medssl.backend.action_data import ActionImages
from napari_medssl.methods.action.network import SegmentationUNet
from napari_medssl.methods.action.stages import Terms
from napari_medssl.methods.action.views import Sampling, same_places, strong_views, weak_views

MOMENTUM = 0.99
CONFIDENT = 0.95


class SameConv(nn.Conv2d):
    """Convolution with TensorFlow's padding, as published ports of EfficientNet write it."""

    def forward(self, maps: Tensor) -> Tensor:
        if self.stride[0] == 1:
            return F.conv2d(maps, self.weight, None, 1, self.kernel_size[0] // 2, 1, self.groups)
        pads = []
        for side in (maps.shape[-1], maps.shape[-2]):
            total = max(0, (-(-side // 2) - 1) * 2 + self.kernel_size[0] - side)
            pads += [total // 2, total - total // 2]
        return F.conv2d(F.pad(maps, pads), self.weight, None, 2, 0, 1, self.groups)


def plain(network: SegmentationUNet) -> SegmentationUNet:
    """Return a copy with torch's own layers, in the usual order of planes."""
    made = copy.deepcopy(network)
    for step in made.up:
        step.is_pad = True  # as MONAI has it
    for parent in list(made.modules()):
        for name, child in parent.named_children():
            if isinstance(child, nn.GroupNorm):
                layer: nn.Module = nn.GroupNorm(child.num_groups, child.num_channels, child.eps)
            elif isinstance(child, nn.Conv2d) and type(child) is not nn.Conv2d:
                layer = SameConv(
                    child.in_channels,
                    child.out_channels,
                    child.kernel_size,
                    child.stride,
                    groups=child.groups,
                    bias=False,
                )
            else:
                continue
            layer.load_state_dict(child.state_dict())
            setattr(parent, name, layer)
    made.train(network.training)
    return made.to(memory_format=torch.contiguous_format)


def dice_loss(logits: Tensor, truth: Tensor) -> Tensor:
    shares = logits.softmax(dim=1)
    due = F.one_hot(truth, logits.shape[1]).permute(0, 3, 1, 2)
    both = (shares * due).sum(dim=(0, 2, 3))
    sizes = (shares + due).sum(dim=(0, 2, 3))
    return 1 - (2 * both / (sizes + 1e-5)).mean()


class PlainLoop:
    """Student, teacher and AdamW; `step` looks at what a stage of ours looks at."""

    def __init__(
        self, network: SegmentationUNet, images: ActionImages, batch: int, size: int, *, amp: bool
    ) -> None:
        self.student = plain(network).train()
        self.teacher = copy.deepcopy(self.student).eval().requires_grad_(False)
        self.optimizer = torch.optim.AdamW(self.student.parameters(), lr=1e-3, weight_decay=0.01)
        self.images, self.batch, self.size, self.amp = images, batch, size, amp
        self.generator = torch.Generator().manual_seed(0)

    def step(self, terms: Terms) -> float:
        how, looked, seen = Sampling(size=self.size), [], None
        labelled = 0
        if terms.takes_masks:
            pairs = [self.images.labelled[n] for n in self._chosen(len(self.images.labelled))]
            views, places = weak_views([pixels for pixels, _ in pairs], how, self.generator)
            truth = same_places([classes for _, classes in pairs], places)
            looked.append(strong_views(views, how, self.generator))
            labelled = len(pairs)
        if terms.takes_unlabelled:
            numbers = self._chosen(len(self.images.unlabelled))
            images = [self.images.unlabelled[n] for n in numbers]
            weak, _ = weak_views(images, how, self.generator)
            looked += [strong_views(weak, how, self.generator) for _ in range(terms.streams)]
            with torch.no_grad(), self._precision():
                seen = self.teacher(weak).softmax(dim=1)
        with self._precision():
            made = self.student(torch.cat(looked))
        loss = torch.zeros(())
        if labelled:
            loss = F.cross_entropy(made[:labelled], truth) + dice_loss(made[:labelled], truth)
        if seen is not None:
            loss = loss + self._of_unlabelled(made[labelled:], seen, terms)
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        if seen is not None:
            self._average()
        return loss.item()

    def _precision(self) -> torch.autocast:
        return torch.autocast("cpu", torch.bfloat16, enabled=self.amp)

    def _chosen(self, count: int) -> list[int]:
        return torch.randint(count, (self.batch,), generator=self.generator).tolist()

    def _of_unlabelled(self, made: Tensor, seen: Tensor, terms: Terms) -> Tensor:
        seen = seen.repeat(terms.streams, 1, 1, 1)
        if terms.consistency:
            return 10 * F.mse_loss(made.softmax(dim=1), seen)
        sure, classes = seen.max(dim=1)
        return (F.cross_entropy(made, classes, reduction="none") * (sure > CONFIDENT)).mean()

    @torch.no_grad()
    def _average(self) -> None:
        for kept, new in zip(self.teacher.parameters(), self.student.parameters(), strict=True):
            kept.mul_(MOMENTUM).add_(new, alpha=1 - MOMENTUM)
        for kept, new in zip(self.teacher.buffers(), self.student.buffers(), strict=True):
            kept.copy_(new)
