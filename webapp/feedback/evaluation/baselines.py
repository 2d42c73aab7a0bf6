"""Plain similarity of an answer to its rubric: what a grader has to beat."""

import math
from collections.abc import Sequence

from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.metrics.pairwise import linear_kernel

from webapp.feedback.evaluation.labelled import LabelledAnswer, LabelledSet
from webapp.feedback.text import stems, words
from webapp.feedback.wording import question_stems


def similarities(labelled: LabelledSet, answers: Sequence[LabelledAnswer]) -> dict[str, list[float]]:
    """Return each baseline's value for each answer, higher for more alike.

    The rubric is the text of its criteria. 'Token recall' is the share of its stems that the answer has; 'rare words'
    the same by inverse document frequency over the set's rubrics, the question's own words left out.
    """
    rubrics = {answer.question.id: " ".join(c.text for c in answer.question.criteria) for answer in answers}
    count: dict[str, int] = {}
    for text in rubrics.values():
        for stem in set(stems(text)):
            count[stem] = count.get(stem, 0) + 1
    rarity = {stem: math.log((1 + len(rubrics)) / n) for stem, n in count.items()}
    vectorizer = TfidfVectorizer(sublinear_tf=True, stop_words="english")
    vectorizer.fit([*rubrics.values(), *(answer.text for answer in answers)])
    cosines = {
        id: linear_kernel(vectorizer.transform([text]), vectorizer.transform([a.text for a in of_question]))[0]
        for id, text in rubrics.items()
        if (of_question := [answer for answer in answers if answer.question.id == id])
    }
    seen: dict[str, int] = dict.fromkeys(rubrics, 0)
    found: dict[str, list[float]] = {"length": [], "token recall": [], "rare words": [], "TF-IDF cosine": []}
    for answer in answers:
        id, own = answer.question.id, set(stems(answer.text))
        rubric = set(stems(rubrics[id]))
        rare = {stem: rarity[stem] for stem in rubric - question_stems(answer.question)}
        found["length"].append(math.log1p(len(words(answer.text))))
        found["token recall"].append(len(rubric & own) / len(rubric) if rubric else 0.0)
        total = sum(rare.values())
        found["rare words"].append(sum(value for stem, value in rare.items() if stem in own) / total if total else 0.0)
        found["TF-IDF cosine"].append(float(cosines[id][seen[id]]))
        seen[id] += 1
    return found
