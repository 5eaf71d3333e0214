"""What makes up for a cut: FLAP's bias, and the least-squares refit."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from compress import CompressError, LayerShape, Recipe, Shape, apply, cut_
from compress.anatomy.blocks import blocks
from compress.anatomy.families import FAMILIES
from compress.anatomy.walk import entrance, evaluating
from compress.calibration.collect import collect
from compress.calibration.stats import Stats
from compress.cutting.compensate import add_bias_
from compress.cutting.edits import Task, shrink_
from compress.cutting.refit import RIDGE, Fit, refit_block_, watched

IDS = torch.randint(0, 256, (12, 48), generator=torch.Generator().manual_seed(0))
UNSEEN = torch.randint(0, 256, (4, 48), generator=torch.Generator().manual_seed(1))


@torch.no_grad()
def logits(model, ids: Tensor = UNSEEN) -> Tensor:
    return model(ids).logits


def shape_of(model, channels: range, groups: range) -> Shape:
    """The same channels and groups in every layer."""
    found = blocks(model)
    layers = [LayerShape(tuple(channels), tuple(groups), b.channels, b.heads, b.kv_heads) for b in found]
    return Shape(found[0].hidden, found[0].head_dim, tuple(layers))


def refit_cut_(model, shape: Shape, ids: Tensor, ridge: float = RIDGE) -> None:
    shrink_(Task(model, Recipe(method="random", sparsity=0.1, compensate="least_squares"), shape, (), ids, ridge))


def repeat_(model, channels: bool, groups: bool) -> None:
    """Make the second unit of every layer read what the first reads, so that the first can stand in for it."""
    for block in blocks(model):
        for part in (*(block.channel_parts[:-1] if channels else ()), *(block.group_parts[:-1] if groups else ())):
            first, second = part.index[0], part.index[1]
            part.projection.weight[second] = part.projection.weight[first]
            if part.projection.module.bias is not None:
                part.projection.module.bias.data[second] = part.projection.module.bias.data[first]


@pytest.mark.parametrize("unit", ["channels", "groups"])
def test_a_bias_stands_in_exactly_for_constant_inputs(make_model, unit: str) -> None:
    model = make_model("llama", attention_bias=True, mlp_bias=True)
    for block in blocks(model):
        # Without weights, gate and up (or v) leave only their biases.
        for part in block.channel_parts[:-1] if unit == "channels" else block.group_parts[2:3]:
            part.projection.weight[part.index[0]] = 0
    stats = Stats(collect(model, IDS, frozenset({"activations"})))
    shape = shape_of(model, range(unit == "channels", 64), range(unit == "groups", 3))
    dense = logits(model)
    for block, layer, seen in zip(blocks(model), shape.layers, stats.blocks, strict=True):
        add_bias_(block, layer, seen)
    assert float((logits(model) - dense).abs().max()) > 0.01
    cut_(model, shape)
    assert float((logits(model) - dense).abs().max()) < 1e-4


def test_a_projection_that_loses_nothing_gets_no_bias(make_model) -> None:
    model = make_model()
    stats = collect(model, IDS, frozenset({"activations"}))
    block = blocks(model)[1]
    add_bias_(block, LayerShape(tuple(range(60)), (0, 1, 2), 64, 9, 3), stats[1])
    assert block.attention_out.module.bias is None
    gone = block.mlp_out.weight[:, 60:] @ stats[1].inputs[block.mlp_out.name].means[60:].float()
    assert torch.allclose(block.mlp_out.module.bias, gone, atol=1e-6)


@pytest.mark.parametrize("family", FAMILIES)
def test_what_stays_takes_over_from_its_double(make_model, family: str) -> None:
    model = make_model(family)
    groups = FAMILIES[family].attention
    repeat_(model, channels=True, groups=groups)
    channels, kv_heads = blocks(model)[0].channels, blocks(model)[0].kv_heads
    dense = logits(model)
    # The second unit goes.
    layers = tuple(
        LayerShape(
            (0, *range(2, channels)),
            (0, *range(2, kv_heads)) if groups else tuple(range(kv_heads)),
            channels,
            block.heads,
            kv_heads,
        )
        for block in blocks(model)
    )
    refit_cut_(model, Shape(blocks(model)[0].hidden, blocks(model)[0].head_dim, layers), IDS, ridge=1e-6)
    assert float((logits(model) - dense).abs().max()) < 2e-3 * float(dense.abs().max())


@pytest.mark.parametrize(("family", "summed"), [("llama", True), ("gpt_neox", True), ("gemma2", False)])
def test_the_stream_goes_through_the_refitted_layer(make_model, family: str, summed: bool) -> None:
    model = make_model(family)
    with evaluating(model):
        original = entrance(model, IDS)
        cut, again = original.fork(), original.fork()
        block = blocks(model)[0]
        aims = watched(block, original)
        assert aims.summed is summed
        block.mlp_out.weight[:, ::3] = 0
        refit_block_(block, aims, cut)
        again.advance(block.layer, 0)
    for reached, expected in zip(cut.hidden, again.hidden, strict=True):
        assert torch.allclose(reached, expected, atol=1e-4)


def test_the_change_is_the_least_squares_solution(make_model) -> None:
    block = blocks(make_model())[0]
    generator = torch.Generator().manual_seed(0)
    x, e = torch.randn(3, 50, 64, generator=generator), torch.randn(3, 50, 72, generator=generator)
    x[..., 5] = 0
    fit = Fit(block, block.mlp_out)
    for batch in range(3):
        fit.add(x[batch : batch + 1], e[batch : batch + 1])
    rows, wanted = x.flatten(0, 1).double(), e.flatten(0, 1).double()
    pull = (0.3 * 64 / 150 * rows.square().sum(dim=0)).sqrt().diag()
    plain = torch.linalg.lstsq(
        torch.cat([rows, pull]), torch.cat([wanted, wanted.new_zeros(64, 72)]), driver="gelsd"
    ).solution.T
    assert torch.allclose(fit.change(0.3), plain, atol=1e-5)
    assert not fit.change(0.3)[:, 5].any()


def test_the_scale_of_a_channel_does_not_matter(make_model) -> None:
    plain, scaled = make_model(), make_model()
    for block in blocks(scaled):
        *_, up, down = block.channel_parts
        up.projection.weight[7] *= 16
        down.projection.weight[:, 7] /= 16
    for model in (plain, scaled):
        refit_cut_(model, shape_of(model, range(40), range(2)), IDS)
    assert float((logits(plain) - logits(scaled)).abs().max()) < 1e-3


def test_what_earlier_layers_left_over_is_repaired(make_model) -> None:
    model = make_model()
    block = blocks(model)[0]
    with evaluating(model):
        original = entrance(model, IDS)
        wrong, refitted = original.fork(), original.fork()
        for stream in (wrong, refitted):
            stream.hidden[:] = [0.7 * batch for batch in stream.hidden]
        aims = watched(block, original)
        wrong.advance(block.layer, 0)
        refit_block_(block, aims, refitted, ridge=0.1)
    error, left = (
        float((torch.cat(stream.hidden) - torch.cat(original.hidden)).square().mean()) for stream in (wrong, refitted)
    )
    assert left < 0.7 * error


def test_layers_that_stay_make_up_for_a_dropped_one(make_model) -> None:
    model, cut = make_model(), make_model()
    stays, goes = LayerShape(tuple(range(64)), (0, 1, 2), 64, 9, 3), LayerShape((), (), 64, 9, 3)
    shape = Shape(72, 8, (stays, goes, stays))
    dense = logits(model)
    cut_(cut, shape)
    refit_cut_(model, shape, IDS)
    assert model.config.num_hidden_layers == 2
    assert float((logits(model) - dense).square().mean()) < float((logits(cut) - dense).square().mean())
    receipt = apply(make_model(), Recipe(method="shortgpt", sparsity=0.3, compensate="least_squares"), IDS)
    assert len(receipt.shape.kept) == 2
    with pytest.raises(ValueError, match="compensate: goes with methods that remove channels; shortgpt does not"):
        Recipe(method="shortgpt", sparsity=0.3, compensate="bias")


def test_nan_is_refused(make_model) -> None:
    model = make_model()
    with torch.no_grad():
        model.model.layers[1].mlp.up_proj.weight[0, 0] = float("nan")
    with pytest.raises(CompressError, match="layer 1: NaN or infinite activations"):
        refit_cut_(model, shape_of(model, range(32), range(3)), IDS)
