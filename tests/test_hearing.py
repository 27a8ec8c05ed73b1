"""Free words read as facts: what people write, what it comes to, and what must not be taken for a fact."""

from __future__ import annotations

import pytest

from bot.knowledge.answers import Answers
from bot.knowledge.guide_book import Guides
from bot.knowledge.hearing import Heard, with_what_follows
from bot.settings import ROOT

GUIDES = Guides.load(ROOT / "data" / "policy", Answers.load(ROOT / "data" / "answers"))
HEARING = GUIDES.hearing
INPUTS = {**GUIDES.responsibility.inputs, **GUIDES.five_questions.inputs}


@pytest.mark.parametrize(
    ("text", "facts"),
    [
        ("My son has an EHCP and physio is written in section F. The NHS say it's more than they normally provide.", dict(plan="final", need_in_plan="yes", section="F", over_core="yes")),
        ("who is responsible for the speech therapy in my son's EHCP?", dict(plan="final", need_in_plan="yes")),
        ("she doesn't have a plan", dict(plan="none")),
        ("we've only got a draft plan", dict(plan="draft")),
        ("There is no plan yet, we are being assessed for an EHCP", dict(plan="assessment under way")),
        ("he has an old statement", dict(plan="old Statement")),
        ("it's not in the plan", dict(need_in_plan="no")),
        ("NHS says LA, LA says NHS", dict(bounced="yes")),
        ("the nhs say it's the council's job and the council say it's the nhs", dict(bounced="yes")),
        ("private OT report, nhs has never assessed her", dict(assessed="no")),
        ("the school bought in a private SLT but is stopping paying", dict(provider="school has bought it in", stopping="yes")),
        ("we pay privately", dict(provider="we pay")),
        ("he was discharged by the nhs but it's still in section F", dict(section="F", discharged="yes")),
        ("It's not section F, it's section G", dict(section="G")),
        ("section F, no wait, it is section G", dict(section="G")),
        ("it is in both sections F and G", dict(section="both")),
        ("we live in Wales", dict(area="outside England")),
        ("we don't have an EHCP, school has a SEN support plan", dict(plan="none")),
        ("it isn't more than the nhs would normally provide", dict(over_core="no")),
        ("the service told us it is over and above core. The council says it is not their problem.", dict(over_core="yes")),
        ("he had a statement but now has an EHCP", dict(plan="final")),
        ("not had any speech since May", dict(provider="nobody")),
        ("we have to pay for it ourselves", dict(provider="we pay")),
        ("the service said it isn't part of the core offer", dict(over_core="yes")),
        ("NHS says it is not within their core offer", dict(over_core="yes")),
        ("NHS said that is the standard core offer", dict(over_core="no")),
        ("the service hasnt assessed her yet", dict(assessed="no")),
        ("the nhs OT assessed her in june", dict(assessed="yes")),
        ("our pupil has an EHCP. SALT 6 hrs a term, section F. Service says not core.", dict(plan="final", need_in_plan="yes", section="F", over_core="yes")),
    ],
)
def test_what_a_message_says_by_itself(text, facts):
    assert HEARING.facts(text, GUIDES.responsibility.inputs) == facts


