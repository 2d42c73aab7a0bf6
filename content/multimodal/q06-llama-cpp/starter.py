import numpy as np


def plan_decode(
    prompt_ids: list[int], image_embeds: list[np.ndarray], image_token_id: int, n_batch: int
) -> list[dict[str, np.ndarray]]:
    """Return the batches for llama_decode: {'token' (n,) or 'embd' (n, d), 'pos' (n,), 'logits' (n,)}, n <= n_batch."""
    # a beginning: text alone, in one batch; images, slices of n_batch and bad input are yours
    token = np.array([token_id for token_id in prompt_ids if token_id != image_token_id], np.int64)
    logits = np.zeros(len(token), bool)
    logits[-1:] = True
    return [{"token": token, "pos": np.arange(len(token)), "logits": logits}]
