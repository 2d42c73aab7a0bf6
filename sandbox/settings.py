"""The sandbox's settings; the web app's class inherits them."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict

TINY_LLAVA = Path(__file__).parent / "weights" / "tiny-llava"
"""The checkpoint that ships with the package."""
TINY_CLIP = TINY_LLAVA.parent / "tiny-clip"
"""The CLIP that ships with the package."""


class SandboxSettings(BaseSettings):
    """Read from the environment, then from `.env`."""

    model_config = SettingsConfigDict(env_file=".env", env_file_encoding="utf-8", extra="ignore")

    sandbox_model: str = Field(
        default="",
        description="Checkpoint of the sandbox: a folder, or a hub id such as `llava-hf/llava-1.5-7b-hf`; with "
        "SANDBOX_BASE_URL the model's name there. Default: the tiny LLaVA that ships.",
    )
    sandbox_models: str = Field(
        default="",
        description="Further checkpoints, separated by commas, that interviewers may load from the sandbox instead; it "
        "holds until the next start and for one process. On a laptop any may be named.",
    )
    sandbox_quantize: str = Field(
        default="",
        pattern=r"^(4bit)?$",
        description="`4bit` holds the language model's weights in four bits each; needs CUDA and the extra "
        "`quantized`.",
    )
    sandbox_base_url: str = Field(
        default="",
        pattern=r"^(https?://[^\s/]+.*)?$",
        description="OpenAI-compatible vision server that answers instead of a model here, such as vLLM's "
        "`http://127.0.0.1:8000/v1`. Answers only: its stages can't be seen.",
    )
    sandbox_api_key: SecretStr | None = Field(default=None, description="That server's key, if it wants one.")
    sandbox_device: str = Field(
        default="auto",
        pattern=r"^(auto|cpu|mps|cuda(:\d+)?)$",
        description="`auto` (CUDA, else MPS, else CPU), `cpu`, `mps`, `cuda` or `cuda:1`.",
    )
    sandbox_clip: str = Field(
        default="",
        description="CLIP of the search page: a folder, or a hub id such as `openai/clip-vit-large-patch14`. "
        "Default: the tiny CLIP that ships.",
    )
    max_images: int = Field(default=10, ge=0, le=100, description="Most pictures in one prompt.")
    max_image_pixels: int = Field(
        default=50_000_000,
        ge=1,
        le=150_000_000,
        description="Largest picture, width times height; larger ones are refused before they are decoded.",
    )
    max_prompt_chars: int = Field(default=8_000, ge=1, description="Longest prompt, in characters.")
    max_new_tokens: int = Field(default=512, ge=1, description="Longest answer that may be asked for, in tokens.")

    sandbox_slots: int = Field(
        default=16,
        ge=1,
        le=256,
        description="Answers that are under way at once; even numbers. A small model on a CPU steps them in tables of "
        "up to 8, two side by side; others in one table, which costs each a little more the larger it is.",
    )
    sandbox_kv_tokens: int = Field(
        default=16_384,
        ge=256,
        description="Most positions of all KV caches. Slots of up to four lengths (the context, its half, quarter and "
        "eighth) share them evenly, so long ones are fewer. A position of a 7B model takes half a MiB in half "
        "precision.",
    )
    sandbox_deterministic: bool = Field(
        default=True,
        description="The same numbers for the same request, bit for bit, whoever else is there. `false`: prompts that "
        "wait together are read together, which is faster, and the last bits depend on the company.",
    )
    sandbox_compile: bool = Field(
        default=True,
        description="Compile a small model for this machine's CPU, where there is a C++ compiler: in the background, "
        "within two minutes at the first start, in no time at later ones. On CUDA the steps are replayed as CUDA "
        "graphs.",
    )
    sandbox_threads: int = Field(
        default=0,
        ge=0,
        description="Threads that compute on a CPU. `0`: one for a small model, else as many as the process may use.",
    )
    sandbox_tokens: int = Field(
        default=65_536,
        ge=256,
        description="Most tokens of prompts and answers that are worked on at once; further questions wait.",
    )
    sandbox_tiles: int = Field(
        default=256, ge=1, description="Most pictures, or tiles of them, that are worked on at once."
    )
    sandbox_waiting: int = Field(
        default=64, ge=1, description="Questions that may wait; further ones are refused. One person may fill half."
    )
    sandbox_pixel_cache_mb: int = Field(default=64, ge=0, description="Kept preprocessed pictures, in MB; `0`: none.")
    sandbox_feature_cache_mb: int = Field(default=128, ge=0, description="Kept picture features, in MB; `0`: none.")
    sandbox_prefix_cache_mb: int = Field(
        default=256,
        ge=0,
        description="Kept keys and values of prompts up to their last picture, in MB of the model's device; `0`: none.",
    )

    run_code_parallel: int = Field(
        default=0,
        ge=0,
        le=256,
        description="Runs of candidates' code at once; each may take a core and 1 GiB. `0`: as many as there are "
        "cores.",
    )
    run_code_unconfined: bool = Field(
        default=False,
        description="Run code without confinement where the system has none (macOS). Only on a loopback address, where "
        "the code is your own.",
    )

    @property
    def checkpoint(self) -> str:
        """Folder or hub id of the model to load."""
        return self.sandbox_model.strip() or str(TINY_LLAVA)

    @property
    def choices(self) -> list[str]:
        """What interviewers may load: what is set, be it a server, the listed checkpoints, and the one that ships."""
        listed = [name.strip() for name in self.sandbox_models.split(",") if name.strip()]
        return list(dict.fromkeys([self.sandbox_base_url or self.checkpoint, *listed, str(TINY_LLAVA)]))

    @property
    def clip_checkpoint(self) -> str:
        """Folder or hub id of the CLIP to load."""
        return self.sandbox_clip.strip() or str(TINY_CLIP)
