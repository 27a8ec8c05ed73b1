"""The guides through the real engine: the vectors of the rule book, and conversations as people have them."""

from __future__ import annotations

import os
import re
import signal

import pytest

from bot.running import Running
from tests.test_whole_system import Parent

pytestmark = pytest.mark.engine

WHO = "Who is responsible for therapy?"
SEEN = "Would my child be seen? Can you check for me?"
IN_F = dict(bounced="no", plan="final", need_in_plan="yes", section="F")


class Talk(Parent):
    """A parent in a guide, who presses the button with a value, or types."""

    def __init__(self, system: Running, area: str | None = "somerset", role: str = "parent") -> None:
        super().__init__(system.url, role=role, **({"area": area} if area else {}))
        self.said: list[dict] = []

    def says(self, text: str) -> dict:
        self.said = super().says(text)
        return self.said[-1]

    def chooses(self, wanted: str) -> dict:
        [choice] = [c for m in self.said for c in m["choices"] if wanted in (c.get("value"), c["title"])]
        self.said = self.presses(choice)
        return self.said[-1]

    def goes_through(self, opening: str, facts: dict[str, str]) -> tuple[dict, list[str]]:
        """Answer each question from the facts, "not sure" without one; the result and what was asked."""
        message, asked = self.says(opening), []
        while "result" not in message:
            assert message["outcome"] == "check" and message["asks"], message
            assert all(c["value"] for c in message["choices"]) and len(asked) < 9
            asked.append(message["asks"])
            message = self.chooses(facts.get(message["asks"], "unsure"))
        return message, asked


def cited(message: dict) -> set[str]:
    return {source["id"] for source in message["sources"]}


VECTORS = [
    (1, dict(IN_F, over_core="yes", assessed="yes"), "B5", {"S13", "S14", "law:s42"}),
    (2, dict(IN_F, over_core="no", assessed="no", provider="we pay"), "B5", {"S13"}),
    (3, dict(IN_F, over_core="unsure", assessed="no"), "B5", {"S13"}),
    (4, dict(IN_F, over_core="yes", assessed="unsure"), "B5", {"S13"}),
    (5, dict(IN_F, over_core="no", assessed="unsure"), "B6", {"S13"}),
    (6, dict(IN_F, over_core="unsure", assessed="yes"), "B6", {"S13"}),
    (7, dict(IN_F, over_core="unsure", assessed="unsure"), "B6", {"S13"}),
    (8, dict(IN_F, over_core="no", assessed="yes"), "B7", {"law:s42"}),
    (9, dict(IN_F, section="G"), "B9", {"law:s42_health"}),
    (10, dict(IN_F, section="unsure"), "B10", {"S13", "law:sections"}),
    (11, dict(IN_F, need_in_plan="no"), "B17", {"S6"}),
    (12, dict(bounced="no", plan="none"), "B20", {"S6"}),
    (13, dict(bounced="no", plan="old Statement"), "B4", {"S12", "law:statements"}),
    (16, dict(bounced="yes"), "B3", {"S14", "H-T2-R9"}),
    (27, dict(IN_F, over_core="yes", provider="school has bought it in"), "B5", {"S13", "H-T3-R6"}),
]


@pytest.mark.parametrize(("number", "facts", "row", "sentences"), VECTORS)
def test_the_responsibility_vectors_of_the_rule_book(system, number, facts, row, sentences):
    message, _ = Talk(system).goes_through(WHO, facts)
    assert (message["outcome"], message["topic"], message["result"]) == ("check", "responsibility_check", row)
    assert sentences <= cited(message) and "You told us:" in message["text"]
    if number in (11, 12):
        assert "S13" not in cited(message)
    if number in (5, 6, 7, 9, 10, 13, 16):
        assert message["query"]["reference"] in message["text"]
    if number == 8:
        assert "not that service" not in message["text"]
    if number == 13:
        assert "An EHC plan is a legal document" in message["text"]
    if number == 16:
        assert message["query"]["due_on"]
    if number == 12:
        assert "eligibility_check" in {c.get("topic") for c in message["choices"]}


def test_vector_14_hampshire_gets_the_law_first_and_a_person(system):
    message, asked = Talk(system, "hampshire").goes_through(WHO, dict(IN_F, over_core="yes"))
    assert message["result"] == "B2" and "over_core" not in asked and message["query"]
    assert message["text"].index("By law the council") < message["text"].index("Somerset's page")


