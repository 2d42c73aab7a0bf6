"""The `vivalab` command. Heavy imports wait until a command needs them, so that `--help` answers at once."""

from pathlib import Path
from typing import Annotated

import typer

main = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Mock interviews on multimodal models, with a live LLaVA beside every question.",
)
content_commands = typer.Typer(no_args_is_help=True, help="Check and read the questions.")
main.add_typer(content_commands, name="content")


@main.command()
def serve(
    host: Annotated[
        str | None,
        typer.Option(
            help="Address to serve on; on other than a loopback one, visitors are guests. [SERVE_HOST, 127.0.0.1]"
        ),
    ] = None,
    port: Annotated[int | None, typer.Option(help="Port to serve on. [SERVE_PORT, 7860]")] = None,
    data_dir: Annotated[
        Path | None, typer.Option(help="Where the database and uploads live. [DATA_DIR, the user's data folder]")
    ] = None,
    model: Annotated[
        str | None,
        typer.Option(
            help="Checkpoint of the sandbox: a folder or a hub id. [SANDBOX_MODEL, the tiny LLaVA that ships]"
        ),
    ] = None,
) -> None:
    """Migrate the store and serve the app; prints the address.

    Every option is also a setting, named in brackets with its default; all settings stand in the README.
    """
    import uvicorn
    from pydantic import ValidationError

    from webapp.settings import Settings

    options = {"serve_host": host, "serve_port": port, "data_dir": data_dir, "sandbox_model": model}
    try:
        settings = Settings(**{name: value for name, value in options.items() if value is not None})  # type: ignore[arg-type]
    except ValidationError as error:
        for problem in error.errors():
            name = ".".join(map(str, problem["loc"])).upper()
            typer.echo(f"{name}: {problem['msg']}" if name else problem["msg"], err=True)
        raise typer.Exit(2) from None

    from webapp.app import create_app

    app = create_app(settings)
    typer.echo(f"Vivalab runs at {settings.address}  (stop with Ctrl+C)")
    if not settings.personal:
        review = "open with the interviewers' password" if settings.interviewer_password else "closed"
        typer.echo(f"Visitors are guests; the review is {review}.")
    uvicorn.run(
        app,
        host=settings.serve_host,
        port=settings.serve_port,
        log_level="warning",
        access_log=False,  # addresses of pages carry Gradio's session hash
        proxy_headers=settings.secure,
        forwarded_allow_ips="*" if settings.on_space else "127.0.0.1",
        timeout_graceful_shutdown=3,
    )


@main.command("hash-password")
def hash_password_command(
    password: Annotated[str, typer.Option(prompt=True, hide_input=True, confirmation_prompt=True)],
) -> None:
    """Print the argon2 hash of a password, for INTERVIEWER_PASSWORD."""
    from webapp.password import hash_password

    typer.echo(hash_password(password))


@main.command("train-tiny")
def train_tiny(
    out: Annotated[Path, typer.Option(help="Takes checkpoint, log and, at the end, the weights.")] = Path("tiny-run"),
    seed: Annotated[int, typer.Option(help="Decides the initial weights and every batch.")] = 0,
    minutes: Annotated[float | None, typer.Option(help="Train for about so long.")] = None,
    steps: Annotated[
        int | None, typer.Option(help="Or for so many steps of the main stage, the same on every machine.")
    ] = None,
    processes: Annotated[int, typer.Option(help="Single-threaded processes that share each step.")] = 2,
    resume: Annotated[bool, typer.Option(help="Go on from the checkpoint in the folder.")] = True,
) -> None:
    """Train the tiny LLaVA and its CLIP from nothing; a killed run goes on where its last checkpoint was."""
    from sandbox import tiny

    tiny.train(out, seed=seed, minutes=minutes, steps=steps, processes=processes, resume=resume)


@main.command()
def evaluate(
    grader: Annotated[
        str, typer.Option(help="coverage, or llm (by LLM_BASE_URL, LLM_API_KEY and LLM_MODEL, or LLM_GGUF).")
    ] = "coverage",
    data: Annotated[
        Path | None, typer.Option(envvar="VIVALAB_DATA", help="Folder of outside sets; see webapp/feedback/evaluation.")
    ] = None,
    only: Annotated[list[str] | None, typer.Option(help="Only the set of this name; may be repeated.")] = None,
    questions: Annotated[str, typer.Option(help="Only these questions of the pack, such as q01,q05.")] = "",
    attacks: Annotated[bool, typer.Option(help="Try every attack on every question.")] = True,
    retest: Annotated[bool, typer.Option(help="Grade every answer a second time.")] = True,
    out: Annotated[
        Path | None,
        typer.Option(help="Where the figures go. [DATA_DIR/evaluations/<grader>.json, which the app shows]"),
    ] = None,
) -> None:
    """Measure a grader on labelled answers and attacks; prints tables and keeps the figures for the app's page.

    The sets: the packs' sample answers (development and test), what reviewers decided in this store, and outside sets
    in a folder. See the page 'How good is this grader?'.
    """
    from webapp.evaluate import GraderMissing, run
    from webapp.settings import Settings

    try:
        run(
            Settings(),
            kind=grader,
            folder=data,
            only=only or [],
            questions=[name for name in questions.split(",") if name],
            attacks=attacks,
            retest=retest,
            out=out,
        )
    except GraderMissing as missing:
        typer.echo(missing, err=True)
        raise typer.Exit(2) from None


@content_commands.command("lint")
def content_lint() -> None:
    """Check every pack; each problem is a line with file, line and what to do."""
    from content import BrokenContent, lint_packs
    from webapp.feedback import lint_grading

    try:
        problems = lint_packs(grade=lint_grading)
    except BrokenContent as broken:  # the grader weighs words over the whole bank, so it needs every question
        typer.echo(broken)
        raise typer.Exit(1) from None
    for problem in problems:
        typer.echo(problem)
    if problems:
        raise typer.Exit(1)
    typer.echo("The packs are sound.")


@content_commands.command("show")
def content_show(question: Annotated[str, typer.Argument(help="A question's id, such as q06.")]) -> None:
    """Print a question with everything that belongs to it."""
    from content import load_catalog, show

    questions = load_catalog().questions
    if question not in questions:
        typer.echo(f"There is no question {question}. There are: {', '.join(questions)}.", err=True)
        raise typer.Exit(2)
    typer.echo(show(questions[question]))


if __name__ == "__main__":
    main()
