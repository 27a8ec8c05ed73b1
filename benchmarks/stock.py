"""Stock Rasa on Signpost's data: what `rasa init` gives (DIET, TED, UnexpecTED, ResponseSelector), in a folder of its own."""

from __future__ import annotations

import shutil
from pathlib import Path

import yaml

from bot.knowledge.answers import Answers
from bot.knowledge.areas import load_areas
from bot.settings import ROOT

DEFAULT_CONFIG = "lib/python3.10/site-packages/rasa/engine/recipes/config_files/default_config.yml"


def make_project(folder: Path, engine: Path, epochs: int = 100) -> None:
    """Write config, domain, data and credentials: the same examples, a rule and a stored response for each topic.

    `epochs` other than stock's 100 shorten the training and change neither the size of the model nor the cost of a turn.
    """
    config = yaml.safe_load((engine / DEFAULT_CONFIG).read_text())
    config["assistant_id"] = "stock"
    for part in (*config["pipeline"], *config["policies"]):
        if "epochs" in part:
            part["epochs"] = epochs
    (folder / "config.yml").write_text(yaml.safe_dump(config, sort_keys=False))
    shutil.copytree(ROOT / "data" / "nlu", folder / "data" / "nlu", dirs_exist_ok=True)
    intents = [entry["intent"] for file in sorted((ROOT / "data" / "nlu").glob("*.yml")) for entry in yaml.safe_load(file.read_text())["nlu"]]
    answers, area = Answers.load(ROOT / "data" / "answers"), load_areas(ROOT / "data" / "areas")["somerset"]
    responses = {f"utter_{i}": [{"text": answers.wording(i, area).text if i in answers else "Could you say more?"}] for i in intents}
    responses["utter_default"] = [{"text": "Sorry, I did not understand."}]
    domain = {"version": "3.1", "intents": intents, "responses": responses, "session_config": {"session_expiration_time": 60, "carry_over_slots_to_new_session": True}}
    (folder / "domain.yml").write_text(yaml.safe_dump(domain, sort_keys=False, allow_unicode=True))
    rules = [{"rule": i, "steps": [{"intent": i}, {"action": f"utter_{i}"}]} for i in intents]
    pairs = list(zip(intents, intents[1:] + intents[:1]))
    stories = [
        {"story": f"{a} then {b}", "steps": [{"intent": a}, {"action": f"utter_{a}"}, {"intent": b}, {"action": f"utter_{b}"}]} for a, b in pairs
    ]
    (folder / "data" / "rules.yml").write_text(yaml.safe_dump({"version": "3.1", "rules": rules}, sort_keys=False))
    (folder / "data" / "stories.yml").write_text(yaml.safe_dump({"version": "3.1", "stories": stories}, sort_keys=False))
    (folder / "credentials.yml").write_text("rest:\n")
    (folder / "endpoints.yml").write_text("")
