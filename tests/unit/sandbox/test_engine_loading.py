"""The model loads in the background, on what the machine has; what can't be loaded is said in words."""

import json
import os
import subprocess
import sys

import pytest

from sandbox import EngineFailed, EngineLoader, EngineNotReady, SandboxSettings, load_engine


def settings_for(model, **options):
    return SandboxSettings(_env_file=None, sandbox_model=str(model), sandbox_device="cpu", **options)


def test_importing_the_sandbox_loads_no_torch():
    code = "import sandbox, sys; sys.exit(bool({'torch', 'transformers'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_the_loader_goes_from_idle_to_ready(random_llava):
    loader = EngineLoader(settings_for(random_llava))
    assert (loader.state, loader.seconds) == ("idle", 0.0)
    loader.start()
    assert loader.state in ("loading", "ready")
    engine = loader.get(timeout=60)
    assert loader.state == "ready"
    assert loader.progress == f"Ready: {engine.description}"
    assert loader.seconds > 0
    loader.start()
    assert loader.get() is engine


def test_a_script_that_never_closes_its_engine_ends_well(random_llava):
    code = f"import sandbox; sandbox.load_engine({str(random_llava)!r}).answer('What?', max_new_tokens=2)"
    done = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")


def test_asking_for_the_engine_starts_it(random_llava):
    assert EngineLoader(settings_for(random_llava)).get(timeout=60).answer("What?", max_new_tokens=1).tokens


def test_waiting_too_short_says_so_and_loading_goes_on(random_llava):
    loader = EngineLoader(settings_for(random_llava))
    with pytest.raises(EngineNotReady, match=r"still loading.*Try again in a moment"):
        loader.get(timeout=0)
    assert loader.get(timeout=60)


def test_a_missing_model_fails_with_what_to_do(tmp_path):
    loader = EngineLoader(settings_for(tmp_path / "nothing"))
    with pytest.raises(
        EngineFailed, match=r"There is no model at .*nothing. Set SANDBOX_MODEL to a folder or a hub id"
    ):
        loader.get(timeout=60)
    assert loader.state == "failed"
    assert "Set SANDBOX_MODEL" in loader.progress


def test_a_failed_loader_can_be_started_again(tmp_path, random_llava):
    link = tmp_path / "model"
    loader = EngineLoader(settings_for(link))
    with pytest.raises(EngineFailed):
        loader.get(timeout=60)
    link.symlink_to(random_llava, target_is_directory=True)
    loader.start()
    assert loader.get(timeout=60)


@pytest.mark.parametrize(
    ("files", "sentence"),
    [
        ({}, "can't be loaded"),
        ({"config.json": "{"}, "can't be loaded"),
        ({"config.json": json.dumps({"model_type": "bert"})}, "is a bert model"),
        ({"config.json": json.dumps({"model_type": "llava"})}, "can't be loaded"),
        (
            {"config.json": json.dumps({"model_type": "llava", "vision_config": {"model_type": "pixtral"}})},
            "vision tower of type pixtral",
        ),
    ],
)
def test_a_folder_that_is_no_llava_is_refused(tmp_path, files, sentence):
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    with pytest.raises(EngineFailed, match=sentence):
        load_engine(tmp_path, settings=settings_for(""))


def test_the_narrowest_limits_dont_stop_the_engine_from_loading(random_llava):
    narrow = {"max_images": 0, "max_image_pixels": 1, "max_prompt_chars": 1, "max_new_tokens": 1}
    engine = load_engine(random_llava, settings=settings_for("", **narrow))
    assert engine.answer("?").trace.new_tokens == 1


def test_code_that_comes_with_a_checkpoint_is_never_run(tmp_path):
    config = {"model_type": "strange", "auto_map": {"AutoConfig": "strange.Config"}}
    (tmp_path / "config.json").write_text(json.dumps(config))
    (tmp_path / "strange.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')\nclass Config: pass\n")
    with pytest.raises(EngineFailed):
        load_engine(tmp_path, settings=settings_for(""))
    assert not (tmp_path / "ran").exists()


def test_a_cpu_computes_in_float32(engine):
    assert engine.checkpoint.placement.dtype_name == "float32"
    assert engine.checkpoint.model.config._attn_implementation == "sdpa"
    assert "on cpu in float32 (no GPU is used" in engine.description


def test_a_device_that_isnt_there_is_refused(random_llava, settings):
    import torch

    device = f"cuda:{torch.cuda.device_count()}" if torch.cuda.is_available() else "cuda"
    with pytest.raises(EngineFailed, match="SANDBOX_DEVICE is cuda"):
        load_engine(random_llava, device, settings=settings)


def test_a_small_model_computes_in_one_thread(engine):
    import torch

    assert engine.compute(torch.get_num_threads) == 1


def test_a_large_model_gets_no_more_threads_than_the_process_may_use():
    code = """
import os, torch
os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
from sandbox.device import choose_threads
assert choose_threads(7_000_000_000) == 1
"""
    environment = {**os.environ, "OMP_NUM_THREADS": "4"}
    assert subprocess.run([sys.executable, "-c", code], check=False, env=environment).returncode == 0


def test_every_setting_is_described():
    assert all(field.description for field in SandboxSettings.model_fields.values())
