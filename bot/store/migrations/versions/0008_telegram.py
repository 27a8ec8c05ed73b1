"""the Telegram channel"""

from alembic import op
import sqlalchemy as sa
from bot.store.tables import Instant


revision = '0008'
down_revision = '0003'
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table('telegram_updates',
    sa.Column('update_id', sa.BigInteger(), autoincrement=False, nullable=False),
    sa.Column('chat_id', sa.BigInteger(), nullable=False),
    sa.Column('body', sa.JSON(none_as_null=True), nullable=True),
    sa.Column('state', sa.String(length=10), nullable=False),
    sa.Column('attempts', sa.Integer(), nullable=False),
    sa.Column('claimed_by', sa.String(length=64), nullable=False),
    sa.Column('claimed_until', Instant(timezone=True), nullable=False),
    sa.Column('received_at', Instant(timezone=True), nullable=False),
    sa.CheckConstraint("state IN ('waiting', 'handled', 'set_aside')", name='update_state_known'),
    sa.PrimaryKeyConstraint('update_id')
    )
    op.create_index('ix_telegram_updates_received_at', 'telegram_updates', ['received_at'], unique=False)
    waiting = sa.text("state = 'waiting'")
    op.create_index('telegram_updates_waiting', 'telegram_updates', ['chat_id', 'update_id'], unique=False, sqlite_where=waiting, postgresql_where=waiting)

    op.create_table('telegram_codes',
    sa.Column('code_hash', sa.String(length=64), nullable=False),
    sa.Column('purpose', sa.String(length=10), nullable=False),
    sa.Column('conversation_id', sa.String(length=32), nullable=False),
    sa.Column('expires_at', Instant(timezone=True), nullable=False),
    sa.Column('used_in', sa.BigInteger(), nullable=True),
    sa.CheckConstraint("purpose IN ('carry_on', 'delete')", name='code_purpose_known'),
    sa.ForeignKeyConstraint(['conversation_id'], ['conversations.id'], ondelete='CASCADE'),
    sa.PrimaryKeyConstraint('code_hash')
    )
    op.create_index('ix_telegram_codes_conversation_id', 'telegram_codes', ['conversation_id'], unique=False)

    op.create_table('telegram_quiet',
    sa.Column('conversation_id', sa.String(length=32), nullable=False),
    sa.Column('after_seq', sa.Integer(), nullable=False),
    sa.ForeignKeyConstraint(['conversation_id'], ['conversations.id'], ondelete='CASCADE'),
    sa.PrimaryKeyConstraint('conversation_id')
    )
    op.create_table('leases',
    sa.Column('name', sa.String(length=40), nullable=False),
    sa.Column('holder', sa.String(length=64), nullable=False),
    sa.Column('until', Instant(timezone=True), nullable=False),
    sa.PrimaryKeyConstraint('name')
    )


def downgrade() -> None:
    for table in ('leases', 'telegram_quiet', 'telegram_codes', 'telegram_updates'):
        op.drop_table(table)
