"""LoRA adapters; the only file that knows peft."""

from __future__ import annotations

from pathlib import Path

from peft import PeftModel, get_peft_model_state_dict
from safetensors import SafetensorError, safe_open
from transformers import PreTrainedModel

from compress.errors import CompressError

WEIGHTS = "adapter_model.safetensors"


def merged(model: PreTrainedModel, adapter_folder: Path | str) -> PreTrainedModel:
    """Load a LoRA adapter and add it into the weights of `model`, which is changed in place and returned.

    Raises CompressError if the adapter does not fit: peft itself loads one made for other layers without a word.
    """
    folder = Path(adapter_folder)
    for name in ("adapter_config.json", WEIGHTS):
        if not (folder / name).is_file():
            raise CompressError(f"{folder}: not a LoRA adapter: no {name}")
    try:
        with safe_open(folder / WEIGHTS, framework="pt") as file:
            stored = set(file.keys())
        adapted = PeftModel.from_pretrained(model, str(folder), local_files_only=True)
    except (SafetensorError, RuntimeError, ValueError, KeyError, TypeError) as error:
        raise CompressError(f"{folder}: the adapter does not fit the model: {' '.join(str(error).split())}") from None
    wanted = set(get_peft_model_state_dict(adapted))
    if stored != wanted:
        strange = sorted(stored ^ wanted)
        raise CompressError(f"{folder}: the adapter does not fit the model: {strange[0]} ({len(strange)} such weights)")
    result: PreTrainedModel = adapted.merge_and_unload()
    return result
