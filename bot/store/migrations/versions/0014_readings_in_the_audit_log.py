"""who read what is in the console's audit log"""

from alembic import op


revision = '0014'
down_revision = '0013'
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.drop_table('readings')


def downgrade() -> None:
    raise NotImplementedError("the table held nothing that the audit log does not hold")
