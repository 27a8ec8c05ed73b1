"""privacy: what people wrote is encrypted at rest, can be erased, and who read it is known"""

from alembic import op
import sqlalchemy as sa
from bot.store.tables import Instant


revision = '0010'
down_revision = '0008'
branch_labels = None
depends_on = None

TEXT, JSON, ADDRESS, NUMBER = sa.Text(), sa.JSON(), sa.String(length=255), sa.BigInteger()
# looked up by what they equal
ADDRESSES = ('conversations.external_id', 'telegram_updates.chat_id')
SEALED = {
    'conversations': {'external_id': ADDRESS, 'guide': JSON},
    'messages': {'text': TEXT, 'understanding': JSON},
    'queries': {'ended_reason': sa.String(length=400)},
    'query_events': {'detail': JSON},
    'replies': {'text': TEXT, 'comment': TEXT},
    'drafts': {'text': TEXT},
    'promises': {'reason': sa.String(length=400)},
    'questions': {'text': TEXT},
    'emails': {'address': ADDRESS, 'subject': ADDRESS, 'body': TEXT},
    'deliveries': {'body': TEXT},
    'telegram_updates': {'body': JSON, 'chat_id': NUMBER},
    'explanations': {'address': ADDRESS, 'text': TEXT, 'answer': TEXT},
}
BATCH = 500


def upgrade() -> None:
    with op.batch_alter_table('conversations', schema=None) as batch_op:
        batch_op.add_column(sa.Column('masking_told_seq', sa.Integer(), nullable=True))
    with op.batch_alter_table('rate_counts', schema=None) as batch_op:
        batch_op.add_column(sa.Column('until', Instant(timezone=True), nullable=True))
    op.execute("DELETE FROM rate_counts")
    _new_tables()
    for table, columns in SEALED.items():
        with op.batch_alter_table(table, schema=None) as batch_op:
            for name, before in columns.items():
                if before is not TEXT:
                    using = f'{name}::text' if before in (JSON, NUMBER) else None
                    batch_op.alter_column(name, existing_type=before, type_=sa.Text(), postgresql_using=using)
    for table, columns in SEALED.items():
        for name in columns:
            _seal(table, name)


def _new_tables() -> None:
    op.create_table('erasures',
    sa.Column('id', sa.String(length=32), nullable=False),
    sa.Column('at', Instant(timezone=True), nullable=False),
    sa.Column('wished_by', sa.String(length=12), nullable=False),
    sa.Column('area', sa.String(length=40), nullable=False),
    sa.Column('channel', sa.String(length=20), nullable=False),
    sa.Column('messages', sa.Integer(), nullable=False),
    sa.Column('queries', sa.Integer(), nullable=False),
    sa.CheckConstraint("wished_by IN ('parent', 'operator', 'retention')", name='wished_by_known'),
    sa.PrimaryKeyConstraint('id')
    )
    op.create_index('ix_erasures_at', 'erasures', ['at'], unique=False)
    op.create_table('forgettings',
    sa.Column('conversation_id', sa.String(length=32), nullable=False),
    sa.Column('since', Instant(timezone=True), nullable=False),
    sa.PrimaryKeyConstraint('conversation_id')
    )
    op.create_table('statistics',
    sa.Column('month', sa.Date(), nullable=False),
    sa.Column('area', sa.String(length=40), nullable=False),
    sa.Column('channel', sa.String(length=20), nullable=False),
    sa.Column('measure', sa.String(length=20), nullable=False),
    sa.Column('of', sa.String(length=60), nullable=False),
    sa.Column('number', sa.Integer(), nullable=False),
    sa.PrimaryKeyConstraint('month', 'area', 'channel', 'measure', 'of')
    )
    op.create_table('readings',
    sa.Column('id', sa.Integer(), autoincrement=True, nullable=False),
    sa.Column('at', Instant(timezone=True), nullable=False),
    sa.Column('staff_id', sa.String(length=32), nullable=False),
    sa.Column('conversation_id', sa.String(length=32), nullable=False),
    sa.Column('query_id', sa.String(length=32), nullable=True),
    sa.Column('what', sa.String(length=12), nullable=False),
    sa.ForeignKeyConstraint(['staff_id'], ['staff.id'], ),
    sa.PrimaryKeyConstraint('id')
    )
    for name in ('at', 'conversation_id', 'staff_id'):
        op.create_index(f'ix_readings_{name}', 'readings', [name], unique=False)


def _seal(table_name: str, column_name: str) -> None:
    """Seal what is in a column, some rows at a time, in the order of the primary key."""
    connection = op.get_bind()
    keys, place = connection.dialect.keys, f'{table_name}.{column_name}'
    seal = keys.seal_address if place in ADDRESSES else keys.seal
    known = sa.inspect(connection).get_pk_constraint(table_name)['constrained_columns']
    table = sa.table(table_name, sa.column(column_name), *map(sa.column, known))
    primary, column = [table.c[name] for name in known], table.c[column_name]
    asked = sa.select(*primary, column).where(column.is_not(None), column != '').order_by(*primary)
    after = None
    while True:
        more = asked.where(sa.tuple_(*primary) > sa.tuple_(*after)) if after else asked
        rows = connection.execute(more.limit(BATCH)).all()
        for *key, value in rows:
            same = sa.and_(*(one == known_value for one, known_value in zip(primary, key)))
            connection.execute(sa.update(table).where(same).values({column_name: seal(str(value), place)}))
        if len(rows) < BATCH:
            return
        after = tuple(rows[-1][: len(primary)])


def downgrade() -> None:
    raise NotImplementedError("go back to a backup instead: what is encrypted now would have to be written out in plain")
