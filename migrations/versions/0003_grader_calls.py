"""Calls of language models, the grades that rest on them, and how far a grading is."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade():
    with op.batch_alter_table("grade") as grade:
        grade.add_column(sa.Column("criteria_read", sa.Integer()))
        grade.add_column(sa.Column("criteria_count", sa.Integer()))
    op.create_table(
        "grader_call",
        sa.Column("id", sa.String(32), nullable=False),
        sa.Column("key", sa.String(64), nullable=False),
        sa.Column("host", sa.String(200), nullable=False),
        sa.Column("model", sa.String(200), nullable=False),
        sa.Column("messages", sa.JSON(), nullable=False),
        sa.Column("reply", sa.Text(), nullable=False),
        sa.Column("form", sa.String(16), nullable=False),
        sa.Column("finish_reason", sa.String(40), nullable=False),
        sa.Column("tokens_in", sa.Integer()),
        sa.Column("tokens_out", sa.Integer()),
        sa.Column("cost", sa.Float()),
        sa.Column("seconds", sa.Float(), nullable=False),
        sa.Column("error", sa.Text()),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_grader_call"),
    )
    op.create_index("ix_grader_call_key", "grader_call", ["key"])
    op.create_table(
        "grade_call",
        sa.Column("grade_id", sa.String(32), nullable=False),
        sa.Column("call_id", sa.String(32), nullable=False),
        sa.Column("cached", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("grade_id", "call_id", name="pk_grade_call"),
        sa.ForeignKeyConstraint(["grade_id"], ["grade.id"], name="fk_grade_call_grade_id"),
        sa.ForeignKeyConstraint(["call_id"], ["grader_call.id"], name="fk_grade_call_call_id"),
    )


def downgrade():
    op.drop_table("grade_call")
    op.drop_table("grader_call")
    with op.batch_alter_table("grade") as grade:
        grade.drop_column("criteria_count")
        grade.drop_column("criteria_read")
