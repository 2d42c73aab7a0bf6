"""Measures what the llm grader asks and gets for one answer: `LLM_GGUF=model.gguf python -m tests.bench.llm`.

For each number of criteria per call it prints calls, tokens, seconds, and how many replies could be read. Nothing is
taken from an earlier call. With a local model, seconds depend on the prompt's beginning that it still holds from the
call before.
"""

import argparse
import time

from content import load_catalog, load_samples
from webapp.feedback import HostGrader, LlmSettings, MemoryLog, grade_with


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--question", default="q01")
    parser.add_argument("--quality", default="partial", help="Which of the question's sample answers.")
    parser.add_argument("--per-call", type=int, nargs="+", default=[5, 1], help="Criteria in each call.")
    options = parser.parse_args()

    question = load_catalog().questions[options.question]
    answer = next(sample.text for sample in load_samples()[question.id] if sample.quality == options.quality)
    print(f"{question.id}, {len(question.criteria)} criteria, an answer of {len(answer)} characters")
    print("per call  calls  readable  tokens in  tokens out  seconds  not graded")
    for size in options.per_call:
        host = HostGrader(LlmSettings(llm_criteria_per_call=size))
        host.wait_until_ready()
        log, started = MemoryLog(reuse=False), time.perf_counter()
        feedback = grade_with(host.grader(log), question, answer)
        seconds = time.perf_counter() - started
        host.close()
        readable = sum(call.error is None for call in log.calls)
        tokens = (sum(call.tokens_in or 0 for call in log.calls), sum(call.tokens_out or 0 for call in log.calls))
        ungraded = sum(verdict.verdict is None for verdict in feedback.verdicts)
        print(f"{size:8}  {len(log.calls):5}  {readable:8}", end="")
        print(f"  {tokens[0]:9,}  {tokens[1]:10,}  {seconds:7.1f}  {ungraded:10}", flush=True)


if __name__ == "__main__":
    main()
