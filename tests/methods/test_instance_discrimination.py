"""Instance discrimination: its loss and its memory, against the printed equations."""

import math

import pytest
import torch

from napari_medssl.methods.siamese.instance_discrimination import MemoryBank, instance_loss


def unit(count, dim, seed):
    generator = torch.Generator().manual_seed(seed)
    values = torch.randn(count, dim, generator=generator, dtype=torch.double)
    return torch.nn.functional.normalize(values)


def slow_loss(embeddings, numbers, memory, temperature):
    """Equations 2 and 3 of Wu et al., one tile and one memory at a time."""
    total = 0.0
    for f, i in zip(embeddings.tolist(), numbers.tolist(), strict=True):
        likeness = [
            math.exp(sum(p * q for p, q in zip(v, f, strict=True)) / temperature)
            for v in memory.tolist()
        ]
        total -= math.log(likeness[i] / sum(likeness))
    return total / len(numbers)


@pytest.mark.parametrize("temperature", [0.07, 0.5, 2.0])
def test_the_loss_is_the_printed_one(temperature):
    embeddings, memory = unit(7, 5, 1), unit(20, 5, 2)
    numbers = torch.tensor([0, 3, 19, 4, 7, 11, 2])
    came = instance_loss(embeddings, numbers, memory, temperature)
    assert came.item() == pytest.approx(slow_loss(embeddings, numbers, memory, temperature))


def test_tiles_that_are_all_alike_cost_the_logarithm_of_their_number():
    same = unit(1, 4, 0).repeat(12, 1)
    assert instance_loss(same[:3], torch.arange(3), same).item() == pytest.approx(math.log(12))


def test_the_loss_pulls_a_tile_to_its_own_memory():
    embeddings, memory = unit(6, 8, 3).requires_grad_(), unit(6, 8, 4).requires_grad_()
    numbers = torch.arange(6)
    loss = instance_loss(embeddings, numbers, memory)
    loss.backward()
    assert memory.grad is None
    nearer = torch.nn.functional.normalize((embeddings - 0.01 * embeddings.grad).detach())
    assert instance_loss(nearer, numbers, memory) < loss


def test_a_memory_moves_by_half_and_keeps_its_length():
    start = torch.tensor([[3.0, 0.0], [0.0, 2.0], [1.0, 0.0]])
    bank = MemoryBank(start)
    assert bank.memory.tolist() == [[1, 0], [0, 1], [1, 0]]
    bank.update(torch.tensor([2]), torch.tensor([[0.0, 1.0]]))
    root = math.sqrt(0.5)
    assert torch.allclose(bank.memory, torch.tensor([[1, 0], [0, 1], [root, root]]))
    assert list(bank.state_dict()) == ["memory"]


def test_what_does_not_fit_is_told():
    with pytest.raises(ValueError, match="due are"):
        instance_loss(torch.ones(2, 4), torch.zeros(2, dtype=torch.long), torch.ones(5, 3))
    with pytest.raises(ValueError, match="due are"):
        instance_loss(torch.ones(2, 4), torch.zeros(3, dtype=torch.long), torch.ones(5, 4))
    with pytest.raises(ValueError, match=r"Temperature 0\.0 came"):
        instance_loss(torch.ones(1, 4), torch.zeros(1, dtype=torch.long), torch.ones(5, 4), 0.0)
