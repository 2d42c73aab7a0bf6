"""The first tables."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

TABLES = ("user", "session", "attempt", "draft", "answer", "grade", "run", "sign_in_failure")


def identifier(name, nullable=False):
    return sa.Column(name, sa.String(32), nullable=nullable)


def moment(name, nullable=False):
    return sa.Column(name, sa.DateTime(timezone=True), nullable=nullable)


def word(name, nullable=False):
    return sa.Column(name, sa.String(16), nullable=nullable)


def key(table, *columns):
    return sa.PrimaryKeyConstraint(*columns, name=f"pk_{table}")


def reference(table, column, target):
    return sa.ForeignKeyConstraint([column], [f"{target}.id"], name=f"fk_{table}_{column}")


def upgrade():
    op.create_table(
        "user",
        identifier("id"),
        word("kind"),
        sa.Column("subject", sa.String(200)),
        sa.Column("name", sa.String(200), nullable=False),
        sa.Column("roles", sa.JSON(), nullable=False),
        sa.Column("password_hash", sa.String(200)),
        moment("created_at"),
        key("user", "id"),
        sa.UniqueConstraint("kind", "subject", name="uq_user_kind_subject"),
    )
    op.create_table(
        "session",
        identifier("id"),
        identifier("user_id"),
        word("mode"),
        sa.Column("question_ids", sa.JSON(), nullable=False),
        moment("started_at"),
        moment("ended_at", nullable=True),
        moment("released_at", nullable=True),
        key("session", "id"),
        reference("session", "user_id", "user"),
    )
    op.create_index("ix_session_user_id", "session", ["user_id"])
    op.create_table(
        "attempt",
        identifier("id"),
        identifier("session_id"),
        sa.Column("question_id", sa.String(32), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        moment("opened_at"),
        moment("deadline"),
        moment("paused_at", nullable=True),
        sa.Column("paused_seconds", sa.Float(), nullable=False),
        sa.Column("extended_seconds", sa.Float(), nullable=False),
        sa.Column("hints", sa.JSON(), nullable=False),
        moment("submitted_at", nullable=True),
        word("submitted_by", nullable=True),
        key("attempt", "id"),
        reference("attempt", "session_id", "session"),
        sa.UniqueConstraint("session_id", "position", name="uq_attempt_session_id_position"),
    )
    op.create_index("ix_attempt_submitted_at_deadline", "attempt", ["submitted_at", "deadline"])
    op.create_table(
        "draft",
        identifier("attempt_id"),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        moment("saved_at"),
        key("draft", "attempt_id", "revision"),
        reference("draft", "attempt_id", "attempt"),
    )
    op.create_table(
        "answer",
        identifier("id"),
        identifier("attempt_id"),
        sa.Column("text", sa.Text(), nullable=False),
        moment("submitted_at"),
        sa.Column("late", sa.Boolean(), nullable=False),
        key("answer", "id"),
        reference("answer", "attempt_id", "attempt"),
        sa.UniqueConstraint("attempt_id", name="uq_answer_attempt_id"),
    )
    op.create_table(
        "grade",
        identifier("id"),
        identifier("answer_id"),
        word("state"),
        moment("created_at"),
        moment("due_at"),
        sa.Column("tries", sa.Integer(), nullable=False),
        sa.Column("error", sa.Text()),
        sa.Column("kind", sa.String(40)),
        sa.Column("model", sa.String(200)),
        sa.Column("version", sa.String(200)),
        sa.Column("score", sa.Float()),
        sa.Column("verdicts", sa.JSON(), nullable=False),
        sa.Column("gate", sa.JSON()),
        sa.Column("flags", sa.JSON(), nullable=False),
        sa.Column("seconds", sa.Float()),
        moment("graded_at", nullable=True),
        key("grade", "id"),
        reference("grade", "answer_id", "answer"),
    )
    op.create_index("ix_grade_answer_id", "grade", ["answer_id"])
    op.create_index("ix_grade_state_due_at", "grade", ["state", "due_at"])
    op.create_table(
        "run",
        identifier("id"),
        identifier("user_id"),
        identifier("attempt_id", nullable=True),
        sa.Column("kind", sa.String(40), nullable=False),
        sa.Column("settings", sa.JSON(), nullable=False),
        sa.Column("figures", sa.JSON(), nullable=False),
        sa.Column("receipt", sa.Text()),
        moment("created_at"),
        key("run", "id"),
        reference("run", "user_id", "user"),
        reference("run", "attempt_id", "attempt"),
    )
    op.create_index("ix_run_user_id", "run", ["user_id"])
    op.create_index("ix_run_attempt_id", "run", ["attempt_id"])
    op.create_table(
        "sign_in_failure",
        identifier("id"),
        sa.Column("address_hash", sa.String(64), nullable=False),
        moment("at"),
        key("sign_in_failure", "id"),
    )
    op.create_index("ix_sign_in_failure_address_hash_at", "sign_in_failure", ["address_hash", "at"])


def downgrade():
    for table in reversed(TABLES):
        op.drop_table(table)
