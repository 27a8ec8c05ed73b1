"""`signpost`: the operator's verbs."""

from __future__ import annotations

import getpass
import json
import logging
import re
import sys
import threading
import time
from dataclasses import fields, replace
from pathlib import Path
from typing import Annotated, Optional

import httpx
import typer

from bot.clock import Clock, new_secret
from bot.settings import ROOT, SettingProblem, Settings, variable

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, help="Signpost: answers, and a query cycle that ends.")
db_app = typer.Typer(no_args_is_help=True, help="The database.")
keys_app = typer.Typer(no_args_is_help=True, help="The keys of what is encrypted at rest.")
staff_app = typer.Typer(no_args_is_help=True, help="The staff directory.")
app.add_typer(db_app, name="db")
app.add_typer(staff_app, name="staff")
examples_app = typer.Typer(no_args_is_help=True, help="Training examples that staff proposed and approved.")
app.add_typer(examples_app, name="examples")
app.add_typer(keys_app, name="keys")


def _settings() -> Settings:
    try:
        return Settings.from_environment()
    except SettingProblem as problem:
        raise SystemExit(str(problem)) from problem


def _database():
    from bot.store.database import Database

    return Database(_settings().database)


def _signpost():
    from bot.parts import Signpost

    return Signpost.build(_settings())


@app.command()
def settings() -> None:
    """List everything that can be set, with the value in force."""
    in_force = _settings()
    for entry in fields(Settings):
        value = getattr(in_force, entry.name)
        shown = "(set)" if entry.name.endswith(("token", "password", "secret", "keys")) and value else value
        if entry.name.endswith("url"):
            shown = re.sub(r"(//[^:/@]*):.*@", r"\1:(set)@", value)
        print(f"{variable(entry.name):28} {shown!s:22} {entry.metadata['about']}")


@app.command()
def run() -> None:
    """Serve: engine, app and a worker under one supervisor. Ctrl-C stops all."""
    from bot import supervisor as watch
    from bot.setup import model
    from bot.setup.environments import ENGINE, SetupFailed

    given = _settings()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    for chatty in ("httpx", "alembic"):
        logging.getLogger(chatty).setLevel(logging.WARNING)
    _check_telegram(given)
    own_engine = not given.engine_url
    token = given.engine_token or new_secret()
    try:
        watch.check_port(given.host, given.port, "SIGNPOST_PORT")
        if own_engine:
            watch.check_port("127.0.0.1", given.engine_port, "SIGNPOST_ENGINE_PORT")
            if given.train.lower() == "on" or not model.MODEL.exists():
                model.ensure()
    except (watch.PortTaken, SetupFailed) as problem:
        raise SystemExit(f"Signpost did not start: {problem}") from problem

    shared = watch.child_environment(
        SIGNPOST_ENGINE_TOKEN=token,
        SIGNPOST_ENGINE_URL=given.engine,
        SIGNPOST_ACTIONS_URL=f"http://127.0.0.1:{given.port}/engine/actions",
    )
    engine = watch.Child("engine", [str(ENGINE.executable), "-m", "bot.engine.serve", str(model.MODEL), "--port", str(given.engine_port)], shared)
    server = watch.Child("app", [sys.executable, "-m", "bot.serve"], shared)
    worker = watch.Child("worker", [sys.executable, "-m", "bot.cli", "worker"], shared)
    children = [*([engine] if own_engine else []), server, *([worker] if given.worker.lower() == "on" else [])]
    supervisor = watch.Supervisor(children)
    supervisor.stop_on_signals()
    if own_engine:
        engine.start()
    try:
        _prepare_database(given)
    except BaseException:
        engine.stop()
        raise
    supervisor.start()
    threading.Thread(target=_announce, args=(given, supervisor), daemon=True).start()
    supervisor.watch()
    print("Stopped.")


def _check_telegram(given: Settings) -> None:
    """Refuse settings of Telegram that cannot be used, and say what to think of before real parents use it."""
    if not given.telegram_token:
        return
    from bot.channels.telegram import check

    try:
        check(given)
    except SettingProblem as problem:
        raise SystemExit(f"Signpost did not start: {problem}") from problem
    print(f"Telegram is on ({given.telegram_mode}). It is another company's service: docs/telegram.md says what to think of before real parents use it.\n", flush=True)


