"""The sets that come with the product: the packs' sample answers, and what reviewers said in this store."""

from content import Catalog, Split, load_catalog, load_samples
from webapp.feedback.evaluation.labelled import LabelledAnswer, LabelledSet
from webapp.store import Store

ABOUT_SAMPLES = (
    "Answers written for this purpose by language models that had not seen the rubrics: for each question a strong, a "
    "solid, a terse, a partial, a fluent but wrong one and an attempt at gaming. Which criteria each meets was judged "
    "by a language model that read answer and rubric."
)
ABOUT_DEVELOPMENT = "The embedded grader was developed on these."
ABOUT_TEST = "The embedded grader was not developed on these; only their figures were looked at."
ABOUT_REVIEWERS = "What the interviewers of this installation decided, criterion by criterion, on submitted answers."


def pack_set(split: Split, catalog: Catalog | None = None) -> LabelledSet:
    """Return the packs' sample answers of one split."""
    catalog = catalog or load_catalog()
    answers = []
    for question_id, samples in load_samples().items():
        question = catalog.questions[question_id]
        for sample in samples:
            if sample.split is split:
                met = {} if sample.met is None else {c.id: c.id in sample.met for c in question.criteria}
                answers.append(LabelledAnswer(question, sample.text, sample.quality.value, sample.quality, None, met))
    development = split is Split.DEVELOPMENT
    about = f"{ABOUT_SAMPLES} {ABOUT_DEVELOPMENT if development else ABOUT_TEST}"
    return LabelledSet(f"sample answers, {split.value}", about, development, answers)


def reviewers_set(store: Store, catalog: Catalog) -> LabelledSet:
    """Return the answers that interviewers judged; of several reviews of one answer the newest counts.

    Verdicts 'cannot assess', and criteria that the rubric no longer has, are left out.
    """
    answers = []
    for review in store.newest_reviews():
        question = catalog.questions.get(review.question_id)
        if question:
            known = {criterion.id for criterion in question.criteria}
            met = {
                judged.criterion: judged.verdict == "met"
                for judged in review.verdicts
                if judged.criterion in known and judged.verdict != "cannot_assess"
            }
            answers.append(LabelledAnswer(question, review.answer, "reviewed", None, None, met))
    return LabelledSet("reviewers", ABOUT_REVIEWERS, False, answers)
