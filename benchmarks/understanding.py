"""What was tried for understanding, measured: `python -m benchmarks.understanding [--hint3 FOLDER] [--slow] [--write]`.

Trains on data/nlu, measures by cross-validation and on benchmarks/data/dev.csv, and prints the tables of
benchmarks/understanding.md. `--write` also writes that page and docs/images/risk-coverage.svg. HINT3 (hellohaptik/HINT3, for
measuring only) is given as the folder that holds `train` and `test`. `--slow` measures Rasa's DIET too, a quarter of an hour more.
"""

from __future__ import annotations

import argparse
import csv
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Callable, Iterator, Sequence

import numpy as np
import yaml
from sklearn.decomposition import TruncatedSVD
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import StratifiedKFold
from sklearn.svm import LinearSVC

from bot.nlu.decision import ASK_BACK, Bands, decide, together
from bot.nlu.embedding import WIDTH, SentenceEncoder
from bot.nlu.network import Network
from bot.nlu.text import Glossary, TypingMender, clean, sentences, words
from bot.nlu.topic_model import Neighbours, Ranking, Scaling, TopicModel, Weights
from bot.nlu.urgent import UrgentPatterns
from bot.nlu.wording import WordingModel
from bot.settings import ROOT

PAGE = ROOT / "benchmarks" / "understanding.md"
PICTURE = ROOT / "docs" / "images" / "risk-coverage.svg"
OUT_OF_SCOPE = "NO_NODES_DETECTED"
PUBLISHED = {"curekart": (0.841, 0.80), "powerplay11": (0.491, 0.71), "sofmattress": (0.693, 0.79)}
TRIAL = {"curekart": (0.863, 0.91), "powerplay11": (0.636, 0.81), "sofmattress": (0.771, 0.90)}


@dataclass(frozen=True)
class Examples:
    """Mended texts, their vectors, and a label each."""

    texts: list[str]
    vectors: np.ndarray
    labels: np.ndarray

    def at(self, rows: np.ndarray) -> "Examples":
        """Some of them."""
        return Examples([self.texts[i] for i in rows], self.vectors[rows], self.labels[rows])


@dataclass(frozen=True)
class Case:
    """A message of dev.csv in its parts, with the topics that are right for it and those of its second question.

    `dangers` are the urgent topics that the reviewed patterns raise before the model is asked.
    """

    dangers: tuple[str, ...]
    parts: list[str]
    vectors: np.ndarray
    right: frozenset[str]
    second: frozenset[str]


class Reader:
    """Texts as the pipeline reads them: mended as in training, then encoded."""

    def __init__(self, examples: Sequence[str]) -> None:
        self._glossary = Glossary.load(ROOT / "data" / "glossary.yml")
        counts: dict[str, int] = {}
        for example in examples:
            for word in words(example):
                counts[word] = counts.get(word, 0) + 1
        known = self._glossary.words() | {word for word, count in counts.items() if count > 2}
        self._mender = TypingMender(known)
        self._urgent = UrgentPatterns.load(ROOT / "data" / "policy" / "urgent.yml")
        self._encoder = SentenceEncoder(ROOT / "var" / "sentence-model", threads=2)

    def examples(self, texts: Sequence[str], labels: Sequence[str]) -> Examples:
        """Texts and labels as Examples."""
        mended = [self.mend(text) for text in texts]
        return Examples(mended, self._encoder.encode(mended), np.asarray(labels))

    def case(self, row: dict[str, str]) -> Case:
        """A row of dev.csv as a Case."""
        whole = self.mend(row["text"])
        split = sentences(whole)[:8]
        parts = [whole, *split] if len(split) > 1 else [whole]
        accepted = {row["expect"], *row["accept"].split("|")} - {""}
        right = frozenset("unclear" if topic == "clarify" else topic for topic in accepted)
        dangers = tuple(danger.topic for danger in self._urgent.find(clean(row["text"])))
        return Case(dangers, parts, self._encoder.encode(parts), right, frozenset(row["second"].split("|")) - {""})

    def mend(self, text: str) -> str:
        """One text, cleaned, spelt out and mended."""
        return self._mender.mend(self._glossary.spell_out(clean(text)))


