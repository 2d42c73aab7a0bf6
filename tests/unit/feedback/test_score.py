"""The score follows from weights and checked quotes alone, whatever a grader claims."""

import random

import pytest

from webapp.feedback import CriterionVerdict, Findings, Verdict, grade_with

ANSWER = "A CLIP ViT encodes the image into 576 patch features and an MLP projects them into the space of the LLM."


class Says:
    """A grader that says what it was made to say."""

    kind, model, version = "claims", "none", "1"

    def __init__(self, *verdicts):
        self.verdicts = verdicts

    def grade(self, question, answer):
        return Findings(self.verdicts)


def met(criterion, quote="an MLP projects them", **place):
    return CriterionVerdict(criterion.id, Verdict.MET, quote, "it is there", **place)


def test_the_score_is_the_weight_of_what_is_met(architecture):
    for number in range(len(architecture.criteria) + 1):
        chosen = random.Random(number).sample(architecture.criteria, number)
        feedback = grade_with(Says(*map(met, chosen)), architecture, ANSWER)
        assert feedback.score == pytest.approx(sum(criterion.weight for criterion in chosen))
        assert feedback.unclear == pytest.approx(100 - feedback.score)


def test_all_criteria_together_are_worth_a_hundred(catalog):
    for question in catalog.values():
        assert grade_with(Says(*map(met, question.criteria)), question, ANSWER).score == 100


def test_a_verdict_without_credit_adds_nothing(architecture):
    unmet = [CriterionVerdict(c.id, Verdict.UNMET, None, "not there") for c in architecture.criteria]
    assert grade_with(Says(*unmet), architecture, ANSWER).score == 0


@pytest.mark.parametrize("quote", [None, "", "an MLP reads minds", "AN MLP PROJECTS THEM"])
def test_met_without_words_of_the_answer_earns_nothing(architecture, quote):
    first = architecture.criteria[0]
    feedback = grade_with(Says(met(first, quote)), architecture, ANSWER)
    verdict = feedback.verdicts[0]
    assert (feedback.score, verdict.verdict, verdict.quote) == (0, Verdict.CANNOT_ASSESS, None)


def test_a_quote_is_kept_as_the_answer_has_it(architecture):
    answer = ANSWER.replace("an MLP projects", "an MLP\n   projects")
    verdict = grade_with(Says(met(architecture.criteria[0])), architecture, answer).verdicts[0]
    assert verdict.quote == "an MLP\n   projects them"
    assert answer[verdict.start : verdict.end] == verdict.quote


def test_a_graders_own_offsets_are_not_believed(architecture):
    verdict = grade_with(Says(met(architecture.criteria[0], start=0, end=5)), architecture, ANSWER).verdicts[0]
    assert ANSWER[verdict.start : verdict.end] == "an MLP projects them"


def test_a_criterion_that_the_grader_left_out_cannot_be_assessed(architecture):
    verdicts = grade_with(Says(met(architecture.criteria[3])), architecture, ANSWER).verdicts
    assert [verdict.criterion for verdict in verdicts] == [criterion.id for criterion in architecture.criteria]
    assert {verdict.verdict for verdict in verdicts if verdict.criterion != architecture.criteria[3].id} == {
        Verdict.CANNOT_ASSESS
    }


def test_a_criterion_that_the_question_does_not_have_is_dropped(architecture):
    stray = CriterionVerdict("charm", Verdict.MET, "an MLP projects them", "lovely")
    assert grade_with(Says(stray), architecture, ANSWER).score == 0


def test_two_verdicts_on_a_criterion_count_once(architecture):
    first = architecture.criteria[0]
    assert grade_with(Says(met(first), met(first)), architecture, ANSWER).score == first.weight
