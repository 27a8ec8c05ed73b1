"""the staff console: second step of signing in, notes, tags, review, changes of answers, schools, promises, the audit log"""

from alembic import op
import sqlalchemy as sa

import bot.store.tables

revision = '0011'
down_revision = '0010'
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table('oidc_requests',
    sa.Column('state_hash', sa.String(length=64), nullable=False),
    sa.Column('checks', sa.JSON(), nullable=False),
    sa.Column('onward', sa.String(length=255), nullable=False),
    sa.Column('expires_at', bot.store.tables.Instant(timezone=True), nullable=False),
    sa.PrimaryKeyConstraint('state_hash')
    )
    op.create_table('schools',
    sa.Column('id', sa.String(length=32), nullable=False),
    sa.Column('area', sa.String(length=40), nullable=False),
    sa.Column('name', sa.String(length=120), nullable=False),
    sa.PrimaryKeyConstraint('id'),
    sa.UniqueConstraint('area', 'name')
    )
    op.create_table('answer_changes',
    sa.Column('id', sa.String(length=32), nullable=False),
    sa.Column('topic', sa.String(length=60), nullable=False),
    sa.Column('was', sa.JSON(), nullable=False),
    sa.Column('becomes', sa.JSON(), nullable=False),
    sa.Column('reason', sa.String(length=400), nullable=False),
    sa.Column('state', sa.String(length=10), nullable=False),
    sa.Column('proposed_by', sa.String(length=32), nullable=False),
    sa.Column('proposed_at', bot.store.tables.Instant(timezone=True), nullable=False),
    sa.Column('decided_by', sa.String(length=32), nullable=True),
    sa.Column('decided_at', bot.store.tables.Instant(timezone=True), nullable=True),
    sa.Column('comment', sa.String(length=400), nullable=True),
    sa.CheckConstraint("state <> 'approved' OR decided_by <> proposed_by", name='change_has_second_person'),
    sa.CheckConstraint("state IN ('proposed', 'approved', 'refused', 'withdrawn')", name='change_state_known'),
    sa.ForeignKeyConstraint(['decided_by'], ['staff.id'], ),
    sa.ForeignKeyConstraint(['proposed_by'], ['staff.id'], ),
    sa.PrimaryKeyConstraint('id')
    )
    with op.batch_alter_table('answer_changes', schema=None) as batch_op:
        batch_op.create_index('answer_changes_one_open', ['topic'], unique=True, sqlite_where=sa.text("state = 'proposed'"), postgresql_where=sa.text("state = 'proposed'"))
        batch_op.create_index(batch_op.f('ix_answer_changes_topic'), ['topic'], unique=False)

    op.create_table('audit_entries',
    sa.Column('id', sa.Integer(), autoincrement=True, nullable=False),
    sa.Column('at', bot.store.tables.Instant(timezone=True), nullable=False),
    sa.Column('staff_id', sa.String(length=32), nullable=True),
    sa.Column('actor', sa.String(length=255), nullable=False),
    sa.Column('act', sa.String(length=40), nullable=False),
    sa.Column('about', sa.String(length=80), nullable=False),
    sa.Column('detail', sa.JSON(), nullable=False),
    sa.Column('address', sa.String(length=60), nullable=False),
    sa.ForeignKeyConstraint(['staff_id'], ['staff.id'], ),
    sa.PrimaryKeyConstraint('id')
    )
    with op.batch_alter_table('audit_entries', schema=None) as batch_op:
        batch_op.create_index('audit_entries_by_staff', ['staff_id', 'at'], unique=False)
        batch_op.create_index('audit_entries_by_subject', ['about'], unique=False)
        batch_op.create_index('audit_entries_by_time', ['at'], unique=False)

    op.create_table('example_proposals',
    sa.Column('id', sa.String(length=32), nullable=False),
    sa.Column('conversation_id', sa.String(length=32), nullable=True),
    sa.Column('seq', sa.Integer(), nullable=False),
    sa.Column('area', sa.String(length=40), nullable=False),
    sa.Column('text', sa.String(length=500), nullable=False),
    sa.Column('topic', sa.String(length=60), nullable=False),
    sa.Column('understood', sa.String(length=60), nullable=True),
    sa.Column('state', sa.String(length=10), nullable=False),
    sa.Column('proposed_by', sa.String(length=32), nullable=False),
    sa.Column('proposed_at', bot.store.tables.Instant(timezone=True), nullable=False),
    sa.Column('decided_by', sa.String(length=32), nullable=True),
    sa.Column('decided_at', bot.store.tables.Instant(timezone=True), nullable=True),
    sa.Column('comment', sa.String(length=400), nullable=True),
    sa.CheckConstraint("state IN ('proposed', 'approved', 'refused')", name='proposal_state_known'),
    sa.CheckConstraint('decided_by IS NULL OR decided_by <> proposed_by', name='proposal_has_second_person'),
    sa.ForeignKeyConstraint(['conversation_id'], ['conversations.id'], ondelete='SET NULL'),
    sa.ForeignKeyConstraint(['decided_by'], ['staff.id'], ),
    sa.ForeignKeyConstraint(['proposed_by'], ['staff.id'], ),
    sa.PrimaryKeyConstraint('id')
    )
    with op.batch_alter_table('example_proposals', schema=None) as batch_op:
        batch_op.create_index('example_proposals_by_state', ['state', 'proposed_at'], unique=False)
        batch_op.create_index(batch_op.f('ix_example_proposals_conversation_id'), ['conversation_id'], unique=False)

    op.create_table('promise_rules',
    sa.Column('area', sa.String(length=40), nullable=False),
    sa.Column('working_days', sa.Integer(), nullable=False),
    sa.Column('priority_working_days', sa.Integer(), nullable=False),
    sa.Column('urgent_working_days', sa.Integer(), nullable=False),
    sa.Column('changed_by', sa.String(length=32), nullable=False),
    sa.Column('changed_at', bot.store.tables.Instant(timezone=True), nullable=False),
    sa.ForeignKeyConstraint(['changed_by'], ['staff.id'], ),
    sa.PrimaryKeyConstraint('area')
    )
    op.create_table('recovery_codes',
    sa.Column('code_hash', sa.String(length=64), nullable=False),
    sa.Column('staff_id', sa.String(length=32), nullable=False),
    sa.Column('used_at', bot.store.tables.Instant(timezone=True), nullable=True),
    sa.ForeignKeyConstraint(['staff_id'], ['staff.id'], ondelete='CASCADE'),
    sa.PrimaryKeyConstraint('code_hash')
    )
    with op.batch_alter_table('recovery_codes', schema=None) as batch_op:
        batch_op.create_index(batch_op.f('ix_recovery_codes_staff_id'), ['staff_id'], unique=False)

    op.create_table('reviews',
    sa.Column('conversation_id', sa.String(length=32), nullable=False),
    sa.Column('flagged', sa.Boolean(), server_default=sa.false(), nullable=False),
    sa.Column('reviewed_at', bot.store.tables.Instant(timezone=True), nullable=True),
    sa.Column('reviewed_by', sa.String(length=32), nullable=True),
    sa.ForeignKeyConstraint(['conversation_id'], ['conversations.id'], ondelete='CASCADE'),
    sa.ForeignKeyConstraint(['reviewed_by'], ['staff.id'], ),
    sa.PrimaryKeyConstraint('conversation_id')
    )
    with op.batch_alter_table('reviews', schema=None) as batch_op:
        batch_op.create_index('reviews_flagged', ['conversation_id'], unique=False, sqlite_where=sa.text('flagged'), postgresql_where=sa.text('flagged'))

    op.create_table('saved_conversations',
    sa.Column('conversation_id', sa.String(length=32), nullable=False),
    sa.Column('staff_id', sa.String(length=32), nullable=False),
    sa.Column('at', bot.store.tables.Instant(timezone=True), nullable=False),
    sa.ForeignKeyConstraint(['conversation_id'], ['conversations.id'], ondelete='CASCADE'),
    sa.ForeignKeyConstraint(['staff_id'], ['staff.id'], ondelete='CASCADE'),
    sa.PrimaryKeyConstraint('conversation_id', 'staff_id')
    )
    op.create_table('saved_views',
    sa.Column('id', sa.String(length=32), nullable=False),
    sa.Column('staff_id', sa.String(length=32), nullable=False),
    sa.Column('name', sa.String(length=60), nullable=False),
    sa.Column('address', sa.String(length=500), nullable=False),
    sa.ForeignKeyConstraint(['staff_id'], ['staff.id'], ondelete='CASCADE'),
    sa.PrimaryKeyConstraint('id'),
    sa.UniqueConstraint('staff_id', 'name')
    )
    op.create_table('tags',
    sa.Column('conversation_id', sa.String(length=32), nullable=False),
    sa.Column('tag', sa.String(length=40), nullable=False),
    sa.Column('staff_id', sa.String(length=32), nullable=False),
    sa.Column('at', bot.store.tables.Instant(timezone=True), nullable=False),
    sa.ForeignKeyConstraint(['conversation_id'], ['conversations.id'], ondelete='CASCADE'),
    sa.ForeignKeyConstraint(['staff_id'], ['staff.id'], ),
    sa.PrimaryKeyConstraint('conversation_id', 'tag')
    )
    with op.batch_alter_table('tags', schema=None) as batch_op:
        batch_op.create_index('tags_by_tag', ['tag'], unique=False)

    op.create_table('typing',
    sa.Column('conversation_id', sa.String(length=32), nullable=False),
    sa.Column('at', bot.store.tables.Instant(timezone=True), nullable=False),
    sa.ForeignKeyConstraint(['conversation_id'], ['conversations.id'], ondelete='CASCADE'),
    sa.PrimaryKeyConstraint('conversation_id')
    )
    op.create_table('notes',
    sa.Column('id', sa.String(length=32), nullable=False),
    sa.Column('query_id', sa.String(length=32), nullable=False),
    sa.Column('staff_id', sa.String(length=32), nullable=False),
    sa.Column('text', sa.Text(), nullable=False),
    sa.Column('at', bot.store.tables.Instant(timezone=True), nullable=False),
    sa.ForeignKeyConstraint(['query_id'], ['queries.id'], ondelete='CASCADE'),
    sa.ForeignKeyConstraint(['staff_id'], ['staff.id'], ),
    sa.PrimaryKeyConstraint('id')
    )
    with op.batch_alter_table('notes', schema=None) as batch_op:
        batch_op.create_index(batch_op.f('ix_notes_query_id'), ['query_id'], unique=False)

    op.create_table('presences',
    sa.Column('query_id', sa.String(length=32), nullable=False),
    sa.Column('staff_id', sa.String(length=32), nullable=False),
    sa.Column('at', bot.store.tables.Instant(timezone=True), nullable=False),
    sa.Column('wrote_at', bot.store.tables.Instant(timezone=True), nullable=True),
    sa.ForeignKeyConstraint(['query_id'], ['queries.id'], ondelete='CASCADE'),
    sa.ForeignKeyConstraint(['staff_id'], ['staff.id'], ondelete='CASCADE'),
    sa.PrimaryKeyConstraint('query_id', 'staff_id')
    )
    op.create_table('summaries',
    sa.Column('query_id', sa.String(length=32), nullable=False),
    sa.Column('text', sa.String(length=300), nullable=False),
    sa.Column('staff_id', sa.String(length=32), nullable=False),
    sa.Column('at', bot.store.tables.Instant(timezone=True), nullable=False),
    sa.ForeignKeyConstraint(['query_id'], ['queries.id'], ondelete='CASCADE'),
    sa.ForeignKeyConstraint(['staff_id'], ['staff.id'], ),
    sa.PrimaryKeyConstraint('query_id')
    )
    with op.batch_alter_table('staff', schema=None) as batch_op:
        batch_op.add_column(sa.Column('totp_secret', sa.Text(), nullable=True))
        batch_op.add_column(sa.Column('totp_step', sa.Integer(), server_default='0', nullable=False))
        batch_op.add_column(sa.Column('oidc_subject', sa.String(length=255), nullable=True))
        batch_op.create_unique_constraint('staff_oidc_subject', ['oidc_subject'])

    with op.batch_alter_table('staff_sessions', schema=None) as batch_op:
        batch_op.add_column(sa.Column('stage', sa.String(length=12), server_default='full', nullable=False))
        batch_op.add_column(sa.Column('new_secret', sa.Text(), nullable=True))
        batch_op.create_check_constraint('stage_known', "stage IN ('full', 'second_step', 'set_up')")


def downgrade() -> None:
    raise NotImplementedError("go back to a backup instead: what the new tables hold would be lost")
