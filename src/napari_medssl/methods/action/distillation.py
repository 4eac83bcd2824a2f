"""Global and local contrastive distillation: student and teacher relate an image to others alike.

Source: You et al., ACTION, arXiv 2206.02307, stages i and ii. With z_t and z_s the vectors that
teacher and student (after its predictor) make of two views of one image, or of one crop of it, and
anchors a_1 .. a_n, the vectors of other images in a memory bank:

    (1)  p_t(j) = softmax over j of cos(z_t, a_j) / t_t
    (2)  p_s(j) = softmax over j of cos(z_s, a_j) / t_s
    (3)  L = mean over the images of KL(p_t || p_s) = sum_j p_t(j) (log p_t(j) - log p_s(j))

Equations 1 and 2 are the softmax that is meant: a stray -log stands inside the printed p.

We differ: nothing from the paper. Against the released code: neither teacher nor anchors have a
gradient; the teacher is the sharper one by default, as printed; and the size of the bank depends
on nothing else. A bank that is not full yet gives the anchors that it has, never zeros. Anchors are
of other images, as the paper says: an earlier vector of an image at hand is left out.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from napari_medssl.methods.action.full_precision import in_full_precision
from napari_medssl.methods.action.temperature import check_temperature

STUDENT_TEMPERATURE = 0.1
TEACHER_TEMPERATURE = 0.01
BANK_SIZE = 36

_NOBODY = -1


class MemoryBank(nn.Module):
    """The last vectors of the teacher, the oldest replaced first.

    Parameters
    ----------
    size
        How many are kept, n.
    dim
        Length of a vector, D.
    """

    vectors: Tensor
    owners: Tensor
    filled: Tensor
    place: Tensor

    def __init__(self, size: int = BANK_SIZE, dim: int = 128) -> None:
        super().__init__()
        if size < 1 or dim < 1:
            raise ValueError(f"A bank of {size!r} vectors of {dim!r} came; due is one of each.")
        self.register_buffer("vectors", torch.zeros(size, dim))
        # Buffers, so that a resumed run goes on with the bank as it was.
        self.register_buffer("owners", torch.full((size,), _NOBODY))
        self.register_buffer("filled", torch.zeros((), dtype=torch.int64))
        self.register_buffer("place", torch.zeros((), dtype=torch.int64))

    @torch.no_grad()
    def push(self, vectors: Tensor, owners: Tensor | None = None) -> None:
        """Replace the oldest by new vectors; of more than n, keep the last n.

        Parameters
        ----------
        vectors
            Of any length, shape (B, D).
        owners
            Numbers from 0 of the images that they are of, int64, shape (B,); None if not known.

        Raises
        ------
        ValueError
            If shapes do not fit.
        """
        size, dim = self.vectors.shape
        if vectors.ndim != 2 or vectors.shape[1] != dim:
            raise ValueError(f"Vectors of {tuple(vectors.shape)} came; due is (B, {dim}).")
        if owners is None:
            owners = torch.full((len(vectors),), _NOBODY)
        if owners.shape != vectors.shape[:1]:
            raise ValueError(
                f"Owners of {tuple(owners.shape)} came; due is one of each of {len(vectors)} "
                "vectors."
            )
        kept = F.normalize(vectors[-size:].to(self.vectors), dim=1)
        steps = torch.arange(len(kept), device=kept.device)
        places = (self.place + steps) % size
        self.vectors[places] = kept
        self.owners[places] = owners[-size:].to(self.owners)
        self.place.copy_((self.place + len(kept)) % size)
        self.filled.copy_((self.filled + len(kept)).clamp(max=size))

    def anchors(self, but: Tensor | None = None) -> Tensor:
        """Return the vectors that have come, of unit length, shape (n, D); at first n is less.

        Parameters
        ----------
        but
            Numbers of images whose vectors are left out, int64, (B,); those of nobody are not.
        """
        filled = int(self.filled)
        # A copy: a push between the loss and its gradient must not change what was saved.
        found = self.vectors[:filled].clone()
        if but is None:
            return found
        return found[~torch.isin(self.owners[:filled], but.to(self.owners))]


@in_full_precision
def relation_logits(z: Tensor, anchors: Tensor, temperature: float) -> Tensor:
    """Return cosine similarities divided by the temperature, shape (B, N).

    Parameters
    ----------
    z
        Vectors of any length, shape (B, D).
    anchors
        Vectors of any length, shape (N, D).

    Raises
    ------
    ValueError
        If shapes do not fit or the temperature is not above 0.
    """
    check_temperature(temperature)
    if z.ndim != 2 or anchors.ndim != 2 or z.shape[1] != anchors.shape[1]:
        raise ValueError(
            f"Vectors of {tuple(z.shape)} and anchors of {tuple(anchors.shape)} came; due are "
            "(B, D) and (N, D)."
        )
    return F.normalize(z, dim=1) @ F.normalize(anchors.to(z), dim=1).T / temperature


@in_full_precision
def distillation_loss(
    student: Tensor,
    teacher: Tensor,
    anchors: Tensor,
    student_temperature: float = STUDENT_TEMPERATURE,
    teacher_temperature: float = TEACHER_TEMPERATURE,
) -> Tensor:
    """Return equation 3, a scalar; 0 as long as there are no anchors.

    Parameters
    ----------
    student, teacher
        Vectors of any length, shape (B, D); row by row of the same image or crop. No gradient goes
        into the teacher's.
    anchors
        Vectors of other images, shape (N, D), without gradient.
    student_temperature, teacher_temperature
        t_s and t_t.

    Raises
    ------
    ValueError
        If shapes do not fit or a temperature is not above 0.
    """
    if student.shape != teacher.shape:
        raise ValueError(
            f"Vectors of {tuple(student.shape)} of the student and {tuple(teacher.shape)} of the "
            "teacher came; due are two of (B, D)."
        )
    others = anchors.detach()
    is_like = relation_logits(student, others, student_temperature)  # (B, N)
    is_due = relation_logits(teacher.detach(), others, teacher_temperature)
    if not is_like.numel():
        return student[:0].sum()  # no anchors yet: 0, with the student in its graph
    log_p = is_like.log_softmax(dim=1)
    log_due = is_due.log_softmax(dim=1)
    return F.kl_div(log_p, log_due, log_target=True, reduction="batchmean")
