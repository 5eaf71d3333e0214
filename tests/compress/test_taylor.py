"""Taylor sums against plain gradients, and what the calibration leaves behind."""

from __future__ import annotations

import pytest
import torch

from compress import CompressError
from compress.anatomy.blocks import blocks
from compress.calibration.collect import collect
from compress.calibration.stats import Taylor
from compress.calibration.taylor import next_token_loss, taylor

IDS = torch.randint(0, 256, (4, 24), generator=torch.Generator().manual_seed(1))


def gradients(model, ids: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    """Of the model's own loss."""
    (gradient,) = torch.autograd.grad(model(ids, labels=ids).loss, weight)
    return gradient.double()


def plain(model, parts) -> dict[str, torch.Tensor]:
    """The sums, unit by unit and row by row."""
    units = parts[0].index.shape[0]
    sums = {name: torch.zeros(2, units, dtype=torch.float64) for name in ("first", "second", "mixed")}
    sums["windows"] = torch.zeros(len(IDS), 2, units, dtype=torch.float64)
    for part in parts:
        weight = part.projection.module.weight
        alone = [gradients(model, ids[None], weight) for ids in IDS]
        g, squares = gradients(model, IDS, weight), sum(one.square() for one in alone) / len(IDS)
        w = weight.detach().double()
        terms = {"first": w * g, "second": w**2 * squares, "mixed": w * g - w**2 * squares / 2}
        changes = [w * one - (w * one) ** 2 / 2 for one in alone]
        for unit in range(units):
            for line in part.index[unit].tolist():
                where = (
                    (line, slice(None)) if (part.axis == 0) is not part.projection.transposed else (slice(None), line)
                )
                for name, term in terms.items():
                    sums[name][0, unit] += term[where].sum().abs()
                    sums[name][1, unit] += term[where].abs().sum()
                for window, change in enumerate(changes):
                    sums["windows"][window, 0, unit] += change[where].sum().abs()
                    sums["windows"][window, 1, unit] += change[where].abs().sum()
    return sums


@pytest.mark.parametrize("family", ["llama", "gpt2", "phi3"])
def test_sums_are_those_of_plain_gradients(make_model, family: str) -> None:
    model = make_model(family)
    block = blocks(model)[1]
    seen = collect(model, IDS, frozenset({"taylor"}))[1]
    for kind, parts in (("channels", block.channel_parts), ("groups", block.group_parts)):
        for name, expected in plain(model, parts).items():
            torch.testing.assert_close(getattr(seen.change(kind), name), expected, rtol=1e-3, atol=1e-6)


def test_first_order_is_the_change_of_the_loss(make_model) -> None:
    """Each row and column that a channel owns made 3 % larger, and 3 % smaller."""
    model = make_model().double()
    block = blocks(model)[2]
    vector = taylor(model, blocks(model), IDS)[2]["channels"].first[0]
    with torch.no_grad():
        for channel in (0, 31, 63):
            change = 0.0
            for part in block.channel_parts:
                weight = part.projection.weight if part.axis == 0 else part.projection.weight.T
                line = weight[channel].clone()
                losses = []
                for factor in (1.03, 0.97, 1.0):
                    weight[channel] = line * factor
                    losses.append(float(next_token_loss(model, IDS)))
                change += abs(losses[0] - losses[1]) / 0.06
            assert change == pytest.approx(float(vector[channel]), rel=0.01)


def test_windows_count_alike_in_any_order(make_model) -> None:
    def seen(ids: torch.Tensor) -> Taylor:
        return collect(make_model(), ids, frozenset({"taylor"}))[0].change("groups")

    first, again, shuffled = seen(IDS), seen(IDS), seen(IDS[[2, 0, 3, 1]])
    for name in ("first", "second", "mixed", "windows"):
        assert torch.equal(getattr(first, name), getattr(again, name))
    for name in ("first", "second", "mixed"):
        torch.testing.assert_close(getattr(first, name), getattr(shuffled, name), rtol=1e-4, atol=0)
    torch.testing.assert_close(first.windows[[2, 0, 3, 1]], shuffled.windows)


def test_the_model_stays_as_it_was(make_model) -> None:
    model = make_model().train()
    model.lm_head.weight.requires_grad_(False)
    kept = torch.ones_like(model.model.layers[0].mlp.up_proj.weight)
    model.model.layers[0].mlp.up_proj.weight.grad = kept
    before = {name: value.clone() for name, value in model.state_dict().items()}
    collect(model, IDS, frozenset({"taylor"}))
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())
    assert model.training
    assert model.model.layers[0].mlp.up_proj.weight.grad is kept
    wanted = {name for name, parameter in model.named_parameters() if not parameter.requires_grad}
    assert wanted == {"model.embed_tokens.weight"}
    assert sum(parameter.grad is not None for parameter in model.parameters()) == 1
    model(IDS, labels=IDS).loss.backward()
    assert model.model.layers[1].mlp.up_proj.weight.grad is not None


def test_nan_names_the_layer(make_model) -> None:
    broken = make_model()
    with torch.no_grad():
        broken.model.layers[1].mlp.up_proj.weight[0, 0] = float("nan")
    with pytest.raises(CompressError, match="layer 1: NaN or infinite activations"):
        collect(broken, IDS, frozenset({"taylor"}))
    steep = make_model()
    # Adds nothing, with a slope that is infinite.
    steep.model.layers[1].register_forward_hook(lambda module, args, output: output + (output * 0).square().sqrt())
    with pytest.raises(CompressError, match="layer 1: NaN or infinite gradients"):
        collect(steep, IDS, frozenset({"taylor"}))
    assert all(parameter.grad is None and parameter.requires_grad for parameter in steep.parameters())