@pytest.mark.parametrize(
    "text",
    [
        "Who is responsible for the therapy in the plan?",
        "is it section F or G?",
        "what is section F?",
        "do we need an EHCP?",
        "what if it is more than the core offer?",
        "our plan is to ask again",
        "I asked for OT to be added to the plan but they said no",
        "i think it should be in section G",
        "The council said they will not put it in section F",
        "it used to be in section F now it is in section G",
        "the plan doesn't specify how many hours of speech therapy",
        "my friend's son has an EHCP with speech in section F, mine has nothing",
        "the council says OT is above what the nhs normally provides",
        "she needs more than they offer",
        "they have assessed him for a wheelchair",
        "the NHS assessment is next month",
        "he needs to be assessed by the nhs",
        "we are waiting to be assessed by the nhs",
        "the nhs says that's not what they normally provide",
        "we moved from hampshire to somerset",
        "my ex lives in wales",
        "they told us to pay privately",
        "school pays for a TA",
        "the council and nhs have both been really helpful",
        "i'm not getting any help from anyone",
        "we can't afford to pay private",
        "the physio from the hospital saw her in March but the report is private",
        "my daughter's therapy",
        "hello",
        "",
    ],
)
def test_questions_suppositions_and_riddles_are_no_facts(text):
    assert HEARING.facts(text, GUIDES.responsibility.inputs) == {}


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("plan", "yes", "final"),
        ("plan", "yes but its a draft", "draft"),
        ("plan", "not yet, being assessed", "assessment under way"),
        ("plan", "nope", "none"),
        ("section", "the education bit", "F"),
        ("section", "no idea", "unsure"),
        ("section", "I think F but not certain", "unsure"),
        ("over_core", "nobody said that", "no"),
        ("over_core", "they said its more than they do", "yes"),
        ("over_core", "no they said we'd get what's in the plan", "no"),
        ("assessed", "no nobody from the nhs has seen him", "no"),
        ("assessed", "yes, she was seen by nhs physio", "yes"),
        ("assessed", "by a private one", "no"),
        ("provider", "the school pays", "school has bought it in"),
        ("provider", "noone at the moment", "nobody"),
        ("provider", "us", "we pay"),
        ("bounced", "no, only the NHS said it", "no"),
        ("area", "Winchester", "hampshire"),
        ("q1", "no they said she is behind", "no"),
        ("q2", "yes", "no"),
        ("q2", "no one has said that", "yes"),
        ("q2", "they said it could help", "yes"),
        ("q3", "paediatrician said autism assessment", "yes"),
        ("q4", "tried the sheets, didnt help", "no"),
        ("q4", "havent tried any", "yes"),
        ("q5", "she has a TA but needs more", "yes"),
        ("q5", "Not sure", "unsure"),
        ("need_in_plan", "definitely not", "no"),
        ("need_in_plan", "yeah no they took it out", "no"),
        ("need_in_plan", "yes definitely", "yes"),
        ("assessed", "not that i know of", "unsure"),
        ("plan", "she not have plan", "none"),
        ("q4", "enough for now", "yes"),
        ("bounced", "the school said council and council said school", "yes"),
        ("bounced", "council wants nhs to do it, nhs wants council", "yes"),
        ("plan", "Hes got an echp", "final"),
        ("assessed", "no one knows", "unsure"),
        ("need_in_plan", "yh", "yes"),
        ("area", "bath and north east somerset", "other England"),
        ("bounced", "yes health says education and education says health", "yes"),
        ("bounced", "no both have been lovely", "no"),
        ("bounced", "we have not been passed around", "no"),
        ("plan", "yes but not finalised yet", "draft"),
        ("plan", "still waiting on the final plan", "draft"),
        ("plan", "no hes still being assesed", "assessment under way"),
        ("plan", "he had an assessment and got a plan", "final"),
        ("plan", "no we applied but they turned us down", "none"),
        ("need_in_plan", "it was taken out at the last review", "no"),
        ("need_in_plan", "its not wrote down", "no"),
        ("section", "F not G", "F"),
        ("section", "its not in F its in G", "G"),
        ("over_core", "yes the lady from nhs told us its to much", "yes"),
        ("over_core", "they said it is not more than normal", "no"),
        ("over_core", "they said they are short staffed", None),
        ("over_core", "she said he is doing well", None),
        ("assessed", "she is on waiting list", "no"),
        ("assessed", "she was seen in march, waiting for the report", "yes"),
        ("provider", "nhs physio visits at school", "NHS service"),
        ("provider", "the nhs stopped so school bought it", "school has bought it in"),
        ("q1", "hes not on track", "no"),
        ("q1", "below average", "no"),
        ("q1", "they said she is doing fine", "yes"),
        ("q2", "they said it would not help", "no"),
        ("q2", "she would benefit", "yes"),
        ("q3", "no he already has autism diagnosis", "no"),
        ("q4", "we got leaflet and do it every day no change", "no"),
        ("q4", "yes we had advice but it did nothing", "no"),
        ("q5", "its not working", "yes"),
        ("q5", "nothing else needed", "no"),
        ("q5", "plenty in place but she is still struggling", "yes"),
        ("q5", "he does lego therapy at school", None),
    ],
)
def test_a_reply_to_a_question(name, text, value):
    assert HEARING.reply(text, INPUTS[name]) == Heard(value)


