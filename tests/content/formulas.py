"""The formulas behind the numbers in the questions, on the installed transformers' configurations and code.

Sizes are of LLaVA-1.5: CLIP ViT-L/14 at 336 pixels, and Llama 2 7B or 13B. FLOPs count a multiply-add as two.
"""

import io
import math
from functools import cache
from types import SimpleNamespace

import torch
from PIL import Image
from transformers import LlamaConfig, LlavaConfig, LlavaForConditionalGeneration, LlavaOnevisionConfig, Qwen2Config
from transformers.image_processing_utils import select_best_resolution
from transformers.image_utils import OPENAI_CLIP_MEAN, OPENAI_CLIP_STD
from transformers.models.llava_next.processing_llava_next import LlavaNextProcessor
from transformers.models.llava_onevision.processing_llava_onevision import LlavaOnevisionProcessor

VISION = LlavaConfig().vision_config
TEXT = {
    "7b": LlamaConfig(),
    "13b": LlamaConfig(hidden_size=5120, num_hidden_layers=40, num_attention_heads=40, intermediate_size=13824),
}
NEXT_GRIDS = [[336, 672], [672, 336], [672, 672], [1008, 336], [336, 1008]]  # llava-v1.6's image_grid_pinpoints
ONEVISION_GRIDS = [[384 * rows, 384 * columns] for rows in range(1, 7) for columns in range(1, 7)]


def vision_config(name: str) -> float:
    return float(getattr(VISION, name))


def text_config(model: str, name: str) -> float:
    return float(getattr(TEXT[model], name))