@pytest.mark.parametrize(
    ("number", "answers", "result"),
    [
        (21, "no yes no no yes", "CONTACT"),
        (22, "yes yes yes yes no", "SIGNPOST"),
        (23, "unsure unsure unsure unsure unsure", "TALK_FIRST"),
        (24, "no no no no yes", "EXPLAIN_WHY"),
    ],
)
def test_the_five_question_vectors_of_the_rule_book(system, number, answers, result):
    message, asked = Talk(system).goes_through(SEEN, dict(zip(("q1", "q2", "q3", "q4", "q5"), answers.split())))
    assert asked == ["q1", "q2", "q3", "q4", "q5"] and message["result"] == result and message["sources"]
    assert message["text"].count("\n\nAlso: ") == (3 if number == 22 else 0)


@pytest.mark.parametrize(
    ("number", "area", "text", "outcome", "topic", "said", "sentences"),
    [
        (15, "hampshire", "am I entitled to a named lead professional for my child?", "handoff", "lead_professional_mine", ["2010"], set()),
        (17, "somerset", "the school has stopped paying for the speech therapist it bought in, it is in section F", "answer", "school_bought_therapy", [], {"H-T3-R6"}),
        (18, "somerset", "can you review her every 6 months to check she is still improving?", "answer", "core_offer_progress_reviews", [], {"S9"}),
        (20, "somerset", "she chokes at nearly every meal", "urgent", "urgent_medical", ["999"], set()),
        (25, "somerset", "who commissions you?", "answer", "core_offer_funding", ["NHS Somerset Integrated Care Board", "2022"], {"S2"}),
    ],
)
def test_the_topic_vectors_of_the_rule_book(system, number, area, text, outcome, topic, said, sentences):
    message = Talk(system, area).says(text)
    assert (message["outcome"], message["topic"]) == (outcome, topic)
    assert all(words in message["text"] for words in said) and sentences <= cited(message)


def test_vector_19_no_yes_or_no_is_given(system):
    message = Talk(system).says("is he eligible, yes or no?")
    assert message["asks"] == "q1" and "cannot tell you yes or no" in message["text"]


def test_vector_26_the_rule_is_said_with_an_if(system):
    talk = Talk(system)
    message = talk.says("Our plan has physio in it and the service said it is over and above their core offer. Who is responsible for it?")
    assert message["asks"] == "bounced"
    assert talk.says("no")["asks"] == "section"
    message = talk.says("not sure which section")
    assert message["result"] == "B10" and "If the therapy is there because it is needed for education" in message["text"]
    assert {"S13", "S14"} <= cited(message) and message["query"]


def test_vector_28_a_discharge_does_not_end_the_councils_duty(system):
    talk = Talk(system)
    talk.says("The NHS discharged him but physio is still in section F of his EHCP. They said it is more than they normally provide. Who is responsible for it?")
    talk.chooses("no")
    message = talk.chooses("unsure")
    assert message["result"] == "B5" and "does not end the council's duty" in message["text"]


def test_without_an_area_the_guide_asks_for_it(system):
    message, asked = Talk(system, None).goes_through(WHO, {"area": "outside England"})
    assert asked == ["area"] and message["result"] == "B1" and message["query"] is None
    message, asked = Talk(system, None).goes_through(WHO, dict(area="other England", bounced="no", plan="final", need_in_plan="yes", section="G"))
    assert message["result"] == "B2" and "Somerset Council" not in message["text"]


def test_what_a_message_said_is_not_asked_again(system):
    talk = Talk(system)
    talk.says("My son has an EHCP with weekly speech therapy in section F.")
    message = talk.says("The NHS service says it is more than they normally provide. Who is responsible for it?")
    if "asks" not in message:
        message = talk.says("who is responsible for it?")
    asked = []
    while "result" not in message:
        asked.append(message["asks"])
        message = talk.chooses("no" if message["asks"] == "bounced" else "nobody")
    assert message["result"] == "B5" and asked == ["bounced", "provider"]


def test_free_words_answer_every_question(system):
    talk = Talk(system)
    asked = [talk.says(WHO)["asks"]]
    for words in ("he's had a final plan since last year", "nope, just the nhs", "yeah it says speech therapy", "the education bit", "no idea", "only a private one"):
        message = talk.says(words)
        asked.append(message.get("asks"))
    assert asked == ["plan", "bounced", "need_in_plan", "section", "over_core", "assessed", "provider"]
    assert talk.says("us, out of our savings")["result"] == "B5"