def training_examples() -> tuple[list[str], list[str]]:
    """Texts and topics of data/nlu."""
    texts, topics = [], []
    for file in sorted((ROOT / "data" / "nlu").glob("*.yml")):
        for entry in yaml.safe_load(file.read_text(encoding="utf-8"))["nlu"]:
            lines = [line[2:].strip() for line in entry.get("examples", "").splitlines() if line.startswith("- ")]
            texts += lines
            topics += [entry["intent"]] * len(lines)
    return texts, topics


# Approaches: (training examples, classes from 0, test texts, test vectors) -> scores, a row a text, a column a class.
Approach = Callable[[Examples, np.ndarray, Sequence[str], np.ndarray], np.ndarray]


def regression(c: float, inputs: Callable) -> Approach:
    """Logistic regression of scikit-learn on what `inputs` makes of training and test."""

    def scores(train: Examples, classes: np.ndarray, texts: Sequence[str], vectors: np.ndarray) -> np.ndarray:
        seen, asked = inputs(train, texts, vectors)
        return LogisticRegression(C=c, max_iter=200, tol=1e-3).fit(seen, classes).decision_function(asked)

    return scores


def support_vectors(train: Examples, classes: np.ndarray, texts: Sequence[str], vectors: np.ndarray) -> np.ndarray:
    """Linear support vector machine on the sentence vector."""
    return LinearSVC(C=1.0).fit(train.vectors[:, :WIDTH], classes).decision_function(vectors[:, :WIDTH])


def prototypes(train: Examples, classes: np.ndarray, texts: Sequence[str], vectors: np.ndarray) -> np.ndarray:
    """Cosine to each topic's mean vector."""
    means = np.stack([train.vectors[classes == c, :WIDTH].mean(axis=0) for c in range(classes.max() + 1)])
    return vectors[:, :WIDTH] @ (means / np.linalg.norm(means, axis=1, keepdims=True)).T


def neighbours(train: Examples, classes: np.ndarray, texts: Sequence[str], vectors: np.ndarray) -> np.ndarray:
    """Votes of the fifteen nearest."""
    return Neighbours(train.vectors[:, :WIDTH], classes).votes(vectors[:, :WIDTH], int(classes.max()) + 1)[0]


def wording(train: Examples, classes: np.ndarray, texts: Sequence[str], vectors: np.ndarray) -> np.ndarray:
    """Ridge regression on words, word beginnings and pairs."""
    return WordingModel().fit(train.texts, classes).scores(texts)


def network(**settings) -> Approach:
    """The numpy network on sentence vector and early layers."""

    def scores(train: Examples, classes: np.ndarray, texts: Sequence[str], vectors: np.ndarray) -> np.ndarray:
        scaling = Scaling().fit(train.vectors)
        return Network(**settings).fit(scaling.scale(train.vectors), classes).scores(scaling.scale(vectors))

    return scores


def rasas_diet(train: Examples, classes: np.ndarray, texts: Sequence[str], vectors: np.ndarray) -> np.ndarray:
    """Rasa's DIET on the same vectors and character n-grams."""
    from benchmarks.diet import diet

    return diet(train.texts, train.vectors, classes, texts, vectors)


