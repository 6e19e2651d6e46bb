"""English words around numbers that say what the numbers mean."""

from asr.punctuation.numbers.spelling import ONES, TENS, ordinal_of, plural_of


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


MONTHS = _words(
    "january february march april may june july august september october november december "
    "jan feb apr jun jul aug sep sept oct nov dec"
)
VERBS = _words("march may")
"""Months that are also verbs: you may first ask."""
DATES = _words("on of since until till by from before after")
"""Before the name of a month that is also a verb."""
YEARS = MONTHS | _words(
    "in since year until till during circa early late spring summer autumn winter"
)
YEARS_OF_THIS_CENTURY = _words("by before after")
"""Besides those of `YEARS`."""
BEFORE_DECADES = _words("the early mid late")
"""Before the eighteen hundreds, the twenty tens."""
SCORES = _words("won win wins lead leads led lost lose beat up down ahead behind it's at")
"""Before two numbers that are no year: up twenty fifteen."""
THINGS_OF_A_YEAR = _words(
    "election elections olympics games season census budget campaign championship championships "
    "final finals edition world"
)
"""The twenty sixteen election."""
PRICES = _words("cost costs costing pay pays paid paying charge charges charged just only")
"""Before a price: it costs nineteen ninety nine."""
AFTER_PRICES = (
    *(("a", each) for each in ("day", "week", "month", "piece", "pop", "head")),
    ("each",),
    ("apiece",),
    ("plus", "tax"),
    ("plus", "shipping"),
)
BEFORE_TIMES = _words("at by until till from to before after around about")
MAY_SAY_TIMES = BEFORE_TIMES | _words("it's its is was nearly almost")
"""It's seven oh five."""
BEFORE_TIMES_ALONE = _words("at until till")
"""Where nothing behind says that it is a time."""
DAY = (
    *(("in", "the", part) for part in ("morning", "afternoon", "evening")),
    *((which, part) for which in ("this", "that") for part in ("morning", "afternoon", "evening")),
    ("at", "night"),
    ("tonight",),
    ("tomorrow",),
    ("sharp",),
)
"""Phrases behind a time."""
FUNCTION_WORDS = _words(
    "a an and as but for from he her his how i if in it my on or our she so that the their then "
    "there they this to today tomorrow tonight until was we were what when where which who with "
    "yesterday you your"
)
"""What may follow a time, since a time counts nothing."""

LINKS = _words("or to and")
STOPS_BEFORE = _words("point double triple treble half score buck dark")
_PARTS = (*ONES[3:], *TENS.values(), "hundred", "thousand", "million")
FRACTIONS = (
    frozenset(ordinal_of(word) for word in _PARTS)
    | frozenset(plural_of(ordinal_of(word)) for word in _PARTS)
    | _words("half halves quarter quarters")
)
"""Behind a number they make it a fraction: nineteen twentieths, and three quarters."""
PARTS = _words("hundredth thousandth millionth")
"""Of one hundredth, which is rather a fraction."""
WHOLES = _words("of part parts share")
"""Behind a fraction: a twentieth of it, a thousandth part."""
DETERMINERS = _words("the this that his her its my our your their")
STOPS_AFTER = FRACTIONS | _words("odd something fold ish score dozen winks niner niners")
PHRASES_AFTER = (
    ("and", "odd"),
    ("and", "a", "half"),
    ("and", "a", "quarter"),
    ("out", "of", "a"),
    ("times", "out", "of"),
)
IDIOMS = frozenset((("eleventh", "hour"), ("twelfth", "night")))

COINS = _words(
    "shilling shillings pence penny crowns farthings cent cents twopence threepence fourpence "
    "sixpence eightpence ninepence tenpence"
)
NOTES = _words("note notes bill coin")
"""What is worth some pounds, and does not weigh them."""
WEIGHT = _words(
    "weigh weighs weighed weighing weight weights heavy heavier lighter lift lifted lifting lose "
    "lost gain gained pressure square flour sugar butter beef meat pork fish bread rice salt "
    "powder lead iron wool cotton tobacco apiece ounce ounces tons avoirdupois"
)

BEFORE_POINTS = _words("at on from to in up this that the of by")
"""At one point two men came."""
NAMED_BY_DIGITS = _words(
    "number room flight code extension route highway channel dial dialed dialled area apartment "
    "bus box pin password press line"
)
MULTIPLES = _words("double triple treble")
CRIES = _words("my no yes yeah well god dear lord look sorry boy please")
"""Behind an `oh` that is no zero."""
LASTING = _words(
    "ad ads break breaks burst bursts clip clips commercial countdown delay delays gap interval "
    "intervals limit mark message pause pauses penalty rule segment silence snippet spot spots "
    "timeout timer video videos warning window"
)
"""What lasts for some seconds: the thirty second spot."""
MEASURES = _words(
    "year month week day hour minute mile kilometer kilometre meter metre foot yard inch acre page "
    "man watt volt gallon liter litre degree ton dollar pound euro"
)
"""Before another word: a hundred and fifty year old house."""
DIMENSIONS = _words(
    "above across ago away below deep down each high long off per tall thick up wide"
)
"""Behind a measure that may end there: it is a hundred and fifty foot tall."""
RANKED = _words("class rate hand aid grader graders")
"""Two hundred first class seats."""
MEASURES_OF_TWO = _words("foot feet stone pound pounds")
"""Five foot eleven, seven pounds twelve ounces."""