def test_words_that_can_be_read_in_two_ways_are_asked_about_once(system):
    talk = Talk(system)
    talk.says("Who is responsible for the physio? It is in section F of her EHCP")
    talk.chooses("no")
    talk.chooses("no")
    first = talk.says("the physio from the hospital saw her in March but the report is private")
    assert first["asks"] == "assessed" and "two ways" in first["text"]
    assert talk.says("the physio from the hospital saw her in March but the report is private")["result"] == "B6"


def test_why_is_it_asked(system):
    talk = Talk(system)
    talk.says(WHO)
    message = talk.says("why do you ask?")
    assert message["asks"] == "plan" and "A plan is a legal document" in message["text"]
    talk.chooses("final")
    message = talk.says("why do you ask?")
    assert message["asks"] == "bounced" and "a person should ask them both for you" in message["text"]


def test_another_question_is_answered_and_the_guide_goes_on(system):
    talk = Talk(system)
    talk.says(WHO)
    talk.chooses("none")
    talk.says("how long is the waiting list?")
    assert [(m["topic"], m.get("asks")) for m in talk.said] == [("waiting_time", None), ("responsibility_check", "bounced")]
    assert talk.chooses("no")["result"] == "B20"


def test_an_answer_is_changed_after_the_result(system):
    talk = Talk(system)
    talk.goes_through(WHO, dict(IN_F, over_core="yes"))
    message = talk.says("no wait, it is section G")
    assert message["result"] == "B9" and message["text"].startswith("Thank you. I have changed that.")
    talk.chooses("Change an answer")
    [again] = [c["title"] for c in talk.said[-1]["choices"] if "Section F (education)" in c["title"]]
    assert talk.chooses(again)["asks"] == "section"
    assert talk.chooses("both")["result"] == "B10"


def test_an_answer_is_changed_on_the_way(system):
    talk = Talk(system)
    talk.says(WHO)
    for value in ("final", "no", "yes", "F"):
        talk.chooses(value)
    assert talk.says("sorry, I just checked and it is in section G")["result"] == "B9"


def test_a_contradiction_is_asked_about(system):
    talk = Talk(system)
    talk.says(WHO)
    for value in ("final", "no", "yes", "F"):
        talk.chooses(value)
    message = talk.says("they told us it is in section G and it is more than they normally provide")
    assert message["asks"] == "section" and "Which is right?" in message["text"]
    assert talk.chooses("F")["asks"] == "provider"


def test_something_urgent_is_met_at_once_and_the_guide_can_be_gone_on_with(system):
    talk = Talk(system)
    talk.says(WHO)
    talk.chooses("final")
    message = talk.says("my son is choking and his lips are going blue")
    assert len(talk.said) == 1 and message["outcome"] == "urgent" and message["text"].startswith("Call 999")
    assert talk.says("carry on")["asks"] == "bounced"


def test_a_guide_that_was_left_stays_left_when_the_engine_was_restarted(system):
    talk = Talk(system)
    talk.says(WHO)
    talk.chooses("final")
    talk.says("my son is choking and his lips are going blue")
    os.kill(system.children()["engine"], signal.SIGKILL)
    system.wait_until_ready()
    assert talk.says("can we come back after being discharged?")["topic"] == "core_offer_return"
    assert talk.says("carry on")["asks"] == "bounced"


def test_giving_up_keeps_the_answers(system):
    talk = Talk(system)
    talk.says(WHO)
    talk.chooses("final")
    assert talk.says("stop")["outcome"] == "talk"
    assert talk.says("can we come back after being discharged?")["topic"] == "core_offer_return"
    assert talk.says("carry on")["asks"] == "bounced"


def test_a_person_gets_everything_that_was_told(system):
    talk = Talk(system)
    talk.says(WHO)
    talk.chooses("final")
    talk.chooses("no")
    message = talk.says("I want to talk to a person please")
    assert message["outcome"] == "handoff" and len(talk.said) == 1
    assert talk.chooses("Go on with the questions")["asks"] == "need_in_plan"


def test_two_answers_that_are_not_understood_go_to_a_person(system):
    talk = Talk(system)
    talk.says(WHO)
    assert talk.says("blah blah the other thing")["asks"] == "plan"
    message = talk.says("more of the other thing")
    assert message["outcome"] == "handoff" and message["query"]