@pytest.mark.parametrize("name", INPUTS)
def test_every_button_can_be_typed_and_every_question_can_be_answered_with_not_sure(name):
    asked = INPUTS[name]
    if asked.asked:
        assert {HEARING.reply(v.title, asked).value for v in asked.values.values()} == set(asked.values)
        assert HEARING.reply("i dont know", asked).value == "unsure"


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("assessed", "the physio from the hospital saw her in March but the report is private"),
        ("assessed", "yes but privately"),
        ("assessed", "yes for speech but not for OT"),
        ("assessed", "a lady came to school once"),
        ("assessed", "NHS OT saw her but only for equipment"),
        ("assessed", "the NHS should have assessed"),
        ("assessed", "she was assessed by a therapist that the school pay for"),
        ("area", "our GP is in Taunton but we live in Devon"),
        ("area", "not somerset"),
        ("plan", "she has a care plan"),
        ("plan", "we have got one from wales its called IDP"),
        ("need_in_plan", "yes in outcomes"),
        ("provider", "school TA"),
        ("plan", "used to have one but it was ceased"),
        ("plan", "the final plan comes next month"),
        ("need_in_plan", "only mentioned in section B"),
        ("need_in_plan", "i want it written in"),
        ("section", "speech in F, physio in G"),
        ("section", "the education, health and care plan"),
        ("section", "should be F"),
        ("over_core", "the senco thinks it is above core"),
        ("provider", "school, we pay half"),
        ("q1", "no, they said normal"),
        ("q1", "nobody is worried but me"),
        ("q2", "it has not helped"),
        ("q3", "he has autism"),
        ("q3", "hearing test was fine"),
        ("q4", "no"),
        ("q4", "yes"),
    ],
)
def test_what_can_be_read_in_two_ways_is_neither(name, text):
    assert HEARING.reply(text, INPUTS[name]) == Heard(unclear=True)


@pytest.mark.parametrize(
    ("text", "wish"),
    [
        ("why do you ask?", "why"),
        ("why", "why"),
        ("what does that mean", "meaning"),
        ("stop", "leave"),
        ("i give up", "leave"),
        ("carry on", "resume"),
        ("go back", "back"),
        ("start again", "restart"),
        ("why was she discharged?", None),
        ("the school stopped it", None),
        ("stop paying in july they said", None),
        ("enough for now", None),
        ("back in march", None),
        ("new one since june", None),
        ("new child please", "restart"),
        ("i've had enough", "leave"),
        ("it was fine", None),
    ],
)
def test_what_is_wanted_of_the_guide_itself(text, wish):
    assert HEARING.wish(text) == wish


def test_a_section_means_a_plan_unless_something_else_was_said():
    assert with_what_follows({"section": "F"}) == {"section": "F", "need_in_plan": "yes", "plan": "final"}
    assert with_what_follows({"section": "F", "plan": "draft"})["plan"] == "draft"


def test_a_very_long_message_is_read_in_no_time():
    text = "the nhs said the council and they said the plan was not " * 2000
    assert HEARING.facts(text, GUIDES.responsibility.inputs) is not None and HEARING.reply(text, INPUTS["assessed"]) is not None


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("she has lost words she used to say", "MEDICAL_ADVICE_TODAY"),
        ("he can no longer walk up stairs", "MEDICAL_ADVICE_TODAY"),
        ("she is losing what she could do", "MEDICAL_ADVICE_TODAY"),
        ("he has real trouble with swallowing", "REFER_DIRECTLY"),
        ("my 3 year old started to stutter", "REFER_DIRECTLY"),
        ("he has no problems with eating", None),
        ("she hasn't lost any words", None),
        ("i've forgotten what you could tell me", None),
        ("she is behind with her talking", None),
    ],
)
def test_what_stands_in_for_the_five_questions(text, message):
    assert HEARING.instead(text) == message


@pytest.mark.parametrize(("text", "corrects"), [("no wait, it is section G", True), ("actually it is a draft", True), ("he is on the wait list", False), ("we have to wait for a letter", False)])
def test_what_takes_something_back(text, corrects):
    assert HEARING.corrects(text) == corrects
