"""Options of the logit cache and its codecs."""

from typing import Literal

from pydantic import Field

from assertkd.settings.section import Device, Section, Seed


class HiddenCodecSettings(Section):
    """Options of the `hidden` codec."""

    dtype: Literal["int8", "float16"] = "int8"
    """How a hidden state's numbers are stored."""
    group_size: int = Field(64, ge=4, le=1024)
    """Numbers that share one scale in `int8`."""


class TopKCodecSettings(Section):
    """Options of the `topk` codec."""

    tolerance: float = Field(3e-4, gt=0.0, le=1.0)
    """What a stored byte must be worth, in nats of KL divergence (teacher from what is stored, T = 1) that it saves: a
    position keeps as many of its likeliest tokens as pay for their bytes. Smaller keeps more of the teacher."""
    max_k: int = Field(256, ge=1, le=65_536)
    """Most tokens kept at a position."""


class FidelitySettings(Section):
    """The sample of training positions that the fidelity report measures every codec on."""

    positions: int = Field(2000, ge=100, le=100_000)
    """Training target tokens that the fidelity report is measured on; all where there are fewer."""
    seed: Seed = 42
    """Seed of the drawing of these tokens."""


class ServerConnection(Section):
    """How a server is reached; no answer depends on it."""

    url: str | None = Field(None, pattern=r"^https?://[^\s/]+(/\S*)?$")
    """Address of its API, as `http://localhost:8000/v1`. Where it is set, no teacher is trained: the rule
    `capture_logits` asks the server, which has to give log-probabilities of prompts (vLLM, SGLang); `codec` is `topk`,
    `tokenizer.name` that of the server's model. Another address alone reruns nothing."""
    concurrency: int = Field(8, ge=1, le=256)
    """Requests on their way at the same time."""
    timeout: float = Field(120.0, gt=0.0, le=3600.0)
    """Seconds to wait for the server to send something, before a request is sent again."""
    retries: int = Field(8, ge=0, le=100)
    """How often a request is sent again that met a busy or failing server (HTTP 429 and 5xx), or no answer."""
    max_wait: float = Field(60.0, gt=0.0, le=3600.0)
    """Longest pause before a request is sent again, in seconds. Pauses double from 0.5 s on, less a random part. What a
    server asks for (`Retry-After`) is kept to, up to an hour."""
    api_key_env: str | None = Field(None, pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")
    """Name of the environment variable that holds the server's key; the key itself is written nowhere."""


class ServedModelSettings(Section):
    """Which of a server's models is asked, and for what."""

    model: str | None = None
    """Name of the model, as the server lists it; null for its only one."""
    top_k: int = Field(20, ge=1, le=4096)
    """Likeliest tokens to ask for at a position. vLLM gives 20 unless `--max-logprobs` says more."""
    stop: tuple[str, ...] = Field(("\n",), max_length=4)
    """Texts that end what the model writes, besides its end token."""


class ServerSettings(ServedModelSettings, ServerConnection):
    """A running OpenAI-compatible server whose model is the teacher."""

    @property
    def served_model(self) -> ServedModelSettings:
        """Those of the options that the answers depend on."""
        return ServedModelSettings(**self.model_dump(include=set(ServedModelSettings.model_fields)))


class LogitsSettings(Section):
    """How the teacher's knowledge is written down."""

    codec: Literal["dense", "hidden", "topk"] = "hidden"
    """`dense`: fp16 logits over the whole vocabulary; `hidden`: what enters the teacher's output head, int8; `topk`:
    the likeliest tokens and the mass of all others, at T = 1 and at the temperatures of the run (those of the variants
    and `evaluation.eval_temperature`; a new one reruns `compress_logits`). On it `kl`, `jsd` and the evaluation's
    divergence compare the kept tokens and one bucket of all others: lower bounds of the whole. At high temperatures
    the bucket holds most of the mass, and little of the teacher is left to learn: distil from it at low ones."""
    hidden: HiddenCodecSettings = HiddenCodecSettings()
    topk: TopKCodecSettings = TopKCodecSettings()
    fidelity: FidelitySettings = FidelitySettings()
    server: ServerSettings = ServerSettings()
    examples_per_shard: int = Field(1024, ge=1)
    """Examples in one file of the store."""
    batch_size: int = Field(32, ge=1)
    """Examples in one forward pass of the teacher."""
    num_beams: int = Field(1, ge=1, le=64)
    """Beams of the teacher's own predictions; 1 is greedy."""
    precision: Literal["fp32", "bf16"] = "fp32"
    """Numbers that the teacher's weights have while it predicts for students and its distributions are computed. `bf16`
    takes half a GPU's memory for them, and less time where there is hardware for it. What is stored, and what the
    fidelity report and students are compared with, then has bf16's error."""
    device: Device = "auto"
    """Device of the teacher's pass."""