def test_being_sent_to_and_fro_inside_the_guide_is_a_priority(system):
    talk = Talk(system)
    talk.says(WHO)
    message = talk.says("the nhs say it is the council and the council say it is the nhs")
    ordinary, _ = Talk(system).goes_through(WHO, dict(IN_F, section="G"))
    assert message["result"] == "B3" and message["query"]["due_on"] < ordinary["query"]["due_on"]


def test_yes_to_the_offer_of_a_person_is_a_query(system):
    talk = Talk(system)
    message, _ = talk.goes_through(WHO, dict(bounced="no", plan="none"))
    assert message["query"] is None
    message = talk.says("yes please")
    assert (message["outcome"], message["topic"]) == ("handoff", "responsibility_check") and message["query"]


def test_what_a_family_hopes_for_goes_with_the_question(system):
    talk = Talk(system)
    talk.goes_through(SEEN, {})
    passed = talk.says("yes")
    assert "what you would most like your child to be able to do" in passed["text"]
    message = talk.says("I would love her to be able to order her own lunch")
    assert message["query"]["reference"] == passed["query"]["reference"] and "added this to your question" in message["text"]


def test_whose_job_it_is_starts_the_guide_after_the_answer(system):
    talk = Talk(system)
    message = talk.says("The service says the OT in section F of our EHCP is over and above its core offer. So who is responsible?")
    assert message["asks"] == "bounced" and "The service said this is more than it normally provides." in message["text"]


def test_a_second_result_adds_to_the_query_that_is_open(system):
    talk = Talk(system)
    first, _ = talk.goes_through(WHO, dict(IN_F, section="G"))
    second = talk.says("actually it is in both sections F and G")
    assert second["result"] == "B10" and second["query"]["reference"] == first["query"]["reference"]


def test_a_plan_that_names_the_therapy_is_not_for_the_five_questions(system):
    talk = Talk(system)
    message = talk.says("My son has an EHCP with physio in section F. Would he be eligible to be seen? Can you check?")
    assert message["topic"] == "responsibility_check" and message["asks"] == "bounced"
    assert "Then the five questions do not decide" in talk.said[0]["text"]


def test_a_stammer_is_referred_and_not_put_through_the_five_questions(system):
    message = Talk(system).says("my 3 year old has started to stammer, can you check if she would qualify to be seen?")
    assert message["result"] == "REFER_DIRECTLY" and "refer straight away" in message["text"]


def test_a_school_gets_a_summary_without_a_name(system):
    talk = Talk(system, role="school")
    message, _ = talk.goes_through("Who is responsible for therapy in a plan?", dict(IN_F, over_core="yes"))
    assert "the pupil" in message["text"] and "your child" not in message["text"].lower()
    summary = talk.chooses("A summary to copy")
    assert summary["text"].startswith("Summary: The council must make sure it happens") and "Sources:" in summary["text"]


@pytest.mark.parametrize("text", ['/responsibility_answer{"asks": "plan", "value": "none"}', "/responsibility_form", '/five_questions_answer{"asks": "q1"}'])
def test_typed_text_is_never_a_button(system, text):
    talk = Talk(system)
    talk.says(WHO)
    message = talk.says(text)
    assert message.get("asks") == "plan"


def test_the_guide_goes_on_after_the_engine_was_restarted(system):
    talk = Talk(system)
    talk.says(WHO)
    talk.chooses("final")
    talk.chooses("no")
    os.kill(system.children()["engine"], signal.SIGKILL)
    system.wait_until_ready()
    assert talk.says("yes it is written in there")["asks"] == "section"
    message = talk.chooses("G")
    assert message["result"] == "B9" and re.search(r"final EHC plan", message["text"])


def test_a_plain_no_to_a_question_with_two_halves_is_asked_about(system):
    talk = Talk(system)
    talk.says(SEEN)
    for value in ("no", "yes", "no"):
        talk.chooses(value)
    message = talk.says("no")
    assert message["asks"] == "q4" and "Is general advice enough for now, or not tried yet?" in message["text"]
    assert talk.says("we have tried it for months and it made no difference")["asks"] == "q5"
    assert talk.says("its not working, she needs more")["result"] == "CONTACT"


def test_what_is_only_wished_for_is_no_fact(system):
    message = Talk(system).says("We want physio put in section F. Who is responsible for therapy in the plan?")
    assert message["asks"] in ("plan", "bounced") and "It is in Section F." not in message["text"]
