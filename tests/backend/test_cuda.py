"""Every network: forward, training step and AMP; on the CPU always, on a GPU where there is one."""

import pytest
import torch
import training_work as work
from networks import NETWORKS

from napari_medssl.backend.device import choose_device, list_devices
from napari_medssl.backend.training import run_in_child

DEVICES = ["cpu", pytest.param("cuda", marks=pytest.mark.cuda)]
every_network = pytest.mark.parametrize("network", NETWORKS, ids=lambda n: n.name)
on_every_device = pytest.mark.parametrize("device", DEVICES)


def train(network, device, steps, amp=None):
    """Return the losses of some steps of AdamW, with mixed precision of type `amp` if given."""
    module = network.build().to(device).train()
    optimizer = torch.optim.AdamW(module.parameters(), lr=2e-3)
    scaler = torch.amp.GradScaler(device, enabled=amp is torch.float16)
    losses = []
    for _ in range(steps):
        with torch.autocast(device, amp or torch.bfloat16, enabled=amp is not None):
            loss = network.loss(module, device)
        optimizer.zero_grad()
        scaler.scale(loss).backward()
        scaler.unscale_(optimizer)
        assert all(p.grad is None or p.grad.isfinite().all() for p in module.parameters())
        scaler.step(optimizer)
        scaler.update()
        losses.append(loss.item())
    return losses


@every_network
@on_every_device
def test_forward_is_finite_and_on_the_device(network, device):
    module = network.build().to(device).eval()
    with torch.inference_mode():
        outputs = network.forward(module, device)
    assert all(value.device.type == device for value in outputs)
    assert all(value.isfinite().all() for value in outputs)


@every_network
@pytest.mark.cuda
def test_forward_on_a_gpu_equals_the_cpu(network):
    module = network.build().eval()
    with torch.inference_mode():
        expected = network.forward(module, "cpu")
        found = network.forward(module.to("cuda"), "cuda")
    for one, other in zip(found, expected, strict=True):
        # TF32 convolutions keep 10 bits of the mantissa.
        torch.testing.assert_close(one.cpu(), other, rtol=1e-2, atol=1e-2)


@every_network
@on_every_device
def test_training_steps_lower_the_loss(network, device):
    losses = train(network, device, steps=8)
    assert losses[-1] < losses[0]


@every_network
@on_every_device
def test_bfloat16_training_follows_full_precision(network, device):
    full, mixed = train(network, device, steps=3), train(network, device, 3, torch.bfloat16)
    assert mixed == pytest.approx(full, rel=0.1)


@every_network
@pytest.mark.cuda
def test_float16_training_lowers_the_loss(network):
    losses = train(network, "cuda", steps=8, amp=torch.float16)
    assert losses[-1] < losses[0]


@pytest.mark.cuda
def test_a_gpu_is_listed_first_and_chosen():
    assert list_devices()[0].name == choose_device("auto") == choose_device("cuda") == "cuda:0"
    assert list_devices()[0].memory_bytes > 0


@pytest.mark.cuda
def test_a_child_process_gives_its_gpu_memory_back():
    torch.zeros(1, device="cuda")  # the context of this process is there before and after
    before, _ = torch.cuda.mem_get_info()
    in_child = run_in_child(work.fill_gpu, 512 * 2**20)
    after, _ = torch.cuda.mem_get_info()
    assert before - in_child >= 512 * 2**20
    assert abs(before - after) < 64 * 2**20
