"""what belongs to a message is found without reading everything"""

from alembic import op


revision = '0013'
down_revision = '0012'
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_index('ix_replies_message_id', 'replies', ['message_id'])
    op.create_index('ix_choices_message_id', 'choices', ['message_id'])


def downgrade() -> None:
    op.drop_index('ix_choices_message_id', 'choices')
    op.drop_index('ix_replies_message_id', 'replies')
