"""Solutions of q04."""

from tests.unit.judge.faults import Fault

RIGHT = """
def build_prompt(task, question=None):
    if question and "<image>" in question:
        raise ValueError("a question may not contain <image>")
    if task == "vqa":
        if question is None or not question.strip():
            raise ValueError("vqa needs a question")
        return f"<image>\\n{question}\\nAnswer the question using a single word or phrase."
    if task == "caption":
        return "<image>\\nDescribe the image."
    if task == "ocr":
        return "<image>\\nWhat does the text say?"
    raise ValueError(f"no task {task!r}")
"""

OTHER_RIGHT = '''
PLACEHOLDER = "<image>"
TEXTS = {"caption": "Describe this image.", "ocr": "Read the text."}


class BadPrompt(ValueError):
    pass


def build_prompt(task: str, question: str | None = None) -> str:
    """The placeholder behind the words, and an error class of its own."""
    asked = (question or "").strip()
    if PLACEHOLDER in asked:
        raise BadPrompt("injection")
    if task != "vqa":
        try:
            return "\\n".join([PLACEHOLDER, TEXTS[task]])
        except KeyError:
            raise BadPrompt(task) from None
    if not asked:
        raise BadPrompt("question")
    return PLACEHOLDER + "\\n" + asked
'''

FAULTS = [
    Fault("no placeholder", '"<image>\\nDescribe', '"Describe', "one placeholder"),
    Fault("two placeholders", '"<image>\\nDescribe', '"<image><image>\\nDescribe', "one placeholder"),
    Fault(
        "role tags",
        'f"<image>\\n{question}\\nAnswer',
        'f"USER: <image>\\n{question} ASSISTANT:\\nAnswer',
        "no role tags",
    ),
    Fault("None returned", 'return "<image>\\nDescribe the image."', "return None", "one placeholder"),
    Fault(
        "a caption asks the question",
        '"<image>\\nDescribe the image."',
        '"<image>\\n" + (question or "Describe the image.")',
        "question ignored",
    ),
    Fault(
        "unknown tasks are captions",
        '    raise ValueError(f"no task {task!r}")',
        '    return "<image>\\nDescribe the image."',
        "unknown task",
    ),
    Fault("KeyError for an unknown task", 'raise ValueError(f"no task', 'raise KeyError(f"no task', "unknown task"),
    Fault("a missing question passes", "question is None or not question.strip()", "question == ''", "no question"),
    Fault("blanks pass", "question is None or not question.strip()", "not question", "no question"),
    Fault(
        "the placeholder stripped instead",
        '        raise ValueError("a question may not contain <image>")',
        '        question = question.replace("<image>", "")',
        "injection",
    ),
    Fault(
        "injection looked for in vqa only",
        'if question and "<image>"',
        'if task == "vqa" and question and "<image>"',
        "injection",
    ),
    Fault("the question left out", "\\n{question}\\nAnswer the question", "\\nAnswer the question", "live vqa"),
    Fault(
        "a full sentence asked for",
        "Answer the question using a single word or phrase.",
        "Answer in a full sentence.",
        "live vqa",
    ),
    Fault("a caption in a word", "Describe the image.", "What color is the background?", "live caption"),
    Fault("OCR as a caption", "What does the text say?", "Describe the image.", "live ocr"),
]