def _prepare_database(given: Settings) -> None:
    from bot.store.database import Database

    database = Database(given.database)
    database.upgrade()
    if given.demo_on:
        from bot.console.demo import seed
        from bot.console.sign_in import SignIn

        sign_ins = seed(SignIn(database, Clock()), database)
        if sign_ins:
            print("\nA demo staff directory was made. These sign-ins are shown once:\n")
            for name, email, password, role in sign_ins:
                print(f"  {email:38} {password:20} {role:12} {name}")
            print(flush=True)
    database.close()


def _announce(given: Settings, supervisor) -> None:
    began = time.monotonic()
    while not supervisor.stopping:
        try:
            if httpx.get(f"http://127.0.0.1:{given.port}/readyz", timeout=3, trust_env=False).status_code == 200:
                break
        except httpx.HTTPError:
            pass
        time.sleep(0.2)
    if not supervisor.stopping:
        print(
            f"\nSignpost is ready ({time.monotonic() - began:.0f} s).\n\n"
            f"  {given.site}/          demo page\n  {given.site}/chat      the chat, without JavaScript\n"
            f"  {given.site}/console   for staff\n\nCtrl-C stops it.\n",
            flush=True,
        )


@app.command()
def worker(once: Annotated[bool, typer.Option("--once", help="One round, for cron; exit 0 when it is done")] = False) -> None:
    """Send replies and e-mails, remind, escalate, check. Run as many as you like; `signpost run` starts one."""
    import asyncio
    import signal

    from bot.logs import configure

    configure("worker")
    worker = _signpost().office.worker

    async def work() -> None:
        if once:
            await worker.round()
            return
        stopping = asyncio.Event()
        for number in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().add_signal_handler(number, stopping.set)
        await worker.run(stopping)

    asyncio.run(work())


@app.command()
def train() -> None:
    """Train the model now."""
    from bot.setup import model
    from bot.setup.environments import SetupFailed

    try:
        model.ensure(force=True)
    except SetupFailed as problem:
        raise SystemExit(str(problem)) from problem


@db_app.command("upgrade")
def db_upgrade() -> None:
    """Bring the tables up to date."""
    from bot.store.database import Database

    Database(_settings().database).upgrade()
    print("The database is up to date.")


@keys_app.command("list")
def keys_list() -> None:
    """List the keys by id, newest first, and how many values each seals."""
    from bot.privacy.rotation import in_use

    database = _database()
    counted = in_use(database)
    for id in database.keys.ids:
        uses = [use for use, key in (("seals", database.keys.current), ("seals addresses", database.keys.of_addresses)) if key == id]
        print(f"{id}  {counted.pop(id, 0):8} values  {', '.join(uses)}")
    for id, number in counted.items():
        print(f"{id}  {number:8} values  NOT AT HAND")
    raise SystemExit(1 if counted else 0)


@keys_app.command("new")
def keys_new() -> None:
    """Print a new key for SIGNPOST_KEYS, where the keys are not kept in a file."""
    from bot.store.keys import new_key, written

    print(written([new_key()]), end="")


@keys_app.command("rotate")
def keys_rotate(
    addresses: Annotated[bool, typer.Option(help="Also give addresses (Telegram chats) the new key; stop everything else first")] = False,
) -> None:
    """Make a new key and seal everything with it. With keys in the environment: seal with the first of them."""
    from bot.privacy.rotation import rotate

    done = rotate(_settings(), addresses)
    print(f"Sealed anew: {done.sealed} values. Newest key: {done.current}.")
    if done.unused:
        print(f"Nothing needs {', '.join(done.unused)} any more but backups made with it. `signpost keys retire` puts it aside.")


@keys_app.command("retire")
def keys_retire() -> None:
    """Put keys that seal nothing any more aside, into a file of their own beside the key file: older backups still need them."""
    from bot.privacy.rotation import retire

    retired, where = retire(_settings())
    print(f"Put aside in {where}: {', '.join(retired)}." if retired else "Every key is needed.")


