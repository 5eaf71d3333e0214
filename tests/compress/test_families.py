"""What is true of every family: it is walked like it runs, and cut to what its masked original is."""

from __future__ import annotations

import pytest
import torch

from compress import CompressError, LayerShape, Shape, cut_
from compress.anatomy.blocks import blocks
from compress.anatomy.families import FAMILIES
from compress.anatomy.walk import entrance, evaluating
from compress.checkpoints.layout import sizes

IDS = torch.arange(48).view(2, 24)


def shape_of(model, kept: list[tuple[range, list[int] | None]]) -> Shape:
    """kept: of every layer the channels, and the kv groups (None: all)."""
    layers = [
        LayerShape(
            tuple(channels),
            tuple(range(block.kv_heads) if groups is None else groups),
            block.channels,
            block.heads,
            block.kv_heads,
        )
        for block, (channels, groups) in zip(blocks(model), kept, strict=True)
    ]
    return Shape(72, 8, tuple(layers))


def zeroed_(model, shape: Shape) -> None:
    """The plain form of a cut: what goes is zeroed where it is read, and a layer that goes adds nothing."""
    for block, layer in zip(blocks(model), shape.layers, strict=True):
        gone = sorted(set(range(layer.intermediate)) - set(layer.channels))
        block.mlp_out.weight[:, gone] = 0
        size = block.head_dim * (layer.heads // layer.kv_heads)
        for group in set(range(layer.kv_heads)) - set(layer.groups):
            block.attention_out.weight[:, group * size : (group + 1) * size] = 0


@torch.no_grad()
def logits(model) -> torch.Tensor:
    return model(IDS, use_cache=False).logits


@pytest.mark.parametrize("family", FAMILIES)
def test_a_walk_is_a_forward_pass(make_model, family: str) -> None:
    model = make_model(family)
    seen: list[torch.Tensor] = []
    with evaluating(model):
        hooks = [block.layer.register_forward_hook(lambda *call: seen.append(call[-1])) for block in blocks(model)]
        model(IDS, use_cache=False)
        for hook in hooks:
            hook.remove()
        stream = entrance(model, IDS)
        for block, expected in zip(blocks(model), seen, strict=True):
            stream.advance(block.layer, block.index)
            assert torch.equal(torch.cat(stream.hidden), expected)


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("part", ["channels", "groups", "both"])
def test_a_cut_model_equals_one_with_zeroed_channels(make_model, family: str, part: str) -> None:
    model, plain = make_model(family), make_model(family)
    kept: list[tuple[range, list[int] | None]] = {
        "channels": [(range(0, 64, 2), None), (range(64), None), (range(5, 29), None)],
        "groups": [(range(64), [0, 2]), (range(64), [1]), (range(64), None)],
        "both": [(range(1, 41), [2]), (range(8), [0, 1]), (range(64), None)],
    }[part]
    shape = shape_of(model, kept)
    if part != "channels" and not FAMILIES[family].attention:
        before = sizes(model)
        with pytest.raises(CompressError, match=f"kv groups of family '{family}' cannot be removed"):
            cut_(model, shape)
        assert sizes(model) == before
        return
    zeroed_(plain, shape)
    cut_(model, shape)
    assert float((logits(model) - logits(plain)).abs().max()) < 1e-4


@pytest.mark.parametrize(
    ("family", "option"), [("cohere", "use_qk_norm"), ("phi", "qk_layernorm"), ("stablelm", "qk_layernorm")]
)
def test_norms_that_count_heads_keep_the_groups(make_model, family: str, option: str) -> None:
    model, plain = make_model(family, **{option: True}), make_model(family, **{option: True})
    with pytest.raises(CompressError, match=f"kv groups of family '{family}' cannot be removed"):
        cut_(model, shape_of(model, [(range(64), [0, 2])] + [(range(64), None)] * 2))
    shape = shape_of(model, [(range(0, 64, 2), None)] * 3)
    zeroed_(plain, shape)
    cut_(model, shape)
    assert float((logits(model) - logits(plain)).abs().max()) < 1e-4


@pytest.mark.parametrize("family", FAMILIES)
def test_a_dropped_layer_is_one_that_is_passed_by(make_model, family: str) -> None:
    model, plain = make_model(family), make_model(family)
    shape = shape_of(plain, [(range(64), None), (range(0), []), (range(8), None)])
    skipped = blocks(plain)[1].layer
    vars(skipped)["forward"] = lambda hidden_states, *args, **kwargs: hidden_states
    zeroed_(plain, shape)
    cut_(model, shape)
    assert len(blocks(model)) == model.config.num_hidden_layers == 2
    assert float((logits(model) - logits(plain)).abs().max()) < 1e-4
    with torch.no_grad():
        cached, uncached = (
            model.generate(IDS, max_new_tokens=4, do_sample=False, use_cache=use) for use in (True, False)
        )
    assert torch.equal(cached, uncached)


def test_what_a_layer_was_goes_with_it(make_model) -> None:
    """Sliding windows and layers without rotation are listed by number in the config."""
    model = make_model(
        "smollm3", layer_types=["full_attention", "sliding_attention", "full_attention"], sliding_window=8
    )
    cut_(model, shape_of(model, [(range(0), []), (range(64), None), (range(64), None)]))
    assert model.config.no_rope_layers == [0, 1]
    assert model.config.layer_types == ["sliding_attention", "full_attention"]


def test_some_layers_cannot_be_dropped(make_model) -> None:
    model = make_model()
    with pytest.raises(CompressError, match="at least one layer has to stay"):
        shape_of(model, [(range(0), [])] * 3)
    half = shape_of(model, [(range(64), None), (range(64), []), (range(64), None)])
    with pytest.raises(CompressError, match="layer 1: dropping one sub-layer alone is not supported"):
        cut_(model, half)
    model = make_model("gpt2", scale_attn_by_inverse_layer_idx=True)
    with pytest.raises(CompressError, match="scales its attention by the number of the layer"):
        cut_(model, shape_of(model, [(range(0), []), (range(64), None), (range(64), None)]))


def test_sizes_that_do_not_fit_are_refused(make_model) -> None:
    model = make_model("phi3")
    model.model.layers[1].mlp.down_proj = torch.nn.Linear(60, 72, bias=False)
    with pytest.raises(CompressError, match=r"layer 1: mlp\.gate_up_proj has 128 rows, but .* account for 120"):
        blocks(model)