def patches(size: int, patch: int, images: int = 1) -> int:
    return images * (size // patch) ** 2


def positions(size: int, patch: int) -> int:
    return patches(size, patch) + 1  # CLS


def patch_values(patch: int) -> int:
    return VISION.num_channels * patch**2


def percent(part: float, whole: float) -> float:
    return 100 * part / whole


def ratio(over: float, under: float) -> float:
    return over / under


def product(factors: list[float]) -> float:
    return math.prod(factors)


def kv_bytes(model: str, tokens: int, bytes_each: int = 2) -> int:
    config = TEXT[model]
    width = config.num_key_value_heads * config.hidden_size // config.num_attention_heads
    return 2 * config.num_hidden_layers * width * bytes_each * tokens


def kv_mib(model: str, tokens: int, bytes_each: int = 2) -> float:
    return kv_bytes(model, tokens, bytes_each) / 2**20


def kv_mb(model: str, tokens: int) -> float:
    return kv_bytes(model, tokens) / 1e6


def kv_gib(model: str, tokens: int) -> float:
    return kv_bytes(model, tokens) / 2**30


def embedding_mib(rows: int, width: int, bytes_each: int) -> float:
    return rows * width * bytes_each / 2**20


def scores_gib(positions: int, heads: int, bytes_each: int) -> float:
    """Attention scores of one layer, as eager attention keeps them."""
    return heads * positions**2 * bytes_each / 2**30


def _macs(tokens: float, width: int, inner: int, matrices: int) -> float:
    """Multiply-adds of one transformer layer: projections, attention, and an MLP of so many matrices."""
    return 4 * tokens * width**2 + 2 * tokens**2 * width + matrices * tokens * width * inner


def encoder_tflop(size: int) -> float:
    """One image through all layers of the encoder, the patch embedding included."""
    n, d = positions(size, VISION.patch_size), VISION.hidden_size
    layers = VISION.num_hidden_layers * _macs(n, d, VISION.intermediate_size, 2)
    return 2 * (layers + (n - 1) * patch_values(VISION.patch_size) * d) / 1e12


def prefill_tflop(model: str, tokens: int) -> float:
    config = TEXT[model]
    return 2 * config.num_hidden_layers * _macs(tokens, config.hidden_size, config.intermediate_size, 3) / 1e12


def prefill_to_encoder(model: str, size: int) -> float:
    return prefill_tflop(model, patches(size, VISION.patch_size)) / encoder_tflop(size)


def fastv_cut(model: str, tokens: int, layer: int, kept: float) -> float:
    """Percent of FLOPs saved when tokens are dropped after a layer, counted as in FastV (arXiv:2403.06764)."""
    config = TEXT[model]
    full, less = (_macs(n, config.hidden_size, config.intermediate_size, 2) for n in (tokens, tokens * kept))
    layers = config.num_hidden_layers
    return 100 * (1 - (layer * full + (layers - layer) * less) / (layers * full))


@cache
def _model() -> LlavaForConditionalGeneration:
    with torch.device("meta"):
        return LlavaForConditionalGeneration(LlavaConfig())


def billion_parameters(part: str) -> float:
    """Parameters of a part of LLaVA-1.5 7B: vision_tower, multi_modal_projector or language_model."""
    return sum(weight.numel() for weight in getattr(_model().model, part).parameters()) / 1e9


def clip_mean(channel: int) -> float:
    return OPENAI_CLIP_MEAN[channel]


def clip_std(channel: int) -> float:
    return OPENAI_CLIP_STD[channel]


def clip_normalised(level: float, channel: int) -> float:
    return (level / 255 - OPENAI_CLIP_MEAN[channel]) / OPENAI_CLIP_STD[channel]


def clip_step(levels: float) -> float:
    """The largest difference between pixels that many levels apart, after CLIP's normalisation."""
    return max(levels / 255 / std for std in OPENAI_CLIP_STD)


def pad_level(channel: int) -> int:
    return int(255 * OPENAI_CLIP_MEAN[channel])


def _processor(cls: type, grids: list[list[int]], **settings: object) -> object:
    processor = cls.__new__(cls)  # only the arithmetic is wanted; building a processor needs a checkpoint's tokenizer
    processor.__dict__.update(image_processor=SimpleNamespace(image_grid_pinpoints=grids), **settings)
    return processor


def next_tokens(width: int, height: int) -> int:
    processor = _processor(
        LlavaNextProcessor,
        NEXT_GRIDS,
        patch_size=14,
        num_additional_image_tokens=1,
        vision_feature_select_strategy="default",
    )
    return processor._get_number_of_features(height, width, 336, 336) - 1


def next_tiles(width: int, height: int) -> int:
    """Tiles of LLaVA-NeXT, the overview not counted."""
    rows, columns = select_best_resolution((height, width), NEXT_GRIDS)
    return (rows // 336) * (columns // 336)


def onevision_tokens(width: int, height: int) -> int:
    """Tokens of LLaVA-OneVision (anyres_max_9) after its cap."""
    processor = _processor(
        LlavaOnevisionProcessor,
        ONEVISION_GRIDS,
        patch_size=14,
        num_image_tokens=729,
        vision_feature_select_strategy="full",
        vision_aspect_ratio="anyres_max_9",
    )
    rows, columns = select_best_resolution((height, width), ONEVISION_GRIDS)
    side = 384 // 14
    unpadded, newlines = processor._get_unpadded_features(height, width, side, side, rows // 384, columns // 384)
    return unpadded + newlines + side**2


def onevision_tiles(width: int, height: int) -> int:
    rows, columns = select_best_resolution((height, width), ONEVISION_GRIDS)
    return (rows // 384) * (columns // 384)


def onevision_frame_tokens(frames: int) -> int:
    """Tokens of a clip: each 27 x 27 grid halved with rounding up, and one newline for the clip."""
    return frames * math.ceil(27 / 2) ** 2 + 1


def percent_more(larger: float, smaller: float) -> float:
    return 100 * (larger / smaller - 1)


def siglip_config(name: str) -> float:
    """Of SigLIP-so400m/14 at 384 pixels, as LLaVA-OneVision's default configuration has it."""
    return float(getattr(LlavaOnevisionConfig().vision_config, name))


def siglip_to_clip() -> float:
    """Compute of SigLIP-so400m/14 at 384 pixels, all its layers, to that of LLaVA-1.5's encoder at 336."""
    config = LlavaOnevisionConfig().vision_config
    n, d = patches(config.image_size, config.patch_size), config.hidden_size
    layers = config.num_hidden_layers + 1  # LLaVA-OneVision leaves out the last
    macs = layers * _macs(n, d, config.intermediate_size, 2) + n * patch_values(config.patch_size) * d
    return 2 * macs / 1e12 / encoder_tflop(336)


def mmproj_billion() -> float:
    """Weights of LLaVA-1.5 7B's encoder and projector as llama.cpp converts them: no last block, no post-layernorm."""
    tower = _model().model.vision_tower
    last = f".layers.{int(VISION.num_hidden_layers) - 1}."
    kept = [w.numel() for n, w in tower.named_parameters() if last not in n and "post_layernorm" not in n]
    return sum(kept) / 1e9 + billion_parameters("multi_modal_projector")


def mmproj_gb(bytes_each: int) -> float:
    return mmproj_billion() * bytes_each


def mmproj_mb(bytes_each: int) -> float:
    return 1000 * mmproj_gb(bytes_each)


def last_slice(rows: int, n_batch: int) -> int:
    return rows % n_batch or n_batch


def next_position(before: int, rows: int) -> int:
    """Position of the first token after an image, where so many tokens stand before it."""
    return before + rows


def last_position(before: int, rows: int) -> int:
    return next_position(before, rows) - 1


def difference(of: float, less: float) -> float:
    return of - less


def amdahl(share: float, faster: float = math.inf) -> float:
    """How many times as fast the whole becomes when a share of it does; without `faster`, when it costs nothing."""
    return 1 / (1 - share + share / faster)


def saved_percent(share: float, faster: float) -> float:
    return 100 * share * (1 - 1 / faster)


def encoder_ms(size: int, tflops: float) -> float:
    """The least time for one image at a device's peak."""
    return encoder_tflop(size) / tflops * 1e3


def million_parameters(part: str) -> float:
    return 1e3 * billion_parameters(part)


def model_gb(bytes_each: int = 2) -> float:
    """All weights of LLaVA-1.5 7B."""
    return bytes_each * sum(weight.numel() for weight in _model().parameters()) / 1e9


def weights_read_gb(bytes_each: int = 2) -> float:
    """What a decode step reads of them: all layers and the output head, which is as large as the embedding table."""
    return bytes_each * billion_parameters("language_model")


def room_gb(card_gb: float, share: float, reserve_gb: float) -> float:
    """What LLaVA-1.5 7B leaves of a card's usable share for the key-value cache."""
    return card_gb * share - model_gb() - reserve_gb


def requests_held(card_gb: float, share: float, reserve_gb: float, tokens: int) -> int:
    return int(room_gb(card_gb, share, reserve_gb) * 1e9 / kv_bytes("7b", tokens))


def in_flight(rate: float, first_token_s: float, tokens: int, token_s: float) -> float:
    """Little's law: arrivals a second times the time that each stays."""
    return rate * (first_token_s + tokens * token_s)


def prefill_cards(tokens: int, rate: float, peak_tflops: float, utilisation: float) -> float:
    return rate * prefill_tflop("7b", tokens) / (peak_tflops * utilisation)


def percent_of_card(size: int, rate: float, peak_tflops: float, utilisation: float) -> float:
    """How busy the encoder keeps one card."""
    return 100 * rate * encoder_tflop(size) / (peak_tflops * utilisation)


def decode_step_ms(requests: int, tokens: int, terabytes_a_second: float) -> float:
    """The least time of a decode step: weights and key-value cache read once."""
    return (weights_read_gb() * 1e9 + requests * kv_bytes("7b", tokens)) / terabytes_a_second / 1e9


def transfer_ms(mib: float, gigabits_a_second: float) -> float:
    return mib * 2**20 * 8 / gigabits_a_second / 1e6


def total(parts: list[float]) -> float:
    return sum(parts)


def prefill_ms(tokens: int, peak_tflops: float, utilisation: float) -> float:
    return prefill_tflop("7b", tokens) / (peak_tflops * utilisation) * 1e3


def decode_percent(tokens: int) -> float:
    """Bytes that so many tokens in the cache add to a decode step of one request, in percent of the weights."""
    return percent(kv_bytes("7b", tokens), weights_read_gb() * 1e9)


def encoder_attention_percent(size: int) -> float:
    """Share of scores and weighted sums, quadratic in the patches, in the work of the encoder's layers."""
    n, d = positions(size, VISION.patch_size), VISION.hidden_size
    return percent(2 * n**2 * d, _macs(n, d, VISION.intermediate_size, 2))


def prefill_attention_percent(model: str, tokens: int) -> float:
    config = TEXT[model]
    d = config.hidden_size
    return percent(2 * tokens**2 * d, _macs(tokens, d, config.intermediate_size, 3))


def kv_gb(model: str, tokens: int) -> float:
    return kv_mb(model, tokens) / 1e3


def row_length(text: int, images: int) -> int:
    """Positions of a LLaVA-1.5 prompt after its placeholders have been expanded."""
    return text + images * patches(int(VISION.image_size), int(VISION.patch_size))


def padded_tokens(lengths: list[int]) -> int:
    return len(lengths) * max(lengths)


def real_tokens(lengths: list[int]) -> int:
    return sum(lengths)


def padding_percent(lengths: list[int]) -> float:
    return 100 * (1 - real_tokens(lengths) / padded_tokens(lengths))


def pooled_tokens(side: int, stride: int, images: int = 1) -> int:
    return images * (side // stride) ** 2


def raw_mb(width: int, height: int, bytes_each: int) -> float:
    """A picture at so many bytes for each pixel."""
    return width * height * bytes_each / 1e6


def raw_gb(width: int, height: int, bytes_each: int, images: int) -> float:
    return images * raw_mb(width, height, bytes_each) / 1e3


def draft_mb(width: int, height: int, side: int) -> float:
    """RGB bytes of a JPEG when Pillow decodes it at the reduced scale that still covers a side."""
    file = io.BytesIO()
    Image.new("RGB", (width, height)).save(file, "JPEG")
    image = Image.open(file)
    image.draft("RGB", (side, side))
    return raw_mb(*image.size, 3)


def pillow_limit_megapixels(times: int) -> float:
    """Pillow warns above its limit, and raises above twice that."""
    return times * (Image.MAX_IMAGE_PIXELS or 0) / 1e6


def next_grid_side(width: int, height: int) -> int:
    return select_best_resolution((height, width), NEXT_GRIDS)[0]


def grid_patches(width: int, height: int, patch: int) -> int:
    return (width // patch) * (height // patch)


def weights_gib(bytes_each: int) -> float:
    """Weights of LLaVA-1.5 7B; LLaVA-NeXT with Vicuna 7B adds one vector."""
    return sum(weight.numel() for weight in _model().parameters()) * bytes_each / 2**30


def hidden_states_mib(views: int, layers: int) -> float:
    """Hidden states of the encoder in fp16, its input embedding counted as a layer."""
    return layers * views * positions(VISION.image_size, VISION.patch_size) * VISION.hidden_size * 2 / 2**20


# Qwen2 7B, the language model of LLaVA-OneVision 7B (arXiv:2407.10671)
QWEN = Qwen2Config(
    hidden_size=3584,
    num_hidden_layers=28,
    num_attention_heads=28,
    num_key_value_heads=4,
    intermediate_size=18944,
)
SIGLIP = LlavaOnevisionConfig().vision_config


def qwen_kv_kib(tokens: int, bytes_each: int = 2) -> float:
    width = QWEN.num_key_value_heads * QWEN.hidden_size // QWEN.num_attention_heads
    return 2 * QWEN.num_hidden_layers * width * bytes_each * tokens / 2**10


def qwen_kv_mib(tokens: int) -> float:
    return qwen_kv_kib(tokens) / 2**10


def qwen_kv_gib(tokens: int) -> float:
    return qwen_kv_kib(tokens) / 2**20


def qwen_prefill_tflop(tokens: int) -> float:
    d, inner, layers = QWEN.hidden_size, QWEN.intermediate_size, QWEN.num_hidden_layers
    shared = d * QWEN.num_key_value_heads // QWEN.num_attention_heads
    return 2 * layers * (2 * tokens * d * (d + shared) + 2 * tokens**2 * d + 3 * tokens * d * inner) / 1e12


def siglip_tflop(frames: int) -> float:
    """Frames through LLaVA-OneVision's encoder, one at a time."""
    n, d = patches(SIGLIP.image_size, SIGLIP.patch_size), SIGLIP.hidden_size
    layers = SIGLIP.num_hidden_layers * _macs(n, d, SIGLIP.intermediate_size, 2)
    return frames * 2 * (layers + n * patch_values(SIGLIP.patch_size) * d) / 1e12


def frame_tokens(side: int, frames: int = 1) -> int:
    """Tokens of frames whose grid is halved, rounded up, without the clip's newline."""
    return frames * math.ceil(side / 2) ** 2


def encoder_to_prefill(frames: int, tokens: int) -> float:
    return siglip_tflop(frames) / qwen_prefill_tflop(tokens)


def seconds_at(tflop: float, peak_tflops: float, utilisation: float) -> float:
    return tflop / (peak_tflops * utilisation)


def features_gib(frames: int) -> float:
    """Pooled and projected features of LLaVA-OneVision 7B in fp16."""
    return frame_tokens(27, frames) * QWEN.hidden_size * 2 / 2**30


def vectors_mb(frames: int) -> float:
    """One pooled vector of the encoder for each frame, in fp16."""
    return frames * SIGLIP.hidden_size * 2 / 1e6


def embedding_mb(rows: int, width: int, bytes_each: int) -> float:
    return rows * width * bytes_each / 1e6


def entries_held(gib: float, entry_mib: float) -> int:
    return int(gib * 1024 // entry_mib)


def image_tflop(model: str, size: int) -> float:
    """One image through the encoder and its tokens through the language model's prefill."""
    return encoder_tflop(size) + prefill_tflop(model, patches(size, int(VISION.patch_size)))


def encoder_percent(model: str, size: int) -> float:
    return 100 * encoder_tflop(size) / image_tflop(model, size)


def gigabits_a_second(mib: float, a_second: float) -> float:
    return mib * 2**20 * 8 * a_second / 1e9


def bf16_sum(terms: list[float]) -> float:
    """The sum from left to right, rounded to bfloat16 after each addition."""
    total = torch.tensor(terms[0], dtype=torch.bfloat16)
    for term in terms[1:]:
        total = total + torch.tensor(term, dtype=torch.bfloat16)
    return float(total)


def bf16_spacing(at: float) -> float:
    """The distance from a power of two to the next larger bfloat16."""
    return torch.finfo(torch.bfloat16).eps * at


def vectors_gb(count: float, width: int, bytes_each: int) -> float:
    return count * width * bytes_each / 1e9


def hnsw_gb(count: float, width: int, links: int) -> float:
    """Faiss' HNSW over float32 vectors: width * 4 + links * 2 * 4 bytes each (Guidelines to choose an index)."""
    return count * (4 * width + 2 * 4 * links) / 1e9


def scan_ms(gigabytes: float, terabytes_a_second: float) -> float:
    return gigabytes / terabytes_a_second


def embedding_hours(images: float, size: int, peak_tflops: float, utilisation: float) -> float:
    """Images through CLIP ViT-L/14's encoder on one card."""
    return images * encoder_tflop(size) / (peak_tflops * utilisation) / 3600
