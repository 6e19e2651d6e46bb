"""British spellings as American ones, by families of words.

Facts of spelling told as rules, so that "discolouration" follows from "colour". References and
hypotheses go through the same rules, so a rule that touches a word it need not costs nothing; it
must only not make two words one, as "prise" and "prize" would.
"""

import re
from functools import lru_cache


def _any(stems: str) -> str:
    return f"(?:{'|'.join(stems.split())})"


_OUR = _any(
    "arb ard arm avi behavi cand clam col demean enam endeav fav ferv flav harb hon hum lab neighb "
    "od parl ranc rig rum sav splend succ tum val vap vig"
)
# What stands before "is" where both spell an s: advise, exercise, paradise, promise, surprise.
_EVER_IS = _any(
    r"adv advert anth appr ar cerr? chast chem circumc compr comprom conc cr dem desp dev "
    r"\w*ench enfranch enterpr exc exerc expert franch improv inc ir merchand moonr otherw parad "
    r"pract prec prem prom prov repr rev sunr superv surm surpr telev treat upr val \w*w"
)
_DOUBLED_L = _any(
    "apparel bevel cancel carol channel chisel council counsel cruel cudgel dial dishevel drivel "
    "duel enamel equal fuel funnel gambol gravel grovel gruel imperil initial jewel label level "
    "libel marshal marvel model panel parcel pedal pencil pummel quarrel ravel revel rival shovel "
    "shrivel signal snivel spiral squirrel stencil swivel tassel total towel trammel travel "
    "trowel tunnel victual yodel"
)
_RE = _any(
    "calib cent fib goit lit louv lust meag met mit och reconnoit sab saltpet scept sepulch somb "
    "spect theat"
)
_AE = _any("an arch encyclop f gyn h isch leuk medi orthop p pal prim tox")
_WORDS = {
    "aeroplane": "airplane", "almanack": "almanac", "aluminium": "aluminum",
    "artefact": "artifact", "bannister": "banister", "baulk": "balk", "cheque": "check",
    "cypher": "cipher", "draught": "draft", "gaol": "jail", "gips": "gyps", "grey": "gray",
    "kerb": "curb", "moustach": "mustach", "omelette": "omelet", "phoney": "phony",
    "programme": "program", "pyjama": "pajama", "sceptic": "skeptic", "sulph": "sulf",
    "syphon": "siphon", "tonne": "ton", "waggon": "wagon", "yoghurt": "yogurt",
}  # fmt: skip
"""Words, with what may follow them."""
_RULES = [
    (re.compile(british), american)
    for british, american in (
        (f"({_OUR})our", r"\1or"),
        (
            rf"^(?!(?:un|in)?{_EVER_IS}is)(\w\w+[^aeiou\W])is"
            "(e|ed|es|er|ers|ing|ingly|ation|ations|able|ably|ement)$",
            r"\1iz\2",
        ),
        ("^practis", "practic"),
        ("(anal|paral|catal|breathal|dial|hydrol)ys(?=e|ing)", r"\1yz"),
        ("^jewellery", "jewelry"),
        (f"({_DOUBLED_L})l(?=(?:e[dr]|ers|est|ing|ings|ingly|ors?|ous|ously|ists?)$)", r"\1"),
        ("^wooll(?=en|y|ies)", "wool"),
        ("^tranquill(?=i)", "tranquil"),
        ("^worshipp", "worship"),
        (f"({_RE})re(?=s?$)", r"\1er"),
        ("^(cent|fib|theat)re(?=[a-z]{3})", r"\1er"),
        ("(cent|calib|reconnoit)r(?=ed$|ing$)", r"\1er"),
        ("manoeuvr(?:e(?=s?$))?", "maneuver"),
        ("(anal|catal|dial|epil|monol|prol)ogu(?:e(?=s?$)|(?=ed$|ing$))", r"\1og"),
        ("(def|off|pret|lic)enc(?=e|ing)", r"\1ens"),
        (f"^({_AE})ae(?=[cdmnosv])", r"\1e"),
        ("^ae(?=on|sth|tiol)", "e"),
        ("^(f?)oe(?=t|soph|strog|dem)", r"\1e"),
        ("rrhoea", "rrhea"),
        ("^homoeo", "homeo"),
        ("^(appal|distil|enrol|enthral|fulfil|instal|instil)(?=s?$|ment)", r"\1l"),
        ("^(skil|wil)ful", r"\1lful"),
        ("(abridg|acknowledg|judg|lodg)ement", r"\1ment"),
        ("(conne|infle|refle)xion", r"\1ction"),
        ("^(re|s)?mou(?=l[dt])", r"\1mo"),
        ("^cos(?=y$|i)", "coz"),
        ("gramme(?=s?$)", "gram"),
        ("^chequer", "checker"),
        ("^storey$", "story"),
        ("^storeys$", "stories"),
        ("^tyre(?=s?$)", "tire"),
        ("^disc(?=s?$)", "disk"),
        ("^ageing", "aging"),
        ("plough", "plow"),
        *((f"^{british}", american) for british, american in _WORDS.items()),
    )
]


@lru_cache(maxsize=50_000)
def american(word: str) -> str:
    """The American spelling of a word in lower case."""
    for british, spelling in _RULES:
        word = british.sub(spelling, word)
    return word
