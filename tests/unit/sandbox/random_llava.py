"""LLaVAs with random weights: small, quick to make, and enough wherever two ways of computing must agree."""

TEMPLATE = (
    "{% for message in messages %}{{ message['role'].upper() + ': ' }}"
    "{% for content in message['content'] if content['type'] == 'image' %}{{ '<image>\n' }}{% endfor %}"
    "{% for content in message['content'] if content['type'] == 'text' %}{{ content['text'] + ' ' }}{% endfor %}"
    "{% endfor %}{% if add_generation_prompt %}{{ 'ASSISTANT:' }}{% endif %}"
)
SENTENCES = ["USER: What color is the circle? ASSISTANT: The circle is red.", "Which of these pictures has more?"]


def random_tokenizer():
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
    from transformers import PreTrainedTokenizerFast

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=300,
        special_tokens=["<s>", "</s>", "<image>", "<pad>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(SENTENCES * 3, trainer)
    tokenizer.post_processor = processors.TemplateProcessing(single="<s> $A", special_tokens=[("<s>", 0)])
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        bos_token="<s>",
        eos_token="</s>",
        pad_token="<pad>",
        extra_special_tokens={"image_token": "<image>"},
        padding_side="left",
    )


def clip_tower():
    from transformers import CLIPVisionConfig

    return CLIPVisionConfig(
        hidden_size=32, intermediate_size=64, num_hidden_layers=3, num_attention_heads=2, image_size=28, patch_size=7
    )


def siglip_tower():
    from transformers import SiglipVisionConfig

    return SiglipVisionConfig(
        hidden_size=32, intermediate_size=64, num_hidden_layers=3, num_attention_heads=2, image_size=28, patch_size=7
    )


def language(kind, vocabulary):
    from transformers import LlamaConfig, MistralConfig, Qwen2Config

    config = {"llama": LlamaConfig, "mistral": MistralConfig, "qwen2": Qwen2Config}[kind]
    return config(
        vocab_size=vocabulary,
        hidden_size=48,
        intermediate_size=96,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=320,
        initializer_range=0.3,
        bos_token_id=0,
        eos_token_id=1,
        pad_token_id=3,
    )


def save_random_llava(folder, *, tower, kind, layer, strategy, seed=0):
    import torch
    from transformers import CLIPImageProcessorPil, LlavaConfig, LlavaForConditionalGeneration, LlavaProcessor

    tokenizer = random_tokenizer()
    config = LlavaConfig(
        vision_config=tower,
        text_config=language(kind, len(tokenizer)),
        image_token_index=2,
        vision_feature_layer=layer,
        vision_feature_select_strategy=strategy,
        initializer_range=0.3,
    )
    torch.manual_seed(seed)
    LlavaForConditionalGeneration(config).save_pretrained(folder)
    LlavaProcessor(
        image_processor=CLIPImageProcessorPil(size={"shortest_edge": 28}, crop_size={"height": 28, "width": 28}),
        tokenizer=tokenizer,
        patch_size=7,
        vision_feature_select_strategy=strategy,
        num_additional_image_tokens=int(strategy == "default"),
        chat_template=TEMPLATE,
    ).save_pretrained(folder)
    return folder


def save_random_family(folder, family, *, strategy=None, seed=0):
    """Save a random model of one of the families that aren't plain LLaVA, with tiles of 28 pixels in 4 x 4 patches."""
    return {"vipllava": _save_vipllava, "llava_next": _save_next, "llava_onevision": _save_onevision}[family](
        folder, strategy, seed
    )


def _save_vipllava(folder, strategy, seed):
    import torch
    from transformers import CLIPImageProcessorPil, LlavaProcessor, VipLlavaConfig, VipLlavaForConditionalGeneration

    tokenizer = random_tokenizer()
    config = VipLlavaConfig(
        vision_config=clip_tower(),
        text_config=language("llama", len(tokenizer)),
        image_token_index=2,
        vision_feature_layer=[-2, -3, 1],
    )
    torch.manual_seed(seed)
    VipLlavaForConditionalGeneration(config).save_pretrained(folder)
    LlavaProcessor(
        image_processor=CLIPImageProcessorPil(size={"shortest_edge": 28}, crop_size={"height": 28, "width": 28}),
        tokenizer=tokenizer,
        patch_size=7,
        vision_feature_select_strategy="default",
        num_additional_image_tokens=1,
        chat_template=TEMPLATE,
    ).save_pretrained(folder)
    return folder


def _save_next(folder, strategy, seed):
    import torch
    from transformers import (
        LlavaNextConfig,
        LlavaNextForConditionalGeneration,
        LlavaNextImageProcessorPil,
        LlavaNextProcessor,
    )

    strategy = strategy or "default"
    tokenizer = random_tokenizer()
    pinpoints = [[28, 56], [56, 28], [56, 56], [84, 28], [28, 84]]
    config = LlavaNextConfig(
        vision_config=clip_tower() if strategy == "default" else siglip_tower(),
        text_config=language("mistral", len(tokenizer)),
        image_token_index=2,
        vision_feature_layer=-2,
        vision_feature_select_strategy=strategy,
        image_grid_pinpoints=pinpoints,
    )
    torch.manual_seed(seed)
    LlavaNextForConditionalGeneration(config).save_pretrained(folder)
    LlavaNextProcessor(
        image_processor=LlavaNextImageProcessorPil(
            size={"shortest_edge": 28}, crop_size={"height": 28, "width": 28}, image_grid_pinpoints=pinpoints
        ),
        tokenizer=tokenizer,
        patch_size=7,
        vision_feature_select_strategy=strategy,
        num_additional_image_tokens=int(strategy == "default"),
        chat_template=TEMPLATE,
    ).save_pretrained(folder)
    return folder


def _save_onevision(folder, strategy, seed):
    import torch
    from transformers import (
        LlavaOnevisionConfig,
        LlavaOnevisionForConditionalGeneration,
        LlavaOnevisionImageProcessorPil,
    )

    from sandbox.processor import OnevisionPictureProcessor

    tokenizer = random_tokenizer()
    pinpoints = [[28 * rows, 28 * columns] for rows in range(1, 7) for columns in range(1, 7)]
    config = LlavaOnevisionConfig(
        vision_config=siglip_tower(),
        text_config=language("qwen2", len(tokenizer)),
        image_token_index=2,
        video_token_index=3,
        image_grid_pinpoints=pinpoints,
        vision_aspect_ratio="anyres_max_4",
    )
    torch.manual_seed(seed)
    LlavaOnevisionForConditionalGeneration(config).save_pretrained(folder)
    OnevisionPictureProcessor(
        image_processor=LlavaOnevisionImageProcessorPil(
            size={"height": 28, "width": 28},
            image_grid_pinpoints=pinpoints,
            image_mean=[0.5] * 3,
            image_std=[0.5] * 3,
        ),
        tokenizer=tokenizer,
        num_image_tokens=16,
        vision_feature_select_strategy="full",
        vision_aspect_ratio="anyres_max_4",
        chat_template=TEMPLATE,
    ).save_pretrained(folder)
    return folder
