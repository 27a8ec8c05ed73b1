"""The forms that masking looks for: how numbers, addresses, dates and names are written in messages. Every pattern marks it as `it`."""

from __future__ import annotations

import re
from dataclasses import dataclass

# How far a context is trusted to be followed by a name: any word, a word with a capital, only a name of the list.
ANY, TITLE_CASE, LISTED = 2, 1, 0

LONGEST_NAME = 4
HELPLINES = ("999", "111", "101", "112", "116123", "116111", "85258", "08001111", "08088005000", "08088010677")

# wider than those given out: people misread them, and the reference is what they have
REFERENCE = re.compile(r"\bSP[\s-]?[A-Z\d]{8}\b", re.IGNORECASE)

EMAIL = re.compile(
    r"(?P<it>[\w.+'-]{1,64}(?:@|\s?[\[(]at[\])]\s?|\s+at\s+(?=[\w-]+\s+dot\s))[\w-]+(?:(?:\.|\s+dot\s+)[\w-]+)+)", re.IGNORECASE
)

# The first letters and digits are GOV.UK's rules for National Insurance numbers without the prefixes never used: people make slips.
NI_NUMBER = re.compile(r"\b(?P<it>[A-Z]{2}[ -]?\d{2}[ -]?\d{2}[ -]?\d{2}[ -]?[A-D])\b", re.IGNORECASE)
# DfE: a check letter, then twelve figures, of which a temporary UPN has a letter as its last.
UPN = re.compile(r"\b(?P<it>[A-Z] ?\d{3} ?\d{4} ?\d{4}[\dA-Z])\b", re.IGNORECASE)
NAMED_NHS_NUMBER = re.compile(r"\bNHS\b[\s\w.:#'-]{0,24}?(?P<it>\b\d(?:[ -]?\d){7,11}\b|(?<=number)\d{8,12}\b)", re.IGNORECASE)
LONG_NUMBER = re.compile(r"(?<![\w£$€.,/-])(?P<it>(?:\+|\(?\+?)\d(?:[ \-.()]{0,2}\d){8,14})(?![\w])(?!\.\d)")
CALL_ON = re.compile(
    r"\b(?:ring|call|phone|text|tel|telephone|mobile|landline|whats ?app|number)\b[^\d\n.!?]{0,24}(?P<it>\d[\d -]{4,}\d)\b", re.IGNORECASE
)
NAMED_NUMBER = re.compile(
    r"\b(?:hospital|patient|case|record|pupil|student|passport|client|ref(?:erence)?|rio|emis|nhs)\b[ .:#]*(?:\b(?:no|num|number|id|ref|is)\b[ .:#]*)*"
    r"(?P<it>(?=[A-Z/-]*\d)[A-Z\d][A-Z\d/-]{4,}[A-Z\d])\b",
    re.IGNORECASE,
)
_SPELT = r"(?:zero|oh|nought|one|two|three|four|five|six|seven|eight|nine|double|triple)"
SPELT_WORD = re.compile(rf"\b{_SPELT}\b", re.IGNORECASE)
SPELT_NUMBER = re.compile(rf"\b(?P<it>{_SPELT}(?:[\s,-]+{_SPELT}){{6,}})\b", re.IGNORECASE)

_MONTH = r"(?:jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?|sept?(?:ember)?|oct(?:ober)?|nov(?:ember)?|dec(?:ember)?)"
_DAY = r"(?:the )?\d{1,2}(?:st|nd|rd|th)?"
_FULL_DATE = (
    rf"(?:\d{{1,2}}[/.\-]\d{{1,2}}[/.\-](?:19|20)?\d\d|(?:19|20)\d\d[/.\-]\d{{1,2}}[/.\-]\d{{1,2}}"
    rf"|{_DAY}(?: of)? {_MONTH},? (?:19|20)?\d\d|{_MONTH} {_DAY},? (?:19|20)\d\d)"
)
_BORN = r"(?:\bd\.?o\.?b\b\.?|\bbirth ?da(?:te|y)|\bdate of birth|\bb-?day|\bborn(?: on)?)"
BIRTH_DATE = re.compile(
    rf"{_BORN}(?:\W|\b(?:is|was|on|it|its|it's|she|he)\b){{0,8}}"
    rf"(?P<it>{_FULL_DATE}|(?:\d{{1,2}}|\d{{4}})[ ]\d{{1,2}}[ ](?:\d{{4}}|\d\d)|\d{{8}}|\d{{6}}|{_DAY}(?: of)? {_MONTH}|{_MONTH} {_DAY})\b",
    re.IGNORECASE,
)
BARE_DATE = re.compile(rf"(?<![\w/])(?P<it>{_FULL_DATE})(?![\w/])", re.IGNORECASE)
_EVENT = re.compile(
    r"\b(?:on|since|from|dated?|until|till|by|before|after|in|of|to|between|due|wrote|sent|review|meeting|appointment|letter|referred|seen"
    r"|assessed|discharged|is|was|for|and|report|plan|tribunal|deadline|starts?|started|ends?|ended|around)\W{1,3}(?:the )?$",
    re.IGNORECASE,
)