def meaning_only(train: Examples, texts: Sequence[str], vectors: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The sentence vector."""
    return train.vectors[:, :WIDTH], vectors[:, :WIDTH]


def letters(train: Examples, texts: Sequence[str], vectors: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Character n-grams, reduced to 300 numbers."""
    grams = TfidfVectorizer(analyzer="char_wb", ngram_range=(2, 5), sublinear_tf=True, min_df=2, max_features=30_000, dtype=np.float32)
    seen = grams.fit_transform(train.texts)
    reduction = TruncatedSVD(300, n_iter=2, random_state=7).fit(seen)
    return reduction.transform(seen), reduction.transform(grams.transform(texts))


def meaning_and_letters(train: Examples, texts: Sequence[str], vectors: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Both side by side."""
    return tuple(np.hstack(pair) for pair in zip(meaning_only(train, texts, vectors), letters(train, texts, vectors)))


SINGLE: dict[str, Approach] = {
    "prototypes (mean vector of a topic)": prototypes,
    "15 nearest neighbours' votes": neighbours,
    "logistic regression, MiniLM, C 10": regression(10, meaning_only),
    "logistic regression, MiniLM, C 30": regression(30, meaning_only),
    "linear SVM, MiniLM": support_vectors,
    "logistic regression, character n-grams (reduced)": regression(10, letters),
    "logistic regression, MiniLM + character n-grams (reduced)": regression(10, meaning_and_letters),
    "ridge regression, words + beginnings + pairs": wording,
    "softmax regression, MiniLM + early layers": network(),
    "one hidden layer, MiniLM + early layers": network(
        hidden=384, epochs=20, rate=2e-3, input_dropout=0.2, hidden_dropout=0.5, smoothing=0.1
    ),
}
SLOW: dict[str, Approach] = {"DIET on MiniLM + early layers and character n-grams": rasas_diet}
MIXTURES = {
    "mixture without the words": Weights(wording=0),
    "mixture without the hidden layer": Weights(hidden=0),
    "mixture without softmax regression": Weights(linear=0),
    "mixture without neighbours": Weights(neighbours=0),
    "**mixture of all four**": Weights(),
}


def first_and_three(scores: np.ndarray, names: Sequence[str], right: Sequence[frozenset[str]]) -> tuple[float, float]:
    """Share of messages whose first guess, and one of whose first three, is right."""
    order = np.argsort(-scores, axis=1)[:, :3]
    first = np.mean([names[row[0]] in topics for row, topics in zip(order, right)])
    three = np.mean([bool({names[i] for i in row} & topics) for row, topics in zip(order, right)])
    return float(first), float(three)


def table_of_approaches(train: Examples, model: TopicModel, cases: Sequence[Case], approaches: dict[str, Approach]) -> Iterator[str]:
    """First guess and first three, in cross-validation (one fold of five) and on dev.csv."""
    names, classes = np.unique(train.labels, return_inverse=True)
    kept, held = next(StratifiedKFold(5, shuffle=True, random_state=7).split(train.vectors, classes))
    own = [frozenset([label]) for label in train.labels[held]]
    right = [case.right | case.second for case in cases]
    dev_texts, dev_vectors = [case.parts[0] for case in cases], np.stack([case.vectors[0] for case in cases])
    yield "| approach | CV first | CV three | dev first | dev three | training, s |\n|---|---|---|---|---|---|"

    def row(name: str, folded: np.ndarray, asked: np.ndarray, seconds: float | None) -> str:
        figures = [*first_and_three(folded, names, own), *first_and_three(asked, names, right)]
        took = "" if seconds is None else f"{seconds:.0f}"
        return f"| {name} | {' | '.join(f'{100 * f:.1f}' for f in figures)} | {took} |"

    held_out = train.at(held)
    for name, approach in approaches.items():
        folded = approach(train.at(kept), classes[kept], held_out.texts, held_out.vectors)
        started = time.perf_counter()
        asked = approach(train, classes, dev_texts, dev_vectors)
        yield row(name, folded, asked, time.perf_counter() - started)
    part = TopicModel().fit(train.at(kept).texts, train.vectors[kept], train.labels[kept], calibrate=False)
    for name, weights in MIXTURES.items():
        part.weights, whole = weights, TopicModel(weights)
        whole.__dict__.update({key: value for key, value in model.__dict__.items() if key != "weights"})
        yield row(name, part.logits(held_out.texts, held_out.vectors)[0], whole.logits(dev_texts, dev_vectors)[0], None)
    rankings = [together(model.rank(case.parts, case.vectors)) for case in cases]
    first = np.mean([ranking.topics[0] in topics for ranking, topics in zip(rankings, right)])
    three = np.mean([bool(set(ranking.topics[:3]) & topics) for ranking, topics in zip(rankings, right)])
    yield f"| **the same, in the light of the message's sentences** | | | {100 * first:.1f} | {100 * three:.1f} | |"


def bands(**changes) -> Bands:
    """The thresholds of config.yml, with changes."""
    pipeline = yaml.safe_load((ROOT / "config.yml").read_text(encoding="utf-8"))["pipeline"]
    given = next(dict(part) for part in pipeline if part["name"].endswith("TopicClassifier"))
    del given["name"]
    for name in ("urgent", "never_offered"):
        given[name] = frozenset(given[name])
    return Bands(**{**given, **changes})


def outcomes(cases: Sequence[Case], rankings: Sequence[list[Ranking]], rule: Bands) -> dict[str, float]:
    """How the decisions on dev.csv turned out: shares of all messages, but for the counts of double answers."""
    count = dict.fromkeys(("right", "wrong", "offered", "asked in vain", "handed over", "both", "false second"), 0)
    for case, ranked in zip(cases, rankings):
        decision = decide(case.parts, ranked, rule)
        right = case.right | case.second
        answered = {t for t in decision.topics if t in rule.urgent} or set(case.dangers[:1]) or set(decision.topics)
        if answered:
            count["wrong" if answered - right else "right"] += 1
            count["both"] += bool(answered & case.right) and bool(answered & case.second)
            count["false second"] += len(answered) > 1 and bool(answered - right)
        elif decision.intent == ASK_BACK and "unclear" in right:
            count["right"] += 1
        elif decision.intent == ASK_BACK:
            count["offered" if set(decision.choices) & right else "asked in vain"] += 1
        else:
            count["handed over"] += 1
    return {name: value if name in ("both", "false second") else value / len(cases) for name, value in count.items()}


def table_of_thresholds(cases: Sequence[Case], rankings: Sequence[list[Ranking]]) -> Iterator[str]:
    """Outcomes on dev.csv by `answer_from`."""
    chosen = bands().answer_from
    yield "| answered from | right | wrong | asked back, right one offered | right or offered | asked in vain | handed over |"
    yield "|---|---|---|---|---|---|---|"
    for threshold in sorted({0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, chosen}):
        found = outcomes(cases, rankings, bands(answer_from=threshold))
        figures = [found["right"], found["wrong"], found["offered"], found["right"] + found["offered"], found["asked in vain"], found["handed over"]]
        shown = f"**{threshold}**" if threshold == chosen else threshold
        yield f"| {shown} | {' | '.join(f'{100 * f:.1f}' for f in figures)} |"
    found = outcomes(cases, rankings, bands())
    pairs = sum(bool(case.second) for case in cases)
    alarms = [bool(bands().urgent & {*case.dangers, *decide(case.parts, r, bands()).topics}) for case, r in zip(cases, rankings)]
    danger = [bool(bands().urgent & case.right) for case in cases]
    caught = sum(a and d for a, d in zip(alarms, danger))
    yield f"\nUrgent messages recognised: {caught} of {sum(danger)}. False alarms: {sum(alarms) - caught} of {len(cases) - sum(danger)}."
    yield f"\nBoth questions answered: {found['both']} of {pairs} messages with two. Wrong second answers: {found['false second']} of {len(cases)}."


def table_of_hint3(folder: Path) -> Iterator[str]:
    """Accuracy on in-scope messages and out-of-scope AUROC (probability times nearness squared) beside what was published."""
    yield "| bot | accuracy: Rasa DIET+ConveRT | trial | here | AUROC: Rasa | trial | here |\n|---|---|---|---|---|---|---|"
    for bot, (accuracy, auroc) in PUBLISHED.items():
        seen, asked = (list(csv.DictReader((folder / part / f"{bot}.csv").open(encoding="utf-8"))) for part in ("train", "test"))
        reader = Reader([row["sentence"] for row in seen])
        train, test = (reader.examples([r["sentence"] for r in rows], [r["label"] for r in rows]) for rows in (seen, asked))
        rankings = TopicModel().fit(train.texts, train.vectors, train.labels).rank(test.texts, test.vectors)
        known = test.labels != OUT_OF_SCOPE
        right = np.mean([r.topics[0] == label for r, label in zip(rankings, test.labels) if label != OUT_OF_SCOPE])
        apart = roc_auc_score(known, [r.probabilities[0] * max(r.nearness, 0) ** 2 for r in rankings])
        yield f"| {bot} | {accuracy:.3f} | {TRIAL[bot][0]:.3f} | {right:.3f} | {auroc:.2f} | {TRIAL[bot][1]:.2f} | {apart:.2f} |"


def timing(model: TopicModel, cases: Sequence[Case], encoder: SentenceEncoder) -> str:
    """Median processor time of a message from mended text to decision, encoder and all else apart."""
    rule, encoding, deciding = bands(), [], []
    for case in cases:
        started = time.process_time()
        vectors = encoder.encode(case.parts)
        encoded = time.process_time()
        decide(case.parts, model.rank(case.parts, vectors), rule)
        encoding.append(1000 * (encoded - started))
        deciding.append(1000 * (time.process_time() - encoded))
    both = np.add(encoding, deciding)
    return (
        f"From mended text to decision: median {np.median(both):.1f} ms of one core ({np.median(encoding):.1f} ms for the vectors, "
        f"{np.median(deciding):.1f} ms for topics and decision), 95% within {np.percentile(both, 95):.1f} ms."
    )


def draw(cases: Sequence[Case], rankings: Sequence[list[Ranking]], target: Path) -> None:
    """The risk-coverage curve: wrong among answered, by share answered, for three measures of sureness."""
    import matplotlib

    matplotlib.use("svg")
    matplotlib.rcParams["svg.hashsalt"] = "signpost"
    from matplotlib import pyplot

    seen = [together(ranked) for ranked in rankings]
    wrong = np.array([r.topics[0] not in case.right | case.second for r, case in zip(seen, cases)])
    measures = {
        "probability and nearness": [r.confidence for r in seen],
        "probability alone": [r.probabilities[0] for r in seen],
        "nearness alone": [r.nearness for r in seen],
    }
    figure, axes = pyplot.subplots(figsize=(7, 4))
    for name, sureness in measures.items():
        order = np.argsort(-np.asarray(sureness))
        axes.plot(100 * np.arange(1, len(order) + 1) / len(order), 100 * np.cumsum(wrong[order]) / np.arange(1, len(order) + 1), label=name)
    answered = 100 * np.mean([r.confidence >= bands().answer_from for r in seen])
    axes.axvline(answered, color="grey", linestyle=":", label="answered from here left")
    axes.set(xlabel="messages answered, %", ylabel="wrong among answered, %", xlim=(0, 100), ylim=(0, None))
    axes.legend()
    figure.tight_layout()
    target.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(target, metadata={"Date": None})


def report(hint3: Path | None, slow: bool, write: bool) -> None:
    """Measure everything; print the page, and write it if asked to."""
    texts, topics = training_examples()
    reader = Reader(texts)
    train = reader.examples(texts, topics)
    with (ROOT / "benchmarks" / "data" / "dev.csv").open(encoding="utf-8") as lines:
        cases = [reader.case(row) for row in csv.DictReader(lines)]
    started = time.perf_counter()
    model = TopicModel().fit(train.texts, train.vectors, train.labels)
    fitted = time.perf_counter() - started
    rankings = [model.rank(case.parts, case.vectors) for case in cases]
    one_core = SentenceEncoder(ROOT / "var" / "sentence-model", threads=1)
    page = [
        "# Understanding: what was tried\n",
        "`python -m benchmarks.understanding --hint3 FOLDER --slow --write` makes this page (FOLDER: v1 of hellohaptik/HINT3).\n",
        f"{len(texts)} training examples of {len(set(topics))} topics; {len(cases)} messages in dev.csv. All figures in per cent.\n",
        "## Approaches\n",
        *table_of_approaches(train, model, cases, {**SINGLE, **(SLOW if slow else {})}),
        f"\nThe whole model trains in {fitted:.0f} s, calibration included; temperature {model.temperature:.2f}.",
        timing(model, cases, one_core),
        "\n## The abstain rule on dev.csv\n",
        *table_of_thresholds(cases, rankings),
    ]
    if hint3:
        page += ["\n## HINT3 v1: three live chatbots\n", *table_of_hint3(hint3)]
    print("\n".join(page))
    if write:
        PAGE.write_text("\n".join(page) + "\n", encoding="utf-8")
        draw(cases, rankings, PICTURE)


def main() -> None:
    """Measure from the command line."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--hint3", type=Path, help="folder with HINT3's train and test")
    options.add_argument("--slow", action="store_true", help="measure DIET too")
    options.add_argument("--write", action="store_true", help="write the page and the picture")
    given = options.parse_args()
    report(given.hint3, given.slow, given.write)


if __name__ == "__main__":
    main()