@staff_app.command("add")
def staff_add(
    email: str,
    name: Annotated[str, typer.Option(help="Full name, as parents see it")],
    title: Annotated[str, typer.Option(help="What they do, as parents see it")],
    role: Annotated[str, typer.Option(help="lead, coordinator, manager or auditor")] = "lead",
    team: Annotated[str, typer.Option(help="Team id of the area file")] = "",
    area: Annotated[Optional[list[str]], typer.Option(help="Area id; repeat for several; none means all")] = None,
    topic: Annotated[Optional[list[str]], typer.Option(help="Topic id; repeat for several; none means all")] = None,
    therapy: Annotated[Optional[list[str]], typer.Option(help="Therapy; repeat for several; none means all")] = None,
    language: Annotated[Optional[list[str]], typer.Option(help="Language besides English (pl, ar, …); repeat for several")] = None,
    school: Annotated[Optional[list[str]], typer.Option(help="School they are kept for; repeat for several")] = None,
    on_call: Annotated[bool, typer.Option(help="Takes urgent messages")] = False,
    duty: Annotated[bool, typer.Option(help="Duty lead: stands in where no lead fits")] = False,
) -> None:
    """Add a member of staff. The password is asked for, or read from standard input."""
    signpost = _signpost()
    signpost.database.upgrade()
    for given, known, what in ((area or [], signpost.areas, "area"), (topic or [], signpost.topics, "topic")):
        for id in given:
            if id not in known:
                raise SystemExit(f"There is no {what} {id!r}. Known: {', '.join(sorted(known))}")
    password = getpass.getpass("Password: ") if sys.stdin.isatty() else sys.stdin.readline().rstrip("\n")
    try:
        signpost.sign_in.add_staff(
            email=email, name=name, title=title, role=role, password=password, team=team, areas=area or [], topics=topic or [],
            therapies=therapy or [], languages=language or [], schools=school or [], on_call=on_call, duty=duty,
        )  # fmt: skip
    except ValueError as problem:
        raise SystemExit(str(problem)) from problem
    print(f"{name} can now sign in at {signpost.settings.site}/console")


@staff_app.command("away")
def staff_away(email: str, first: str, last: str) -> None:
    """Somebody is on leave from FIRST to LAST (2026-12-21), both included. What they own goes to their deputies."""
    from datetime import date

    from sqlalchemy import select

    from bot.casework.supervision import Refused
    from bot.store.tables import Staff

    signpost = _signpost()
    with signpost.database.read() as session:
        member = session.scalar(select(Staff).where(Staff.email == email.strip().lower()))
    if member is None:
        raise SystemExit(f"There is nobody with the email address {email}.")
    try:
        signpost.office.supervision.add_leave(member.id, date.fromisoformat(first), date.fromisoformat(last), "operator")
    except ValueError as problem:
        raise SystemExit(f"A day is written like 2026-12-21: {problem}") from problem
    except Refused as problem:
        raise SystemExit(str(problem)) from problem
    print(f"{member.name} is away from {first} to {last}.")


@examples_app.command("export")
def examples_export(out: Annotated[Optional[Path], typer.Option(help="Write here; nothing: to the screen")] = None) -> None:
    """Write approved examples that data/nlu/ does not hold yet as Rasa NLU YAML, ready for a commit."""
    from bot.console.examples import Examples

    signpost = _signpost()
    text = Examples(signpost.database, signpost.clock, signpost.masker, signpost.topics, ROOT / "data" / "nlu").export()
    if not text:
        print("There is nothing to export: no approved example that data/nlu/ does not hold.", file=sys.stderr)
    elif out is None:
        print(text, end="")
    else:
        out.write_text(text, encoding="utf-8")
        print(f"Written to {out}. Move the lines into data/nlu/, run the tests, then train.", file=sys.stderr)


@app.command()
def demo(queries: Annotated[int, typer.Option(min=20, max=20000, help="How many are asked; the nights delete a few old ones")] = 215) -> None:
    """Fill an empty database with a made-up directory and past: queries in every state, so that anyone can look at the console."""
    from bot.console.demo_queries import HasQueries, fill

    given = _settings()
    _prepare_database(replace(given, demo="on"))
    print(f"Playing eight weeks with {queries} queries. This takes a while.", flush=True)
    try:
        states = fill(given, queries)
    except HasQueries:
        raise SystemExit("There are queries already, and a demo is not mixed with what is real. Give it another SIGNPOST_DATA_DIR.") from None
    for state, number in states.most_common():
        print(f"{state.replace('_', ' '):20} {number}")
    print(f"Start `signpost run` and sign in at {given.site}/console.")


answers_app = typer.Typer(no_args_is_help=True, help="The answers that staff have changed.")
app.add_typer(answers_app, name="answers")


@answers_app.command("export")
def answers_export() -> None:
    """Write what is live otherwise than data/answers/ says as a diff: `signpost answers export | git apply`."""
    from bot.console.answer_export import diff

    text = diff(ROOT / "data" / "answers", _signpost().answer_changes.to_export())
    print(text or "", end="")
    if not text:
        print("There is nothing to export: every answer is as data/answers/ says.", file=sys.stderr)