_POSTCODE_AREAS = frozenset(
    "AB AL B BA BB BD BH BL BN BR BS BT CA CB CF CH CM CO CR CT CV CW DA DD DE DG DH DL DN DT DY E EC EH EN EX FK FY G GL GU GY HA HD HG HP "
    "HR HS HU HX IG IM IP IV JE KA KT KW KY L LA LD LE LL LN LS LU M ME MK ML N NE NG NN NP NR NW OL OX PA PE PH PL PO PR RG RH RM S SA SE "
    "SG SK SL SM SN SO SP SR SS ST SW SY TA TD TF TN TQ TR TS TW UB W WA WC WD WF WN WR WS WV YO ZE".split()
)
POSTCODE = re.compile(r"\b(?P<it>(?P<area>[A-Z]{1,2})\d[A-Z\d]? ?(?P<inward>\d[ABD-HJLNP-UW-Z]{2}))\b", re.IGNORECASE)
_ORDINALS = frozenset(("1ST", "2ND", "3RD", *(f"{n}TH" for n in range(10))))

_CLEAR_STREET = r"(?:road|rd|street|avenue|ave|lane|crescent|cres|terrace|mews|close|gardens|grove|drive)"
_ANY_STREET = (
    rf"(?:{_CLEAR_STREET}|st|way|court|place|hill|row|walk|rise|square|view|green|parade|quay|wharf|mead|meadows?|orchard|parks?|heath"
    r"|croft|field|fields|end|buildings|house|path|vale|leys?)"
)
HOUSE_NUMBER = re.compile(
    rf"\b(?P<it>(?:(?:flat|apartment|apt|unit|room) \w{{1,4}},? )?\d{{1,4}}[a-z]?,? (?:(?P<name>[a-z'’]+(?: [a-z'’]+){{0,2}}) )(?P<street>{_ANY_STREET}))\b",
    re.IGNORECASE,
)
_HOME = r"(?:cottage|house|farm|barn|lodge|villa|bungalow|manor|mill|rectory|vicarage|grange|hall)"
_NO_STREET = frozenset(
    "hour hours minute minutes mile miles week weeks day days year years month months term terms session sessions times time way ways visit visits "
    "children kids other different more of or and to in at a is for x we i they he she it you then my our his her an o'clock was has had".split()
)
_AT_HOME = r"(?:(?:liv(?:e|es|ed|ing)|stay(?:s|ing)?|mov(?:e|ed|ing))(?: to| at| in)|(?:(?:we|i)(?:'|’| a)(?:re|m)|based)(?: at| in)|(?:home|address)(?: is|:)?)"
LIVES_IN_HOUSE = re.compile(
    rf"\b{_AT_HOME} (?P<it>(?!(?:an?|our|my|his|her|their) )(?:the old |the )?(?:[a-z'’]+ )?(?:(?!the |old )[a-z'’]+ {_HOME}|(?<=old ){_HOME}))(?= *(?:[,.;\n]|$| near| in| outside| and))", re.IGNORECASE
)
LIVES_AT_NUMBER = re.compile(rf"\b{_AT_HOME} (?P<it>(?:flat \w+,? )?\d{{1,4}}[a-z]?,? (?:(?!(?:and|with|near|in|now|years?|months?|weeks?|days?|times?|miles?|hours?)\b)[a-z'’]+ ?){{1,3}}(?<! ))(?=\W*(?:[,.;\n]|$|and\b|with\b|near\b|in\b))", re.IGNORECASE)


def is_postcode(match: re.Match[str]) -> bool:
    """Whether the letters are those of a postcode area, and the end is no "2nd" after a band or a key stage."""
    area, inward = match["area"].upper(), match["inward"].upper()
    return area in _POSTCODE_AREAS and not (len(area) == 1 and inward in _ORDINALS)


