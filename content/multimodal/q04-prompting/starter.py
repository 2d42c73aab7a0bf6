def build_prompt(task: str, question: str | None = None) -> str:
    """Return the text of the user's turn for 'vqa', 'caption' or 'ocr', with exactly one <image>."""
    # a beginning: one wording for everything; a prompt for each task, short answers and bad input are yours
    return f"<image>\n{question or 'What is in the image?'}"