@app.command()
def ledger(as_json: Annotated[bool, typer.Option("--json", help="Machine-readable")] = False) -> None:
    """Count the queries: logged = open + confirmed + withdrawn + silent + closed. Exit 1 when it does not balance."""
    from bot.casework.ledger import take

    signpost = _signpost()
    counted = take(signpost.database, signpost.clock)
    if as_json:
        print(json.dumps(counted.as_json()))
    else:
        for name, value in counted.as_json().items():
            print(f"{name:12} {value}")
    raise SystemExit(0 if counted.balances else 1)


@app.command()
def erase(
    named: Annotated[str, typer.Argument(help="A query's reference, or a conversation's id")],
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask")] = False,
) -> None:
    """Delete everything that was written in a conversation, on a family's wish. Open questions are withdrawn and their leads told."""
    signpost = _signpost()
    conversation_id = signpost.own_words.find(named)
    if conversation_id is None:
        raise SystemExit(f"There is no query and no conversation {named!r}.")
    for query in signpost.own_words.at_stake(conversation_id):
        print(f"Still open: {query.reference}, with {query.lead}, promised by {query.due_on:%-d %B %Y}. It would be withdrawn.")
    if not yes and not typer.confirm("Delete what was written? This cannot be undone."):
        raise SystemExit("Nothing was deleted.")
    record = signpost.own_words.erase(conversation_id, wished_by="operator")
    print(f"Deleted: {record.messages} messages and {record.queries} questions. The running app has the engine forget them within seconds.")
    print("Backups still hold them, encrypted, until they are thrown away.")


@app.command("copy")
def copy_of(named: Annotated[str, typer.Argument(help="A query's reference, or a conversation's id")]) -> None:
    """Print everything that is kept of a conversation, as JSON, for a family that asks for it (UK GDPR articles 15 and 20)."""
    signpost = _signpost()
    conversation_id = signpost.own_words.find(named)
    if conversation_id is None:
        raise SystemExit(f"There is no query and no conversation {named!r}.")
    print(json.dumps(signpost.own_words.copy(conversation_id), indent=2, ensure_ascii=False))


@app.command()
def backup(
    file: Path,
    check: Annotated[bool, typer.Option("--check", help="Only read the backup through and count what is in it")] = False,
) -> None:
    """Write an encrypted backup of everything, while the service runs. It opens with the keys only, which are not in it."""
    from bot.privacy.backup import BackupProblem, make, read

    try:
        contents = read(file, _database().keys) if check else make(_database(), file)
    except (BackupProblem, OSError) as problem:
        raise SystemExit(str(problem)) from problem
    print(f"{file} is whole: {contents.total} rows of {len(contents.rows)} tables, made {contents.made_at:%-d %B %Y %H:%M} UTC.")


@app.command()
def restore(
    file: Path,
    replace: Annotated[bool, typer.Option("--replace", help="Delete what is in the database first")] = False,
    key_file: Annotated[Optional[Path], typer.Option(help="Keys of the backup, if they are not those in use")] = None,
) -> None:
    """Put a backup into the database, which must be empty or --replace be given. Stop the service first."""
    from bot.privacy.backup import BackupProblem, restore as put_back
    from bot.store.keys import KeyProblem, read_file
    from bot.store.sealing import Keyring

    try:
        database = _database()
        database.upgrade()
        contents = put_back(database, file, replace, Keyring(read_file(key_file)) if key_file else None)
    except (BackupProblem, KeyProblem) as problem:
        raise SystemExit(str(problem)) from problem
    print(f"Restored: {contents.total} rows of {len(contents.rows)} tables, as they were on {contents.made_at:%-d %B %Y at %H:%M} UTC.")


@app.command()
def retention() -> None:
    """Delete what has been kept long enough, counted first. The worker does this every night; this does it now."""
    cleared = _signpost().retention.run()
    print(f"Deleted: {cleared.conversations} conversations, {cleared.others} other rows.")


@app.command()
def evaluate(
    file: Path,
    out: Annotated[Optional[Path], typer.Option(help="Write a row for each message here")] = None,
    url: Annotated[str, typer.Option(help="A running Signpost; empty: start one for this")] = "",
) -> None:
    """Run each row of a CSV (text, expect, and optionally accept, second) as a conversation of its own and count what was right."""
    from bot.evaluation import run_file

    run_file(file, out, url, _settings())


if __name__ == "__main__":
    app(prog_name="signpost")