def is_street(match: re.Match[str]) -> bool:
    """Whether a number and words before a kind of street are an address: no measure, and clear or with capitals."""
    words = match["name"].split()
    if any(word.lower() in _NO_STREET for word in words):
        return False
    if words[-1].lower() in ("the", "this") or (match["street"].islower() and match["street"] in ("close", "drive") and words[-1].endswith("s")):
        return False
    clear = re.fullmatch(_CLEAR_STREET, match["street"], re.IGNORECASE) is not None
    return clear or match["name"][0].isupper()


def is_likely_birth_date(match: re.Match[str], text: str) -> bool:
    """Whether a full date stands alone, as people write a date of birth after a name, and not as the day of some event."""
    return not _EVENT.search(text[: match.start()]) and not re.match(r"\W*(?:at \d|to|-|until|and|or|we|they|i|was|is|he was|she was)\b", text[match.end() :], re.IGNORECASE)


def kind_of_number(number: str) -> str:
    """What a number of nine figures or more is: `nhs_number` if its check figure holds (modulus 11), `phone`, or `other_number`."""
    digits = [int(c) for c in number if c.isdigit()]
    if len(digits) == 10 and digits[0] in (4, 6, 7, 9) and (11 - sum(d * (10 - i) for i, d in enumerate(digits[:9])) % 11) % 11 == digits[9]:
        return "nhs_number"
    return "phone" if number.lstrip("(").startswith(("0", "+", "44")) else "other_number"


# names

_LETTER = r"[^\W\d_]"
# a letter with the marks that Python counts as none: accents set apart, Arabic and Bengali vowels
_WORD = r"(?:[^\W\d_][\u0300-\u036f\u064b-\u065f\u0980-\u0983\u09bc-\u09cd\u09d7]*)+"
WORD = re.compile(rf"{_WORD}(?:['’]s\b)?")
NAME_WORD = re.compile(rf"[\s\"“(]{{0,2}}(?P<it>(?:O['’]|[B-HJ-Z]\.? (?=[A-Z]{_LETTER}{{2}}))?{_WORD}(?:-{_WORD})*)(?![^\W_])")
AND = re.compile(r"\s+(?:and|&)(?=\s+[A-Z])")
PARTICLES = frozenset("van von de der den da dos del di al el bin ibn bint ap".split())

NO_NAMES = frozenset(
    """
    a an the and or but so if as of on in at to for from by with without about into out up down over under back off again away
    i me my mine we us our you your he him his she her it its they them their this that these those who whose what which when where why how
    is am are was were be been being has have had do does did done will would can could shall should may might must not no yes never ever still
    also already just only even very really too now then here there today tomorrow yesterday next last first second third new old other another
    any some all both each every more most much many few one two three four five six seven eight nine ten none nothing something anything
    not n't isn't wasn't doesn't don't didn't can't cannot won't hasn't haven't wouldn't couldn't cant wont dont doesnt isnt wasnt hasnt didnt
    getting going waiting looking asking hoping wondering worried sure sorry happy ready due done told said says asked called named known put down
    spelt spelled missing wrong removed written listed mentioned used given taken seen kept lost left gone turned refused rejected discharged referred
    names lazy lines list stage turn section plan school nursery college service team therapist therapy teacher doctor nurse
    speech language occupational physio physiotherapy salt slt ot senco senco's sen send ehcp ehc nhs adhd asd asc dld dcd apd pda gp camhs ta la
    lea hv icb pals dla upn dob son daughter child children kid boy girl baby mum mom mam dad mother father parent carer gran nan grandad brother
    sister husband wife partner friend family pupil student class year reception english polish romanian ukrainian portuguese arabic bengali british
    welsh scottish irish italian spanish french german greek turkish russian bulgarian albanian hungarian lithuanian latvian slovak czech indian pakistani bangladeshi
    chinese african nigerian ghanaian somali kurdish afghan syrian iraqi iranian american european asian black white catholic jewish hindu sikh quaker gypsy traveller roma english
    scouse cornish bsl muslim christian autistic deaf blind disabled pregnant single tired desperate furious angry new lost stuck confused
    in-between aged age old young little big good bad great fine well better worse nice lovely thanks thank thankyou please cheers regards ta hi
    hello hey dear sir madam dr mr mrs ms miss prof professor bye goodbye ok okay yes yeah no
    monday tuesday wednesday thursday friday saturday sunday january february march april june july august september october november december
    against among myself yourself himself herself lamb signpost like because since until while after before during through between per via than
    officer person lead head manager provider professional caseworker someone somebody anyone anybody everyone nobody people
    home work number phone email address postcode date birth birthday name surname
    long short letter report review appointment assessment referral session sessions block word words talk talking speak speaking see seeing get
    gets got need needs want wants make makes go goes went come comes came take takes took know knows think thinks feel feels help helps say
    developmental childhood selective sensory verbal dyspraxia autism makaton elklan hanen pecs lego colourful attention
    """.split()
)

