"""Saved states of candidates' code."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade():
    op.create_table(
        "code_draft",
        sa.Column("id", sa.String(32), nullable=False),
        sa.Column("user_id", sa.String(32), nullable=False),
        sa.Column("exercise", sa.String(32), nullable=False),
        sa.Column("attempt_id", sa.String(32)),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("saved_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_code_draft"),
        sa.ForeignKeyConstraint(["user_id"], ["user.id"], name="fk_code_draft_user_id"),
        sa.ForeignKeyConstraint(["attempt_id"], ["attempt.id"], name="fk_code_draft_attempt_id"),
    )
    op.create_index("ix_code_draft_user_id_exercise_attempt_id", "code_draft", ["user_id", "exercise", "attempt_id"])


def downgrade():
    op.drop_table("code_draft")