_RELATION = (
    r"(?:(?:step|foster|god|grand)[ -]?)?(?:son|sons|daughter|daughters|child|boy|girl|lad|baby|toddler|kid|twins?|niece|nephew|brother|sister|husband|wife|partner|ex|friend"
    r"|pupil|pupils|student|students|grand(?:son|daughter|child)|little (?:boy|girl|one|man|lad)|eldest|youngest|middle one)"
)
_STAFF = r"(?:teacher|therapist|physio|physiotherapist|ot|slt|salt|senco|ta|ep|key ?worker|key person|caseworker|doctor|paediatrician|social worker|health visitor|headteacher|consultant)"


@dataclass(frozen=True)
class Context:
    """Words after which a name stands, how far they are trusted (ANY, TITLE_CASE, LISTED), and one word of which a message must hold
    for the pattern to be tried at all."""

    pattern: re.Pattern[str]
    trust: int
    needs: frozenset[str]


def _context(pattern: str, trust: int, needs: str, flags: int = re.IGNORECASE) -> Context:
    return Context(re.compile(pattern, flags), trust, frozenset(needs.split()))


_KIN_WORDS = (
    "son sons daughter daughters child boy girl lad baby toddler kid twin twins niece nephew brother sister husband wife partner ex friend pupil pupils student "
    "students stepson stepdaughter grandson granddaughter grandchild godson goddaughter one man eldest youngest"
)
_STAFF_WORDS = "teacher therapist physio physiotherapist ot slt salt senco ta ep worker keyworker person caseworker doctor paediatrician visitor headteacher consultant"
_PARENT_WORDS = "mum mummy mam dad daddy mother father parent parents carer guardian nan gran grandma grandad"
NAME_CONTEXTS = (
    # a title; "Miss" and "Dr" are words of other sentences too
    _context(r"\b(?:[Mm]r|MR|[Mm]rs|MRS|[Mm]s|[Mm]x)\b\.?", ANY, "mr mrs ms mx", 0),
    _context(r"\b(?:Miss|MISS|Sir|Prof(?:essor)?|Nurse)\b", TITLE_CASE, "miss sir prof professor nurse", 0),
    _context(r"\bdr\b\.?(?= [^\W\d_]{3,} (?:said|says|told|thinks|has|is|was|wrote|referred|will|at|from)\b|(?-i:\.? ?[A-Z]))", ANY, "dr"),
    # "my name is", "his full name is", "Name:", "surname"
    _context(r"\b(?:sur|first |second |last |full |middle |fore)?name(?: is|'s|’s|(?<=my name)s| was|:| =)(?: called)?", ANY, "name names surname forename"),
    _context(
        r"(?:\b(?:my|pupil|parent|child|pupil's|child's|parent's|sur|first|second|last|full|middle|fore) ?name|^name)(?:\b:?)", TITLE_CASE, "name surname forename"
    ),
    _context(r"\b(?:known as|goes by|answers to)(?: the name)?", ANY, "known goes answers"),
    # "my son is called"
    _context(
        rf"\b(?:{_RELATION}|he|she|who|{_STAFF}|mum|dad|i|i'm|im)(?:'s|’s| is| are| was| am)?,?(?: (?:who is|who's))? (?:called|named)", ANY, "called named"
    ),
    _context(r"\b(?:called|named)", LISTED, "called named"),
    # "my son Jack", "the pupil, Jack", "her therapist Lucinda"
    _context(
        rf"\b(?:{_RELATION}|{_STAFF}|{_PARENT_WORDS.replace(' ', '|')}|little|lady|man|woman)(?:,(?= [^\W\d_]+(?: [^\W\d_]+)?[,)])|(?: is| was)?\b:?)",
        TITLE_CASE,
        f"{_KIN_WORDS} {_STAFF_WORDS} {_PARENT_WORDS} little lady woman",
    ),
    _context(r"\b(?:DS|DD|DH|LO)\b", TITLE_CASE, "ds dd dh lo", 0),
    # "mum of Oliver", "parent of"
    _context(rf"\b(?:{_PARENT_WORDS.replace(' ', '|')}) (?:of|to|for)", TITLE_CASE, _PARENT_WORDS),
    # "I'm Rachel, mum of …", "it's Paula, Rhys's mum"
    _context(r"\b(?:I'm|I’m|Im|im|i'm|I am|i am|[Tt]his is|[Ii]t's|[Ii]t’s)(?= [A-Z][^\W\d_]+(?:[,.!]| and (?:I|my)\b|$))", TITLE_CASE, "i i'm im this it it's", 0),
    # "I am Temi Adeyemi", "I, Anthony Greaves,"; a name alone must be of the list, which is looked for everywhere
    _context(r"\b(?:I'm|I’m|I am|This is|this is|I,|It's|it's)(?= (?:[A-Z][^\W\d_]+[ -]){1,2}[A-Z][^\W\d_]+)", TITLE_CASE, "i i'm this it it's", 0),
    # the same in the other languages of the areas
    _context(r"\b(?:nazywam się|mam na imię|ma na imię|nazywa się|imię:?)", ANY, "nazywam nazywa imię"),
    _context(
        r"\b(?:mă numesc|ma numesc|numele (?:meu|lui|ei) este|se numește|se numeste|mă cheamă|ma cheama|îl cheamă|o cheamă)",
        ANY,
        "numesc numele numește numeste cheamă cheama",
    ),
    _context(r"\b(?:chamo-me|chama-se|(?:meu|seu) nome é|se chama)", ANY, "chamo chama nome"),
    _context(r"(?:звати|звуть|ім'я|ім’я)", ANY, "звати звуть ім"),
    _context(r"(?:اسمي|اسمه|اسمها)", ANY, "اسمي اسمه اسمها"),
    _context(r"(?:নাম)", ANY, "নাম"),
)
KIN_WORDS = frozenset(_KIN_WORDS.split())
SIGNING_WORDS = frozenset("thanks thank regards wishes cheers sincerely faithfully love yours ta from".split())
# "Leo's mum", "Emma the OT"
NAME_BEFORE = re.compile(
    rf"\b(?P<it>{_WORD}(?:-{_WORD})*)(?:['’]s (?:{_PARENT_WORDS.replace(' ', '|')}|teacher|therapist|physio|plan|ehcp|referral|appointment)| the {_STAFF})\b",
    re.IGNORECASE,
)
# the end of a letter: "thanks, Helen", "Kind regards, Margaret Dunmore"
SIGNED = re.compile(
    rf"(?:\b(?:thanks|thank you|regards|wishes|cheers|sincerely|faithfully|love|yours|ta)\b[,.!]?\s+|(?:^|[.!?,\n]\s*)(?P<from>from)\s+)"
    rf"(?P<it>{_WORD}(?:-{_WORD})*(?: {_WORD}(?:-{_WORD})*)?)(?= *x* *\W*$)",
    re.IGNORECASE,
)
# what stands straight before a date of birth or a number of a person: "Evie Chambers, 30/10/2019"
NAMES_BEFORE_NUMBER = re.compile(r"(?P<it>(?:[A-Z][^\W\d_]+(?:-[A-Z][^\W\d_]+)?[ ]?){1,3})(?:[ ,(:-]|dob|DOB){0,4}$")
IS_PERSON = re.compile(r"(?:['’]s)?,? (?:is|was|has|had|needs|won't|can't|cannot|doesn't|isn't|goes|gets|aged|who|and (?:I|me|she|he)\b|\(|(?<=, )\d)", re.IGNORECASE)
NO_PERSON = re.compile(r"(?:\b(?:in|on|by|since|until|till|of|from|this|next|last|every|after|before|at|the|a|an|to)|\d(?:st|nd|rd|th)?) $", re.IGNORECASE)
KIN = re.compile(rf"\b{_RELATION} (?P<it>{_WORD})", re.IGNORECASE)
_PLACE_AFTER = re.compile(
    r"(?:['’]s)?(?: [A-Z][^\W\d_]+)? (?:road|street|avenue|lane|close|school|primary|academy|infants?|juniors?|college|house|hospital|centre|center|clinic|ward|hall|park|surgery"
    r"|medical|nursery|church|inquiry|report|award|university|wish)\b",
    re.IGNORECASE,
)
_PLACE_BEFORE = re.compile(r"\b(?:st|saint|king|queen|prince|princess|lady|our lady of|lord|port|mount)\.? $", re.IGNORECASE)


def is_place(text: str, match: re.Match[str]) -> bool:
    """Whether a given name is part of what a place is called: "St Mary's", "Victoria Park Medical Centre"."""
    return _PLACE_AFTER.match(text, match.end()) is not None or _PLACE_BEFORE.search(text, 0, match.start()) is not None
